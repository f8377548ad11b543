// The words that language models know, in order: which texts begin one, and which are one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nemo_ctc {

// Immutable.
class Lexicon {
 public:
  // The words that begin with a text; none if `first` is `end`.
  struct Range {
    std::uint32_t first = 0;
    std::uint32_t end = 0;
    bool empty() const { return first == end; }
  };

  explicit Lexicon(std::vector<std::string> words);

  Range all() const { return {0, static_cast<std::uint32_t>(words_.size())}; }

  // Those of `range`, the words that begin with a beginning of `text`, that begin with `text`.
  Range narrow(Range range, std::string_view text) const;

  // Whether `text`, to which `range` belongs, is itself a word.
  bool holds(Range range, std::string_view text) const {
    return !range.empty() && words_[range.first] == text;
  }

 private:
  std::vector<std::string> words_;  // sorted by their bytes
};

}  // namespace nemo_ctc
