// The binary tree of hierarchical softmax: Huffman's, so that frequent words have short paths. Morin and Bengio (2005);
// Mikolov et al. (2013), https://arxiv.org/abs/1310.4546, section 2.1.
#pragma once

#include <cstdint>
#include <vector>

#include "../index.h"

namespace throughtime::word2vec {

// For each word the inner nodes from the root down, numbered from 0 to words - 2, and the branch taken at each.
class HuffmanTree {
 public:
  HuffmanTree() = default;
  // Counts in falling order.
  explicit HuffmanTree(const std::vector<std::uint64_t>& counts);

  struct Path {
    const std::int32_t* nodes;
    const std::uint8_t* branches;
    Index length;
  };
  Path path(std::int32_t word) const {
    const std::size_t begin = static_cast<std::size_t>(begin_[static_cast<std::size_t>(word)]);
    return {nodes_.data() + begin, branches_.data() + begin,
            static_cast<Index>(begin_[static_cast<std::size_t>(word) + 1] - begin_[static_cast<std::size_t>(word)])};
  }

 private:
  std::vector<std::int64_t> begin_;
  std::vector<std::int32_t> nodes_;
  std::vector<std::uint8_t> branches_;
};

}  // namespace throughtime::word2vec
