// A KenLM model: words to their probabilities after other words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lm/state.hh"
#include "lm/virtual_interface.hh"
#include "lm/word_index.hh"

namespace nemo_ctc {

using State = lm::ngram::State;
using WordIndex = lm::WordIndex;

// Immutable after construction, so any number of threads may ask it at once. A damaged file is an
// error, or gives wrong scores; what changes the file while it is mapped may end the process.
class LanguageModel {
 public:
  // Maps a KenLM binary, or reads an ARPA file, gzipped or not. Throws std::runtime_error, whose
  // message is short and ASCII and does not name the file.
  explicit LanguageModel(const std::string& path);

  int order() const { return model_->Order(); }
  State begin() const;
  // 0 for a word that it does not know.
  WordIndex index(std::string_view word) const;
  // log10 of the probability of `word` after `before`, from -1000 to 1000 whatever the file holds;
  // `after` is the state that follows.
  float score(const State& before, WordIndex word, State& after) const;
  float score_end(const State& before) const;

  // log10 and whether unknown, of each word of a sentence and of its end.
  std::vector<std::pair<float, bool>> score_sentence(const std::vector<std::string>& words) const;

 private:
  std::unique_ptr<lm::base::Model> model_;
};

}  // namespace nemo_ctc
