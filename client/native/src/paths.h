// The tokens that hypotheses are made of, and the frames in which each was emitted.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "frames.h"
#include "histories.h"

namespace nemo_ctc {

// A token, emitted in the frames from `start` to `end`, and its highest log-probability there.
struct Emission {
  std::int32_t token;
  std::int64_t start;
  std::int64_t end;
  float log_prob;
};

// A token goes on while it is a candidate and likelier than the blank, until the next one starts.
class Paths {
 public:
  static constexpr Id kRoot = 0;

  explicit Paths(std::int32_t blank) : blank_(blank) {}

  std::size_t size() const { return nodes_.size(); }

  // Keep what tells how long tokens go on.
  void observe(const Frame& frame);
  Id extend(Id parent, std::int32_t token, std::int64_t frame);

  std::vector<Emission> emissions(Id path) const;
  std::vector<std::int32_t> tokens(Id path) const;
  // The last node that all of these paths share.
  Id shared(const std::vector<Id>& paths) const;

  // Forget what none of the paths needs; they become other ids of the same paths.
  void compact(std::vector<Id>& paths);

 private:
  struct Node {
    Id parent;  // smaller than the node's own id
    std::int32_t token;
    std::int64_t frame;
  };
  struct Observed {
    std::int64_t number;
    float blank_log_prob;
    std::vector<Candidate> candidates;
  };

  Emission emission(const Node& node, std::int64_t limit) const;
  // Those of a path after the root, the last of which ends at `limit` or before.
  std::vector<Emission> emissions_until(Id path, std::int64_t limit) const;

  std::int32_t blank_;
  std::vector<Node> nodes_{{kNone, -1, 0}};
  std::vector<Emission> settled_;  // of the tokens before the root, which all paths share
  std::deque<Observed> frames_;  // without those that leave only the blank: they end every token
};

}  // namespace nemo_ctc
