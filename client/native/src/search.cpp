#include "search.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <utility>

namespace nemo_ctc {
namespace {

constexpr double kMostChange = 600.0;  // of a score by one token: e^x stays a floating point number
constexpr std::size_t kLeastToCompact = std::size_t{1} << 15;

double clamped(double change) { return std::clamp(change, -kMostChange, kMostChange); }

std::uint32_t as_id(std::int32_t token) { return static_cast<std::uint32_t>(token); }

}  // namespace

Search::Search(std::shared_ptr<const Decoder> decoder)
    : decoder_(std::move(decoder)),
      reader_(decoder_->frames),
      spellings_(decoder_->scorer),
      histories_(decoder_->scorer, decoder_->nbest == 1),
      paths_(decoder_->frames.blank),
      probabilities_(decoder_->labels.size() + 1),
      recombines_(decoder_->nbest == 1 && !decoder_->scorer.models.empty()),
      scores_words_(!decoder_->scorer.models.empty() || !decoder_->scorer.hotwords.empty()),
      least_share_(std::exp(decoder_->beam_prune_logp)),
      compact_at_(kLeastToCompact) {
  const Id root = node_of({Histories::kStart, Spellings::kEmpty, decoder_->scorer.hotwords.start(), 0.0},
                          kNoToken);
  beam_.push_back({root, Paths::kRoot, 1.0, 1.0, 0.0, 0.0});
}

void Search::advance(const float* log_probs, std::size_t n_frames, std::size_t n_tokens) {
  for (std::size_t frame = 0; frame < n_frames; ++frame) {
    reader_.read(log_probs + frame * n_tokens, n_tokens, [this](const Frame& each) { take(each); });
  }
}

void Search::advance_top(const Candidate* top, std::size_t n_frames, std::size_t n_top) {
  for (std::size_t frame = 0; frame < n_frames; ++frame) {
    reader_.read_top(top + frame * n_top, n_top, [this](const Frame& each) { take(each); });
  }
}

Partial Search::partial() const {
  const auto best = std::max_element(
      beam_.begin(), beam_.end(),
      [](const Hypothesis& first, const Hypothesis& second) { return first.mass < second.mass; });
  std::vector<Id> paths;
  for (const Hypothesis& each : beam_) paths.push_back(each.path);
  return {paths_.tokens(best->path), paths_.tokens(paths_.shared(paths)).size()};
}

std::vector<Found> Search::finish() {
  if (reader_.n_frames() == 0) return {};
  reader_.finish([this](const Frame& each) { take(each); });
  struct Ended {
    Id history;
    double acoustic_score;
    const Hypothesis* best;
  };
  std::vector<Ended> ended;
  HashMap<std::size_t> at;
  for (const Hypothesis& each : beam_) {
    const Node& node = nodes_[each.node];
    const Id history = node.spelling == Spellings::kEmpty
                           ? node.history
                           : histories_.follow(node.history, node.spelling, spellings_);
    const double acoustic_score = std::log(each.mass) - (node.score - each.debt);
    const auto [place, is_new] = at.insert(history);
    if (is_new) {
      *place = ended.size();
      ended.push_back({history, acoustic_score, &each});
      continue;
    }
    Ended& same = ended[*place];
    const double most = std::max(same.acoustic_score, acoustic_score);
    const double least = std::min(same.acoustic_score, acoustic_score);
    same.acoustic_score = most + std::log1p(std::exp(least - most));
    if (each.mass > same.best->mass) same.best = &each;
  }
  std::vector<Found> found;
  for (const Ended& each : ended) {
    found.push_back({{}, log_scale_ + each.acoustic_score,
                     histories_[each.history].score + histories_.end(each.history)});
  }
  std::vector<std::size_t> order(found.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t first, std::size_t second) {
    return found[first].score() > found[second].score();
  });
  order.resize(std::min(order.size(), decoder_->nbest));
  std::vector<Found> best;
  for (const std::size_t i : order) {
    best.push_back(std::move(found[i]));
    best.back().emissions = paths_.emissions(ended[i].best->path);
  }
  return best;
}

