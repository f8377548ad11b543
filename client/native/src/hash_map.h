// A map from 64-bit keys, by linear probing: the search looks up tens of millions a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace nemo_ctc {

inline std::uint64_t pair_key(std::uint32_t high, std::uint32_t low) {
  return (std::uint64_t{high} << 32) | low;
}

// Keys may be anything but ~0. References into it hold until the next insertion.
template <class Value>
class HashMap {
 public:
  HashMap() : entries_(kFirstCapacity), mask_(kFirstCapacity - 1) {}

  std::size_t size() const { return size_; }

  const Value* find(std::uint64_t key) const {
    for (std::size_t at = place(key);; at = (at + 1) & mask_) {
      if (entries_[at].key == key) return &entries_[at].value;
      if (entries_[at].key == kEmpty) return nullptr;
    }
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Entry& entry : entries_) {
      if (entry.key != kEmpty) visit(entry.key, entry.value);
    }
  }

  // The value of the key, default constructed if it was not there, and whether it is new.
  std::pair<Value*, bool> insert(std::uint64_t key) {
    if (2 * (size_ + 1) > entries_.size()) grow();
    std::size_t at = place(key);
    while (entries_[at].key != key) {
      if (entries_[at].key == kEmpty) {
        entries_[at].key = key;
        ++size_;
        return {&entries_[at].value, true};
      }
      at = (at + 1) & mask_;
    }
    return {&entries_[at].value, false};
  }

 private:
  struct Entry {
    std::uint64_t key = kEmpty;
    Value value{};
  };

  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  static constexpr std::size_t kFirstCapacity = 256;

  // Fibonacci hashing (Knuth, volume 3, 6.4).
  std::size_t place(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> 32) & mask_;
  }

  void grow() {
    std::vector<Entry> old(2 * entries_.size());
    old.swap(entries_);
    mask_ = entries_.size() - 1;
    for (const Entry& entry : old) {
      if (entry.key == kEmpty) continue;
      std::size_t at = place(entry.key);
      while (entries_[at].key != kEmpty) at = (at + 1) & mask_;
      entries_[at] = entry;
    }
  }

  std::vector<Entry> entries_;
  std::size_t mask_;
  std::size_t size_ = 0;
};

}  // namespace nemo_ctc
