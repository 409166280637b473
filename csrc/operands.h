// What the matrices of a cell multiplied, row by row: the right factors of their derivatives.
#pragma once

#include "time_loop.h"

namespace throughtime::INSTRUCTION_SET {

enum class Source { input, hidden_before, inner_before, inner_now, unprojected_now };

template <class Cell, class T, bool Projected>
class Operands {
 public:
  Operands(const Layer& layer, const Direction& direction) : layer_(layer), direction_(direction), sizes_(layer) {}

  static constexpr Source of(const Product& product) {
    return product.operand == Operand::hidden ? Source::hidden_before
           : product.previous                 ? Source::inner_before
                                              : Source::inner_now;
  }

  Index columns(Source source) const {
    return source == Source::input ? sizes_.input : source == Source::hidden_before ? sizes_.output : sizes_.hidden;
  }

  // Calls visit(valid row, step, place) for valid rows [from, to) in order.
  template <class Visit>
  void each_row(Index from, Index to, const Visit& visit) const {
    const Rows& rows = layer_.rows;
    Index low = 0, high = rows.steps;  // the last step whose first valid row is at most `from`
    while (high - low > 1) {
      const Index middle = (low + high) / 2;
      (rows.offset[middle] <= from ? low : high) = middle;
    }
    Index s = low;
    for (Index valid = from; valid < to; ++valid) {
      while (valid >= rows.offset[s + 1]) ++s;
      visit(valid, s, valid - rows.offset[s]);
    }
  }

  // A row of a source, or null for zeros.
  const T* at(Source source, Index valid, Index s, Index place) const {
    const Rows& rows = layer_.rows;
    const Places<T> places{rows, direction_.reverse};
    const Index slots = saved_slot_count<Cell, Projected>(), of_batch = rows.order[place];
    const T* saved = static_cast<const T*>(direction_.saved);
    const bool before = source == Source::hidden_before || source == Source::inner_before;
    if (before && is_reset(layer_, direction_, s, place)) return nullptr;
    if (before && s == 0) {
      const int state = source == Source::hidden_before ? 0 : 1;
      const T* initial = static_cast<const T*>(direction_.initial[state]);
      return initial ? initial + of_batch * (state == 0 ? sizes_.output : sizes_.hidden) : nullptr;
    }
    switch (source) {
      case Source::input:
        return places.at(layer_.input, s, place);
      case Source::hidden_before:
        return places.at(direction_.output, s - 1, place);
      case Source::inner_before:
        return saved + ((rows.offset[s - 1] + place) * slots + Cell::inner_slot) * sizes_.padded_hidden;
      case Source::inner_now:
        return saved + (valid * slots + Cell::inner_slot) * sizes_.padded_hidden;
      case Source::unprojected_now:
        return saved + (valid * slots + Cell::saved_slots) * sizes_.padded_hidden;
    }
    return nullptr;
  }

 private:
  const Layer& layer_;
  const Direction& direction_;
  const Sizes<T> sizes_;
};

}  // namespace throughtime::INSTRUCTION_SET
