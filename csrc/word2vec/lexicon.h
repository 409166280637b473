// The vocabulary as training needs it: numbers of words, how often each is passed over, and what each is told from.
#pragma once

#include <string_view>
#include <vector>

#include "hashing.h"
#include "huffman.h"
#include "random.h"

namespace throughtime::word2vec {

struct Lexicon {
  WordTable table;                        // numbers in order of falling count
  std::vector<std::uint32_t> keep;        // a word is kept if 32 random bits are at most this
  AliasSampler noise;                     // of negative sampling
  HuffmanTree tree;                       // of hierarchical softmax
  std::uint32_t words() const { return static_cast<std::uint32_t>(keep.size()); }
};

}  // namespace throughtime::word2vec
