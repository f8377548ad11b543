#include "paths.h"

#include <algorithm>
#include <limits>

namespace nemo_ctc {

void Paths::observe(const Frame& frame) {
  if (!frame.only_blank(blank_)) {
    frames_.push_back({frame.number, frame.blank_log_prob, frame.candidates});
  }
}

Id Paths::extend(Id parent, std::int32_t token, std::int64_t frame) {
  nodes_.push_back({parent, token, frame});
  return static_cast<Id>(nodes_.size() - 1);
}

Emission Paths::emission(const Node& node, std::int64_t limit) const {
  auto frame = std::lower_bound(
      frames_.begin(), frames_.end(), node.frame,
      [](const Observed& each, std::int64_t number) { return each.number < number; });
  const auto log_prob_of = [&](const Observed& in) {
    for (const Candidate& each : in.candidates) {
      if (each.token == node.token) return each.log_prob;
    }
    return -std::numeric_limits<float>::infinity();
  };
  Emission emission{node.token, node.frame, node.frame + 1, log_prob_of(*frame)};
  for (++frame; frame != frames_.end() && frame->number == emission.end && emission.end < limit;
       ++frame, ++emission.end) {
    const float log_prob = log_prob_of(*frame);
    if (!(log_prob > frame->blank_log_prob)) break;
    emission.log_prob = std::max(emission.log_prob, log_prob);
  }
  return emission;
}

std::vector<Emission> Paths::emissions(Id path) const {
  std::vector<Emission> found = settled_;
  const auto unsettled = emissions_until(path, std::numeric_limits<std::int64_t>::max());
  found.insert(found.end(), unsettled.begin(), unsettled.end());
  return found;
}

std::vector<Emission> Paths::emissions_until(Id path, std::int64_t limit) const {
  std::vector<Emission> found;
  for (Id id = path; id != kRoot; id = nodes_[id].parent) {
    found.push_back(emission(nodes_[id], limit));
    limit = nodes_[id].frame;
  }
  std::reverse(found.begin(), found.end());
  return found;
}

std::vector<std::int32_t> Paths::tokens(Id path) const {
  std::vector<std::int32_t> found;
  for (Id id = path; id != kRoot; id = nodes_[id].parent) found.push_back(nodes_[id].token);
  for (auto each = settled_.rbegin(); each != settled_.rend(); ++each) found.push_back(each->token);
  std::reverse(found.begin(), found.end());
  return found;
}

Id Paths::shared(const std::vector<Id>& paths) const {
  return shared_ancestor(paths, [this](Id id) { return nodes_[id].parent; });
}

void Paths::compact(std::vector<Id>& paths) {
  // The shared node itself stays: where it ends depends on what comes after it.
  const Id shared_node = shared(paths);
  const Id root = shared_node == kRoot ? kRoot : nodes_[shared_node].parent;
  if (root != kRoot) {
    const auto settled = emissions_until(root, nodes_[shared_node].frame);
    settled_.insert(settled_.end(), settled.begin(), settled.end());
  }
  std::vector<bool> wanted(nodes_.size());
  for (Id id : paths) {
    for (; id > root && !wanted[id]; id = nodes_[id].parent) wanted[id] = true;
  }
  std::vector<Id> moved(nodes_.size(), kRoot);
  std::vector<Node> kept{nodes_[kRoot]};
  for (Id id = root + 1; id < nodes_.size(); ++id) {
    if (!wanted[id]) continue;
    moved[id] = static_cast<Id>(kept.size());
    kept.push_back({moved[nodes_[id].parent], nodes_[id].token, nodes_[id].frame});
  }
  // Paths come in the order of their frames, so the first that is kept began first.
  while (!frames_.empty() && (kept.size() == 1 || frames_.front().number < kept[1].frame)) {
    frames_.pop_front();
  }
  nodes_ = std::move(kept);
  for (Id& id : paths) id = moved[id];
}

}  // namespace nemo_ctc
