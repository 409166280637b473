// A table from words to numbers: open addressing, the words' bytes in blocks that never move.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "../index.h"

namespace throughtime::word2vec {

// Of the eight bytes from `from` on, the first `count`, as a number.
inline std::uint64_t first_bytes(const char* from, Index count) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, from, 8);
  return count >= 8 ? bytes : bytes & ((std::uint64_t{1} << (8 * count)) - 1);
}

// `read_ahead` bytes beyond the word must be readable.
inline std::uint64_t hash_of(const char* word, Index length) {
  constexpr std::uint64_t factor = 0x9E3779B97F4A7C15;
  std::uint64_t hash = static_cast<std::uint64_t>(length) * factor;
  for (; length > 0; word += 8, length -= 8) {
    hash = (hash ^ first_bytes(word, length)) * factor;
    hash ^= hash >> 32;
  }
  return hash * factor;
}

class WordTable {
 public:
  struct Entry {
    const char* word;
    std::uint32_t length;
    std::uint64_t count;
    std::string_view text() const { return {word, length}; }
  };

  WordTable() : slots_(std::size_t{1} << 12) {}
  WordTable(WordTable&&) = default;
  WordTable& operator=(WordTable&&) = default;

  // The word's number, or -1.
  std::int32_t find(const char* word, Index length) const {
    const std::uint64_t hash = hash_of(word, length);
    for (std::size_t place = hash >> 32 & (slots_.size() - 1);; place = (place + 1) & (slots_.size() - 1)) {
      const Slot slot = slots_[place];
      if (slot.number == 0) return -1;
      if (slot.hash == static_cast<std::uint32_t>(hash) && equals(entries_[slot.number - 1], word, length))
        return static_cast<std::int32_t>(slot.number) - 1;
    }
  }

  // Add to the count of a word, which may be new.
  void add(const char* word, Index length, std::uint64_t count) {
    const std::uint64_t hash = hash_of(word, length);
    for (std::size_t place = hash >> 32 & (slots_.size() - 1);; place = (place + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[place];
      if (slot.number == 0) {
        entries_.push_back({keep(word, length), static_cast<std::uint32_t>(length), count});
        slot = {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(entries_.size())};
        if (2 * entries_.size() > slots_.size()) grow(2 * slots_.size());
        return;
      }
      if (slot.hash == static_cast<std::uint32_t>(hash) && equals(entries_[slot.number - 1], word, length)) {
        entries_[slot.number - 1].count += count;
        return;
      }
    }
  }

  const std::vector<Entry>& entries() const { return entries_; }

  // Forget words of fewer than `least` occurrences.
  void prune(std::uint64_t least) {
    WordTable kept;
    for (const Entry& entry : entries_)
      if (entry.count >= least) kept.add(entry.word, entry.length, entry.count);
    *this = std::move(kept);
  }

 private:
  struct Slot {
    std::uint32_t hash, number;  // the number plus one; zero where nothing is
  };
  static constexpr std::size_t block_bytes = std::size_t{1} << 18;

  static bool equals(const Entry& entry, const char* word, Index length) {
    return entry.length == static_cast<std::uint32_t>(length) && std::memcmp(entry.word, word, entry.length) == 0;
  }

  // With room behind it for hash_of.
  const char* keep(const char* word, Index length) {
    const std::size_t bytes = static_cast<std::size_t>(length) + 8;
    if (free_ < bytes) {
      free_ = bytes > block_bytes ? bytes : block_bytes;
      blocks_.emplace_back(new char[free_]());
      at_ = blocks_.back().get();
    }
    std::memcpy(at_, word, static_cast<std::size_t>(length));
    const char* kept = at_;
    at_ += length;
    free_ -= static_cast<std::size_t>(length);
    return kept;
  }

  void grow(std::size_t size) {
    slots_.assign(size, Slot{});
    for (std::size_t number = 0; number < entries_.size(); ++number) {
      const std::uint64_t hash = hash_of(entries_[number].word, entries_[number].length);
      std::size_t place = hash >> 32 & (size - 1);
      while (slots_[place].number) place = (place + 1) & (size - 1);
      slots_[place] = {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(number + 1)};
    }
  }

  std::vector<Slot> slots_;
  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  std::size_t free_ = 0;
};

}  // namespace throughtime::word2vec
