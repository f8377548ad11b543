// From log_probs to what the search tries in each frame.
//
// A step tries the tokens at or above token_min_logp and the frame's best. A run of frames that leave
// only the blank is one step, which is exact: its first frame ends every hypothesis in blank, the
// others multiply all of them by one number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace nemo_ctc {

struct Candidate {
  std::int32_t token;
  float log_prob;
};

// One frame: its candidates, best first.
struct Frame {
  std::int64_t number = 0;
  std::int32_t best = 0;
  float blank_log_prob = 0.0f;
  std::vector<Candidate> candidates;

  bool only_blank(std::int32_t blank) const { return best == blank && candidates.size() == 1; }
};

// Where a pause ends a word: models of characters have learnt that an utterance begins and ends
// without a space. Each pause between two tokens gets a space, in the middle of its frames.
struct PauseRule {
  bool active = false;
  std::int32_t space = 0;
  std::int64_t least_step = 0;     // frames from a token to the next one
  std::vector<bool> may_precede;   // [V - 1] of the token before a pause
  std::vector<bool> may_follow;    // [V - 1] of the token after it
};

// What every search of a decoder reads frames by. Immutable.
struct FrameRule {
  std::int32_t blank;
  float token_min_logp;
  PauseRule pauses;
};

// Reads frames in pieces of any size and hands them on in order. Throws std::invalid_argument where
// values are no natural logarithms of probabilities.
class FrameReader {
 public:
  explicit FrameReader(const FrameRule& rule) : rule_(&rule) {}

  std::int64_t n_frames() const { return frame_.number; }

  // One frame of all tokens' log_probs, [n_tokens].
  template <class Handle>
  void read(const float* log_probs, std::size_t n_tokens, Handle handle) {
    select(log_probs, n_tokens);
    hand_on(handle);
  }

  // One frame's best tokens, blank among them.
  template <class Handle>
  void read_top(const Candidate* top, std::size_t n_top, Handle handle) {
    select_top(top, n_top);
    hand_on(handle);
  }

  // There are no more frames.
  template <class Handle>
  void finish(Handle handle) {
    for (const Frame& frame : held_) handle(frame);
    held_.clear();
  }

 private:
  void select(const float* log_probs, std::size_t n_tokens);
  void select_top(const Candidate* top, std::size_t n_top);
  void sort();
  void mark_pause();

  template <class Handle>
  void hand_on(Handle& handle) {
    const bool emits = frame_.best != rule_->blank;
    if (rule_->pauses.active) {
      if (emits) {
        mark_pause();
        finish(handle);
        last_token_ = frame_.best;
        last_number_ = frame_.number;
      } else if (last_token_ >= 0) {
        // Whether and where this pause gets a space is known when the next token comes.
        held_.push_back(frame_);
        ++frame_.number;
        return;
      }
    }
    handle(frame_);
    ++frame_.number;
  }

  const FrameRule* rule_;
  Frame frame_;  // the one being read
  std::deque<Frame> held_;
  std::int32_t last_token_ = -1;
  std::int64_t last_number_ = 0;
  std::vector<float> block_max_;
};

}  // namespace nemo_ctc