void Search::take(const Frame& frame) {
  paths_.observe(frame);
  const std::int32_t blank = decoder_->frames.blank;
  if (frame.only_blank(blank)) {
    log_scale_ += frame.candidates[0].log_prob;
    for (Hypothesis& each : beam_) {
      each.blank_mass = each.mass;
      each.token_mass = 0.0;
    }
    return;
  }
  ++step_;
  for (const Candidate& each : frame.candidates) {
    probabilities_[each.token] = std::exp(static_cast<double>(each.log_prob));
  }
  stay(probabilities_[blank]);
  extensions_.clear();
  for (const Candidate& each : frame.candidates) {
    if (each.token != blank) extend(each.token, probabilities_[each.token]);
  }
  reach_extended();
  for (const Candidate& each : frame.candidates) probabilities_[each.token] = 0.0;
  prune(frame.number);
  const std::size_t held =
      nodes_.size() + edges_.size() + paths_.size() + histories_.size() + spellings_.size();
  if (held > compact_at_) compact();
}

void Search::stay(double blank_probability) {
  reached_.clear();
  most_ = 0.0;
  for (const Hypothesis& each : beam_) {
    Node& node = nodes_[each.node];
    node.step = step_;
    node.at = static_cast<std::uint32_t>(reached_.size());
    const double blank_mass = each.mass * blank_probability;
    const double token_mass =
        node.token == kNoToken ? 0.0 : each.token_mass * probabilities_[node.token];
    const double mass = blank_mass + token_mass;
    most_ = std::max(most_, mass);
    reached_.push_back({each.node, each.path, false, blank_mass, token_mass, each.debt, mass});
  }
}

void Search::extend(std::int32_t token, double probability) {
  double least = most_ * least_share_;
  for (const Hypothesis& each : beam_) {
    // Twice the same token needs a blank between.
    const double before = nodes_[each.node].token == token ? each.blank_mass : each.mass;
    double mass = before * probability;
    if (!scores_words_ && mass < least) continue;
    Extension extension{each.node, kNone, each.path, token, 0.0, 0.0};
    double change = 0.0, factor = 1.0;
    if (const Edge* edge = edges_.find(pair_key(each.node, as_id(token)))) {
      extension.node = edge->node;
      change = edge->change;
      factor = edge->factor;
    } else if (scores_words_ && mass > 0.0) {
      change = extended(nodes_[each.node], token).score - nodes_[each.node].score;
      factor = std::exp(clamped(change));
    }
    if (each.debt != 0.0 || std::abs(change) > kMostChange) {
      change += each.debt;
      factor = std::exp(clamped(change));
      extension.debt = change - clamped(change);
    }
    mass *= factor;
    if (mass < least || mass == 0.0) continue;
    extension.mass = mass;
    extensions_.push_back(extension);
    if (mass > most_) {
      most_ = mass;
      least = most_ * least_share_;
    }
  }
}

void Search::reach_extended() {
  const double least = most_ * least_share_;
  for (const Extension& each : extensions_) {
    if (each.mass < least) continue;
    const Id id = each.node != kNone ? each.node : extension_of(each.from, each.token);
    Node& node = nodes_[id];
    if (node.step != step_) {
      node.step = step_;
      node.at = static_cast<std::uint32_t>(reached_.size());
      reached_.push_back({id, each.path, true, 0.0, each.mass, each.debt, each.mass});
      continue;
    }
    Reached& same = reached_[node.at];
    double mass = each.mass;
    if (each.debt != same.debt) mass *= std::exp(clamped(each.debt - same.debt));
    if (mass > same.heaviest) {
      same.heaviest = mass;
      same.path = each.path;
      same.is_new = true;
    }
    same.token_mass += mass;
  }
}

void Search::prune(std::int64_t frame_number) {
  double best = 0.0;
  for (const Reached& each : reached_) best = std::max(best, each.mass());
  const double least = std::max(best * least_share_, DBL_MIN);
  kept_.clear();
  for (std::uint32_t i = 0; i < reached_.size(); ++i) {
    if (reached_[i].mass() < least) continue;
    if (recombines_) {
      Future& future = futures_[nodes_[reached_[i].node].future];
      if (future.step == step_) {
        std::uint32_t& rival = kept_[future.at];
        if (reached_[i].mass() > reached_[rival].mass()) rival = i;
        continue;
      }
      future = {step_, static_cast<std::uint32_t>(kept_.size())};
    }
    kept_.push_back(i);
  }
  const std::size_t width = decoder_->beam_width;
  if (kept_.size() > width) {
    std::nth_element(kept_.begin(), kept_.begin() + width, kept_.end(),
                     [this](std::uint32_t first, std::uint32_t second) {
                       const double a = reached_[first].mass(), b = reached_[second].mass();
                       return a != b ? a > b : first < second;
                     });
    kept_.resize(width);
  }
  beam_.clear();
  const double scale = 1.0 / best;
  for (const std::uint32_t i : kept_) {
    const Reached& each = reached_[i];
    const Id path = each.is_new ? paths_.extend(each.path, nodes_[each.node].token, frame_number)
                                : each.path;
    beam_.push_back({each.node, path, each.mass() * scale, each.blank_mass * scale,
                     each.token_mass * scale, each.debt});
  }
  log_scale_ += std::log(best);
}

