// What a cell's backward functions see of a step.
#pragma once

#include "layer.h"
#include "normalisation.h"
#include "simd.h"

namespace throughtime::INSTRUCTION_SET {

// One vector of units of one row at one step: what a cell's backward functions see.
template <class T, bool Regularised>
struct BackwardAt {
  using V = Vec<T>;
  const V one = broadcast(T(1));

  V total_d_hidden;       // dL/dh_t
  const T* sums[2];
  T* d_states[most_states];
  T* kept_value;
  const T* diagonals;
  const T* saved_row;
  Index padded_hidden;
  T* d_gates;
  const T* hidden_now;
  const T* before[most_states];  // the states before this step, null for zero
  Index count;
  bool reset, next_reset;
  const T* recurrent_dropout;
  const T* candidate_dropout;
  const T* zoneout[most_states];
  Statistics<T> state_statistics;  // of a normalised cell state
  BackwardStatistics<T> state_backward;
  V state_gain, state_bias;

  ALWAYS_INLINE V normalised_state(V value) const { return state_statistics.normalised(value) * state_gain + state_bias; }
  // What the derivative in a slot brings to the state that was normalised.
  ALWAYS_INLINE V through_normalised_state(V value, int slot) const {
    return state_backward.derivative(load(d_gates + slot * padded_hidden) * state_gain, state_statistics.normalised(value),
                                     state_statistics);
  }

  ALWAYS_INLINE V product(int j) const { return load(sums[j]); }
  ALWAYS_INLINE V product_of_next(int j) const {
    if constexpr (Regularised)
      if (next_reset) return V{};
    return product(j);
  }
  ALWAYS_INLINE V diagonal(int gate) const { return load(diagonals + gate * padded_hidden); }
  ALWAYS_INLINE V saved(int slot) const { return load(saved_row + slot * padded_hidden); }

  ALWAYS_INLINE V previous(int state) const {
    if constexpr (Regularised)
      if (reset) return V{};
    return before[state] ? load_first(before[state], count) : V{};
  }

  // h_t as the cell made it, before zoneout; where zoneout kept the old one, nothing depends on it.
  ALWAYS_INLINE V hidden() const {
    const V value = load_first(hidden_now, count);
    if constexpr (Regularised)
      if (zoneout[0]) {
        const V share = load_first(zoneout[0], count);
        return share < one ? (value - share * previous(0)) / (one - share) : value;
      }
    return value;
  }

  ALWAYS_INLINE V dropped_candidate(V value) const {
    if constexpr (Regularised)
      if (candidate_dropout) return value * load_first(candidate_dropout, count);
    return value;
  }
  ALWAYS_INLINE V dropped_hidden(V value) const {
    if constexpr (Regularised)
      if (recurrent_dropout) return value * load_first(recurrent_dropout, count);
    return value;
  }
  ALWAYS_INLINE V kept_at_reset(V value) const {
    if constexpr (Regularised)
      if (reset) return V{};
    return value;
  }

  // What reaches the state that the cell made: zoneout lets the rest pass by.
  ALWAYS_INLINE V d_hidden() const { return without_zoneout(0, total_d_hidden); }
  ALWAYS_INLINE V d_state(int state) const { return without_zoneout(state, load(d_states[state])); }

  // dL/d(state before this step), but for what the recurrent product carries.
  ALWAYS_INLINE void set_d_state(int state, V value) {
    if constexpr (Regularised)
      if (zoneout[state])
        value += load_first(zoneout[state], count) * (state == 0 ? total_d_hidden : load(d_states[state]));
    store(d_states[state], kept_at_reset(value));
  }
  ALWAYS_INLINE void add_d_state(int state, V value) { store(d_states[state], load(d_states[state]) + value); }

  ALWAYS_INLINE void set_d_gate(int slot, V value) { store(d_gates + slot * padded_hidden, value); }
  ALWAYS_INLINE void keep(V value) { store(kept_value, value); }
  ALWAYS_INLINE V kept() const { return load(kept_value); }

 private:
  ALWAYS_INLINE V without_zoneout(int state, V value) const {
    if constexpr (Regularised)
      if (zoneout[state]) return value - load_first(zoneout[state], count) * value;
    return value;
  }
};

}  // namespace throughtime::INSTRUCTION_SET
