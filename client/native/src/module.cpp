// What Python sees. Calls that search or load release the GIL, so threads replace processes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "language_model.h"
#include "search.h"
#include "words.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace nemo_ctc;

namespace {

using LogProbs = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
// Of (token, bits of the log-probability): [n_frames, n_top, 2].
using TopTokens = nb::ndarray<const std::int32_t, nb::shape<-1, -1, 2>, nb::c_contig, nb::device::cpu>;

// Releases the GIL. A thread that takes it back while the interpreter ends is ended by Python, before
// 3.14, in a way that C++ takes for an exception and aborts the process: it waits for the end instead.
class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    try {
      PyEval_RestoreThread(thread_);
    } catch (...) {
      while (true) pause();
    }
  }

 private:
  PyThreadState* thread_;
};

void advance(Search& search, const LogProbs& log_probs) {
  search.advance(log_probs.data(), log_probs.shape(0), log_probs.shape(1));
}

void advance(Search& search, const TopTokens& top) {
  static_assert(sizeof(Candidate) == 2 * sizeof(std::int32_t));
  search.advance_top(reinterpret_cast<const Candidate*>(top.data()), top.shape(0), top.shape(1));
}

// Text, start and end in seconds, confidence.
using TimedWord = std::tuple<std::string, double, double, double>;
// Words, acoustic score, word score.
using Text = std::tuple<std::vector<TimedWord>, double, double>;
// Token, start and end in seconds.
using TimedToken = std::tuple<std::int32_t, double, double>;

// The texts, best first, and the tokens of the best; frames last `stride_s`, no time is later than
// `duration_s`.
std::pair<std::vector<Text>, std::vector<TimedToken>> finish(Search& search, double stride_s,
                                                             double duration_s) {
  const auto at = [&](std::int64_t frame) {
    return std::min(static_cast<double>(frame) * stride_s, duration_s);
  };
  std::vector<Text> texts;
  std::vector<TimedToken> tokens;
  for (const Found& found : search.finish()) {
    auto& [words, acoustic, word_score] = texts.emplace_back();
    for (Word& word : words_of(found.emissions, search.labels())) {
      words.emplace_back(std::move(word.text), at(word.start), at(word.end), word.confidence);
    }
    acoustic = found.acoustic_score;
    word_score = found.word_score;
    if (texts.size() > 1) continue;
    for (const Emission& each : found.emissions) {
      tokens.emplace_back(each.token, at(each.start), at(each.end));
    }
  }
  return {std::move(texts), std::move(tokens)};
}

// The best text so far, and what all hypotheses share of it.
std::pair<std::string, std::string> partial(const Search& search) {
  const Partial found = search.partial();
  const auto end = found.tokens.begin() + static_cast<std::ptrdiff_t>(found.n_stable);
  return {text_of(found.tokens, search.labels()),
          text_of({found.tokens.begin(), end}, search.labels())};
}

// A whole search at once: threads that take turns at the GIL lose more time than it takes.
template <class Outputs>
auto decode(const std::shared_ptr<Decoder>& decoder, const Outputs& outputs, double stride_s,
            double duration_s) {
  Search search(decoder);  // not moved: letting go of the last one takes the GIL
  advance(search, outputs);
  return finish(search, stride_s, duration_s);
}

std::vector<Label> labels_of(std::vector<std::vector<std::string>> parts, std::vector<bool> marks) {
  std::unordered_map<std::string, Id> ids;
  std::vector<Label> labels;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Label label{std::move(parts[i]), {}, marks.at(i)};
    for (const std::string& part : label.parts) {
      label.part_ids.push_back(ids.try_emplace(part, static_cast<Id>(ids.size())).first->second);
    }
    labels.push_back(std::move(label));
  }
  return labels;
}

}  // namespace

NB_MODULE(_native, module) {
  nb::set_leak_warnings(false);  // of what threads hold that wait for the end
  nb::class_<LanguageModel>(module, "LanguageModel", nb::is_weak_referenceable())
      .def("__init__", [](LanguageModel* self, const std::filesystem::path& path) {
        const WithoutGil released;
        new (self) LanguageModel(path.string());
      }, "path"_a)
      .def_prop_ro("order", &LanguageModel::order)
      .def("knows", [](const LanguageModel& self, const std::string& word) {
        return self.index(word) != 0;
      }, "word"_a)
      .def("score_sentence", &LanguageModel::score_sentence, "words"_a);

  nb::class_<Lexicon>(module, "Lexicon").def(nb::init<std::vector<std::string>>(), "words"_a);

  nb::class_<PauseRule>(module, "PauseRule")
      .def("__init__", [](PauseRule* self, std::int32_t space, std::int64_t least_step,
                          std::vector<bool> may_precede, std::vector<bool> may_follow) {
        new (self) PauseRule{true, space, least_step, std::move(may_precede), std::move(may_follow)};
      }, "space"_a, "least_step"_a, "may_precede"_a, "may_follow"_a);

  nb::class_<Decoder>(module, "Decoder")
      .def("__init__",
           [](Decoder* self, std::vector<std::vector<std::string>> labels, std::vector<bool> marks,
              float token_min_logp, std::size_t beam_width, double beam_prune_logp,
              std::size_t nbest, const PauseRule* pauses,
              std::vector<std::pair<std::shared_ptr<LanguageModel>, double>> models,
              std::shared_ptr<Lexicon> lexicon, Letters letters, double alpha, double beta,
              double unk_score_offset, const std::vector<std::pair<std::string, double>>& hotwords) {
             std::vector<Hotword> phrases;
             for (const auto& [text, weight] : hotwords) phrases.push_back({text, weight});
             Scorer scorer{{}, std::move(lexicon), std::move(letters), alpha * std::log(10.0), beta,
                           unk_score_offset, Hotwords(phrases)};
             for (auto& [model, weight] : models) scorer.models.push_back({std::move(model), weight});
             const auto blank = static_cast<std::int32_t>(labels.size());
             new (self) Decoder{labels_of(std::move(labels), std::move(marks)),
                                {blank, token_min_logp, pauses ? *pauses : PauseRule{}},
                                std::move(scorer), beam_width, beam_prune_logp, nbest};
           },
           nb::kw_only(), "labels"_a, "marks"_a, "token_min_logp"_a, "beam_width"_a,
           "beam_prune_logp"_a, "nbest"_a, "pauses"_a.none(), "models"_a, "lexicon"_a.none(),
           "letters"_a, "alpha"_a, "beta"_a, "unk_score_offset"_a, "hotwords"_a)
      .def("start", [](std::shared_ptr<Decoder> self) { return Search(std::move(self)); })
      .def("decode", &decode<LogProbs>, "log_probs"_a, "stride_s"_a, "duration_s"_a,
           nb::call_guard<WithoutGil>())
      .def("decode", &decode<TopTokens>, "top_tokens"_a, "stride_s"_a, "duration_s"_a,
           nb::call_guard<WithoutGil>());

  nb::class_<Search>(module, "Search")
      .def("copy", [](const Search& self) { return Search(self); },
           nb::call_guard<WithoutGil>())
      .def("advance", nb::overload_cast<Search&, const LogProbs&>(&advance), "log_probs"_a,
           nb::call_guard<WithoutGil>())
      .def("advance", nb::overload_cast<Search&, const TopTokens&>(&advance), "top_tokens"_a,
           nb::call_guard<WithoutGil>())
      .def("partial", &partial, nb::call_guard<WithoutGil>())
      .def("finish", &finish, "stride_s"_a, "duration_s"_a, nb::call_guard<WithoutGil>());
}
