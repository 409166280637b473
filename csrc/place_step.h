// A step of a cell at places of pictures, where the products are convolutions that others have taken. It takes the cells
// whose step is one product of the state.
#pragma once

#include "convolution.h"
#include "passes.h"

namespace throughtime::INSTRUCTION_SET {

// Whether a cell adds up what it sees of the input's and of the recurrent side, or has a slot for either.
template <class Cell>
constexpr Sides sides_at_places() {
  if (product_count<Cell>() != 1 || stage_count<Cell>() != 1 || is_normalised<Cell>()) return Sides::unknown;
  return Cell::slots > Cell::gates ? Sides::apart : Sides::added;
}

// One vector of units at one place: what a cell's functions see, of both directions in time.
template <class Cell, class T>
struct PlaceAt {
  using V = Vec<T>;
  static constexpr bool keeps_sides_apart = sides_at_places<Cell>() == Sides::apart;
  const V one = broadcast(T(1));

  const PlaceStep& step;
  Index place, unit, count;  // count: units in use, of this vector
  V total_d_hidden;

  ALWAYS_INLINE T* in_gates(void* gates, int gate) const {
    return static_cast<T*>(gates) + (place * Cell::gates + gate) * step.units + unit;
  }
  template <class Data>
  ALWAYS_INLINE auto in_states(Data* states) const {
    using Scalar = std::conditional_t<std::is_const_v<Data>, const T, T>;
    return static_cast<Scalar*>(states) + place * step.units + unit;
  }

  ALWAYS_INLINE V input(int gate) const { return load_first(in_gates(step.gates, gate), count); }
  ALWAYS_INLINE V product(int, int gate) const {
    if constexpr (keeps_sides_apart) return load_first(in_gates(step.recurrent, gate), count);
    return V{};  // is in the sum
  }
  ALWAYS_INLINE V diagonal(int gate) const {
    const T* diagonals = static_cast<const T*>(step.diagonals);
    return load_first(diagonals + (gate * step.diagonal_places + place % step.diagonal_places) * step.units + unit, count);
  }
  ALWAYS_INLINE V previous(int state) const { return load_first(in_states(step.before[state]), count); }
  ALWAYS_INLINE V hidden() const { return load_first(in_states(step.after[0]), count); }
  ALWAYS_INLINE V dropped_candidate(V candidate) const { return candidate; }

  ALWAYS_INLINE V set_state(int state, V value) {
    store_first(in_states(step.after[state]), value, count);
    return value;
  }
  ALWAYS_INLINE void set_hidden(V value) { set_state(0, value); }
  // What isn't a gate stands where it came from.
  ALWAYS_INLINE void save(int slot, V value) {
    if (slot < Cell::gates) store_first(in_gates(step.gates, slot), value, count);
  }
  ALWAYS_INLINE V saved(int slot) const {
    return load_first(slot < Cell::gates ? in_gates(step.gates, slot) : in_gates(step.recurrent, Cell::gates - 1), count);
  }

  ALWAYS_INLINE V d_hidden() const { return total_d_hidden; }
  ALWAYS_INLINE V d_state(int state) const { return load_first(in_states(step.d_state[state]), count); }
  ALWAYS_INLINE void set_d_state(int state, V value) { store_first(in_states(step.d_state[state]), value, count); }
  ALWAYS_INLINE void set_d_gate(int slot, V value) {
#pragma GCC unroll 64
    for (int gate = 0; gate < Cell::gates; ++gate) {
      if (Cell::input_slot[gate] == slot) store_first(in_gates(step.d_gates, gate), value, count);
      if constexpr (keeps_sides_apart)
        if (Cell::products[0].first_slot + gate == slot) store_first(in_gates(step.d_recurrent, gate), value, count);
    }
  }
};

template <class Cell, class T>
void step_places(const PlaceStep& step, const Index* places, Index number) {
  for (Index i = 0; i < number; ++i)
    for (Index unit = 0; unit < step.units; unit += lanes<T>) {
      PlaceAt<Cell, T> at{.step = step, .place = places[i], .unit = unit, .count = step.units - unit, .total_d_hidden = {}};
      if (!step.backwards) {
        Cell::template forward<0>(at);
        continue;
      }
      at.total_d_hidden = at.d_state(0);
      if (step.d_output) at.total_d_hidden += load_first(at.in_states(step.d_output), at.count);
      Cell::template backward<0>(at);
    }
}

inline void step_places(const PlaceStep& step, const Index* places, Index number) {
  with_cell(step.cell, [&]<class Cell>() {
    if constexpr (sides_at_places<Cell>() != Sides::unknown)
      step.double_precision ? step_places<Cell, double>(step, places, number) : step_places<Cell, float>(step, places, number);
  });
}

}  // namespace throughtime::INSTRUCTION_SET
