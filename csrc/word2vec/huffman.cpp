#include "huffman.h"

#include <algorithm>

namespace throughtime::word2vec {

HuffmanTree::HuffmanTree(const std::vector<std::uint64_t>& counts) {
  const std::size_t words = counts.size();
  // Nodes 0 .. words - 1 are the words, then come the inner nodes in the order in which they are made, which is that of
  // rising weight: so the two lightest are always among the next word, from the rarest on, and the next inner node.
  std::vector<std::uint64_t> weight(counts);
  std::vector<std::int32_t> parent(words, -1);
  std::vector<std::uint8_t> branch(words, 0);
  std::size_t next_inner = words, words_left = words;
  const auto lightest = [&] {
    const bool has_inner = next_inner < weight.size();
    if (words_left > 0 && (!has_inner || weight[words_left - 1] <= weight[next_inner])) return --words_left;
    return next_inner++;
  };
  for (std::size_t made = 0; made + 1 < words; ++made) {
    const std::size_t first = lightest(), second = lightest();
    const auto inner = static_cast<std::int32_t>(weight.size());
    weight.push_back(weight[first] + weight[second]);
    parent.push_back(-1);
    branch.push_back(0);
    parent[first] = parent[second] = inner;
    branch[second] = 1;
  }
  begin_.push_back(0);
  for (std::size_t word = 0; word < words; ++word) {
    const std::size_t begin = nodes_.size();
    for (auto node = static_cast<std::int32_t>(word); parent[static_cast<std::size_t>(node)] >= 0;
         node = parent[static_cast<std::size_t>(node)]) {
      nodes_.push_back(parent[static_cast<std::size_t>(node)] - static_cast<std::int32_t>(words));
      branches_.push_back(branch[static_cast<std::size_t>(node)]);
    }
    std::reverse(nodes_.begin() + static_cast<Index>(begin), nodes_.end());
    std::reverse(branches_.begin() + static_cast<Index>(begin), branches_.end());
    begin_.push_back(static_cast<std::int64_t>(nodes_.size()));
  }
}

}  // namespace throughtime::word2vec
