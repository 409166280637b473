// Where the backward loop leaves the derivatives of each step for what follows it.
#pragma once

#include "time_loop.h"

namespace throughtime::INSTRUCTION_SET {

// The derivatives of all valid rows, [valid][slots of the cell, then the projection's output, then for a normalised cell
// those of what the products gave, [side][gate], and the statistics of a row].
template <class Cell, class T, bool Projected>
struct Derivatives {
  explicit Derivatives(const Sizes<T>& sizes)
      : slot(sizes.padded_hidden),
        projected(Cell::slots * sizes.padded_hidden),
        raw(projected + (Projected ? sizes.padded_output : 0)),
        statistics(raw + (is_normalised<Cell>() ? sides * Cell::gates * slot : 0)),
        stride(spread<T>(statistics + (is_normalised<Cell>() ? rounded_up(statistics_size, lanes<T>) : 0))) {}

  // Where the derivatives lie of what a product gave, and of what the input's did, gate by gate.
  Index of_product(const Product& product) const {
    return is_normalised<Cell>() ? raw + (of_recurrent * Cell::gates + product.first_gate) * slot : product.first_slot * slot;
  }
  Index of_input_gate(int gate) const {
    return is_normalised<Cell>() ? raw + (of_input * Cell::gates + gate) * slot : Cell::input_slot[gate] * slot;
  }

  static constexpr int groups = norm_group_count<Cell>();
  static constexpr Index statistics_size = 2 * (sides * groups + 1);
  // Of a row's group of gates, or of its cell state.
  Statistics<T>* statistics_of(Index valid, int side, int group) const {
    return reinterpret_cast<Statistics<T>*>(data + valid * stride + statistics) + side * groups + group;
  }
  Statistics<T>* statistics_of_cell(Index valid) const { return statistics_of(valid, sides, 0); }

  std::size_t size(const Rows& rows) const { return Workspace::size<T>(static_cast<std::size_t>(rows.valid * stride)); }

  T* data = nullptr;
  Index slot, projected, raw, statistics, stride;
};

}  // namespace throughtime::INSTRUCTION_SET
