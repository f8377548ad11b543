#include "words.h"

#include <algorithm>
#include <cmath>

namespace nemo_ctc {
namespace {

struct Span {
  std::string text;
  std::size_t first = 0;  // tokens
  std::size_t last = 0;
};

template <class TokenAt>
std::vector<Span> spans_of(std::size_t n_tokens, TokenAt token_at,
                           const std::vector<Label>& labels) {
  std::vector<Span> spans;
  bool is_open = false;  // whether the last one may go on
  for (std::size_t i = 0; i < n_tokens; ++i) {
    const Label& label = labels[token_at(i)];
    for (std::size_t part = 0; part < label.parts.size(); ++part) {
      if (part > 0) is_open = false;
      if (label.parts[part].empty()) continue;
      const bool closes_up = part == 0 && label.is_mark && !spans.empty();
      if (!is_open && !closes_up) spans.push_back({"", i, i});
      is_open = true;
      spans.back().text += label.parts[part];
      spans.back().last = i;
    }
  }
  return spans;
}

}  // namespace

std::vector<Word> words_of(const std::vector<Emission>& emissions,
                           const std::vector<Label>& labels) {
  const auto token_at = [&](std::size_t i) { return emissions[i].token; };
  std::vector<Word> words;
  for (Span& span : spans_of(emissions.size(), token_at, labels)) {
    double log_prob = 0.0;
    for (std::size_t i = span.first; i <= span.last; ++i) log_prob += emissions[i].log_prob;
    const auto n_tokens = static_cast<double>(span.last - span.first + 1);
    words.push_back({std::move(span.text), emissions[span.first].start, emissions[span.last].end,
                     std::min(std::exp(log_prob / n_tokens), 1.0)});
  }
  return words;
}

std::string text_of(const std::vector<std::int32_t>& tokens, const std::vector<Label>& labels) {
  std::string text;
  for (const Span& span : spans_of(tokens.size(), [&](std::size_t i) { return tokens[i]; }, labels)) {
    if (!text.empty()) text += ' ';
    text += span.text;
  }
  return text;
}

}  // namespace nemo_ctc
