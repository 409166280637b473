// Random numbers, and drawing from a distribution without a division or a search.
#pragma once

#include <cstdint>
#include <vector>

#include "../index.h"

namespace throughtime::word2vec {

// SplitMix64: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators".
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::uint32_t next32() { return static_cast<std::uint32_t>(next() >> 32); }

  // Of 0 .. count - 1, all equally likely.
  std::uint32_t below(std::uint32_t count) { return static_cast<std::uint32_t>((std::uint64_t{next32()} * count) >> 32); }

 private:
  std::uint64_t state_;
};

// Draws i with probability weights[i] / sum: Walker's alias method (1974), in Vose's form (1991).
class AliasSampler {
 public:
  AliasSampler() = default;
  explicit AliasSampler(const std::vector<double>& weights);

  std::uint32_t draw(Random& random) const {
    const std::uint64_t bits = random.next();
    const auto column = static_cast<std::uint32_t>(((bits >> 32) * columns_.size()) >> 32);
    const Column& chosen = columns_[column];
    return static_cast<std::uint32_t>(bits) <= chosen.threshold ? column : chosen.alias;
  }

 private:
  struct Column {
    std::uint32_t threshold, alias;
  };
  std::vector<Column> columns_;
};

}  // namespace throughtime::word2vec
