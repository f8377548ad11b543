// The words of one search's hypotheses: beginnings of words, and histories of finished ones.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "hash_map.h"
#include "scorer.h"

namespace nemo_ctc {

using Id = std::uint32_t;
constexpr Id kNone = ~Id{0};

// The last node that all of `ids` descend from, or are; parents have smaller ids.
template <class Parent>
Id shared_ancestor(const std::vector<Id>& ids, Parent parent) {
  std::priority_queue<Id> open(std::less<Id>(), ids);
  while (true) {
    // The largest is never an ancestor of another.
    const Id last = open.top();
    while (!open.empty() && open.top() == last) open.pop();
    if (open.empty()) return last;
    open.push(parent(last));
  }
}

// The beginning of a word, or a whole one: each text once.
struct Spelling {
  std::string text;
  std::string written;  // for the language model, if that differs
  Lexicon::Range range;  // the words that begin with it
  double penalty = 0.0;  // if there are none
};

class Spellings {
 public:
  static constexpr Id kEmpty = 0;

  explicit Spellings(const Scorer& scorer);

  const Spelling& operator[](Id id) const { return all_[id]; }
  std::size_t size() const { return all_.size(); }

  // `spelling` with a text appended; `part` names the text, so that it is remembered.
  Id append(Id spelling, Id part, const std::string& text);

  // A text, whose words are among those of `range`.
  Id intern(const std::string& text, Lexicon::Range range);
  Id intern(const std::string& text) { return intern(text, all_[kEmpty].range); }

  // The word as the language model has it.
  std::string as_word(Id spelling) const;

 private:
  const Scorer* scorer_;
  std::vector<Spelling> all_;
  std::unordered_map<std::string, Id> by_text_;
  HashMap<Id> appended_;  // of (spelling, part)
};

// Finished words. Hypotheses that agree on them share a history.
struct History {
  Id parent = kNone;  // without the last word
  Id word = kNone;    // the last word's spelling
  double score = 0.0;
  Hotwords::Node hotwords = 0;  // what they have read, with the space after the last word
  Id key = kNone;  // the same for histories after which everything adds the same
};

class Histories {
 public:
  // With `recombine`, histories that the language models cannot tell apart have the same key.
  Histories(const Scorer& scorer, bool recombine);

  static constexpr Id kStart = 0;

  const History& operator[](Id id) const { return all_[id]; }
  std::size_t size() const { return all_.size(); }

  // `history` and one more finished word; each is scored once.
  Id follow(Id history, Id word, const Spellings& spellings);

  // What the end of the sentence adds.
  double end(Id history) const;

  // Forget all but the `live` ones and what lies between them. Gives the new id of each; `keep`
  // does so for the spellings of their words.
  template <class Keep>
  std::vector<Id> compact(const std::vector<Id>& live, Keep keep) {
    const Id top = shared_ancestor(live, [this](Id id) { return all_[id].parent; });
    std::vector<bool> wanted(all_.size());
    wanted[top] = true;
    for (Id id : live) {
      for (; !wanted[id]; id = all_[id].parent) wanted[id] = true;
    }
    Histories kept(*scorer_, recombine_, Empty{});
    std::vector<Id> moved(all_.size(), kNone);
    for (Id id = top; id < all_.size(); ++id) {
      if (!wanted[id]) continue;
      History history = all_[id];
      history.parent = id == top ? kNone : moved[history.parent];
      history.word = id == top ? kNone : keep(history.word);
      const auto states = states_.begin() + id * scorer_->models.size();
      moved[id] = kept.add(history, {states, states + scorer_->models.size()});
      if (id != top) *kept.following_.insert(pair_key(history.parent, history.word)).first = moved[id];
    }
    *this = std::move(kept);
    return moved;
  }

 private:
  struct Empty {};
  Histories(const Scorer& scorer, bool recombine, Empty) : scorer_(&scorer), recombine_(recombine) {}

  Id add(History history, const std::vector<State>& states);

  const Scorer* scorer_;
  bool recombine_;
  std::vector<History> all_;
  std::vector<State> states_;  // of each history, one for each language model
  HashMap<Id> following_;      // of (history, word)
  std::unordered_map<std::string, Id> keys_;
};

}  // namespace nemo_ctc
