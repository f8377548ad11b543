#include "histories.h"

#include <utility>

#include "utf8.h"

namespace nemo_ctc {

Spellings::Spellings(const Scorer& scorer) : scorer_(&scorer) {
  intern("", scorer.lexicon ? scorer.lexicon->all() : Lexicon::Range{});
}

Id Spellings::append(Id spelling, Id part, const std::string& text) {
  if (text.empty()) return spelling;
  if (const Id* known = appended_.find(pair_key(spelling, part))) return *known;
  const Id id = intern(all_[spelling].text + text, all_[spelling].range);
  *appended_.insert(pair_key(spelling, part)).first = id;
  return id;
}

Id Spellings::intern(const std::string& text, Lexicon::Range range) {
  const auto [at, is_new] = by_text_.try_emplace(text, static_cast<Id>(all_.size()));
  if (!is_new) return at->second;
  Spelling spelling;
  spelling.text = text;
  spelling.range = range;
  if (!scorer_->letters.empty()) {
    for (std::size_t begin = 0, end; begin < text.size(); begin = end) {
      for (end = begin + 1; end < text.size() && !utf8::begins_character(text[end]);) ++end;
      const std::string character = text.substr(begin, end - begin);
      const auto written = scorer_->letters.find(character);
      spelling.written += written == scorer_->letters.end() ? character : written->second.first;
    }
  }
  if (scorer_->lexicon && !text.empty()) {
    const std::string& written = scorer_->letters.empty() ? text : spelling.written;
    spelling.range = scorer_->lexicon->narrow(range, written);
    if (spelling.range.empty()) spelling.penalty = scorer_->penalty(utf8::length(text));
  }
  all_.push_back(std::move(spelling));
  return at->second;
}

std::string Spellings::as_word(Id id) const {
  const Spelling& spelling = all_[id];
  if (scorer_->letters.empty()) return spelling.text;
  const std::size_t at = utf8::last(spelling.text);
  const auto letter = scorer_->letters.find(spelling.text.substr(at));
  if (letter == scorer_->letters.end()) return spelling.written;
  const auto& [inside, final] = letter->second;
  return spelling.written.substr(0, spelling.written.size() - inside.size()) + final;
}

Histories::Histories(const Scorer& scorer, bool recombine)
    : scorer_(&scorer), recombine_(recombine && !scorer.models.empty()) {
  History start;
  start.hotwords = scorer.hotwords.start();
  std::vector<State> states;
  for (const auto& [model, weight] : scorer.models) states.push_back(model->begin());
  add(start, states);
}

Id Histories::follow(Id history, Id word, const Spellings& spellings) {
  const auto [known, is_new] = following_.insert(pair_key(history, word));
  if (!is_new) return *known;
  *known = static_cast<Id>(all_.size());
  const std::string& text = spellings[word].text;
  History following;
  following.parent = history;
  following.word = word;
  following.score = all_[history].score;
  if (!scorer_->hotwords.empty()) {
    const Hotwords::Node end = scorer_->hotwords.read(all_[history].hotwords, text);
    following.score += scorer_->hotwords.bonus(end);
    following.hotwords = scorer_->hotwords.read(end, " ");
  }
  const std::size_t n_models = scorer_->models.size();
  std::vector<State> states(n_models);
  if (n_models != 0) {
    const std::string written = spellings.as_word(word);
    double log10 = 0.0;
    for (std::size_t i = 0; i < n_models; ++i) {
      const auto& [model, weight] = scorer_->models[i];
      log10 += weight * model->score(states_[history * n_models + i], model->index(written), states[i]);
    }
    const Lexicon& lexicon = *scorer_->lexicon;
    const bool is_known = scorer_->letters.empty()
                              ? lexicon.holds(spellings[word].range, written)
                              : lexicon.holds(lexicon.narrow(lexicon.all(), written), written);
    if (!is_known && !scorer_->hotwords.favours(text)) log10 += scorer_->unknown;
    following.score += scorer_->alpha * log10 + scorer_->beta;
  }
  return add(following, states);
}

double Histories::end(Id history) const {
  double log10 = 0.0;
  const std::size_t n_models = scorer_->models.size();
  for (std::size_t i = 0; i < n_models; ++i) {
    const auto& [model, weight] = scorer_->models[i];
    log10 += weight * model->score_end(states_[history * n_models + i]);
  }
  return scorer_->alpha * log10;
}

Id Histories::add(History history, const std::vector<State>& states) {
  const auto id = static_cast<Id>(all_.size());
  history.key = id;
  if (recombine_) {
    std::string key(reinterpret_cast<const char*>(&history.hotwords), sizeof history.hotwords);
    for (const State& state : states) {
      key.append(reinterpret_cast<const char*>(state.words), state.length * sizeof *state.words);
      key.push_back(static_cast<char>(state.length));
    }
    history.key = keys_.try_emplace(std::move(key), id).first->second;
  }
  all_.push_back(history);
  states_.insert(states_.end(), states.begin(), states.end());
  return id;
}

}  // namespace nemo_ctc
