// The first pass over a text: how often each word occurs, and each pair of neighbours.
#pragma once

#include "hashing.h"
#include "text.h"

namespace throughtime::word2vec {

struct Counted {
  WordTable words;
  std::uint64_t total = 0;      // words, also of those that were forgotten
  std::uint64_t sentences = 0;  // that have a word
  std::uint64_t forgotten = 0;  // words rarer than this may be missing or counted too low; 0 if none is
};

// The separator between the words of a pair; no word of a text holds it.
inline constexpr char pair_separator = '\x1f';

// Count with `threads` threads; where there are more than `most` different words, the rarest are forgotten as often as
// needed, each time from a higher count on. With `pairs`, pairs of neighbours are counted beside the words.
Counted count_words(const Text& text, bool pairs, std::size_t most, int threads);

}  // namespace throughtime::word2vec
