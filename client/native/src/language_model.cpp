#include "language_model.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "lm/config.hh"
#include "lm/model.hh"
#include "lm/read_arpa.hh"
#include "util/file_piece.hh"

namespace nemo_ctc {
namespace {

constexpr std::string_view kMagic = "mmap lm http://kheafield.com/code";
// The magic of a whole binary, with the NUL and the newline that end it.
constexpr std::string_view kWholeMagic("mmap lm http://kheafield.com/code format version 5\n", 52);
constexpr std::uint64_t kTestValuesBytes = 88, kParametersBytes = 20;

// With these, no size that KenLM computes from a header overflows.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 44;
constexpr std::uint64_t kMostWords = (std::uint64_t{1} << 32) - 2;
constexpr float kMostPlaces = 128;

constexpr std::uint64_t kLeastBytesOfLine = 4;  // "0", a tab, a letter, a newline

constexpr float kLeastScore = -1000, kMostScore = 1000;

constexpr std::size_t kMostOfMessage = 400;

[[noreturn]] void refuse(const std::string& reason) { throw std::runtime_error(reason); }

[[noreturn]] void refuse_binary(const std::string& reason) {
  refuse("it is no whole KenLM binary: " + reason);
}

// KenLM's message without the place in its source. It quotes lines of the file: of any length, and
// perhaps not text.
std::string explain(std::string_view message) {
  if (const std::size_t place = message.find(".\n"); place < message.size()) {
    message.remove_prefix(place + 2);
  }
  std::string text(message.substr(0, kMostOfMessage));
  for (char& each : text) {
    if (const auto byte = static_cast<unsigned char>(each); byte < ' ' || byte > '~') each = '?';
  }
  return text;
}

class Binary {
 public:
  Binary(const std::string& path, std::uint64_t size)
      : file_(path, std::ios::binary), size_(size) {}

  bool starts_with(std::string_view expected) {
    std::string found(expected.size(), '\0');
    file_.clear();
    file_.seekg(0).read(found.data(), static_cast<std::streamsize>(found.size()));
    return file_ && found == expected;
  }

  // Checks what KenLM takes from the header, and that what it will map is within the file.
  void check() {
    if (!starts_with(kWholeMagic)) {
      refuse_binary("its build was not finished, or another version built it");
    }
    if (size_ > kMostBytes) refuse("it is larger than 16 TiB");
    const auto order = read<std::uint8_t>(kTestValuesBytes);
    const auto places = read<float>(kTestValuesBytes + 4);
    const auto type = read<std::uint32_t>(kTestValuesBytes + 8);
    const auto has_words = read<std::uint8_t>(kTestValuesBytes + 12);
    if (order < 2 || order > KENLM_MAX_ORDER || !(places >= 1 && places <= kMostPlaces) ||
        type > lm::ngram::QUANT_ARRAY_TRIE || has_words > 1) {
      refuse_binary("its header says order " + std::to_string(order) + ", structure " +
                    std::to_string(type) + " and " + std::to_string(places) +
                    " places for each n-gram");
    }
    std::uint64_t at = kTestValuesBytes + kParametersBytes;
    const auto unigrams = read<std::uint64_t>(at);
    for (int each = 1; each <= order; ++each, at += 8) {
      const auto count = read<std::uint64_t>(at);
      if (count > 8 * size_ || (each == 1 && (count < 1 || count > kMostWords))) {
        refuse_binary("its header says " + std::to_string(count) + " " + std::to_string(each) +
                      "-grams");
      }
    }
    const std::uint64_t vocabulary = (at + 7) / 8 * 8;
    if (type == lm::ngram::PROBING || type == lm::ngram::REST_PROBING) {
      check_words(read<std::uint32_t>(vocabulary + 4), unigrams);
    } else {
      check_words(read<std::uint64_t>(vocabulary) + 1, unigrams);  // without <unk>
    }
    if (type == lm::ngram::QUANT_TRIE || type == lm::ngram::QUANT_ARRAY_TRIE) {
      const std::uint64_t quantization = vocabulary + 8 + 8 * unigrams;
      check_bits(read<std::uint8_t>(quantization + 1));
      check_bits(read<std::uint8_t>(quantization + 2));
    }
  }

