// The words that tokens write, with their times and confidence.
#pragma once

#include <string>
#include <vector>

#include "paths.h"
#include "search.h"

namespace nemo_ctc {

// From the first frame of its first token to the end of its last. The confidence is the geometric
// mean over its tokens of the highest probability that each has in its frames.
struct Word {
  std::string text;
  std::int64_t start;
  std::int64_t end;
  double confidence;
};

// As the search spells them: a mark after a space closes up with the word before the space.
std::vector<Word> words_of(const std::vector<Emission>& emissions, const std::vector<Label>& labels);

// The same words with a space between.
std::string text_of(const std::vector<std::int32_t>& tokens, const std::vector<Label>& labels);

}  // namespace nemo_ctc
