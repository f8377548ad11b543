// Finds hotwords in a text, character by character (Aho and Corasick, "Efficient string matching",
// CACM 1975).
//
// Each phrase stands in the automaton with a space before it, and a text is read with a space before
// each word: so phrases are found at the beginnings of words only, and a node is the longest end of
// the text that some phrase begins with. However many phrases there are, a step costs the same.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "hash_map.h"

namespace nemo_ctc {

struct Hotword {
  std::string text;  // words in UTF-8 with one space between
  double weight;
};

// Immutable.
class Hotwords {
 public:
  using Node = std::uint32_t;
  static constexpr double kNone = -std::numeric_limits<double>::infinity();

  explicit Hotwords(const std::vector<Hotword>& hotwords);

  bool empty() const { return nodes_.size() <= 1; }

  // Where a text begins: a space has been read.
  Node start() const { return start_; }
  Node read(Node node, std::string_view text) const;

  // The weights of all hotwords that end here, if a word does.
  double bonus(Node node) const { return nodes_[node].bonus; }

  // What the best hotword that may be begun here is worth so far: its weight times the share of its
  // characters. kNone if none may. Negative weights count only when they are complete.
  double credit(Node node) const { return nodes_[node].credit; }

  // Whether the word belongs to a hotword whose weight is not negative.
  bool favours(const std::string& word) const { return favoured_.count(word) != 0; }

 private:
  struct State {
    Node fail = 0;
    double bonus = 0.0;
    double credit = kNone;
  };

  Node step(Node node, unsigned char byte) const;
  void add(const Hotword& hotword);
  void link();

  std::vector<State> nodes_{1};
  HashMap<Node> edges_;  // of (node, byte)
  Node start_ = 0;
  std::unordered_set<std::string> favoured_;
};

}  // namespace nemo_ctc