Search::Extended Search::extended(const Node& node, std::int32_t token) {
  const Label& label = decoder_->labels[token];
  const Hotwords& hotwords = decoder_->scorer.hotwords;
  Extended to{node.history, node.spelling, node.hotwords, 0.0};
  if (label.is_mark && to.spelling == Spellings::kEmpty && histories_[to.history].parent != kNone) {
    to.spelling = histories_[to.history].word;  // which goes on
    to.history = histories_[to.history].parent;
    to.hotwords = hotwords.read(histories_[to.history].hotwords, spellings_[to.spelling].text);
  }
  to.spelling = spellings_.append(to.spelling, label.part_ids[0], label.parts[0]);
  to.hotwords = hotwords.read(to.hotwords, label.parts[0]);
  for (std::size_t i = 1; i < label.parts.size(); ++i) {
    if (to.spelling != Spellings::kEmpty) {
      to.history = histories_.follow(to.history, to.spelling, spellings_);
    }
    to.spelling = spellings_.append(Spellings::kEmpty, label.part_ids[i], label.parts[i]);
    to.hotwords = hotwords.read(histories_[to.history].hotwords, label.parts[i]);
  }
  const double credit = hotwords.credit(to.hotwords);
  to.score = histories_[to.history].score +
             (credit == Hotwords::kNone ? spellings_[to.spelling].penalty : credit);
  return to;
}

Id Search::extension_of(Id from, std::int32_t token) {
  const auto [edge, is_new] = edges_.insert(pair_key(from, as_id(token)));
  if (!is_new) return edge->node;
  const Extended extension = extended(nodes_[from], token);
  edge->change = extension.score - nodes_[from].score;
  edge->factor = std::exp(clamped(edge->change));
  edge->node = node_of(extension, token);
  return edge->node;
}

Id Search::node_of(const Extended& extended, std::int32_t token) {
  const auto numbered = [](HashMap<Id>& map, Id high, Id low) {
    const auto [id, is_new] = map.insert(pair_key(high, low));
    if (is_new) *id = static_cast<Id>(map.size() - 1);
    return *id;
  };
  const Id text = numbered(texts_, extended.history, extended.spelling);
  const Id id = numbered(node_ids_, text, as_id(token));
  if (id == nodes_.size()) {
    Id future = 0;
    if (recombines_) {
      const Id key = histories_[extended.history].key;
      const Id end = numbered(future_texts_, key, extended.spelling);
      future = numbered(future_ids_, end, as_id(token));
      if (future == futures_.size()) futures_.push_back({-1, 0});
    }
    nodes_.push_back({extended.history, extended.spelling, token, extended.hotwords, extended.score,
                      future, -1, 0});
  }
  return id;
}

void Search::compact() {
  std::vector<Id> paths, live;
  for (const Hypothesis& each : beam_) {
    paths.push_back(each.path);
    const Node& node = nodes_[each.node];
    live.push_back(node.history);
    const Id parent = histories_[node.history].parent;  // a mark may go on with its last word
    if (node.spelling == Spellings::kEmpty && parent != kNone) live.push_back(parent);
  }
  paths_.compact(paths);
  Spellings spellings(decoder_->scorer);
  const auto keep = [&](Id id) { return spellings.intern(spellings_[id].text); };
  const std::vector<Id> moved = histories_.compact(live, keep);
  const std::vector<Node> nodes = std::exchange(nodes_, {});
  texts_ = node_ids_ = future_texts_ = future_ids_ = {};
  edges_ = {};
  futures_.clear();
  for (std::size_t i = 0; i < beam_.size(); ++i) {
    const Node& node = nodes[beam_[i].node];
    beam_[i].path = paths[i];
    beam_[i].node = node_of({moved[node.history], keep(node.spelling), node.hotwords, node.score},
                            node.token);
  }
  spellings_ = std::move(spellings);
  compact_at_ = std::max(kLeastToCompact, 4 * (nodes_.size() + paths_.size() + histories_.size()));
}

}  // namespace nemo_ctc
