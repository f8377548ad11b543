// What words add to a hypothesis: language models, a bonus for each word, hotwords.
//
// In natural logarithm, with unknown = unk_score_offset for a word that neither a language model nor
// a hotword has:
//
//     sum over words of  alpha * ln 10 * (sum over models of weight * log10 p(word | words before)
//                                         + unknown) + beta
//     + the hotwords' bonus + what the beginning of the word being spelled adds
//
// These are pyctcdecode's terms. docs/decoding.md has them for users.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "hotwords.h"
#include "language_model.h"
#include "lexicon.h"

namespace nemo_ctc {

// How a character is written for the language model: within a word, and at its end.
using Letters = std::unordered_map<std::string, std::pair<std::string, std::string>>;

// Immutable.
struct Scorer {
  struct WeightedModel {
    std::shared_ptr<const LanguageModel> model;
    double weight;
  };

  std::vector<WeightedModel> models;
  std::shared_ptr<const Lexicon> lexicon;  // of all models
  Letters letters;                         // empty: written as they are
  double alpha;                            // for log10
  double beta;
  double unknown;
  Hotwords hotwords;

  // Of a beginning that no word of the lexicon has: for an unknown word of usual length the whole
  // unk_score_offset, for longer ones in proportion.
  double penalty(std::size_t n_characters) const {
    constexpr double kUsualWord = 6.0;
    return unknown * std::max(1.0, static_cast<double>(n_characters) / kUsualWord);
  }
};

}  // namespace nemo_ctc
