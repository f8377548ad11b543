#include "hotwords.h"

#include <algorithm>
#include <array>
#include <deque>

#include "utf8.h"

namespace nemo_ctc {

Hotwords::Hotwords(const std::vector<Hotword>& hotwords) {
  for (const Hotword& hotword : hotwords) add(hotword);
  if (!hotwords.empty()) {
    link();
    start_ = step(0, ' ');
  }
}

Hotwords::Node Hotwords::read(Node node, std::string_view text) const {
  for (const char byte : text) node = step(node, static_cast<unsigned char>(byte));
  return node;
}

Hotwords::Node Hotwords::step(Node node, unsigned char byte) const {
  while (true) {
    if (const Node* next = edges_.find(pair_key(node, byte))) return *next;
    if (node == 0) return 0;
    node = nodes_[node].fail;
  }
}

void Hotwords::add(const Hotword& hotword) {
  const std::string& text = hotword.text;
  const auto length = static_cast<double>(utf8::length(text));
  const bool favours = hotword.weight >= 0;
  Node node = 0;
  std::size_t spelled = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const char byte = at == 0 ? ' ' : text[at - 1];
    auto [next, is_new] = edges_.insert(pair_key(node, static_cast<unsigned char>(byte)));
    if (is_new) {
      *next = static_cast<Node>(nodes_.size());
      nodes_.emplace_back();
    }
    node = *next;
    if (at == 0) continue;
    spelled += utf8::begins_character(byte);
    if (favours) {
      const double credit = hotword.weight * static_cast<double>(spelled) / length;
      nodes_[node].credit = std::max(nodes_[node].credit, credit);
    }
  }
  nodes_[node].bonus += hotword.weight;
  if (!favours) return;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    favoured_.insert(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

void Hotwords::link() {
  // Breadth first, so that a node's fail link, which is shorter, is complete before it.
  std::deque<Node> queue{0};
  std::vector<std::vector<std::pair<unsigned char, Node>>> children(nodes_.size());
  edges_.for_each([&](std::uint64_t key, Node child) {
    children[key >> 32].emplace_back(static_cast<unsigned char>(key), child);
  });
  while (!queue.empty()) {
    const Node node = queue.front();
    queue.pop_front();
    for (const auto& [byte, child] : children[node]) {
      State& state = nodes_[child];
      state.fail = node == 0 ? 0 : step(nodes_[node].fail, byte);
      state.bonus += nodes_[state.fail].bonus;
      state.credit = std::max(state.credit, nodes_[state.fail].credit);
      queue.push_back(child);
    }
  }
}

}  // namespace nemo_ctc
