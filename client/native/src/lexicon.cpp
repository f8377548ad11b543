#include "lexicon.h"

#include <algorithm>
#include <utility>

namespace nemo_ctc {

Lexicon::Lexicon(std::vector<std::string> words) : words_(std::move(words)) {
  std::sort(words_.begin(), words_.end());
}

Lexicon::Range Lexicon::narrow(Range range, std::string_view text) const {
  const auto begin = words_.begin() + range.first, end = words_.begin() + range.end;
  const auto compare = [text](const std::string& word) {
    return std::string_view(word).substr(0, text.size()).compare(text);
  };
  const auto first = std::partition_point(begin, end, [&](auto& word) { return compare(word) < 0; });
  const auto last = std::partition_point(first, end, [&](auto& word) { return compare(word) == 0; });
  return {static_cast<std::uint32_t>(first - words_.begin()),
          static_cast<std::uint32_t>(last - words_.begin())};
}

}  // namespace nemo_ctc
