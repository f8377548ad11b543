#include "frames.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace nemo_ctc {
namespace {

constexpr float kLeastLogProb = -35.0f;  // e^-35 is nothing, and can be divided by
constexpr float kRounding = 1e-3f;       // of float32 or float16 above log-probability 0
constexpr std::size_t kBlock = 64;       // tokens that are compared at once

[[noreturn]] void reject(float value) {
  if (value != value) {
    throw std::invalid_argument("log_probs hold NaN: the model overflows, export it in fp32");
  }
  throw std::invalid_argument("log_probs reach " + std::to_string(value) +
                              ", expected natural logarithms of probabilities (at most 0): pass "
                              "log-softmax values");
}

void check(float value) {
  if (!(value <= kRounding)) reject(value);
}

// The largest of each whole block of a frame. Returns whether all values are log-probabilities:
// a comparison with NaN is false.
[[gnu::target_clones("avx2", "default")]]
bool block_maxima(const float* values, std::size_t n_blocks, float* maxima) {
  using Lanes = float __attribute__((vector_size(64)));
  using Flags = std::int32_t __attribute__((vector_size(64)));
  constexpr std::size_t kLanes = sizeof(Lanes) / sizeof(float);
  Flags holds = Flags{} - 1;
  for (std::size_t block = 0; block < n_blocks; ++block, values += kBlock) {
    Lanes most;
    std::memcpy(&most, values, sizeof most);
    holds &= most <= kRounding;
    for (std::size_t at = kLanes; at < kBlock; at += kLanes) {
      Lanes next;
      std::memcpy(&next, values + at, sizeof next);
      holds &= next <= kRounding;
      most = next > most ? next : most;
    }
    maxima[block] = most[0];
    for (std::size_t lane = 1; lane < kLanes; ++lane) {
      maxima[block] = most[lane] > maxima[block] ? most[lane] : maxima[block];
    }
  }
  std::int32_t all = -1;
  for (std::size_t lane = 0; lane < kLanes; ++lane) all &= holds[lane];
  return all != 0;
}

}  // namespace

void FrameReader::select(const float* log_probs, std::size_t n_tokens) {
  const std::size_t n_blocks = n_tokens / kBlock;
  block_max_.resize(n_blocks);
  if (!block_maxima(log_probs, n_blocks, block_max_.data())) {
    std::for_each(log_probs, log_probs + n_tokens, check);
  }
  float most = log_probs[n_tokens - 1];
  for (const float each : block_max_) most = std::max(most, each);
  for (std::size_t token = n_blocks * kBlock; token < n_tokens; ++token) {
    check(log_probs[token]);
    most = std::max(most, log_probs[token]);
  }
  frame_.candidates.clear();
  frame_.best = -1;
  const float least = std::min(rule_->token_min_logp, most);
  const auto visit = [&](std::size_t token) {
    const float log_prob = log_probs[token];
    if (log_prob < least) return;
    const bool is_best = frame_.best < 0 && log_prob == most;
    if (is_best) frame_.best = static_cast<std::int32_t>(token);
    if (is_best || log_prob >= rule_->token_min_logp) {
      frame_.candidates.push_back({static_cast<std::int32_t>(token), log_prob});
    }
  };
  for (std::size_t block = 0; block < n_blocks; ++block) {
    if (block_max_[block] < least) continue;
    for (std::size_t i = 0; i < kBlock; ++i) visit(block * kBlock + i);
  }
  for (std::size_t token = n_blocks * kBlock; token < n_tokens; ++token) visit(token);
  frame_.blank_log_prob = log_probs[rule_->blank];
  sort();
}

void FrameReader::select_top(const Candidate* top, std::size_t n_top) {
  if (n_top == 0) throw std::invalid_argument("a frame has no tokens, expected its best ones");
  frame_.candidates.clear();
  frame_.best = top[0].token;
  frame_.blank_log_prob = kLeastLogProb;
  for (std::size_t i = 0; i < n_top; ++i) {
    check(top[i].log_prob);
    if (top[i].token < 0 || top[i].token > rule_->blank) {
      throw std::invalid_argument("token " + std::to_string(top[i].token) +
                                  " is outside the vocabulary: export the model and its contract "
                                  "together");
    }
    if (i == 0 || top[i].log_prob >= rule_->token_min_logp) frame_.candidates.push_back(top[i]);
    if (top[i].token == rule_->blank) frame_.blank_log_prob = top[i].log_prob;
  }
  sort();
}

void FrameReader::sort() {
  for (Candidate& each : frame_.candidates) {
    each.log_prob = std::clamp(each.log_prob, kLeastLogProb, 0.0f);
  }
  std::sort(frame_.candidates.begin(), frame_.candidates.end(),
            [](const Candidate& first, const Candidate& second) {
              return first.log_prob != second.log_prob ? first.log_prob > second.log_prob
                                                       : first.token < second.token;
            });
}

void FrameReader::mark_pause() {
  const PauseRule& pauses = rule_->pauses;
  if (last_token_ < 0 || frame_.number - last_number_ < pauses.least_step) return;
  if (!pauses.may_precede[last_token_] || !pauses.may_follow[frame_.best]) return;
  Frame& middle = held_[(frame_.number + last_number_) / 2 - held_.front().number];
  middle.best = pauses.space;
  middle.blank_log_prob = kLeastLogProb;
  middle.candidates.assign(1, {pauses.space, 0.0f});
}

}  // namespace nemo_ctc
