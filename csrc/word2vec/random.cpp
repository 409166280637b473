#include "random.h"

#include <numeric>

namespace throughtime::word2vec {

AliasSampler::AliasSampler(const std::vector<double>& weights) : columns_(weights.size()) {
  const double mean = std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
  std::vector<double> rest(weights.size());  // in units of a column
  std::vector<std::uint32_t> small, large;
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    rest[i] = weights[i] / mean;
    (rest[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    const std::uint32_t low = small.back(), high = large.back();
    small.pop_back();
    columns_[low] = {static_cast<std::uint32_t>(rest[low] * 4294967295.0), high};
    rest[high] -= 1 - rest[low];
    if (rest[high] < 1) {
      large.pop_back();
      small.push_back(high);
    }
  }
  // What is left fills its column but for rounding.
  for (const auto* left : {&small, &large})
    for (const std::uint32_t i : *left) columns_[i] = {0xFFFFFFFF, i};
}

}  // namespace throughtime::word2vec
