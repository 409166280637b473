// The order in which the rows of a batch run; see Rows in layer.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "layer.h"

namespace throughtime {

class RowOrder {
 public:
  // lengths: [batch], null where all rows are of full length.
  RowOrder(Index time, Index batch, const std::int64_t* lengths)
      : time_(time), order_(static_cast<std::size_t>(batch)), length_(order_.size(), time) {
    std::iota(order_.begin(), order_.end(), Index{0});
    if (lengths) {
      std::stable_sort(order_.begin(), order_.end(), [&](Index a, Index b) { return lengths[a] > lengths[b]; });
      for (std::size_t place = 0; place < order_.size(); ++place) length_[place] = lengths[order_[place]];
    }
    const Index steps = batch > 0 ? length_[0] : 0;
    running_.resize(static_cast<std::size_t>(steps) + 1);
    offset_.resize(running_.size());
    Index running = batch, valid = 0;
    for (Index s = 0; s <= steps; ++s) {
      while (running > 0 && length_[static_cast<std::size_t>(running) - 1] <= s) --running;
      running_[static_cast<std::size_t>(s)] = running;
      offset_[static_cast<std::size_t>(s)] = valid;
      valid += running;
    }
    valid_ = valid;
  }

  Rows rows() const {
    return {time_, static_cast<Index>(order_.size()), static_cast<Index>(running_.size()) - 1, valid_,
            order_.data(), length_.data(), running_.data(), offset_.data()};
  }

 private:
  Index time_, valid_ = 0;
  std::vector<Index> order_, length_, running_, offset_;
};

}  // namespace throughtime