 private:
  template <class T>
  T read(std::uint64_t offset) {
    T value;
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(offset));
    if (!file_.read(reinterpret_cast<char*>(&value), sizeof value)) {
      refuse_binary("it ends within its header");
    }
    return value;
  }

  static void check_words(std::uint64_t found, std::uint64_t unigrams) {
    if (found != unigrams && found != unigrams + 1) {  // one more: the ARPA file had no <unk>
      refuse_binary("it has " + std::to_string(found) + " words and " + std::to_string(unigrams) +
                    " 1-grams");
    }
  }

  static void check_bits(int bits) {
    if (bits < 1 || bits > 25) refuse_binary("its weights have " + std::to_string(bits) + " bits");
  }

  std::ifstream file_;
  std::uint64_t size_;
};

// Refuses counts of n-grams that the file has no room for, before memory is taken for them.
void check_arpa(const std::string& path, std::uint64_t size) {
  util::FilePiece file(path.c_str());
  std::vector<std::uint64_t> counts;
  lm::ReadARPACounts(file, counts);
  if (counts.empty()) refuse("its header counts no n-grams");
  const std::uint64_t most = *std::max_element(counts.begin(), counts.end());
  if (most > size / kLeastBytesOfLine) {  // only gzip can make it larger
    size = file.Offset();
    StringPiece line;
    while (file.ReadLineOrEOF(line)) size += line.size() + 1;
  }
  if (most > size / kLeastBytesOfLine) {
    refuse("its header counts " + std::to_string(most) + " n-grams, more than the file holds");
  }
}

std::unique_ptr<lm::base::Model> load(const std::string& path) {
  const std::uint64_t size = std::filesystem::file_size(path);
  if (!std::filesystem::is_regular_file(path)) refuse("it is no file on disk");
  if (Binary binary(path, size); binary.starts_with(kMagic)) {
    binary.check();
  } else {
    check_arpa(path, size);
  }
  lm::ngram::Config config;
  config.show_progress = false;
  config.messages = nullptr;
  config.arpa_complain = lm::ngram::Config::NONE;
  config.load_method = util::LAZY;
  return std::unique_ptr<lm::base::Model>(lm::ngram::LoadVirtual(path.c_str(), config));
}

// A proper model's scores are far within these limits; a damaged one's may be any float or none.
float limited(float log10) {
  if (!(log10 >= kLeastScore)) return kLeastScore;
  return std::min(log10, kMostScore);
}

}  // namespace

LanguageModel::LanguageModel(const std::string& path) {
  try {
    model_ = load(path);
  } catch (const util::Exception& error) {
    refuse(explain(error.what()));
  } catch (const std::bad_alloc&) {
    refuse("memory does not suffice for it");
  } catch (const std::filesystem::filesystem_error& error) {
    refuse(error.code().message());
  }
}

State LanguageModel::begin() const {
  State state;
  model_->BeginSentenceWrite(&state);
  return state;
}

WordIndex LanguageModel::index(std::string_view word) const {
  return model_->BaseVocabulary().Index(StringPiece(word.data(), word.size()));
}

float LanguageModel::score(const State& before, WordIndex word, State& after) const {
  return limited(model_->BaseScore(&before, word, &after));
}

float LanguageModel::score_end(const State& before) const {
  State after;
  return score(before, model_->BaseVocabulary().EndSentence(), after);
}

std::vector<std::pair<float, bool>> LanguageModel::score_sentence(
    const std::vector<std::string>& words) const {
  std::vector<std::pair<float, bool>> scores;
  State state = begin();
  for (const std::string& word : words) {
    State after;
    const WordIndex known_as = index(word);
    scores.emplace_back(score(state, known_as, after), known_as == 0);
    state = after;
  }
  scores.emplace_back(score_end(state), false);
  return scores;
}

}  // namespace nemo_ctc
