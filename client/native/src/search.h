// CTC prefix beam search: probabilities of texts, summed over alignments, with words scored.
//
// For each prefix two masses are carried from frame to frame, of its alignments that end in blank and
// of those that end in its last token (Hannun et al., "First-Pass Large Vocabulary Continuous Speech
// Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1). What words add is multiplied
// in where it arises, and all masses are divided by the best after each frame: so a frame costs a few
// multiplications for each hypothesis, and no logarithm.
//
// Words are those of the text as it is written: a punctuation mark after a space closes up with the
// word before the space. So "a, b" and "a , b" are one text here, and its probability is their sum.
//
// Two prefixes that end alike after histories that the language models cannot tell apart have the
// same future: where one text is asked for, the better one is kept (recombination). Two that end in a
// space are taken for such, although a mark could still tell their last words apart.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "frames.h"
#include "hash_map.h"
#include "histories.h"
#include "paths.h"
#include "scorer.h"

namespace nemo_ctc {

// What each token writes, cut at its spaces: the first part goes on with the word before.
struct Label {
  std::vector<std::string> parts;
  std::vector<Id> part_ids;  // equal for equal texts
  bool is_mark;
};

// Everything that searches share. Immutable.
struct Decoder {
  std::vector<Label> labels;  // [V - 1]
  FrameRule frames;
  Scorer scorer;
  std::size_t beam_width;
  double beam_prune_logp;
  std::size_t nbest;
};

struct Found {
  std::vector<Emission> emissions;
  double acoustic_score;
  double word_score;
  double score() const { return acoustic_score + word_score; }
};

struct Partial {
  std::vector<std::int32_t> tokens;  // of the best hypothesis
  std::size_t n_stable;              // how many of them all hypotheses share
};

// One utterance's search; a copy goes on by itself.
class Search {
 public:
  explicit Search(std::shared_ptr<const Decoder> decoder);

  const std::vector<Label>& labels() const { return decoder_->labels; }

  // The next frames, [n_frames, n_tokens]. Throws std::invalid_argument as FrameReader does.
  void advance(const float* log_probs, std::size_t n_frames, std::size_t n_tokens);
  // The next frames' best tokens, [n_frames, n_top].
  void advance_top(const Candidate* top, std::size_t n_frames, std::size_t n_top);

  Partial partial() const;
  // The best texts, best first, at most `nbest`; none without frames. Ends the search.
  std::vector<Found> finish();

 private:
  static constexpr std::int32_t kNoToken = -1;

  // A prefix: finished words, the beginning of one more, and the token it ends with.
  struct Node {
    Id history;
    Id spelling;
    std::int32_t token;
    Hotwords::Node hotwords;
    double score;      // what the words and the beginning add
    Id future;         // the same for nodes with the same future
    std::int64_t step;  // the last one that reached it
    std::uint32_t at;   // where it is among those reached
  };
  // What a prefix becomes with one more token.
  struct Extended {
    Id history;
    Id spelling;
    Hotwords::Node hotwords;
    double score;
  };
  struct Edge {
    Id node = kNone;
    double change = 0.0;  // of the score
    double factor = 0.0;  // e^change
  };
  struct Future {
    std::int64_t step;  // the last one with a hypothesis of this future
    std::uint32_t at;   // where that is among those kept
  };
  // The masses are e^(acoustic score + word score - debt). A debt is what one token's change of the
  // score exceeds floating point by; the next token pays it.
  struct Hypothesis {
    Id node;
    Id path;
    double mass;
    double blank_mass;
    double token_mass;
    double debt;
  };
  struct Reached {
    Id node;
    Id path;      // with `is_new` that of what it extends
    bool is_new;
    double blank_mass;
    double token_mass;
    double debt;
    double heaviest;  // of what reaches it: its path is taken
    double mass() const { return blank_mass + token_mass; }
  };
  // A prefix of the beam with one more token.
  struct Extension {
    Id from;
    Id node;  // kNone if it was never reached
    Id path;
    std::int32_t token;
    double mass;
    double debt;
  };

  void take(const Frame& frame);
  // What the beam's prefixes become without a new token.
  void stay(double blank_probability);
  // And with one more. What is too light beside the heaviest is left out.
  void extend(std::int32_t token, double probability);
  void reach_extended();
  // The prefixes worth going on with, scaled so that the best mass is 1.
  void prune(std::int64_t frame_number);

  Extended extended(const Node& node, std::int32_t token);
  Id extension_of(Id from, std::int32_t token);
  Id node_of(const Extended& extended, std::int32_t token);
  // Forget what the beam cannot come to any more, so that memory does not grow with the audio.
  void compact();

  std::shared_ptr<const Decoder> decoder_;
  FrameReader reader_;
  Spellings spellings_;
  Histories histories_;
  Paths paths_;
  std::vector<Node> nodes_;
  HashMap<Id> texts_;         // number (history, spelling)
  HashMap<Id> node_ids_;      // number (text, token)
  HashMap<Id> future_texts_;  // number (key of the history, spelling)
  HashMap<Id> future_ids_;    // number (that, token)
  std::vector<Future> futures_;
  HashMap<Edge> edges_;  // of (node, token)
  std::vector<Hypothesis> beam_;
  std::vector<Reached> reached_;
  std::vector<Extension> extensions_;
  std::vector<std::uint32_t> kept_;  // of those reached
  std::vector<double> probabilities_;  // [V] of the step's candidates, else 0
  bool recombines_;
  bool scores_words_;
  double least_share_;  // of the heaviest, below which hypotheses are dropped
  double most_ = 0.0;   // the mass of the heaviest of this step
  std::size_t compact_at_;
  std::int64_t step_ = 0;
  double log_scale_ = 0.0;
};

}  // namespace nemo_ctc
