// What a cell's forward functions see of a step.
#pragma once

#include "layer.h"
#include "normalisation.h"
#include "simd.h"

namespace throughtime::INSTRUCTION_SET {

// One vector of units of one row at one step: what a cell's forward functions see.
template <class T, bool Regularised>
struct ForwardAt {
  using V = Vec<T>;
  const V one = broadcast(T(1));

  const T* input_gates;
  Index input_gate_stride;
  const T* sums[2];
  Index gate_stride;
  T* states[most_states];
  T* kept_value;
  const T* diagonals;  // three rows of `padded_hidden`
  Index padded_hidden;
  T* saved_row;        // null in inference
  bool saves_past_caches;
  T* inner_operand;
  T* hidden_operand;   // of the next step, or of the projection
  T* unprojected_saved;
  T* output;           // null before the projection
  T* finals[most_states];  // null before a row's last step
  Index count;          // units in use, of this vector
  bool reset, next_reset;
  const T* recurrent_dropout;
  const T* candidate_dropout;
  const T* zoneout[most_states];
  Statistics<T> state_statistics;  // of a normalised cell state
  V state_gain, state_bias;

  ALWAYS_INLINE V normalised_state(V value) const { return state_statistics.normalised(value) * state_gain + state_bias; }

  ALWAYS_INLINE V input(int gate) const { return load(input_gates + gate * input_gate_stride); }
  ALWAYS_INLINE V product(int j, int gate) const { return load(sums[j] + gate * gate_stride); }
  // Of an inner operand of the step before, which a reset takes away.
  ALWAYS_INLINE V product_of_previous(int j, int gate) const {
    if constexpr (Regularised)
      if (reset) return V{};
    return product(j, gate);
  }
  ALWAYS_INLINE V diagonal(int gate) const { return load(diagonals + gate * padded_hidden); }

  ALWAYS_INLINE V previous(int state) const {
    if constexpr (Regularised)
      if (reset) return V{};
    return load(states[state]);
  }
  ALWAYS_INLINE V state(int state) const { return load(states[state]); }

  ALWAYS_INLINE V dropped_candidate(V candidate) const {
    if constexpr (Regularised)
      if (candidate_dropout) return candidate * load_first(candidate_dropout, count);
    return candidate;
  }
  ALWAYS_INLINE V dropped_hidden(V hidden) const {
    if constexpr (Regularised)
      if (recurrent_dropout) return hidden * load_first(recurrent_dropout, count);
    return hidden;
  }

  ALWAYS_INLINE V set_state(int state, V value) {
    if constexpr (Regularised)
      if (zoneout[state]) value += load_first(zoneout[state], count) * (previous(state) - value);
    store(states[state], value);
    if (finals[state]) store_first(finals[state], value, count);
    return value;
  }

  ALWAYS_INLINE void set_hidden(V value) {
    if (!output) {
      store(hidden_operand, value);
      if (unprojected_saved) store(unprojected_saved, value);
      return;
    }
    value = set_state(0, value);
    store_first(output, value, count);
    if constexpr (Regularised) value = next_reset ? V{} : dropped_hidden(value);
    store(hidden_operand, value);
  }

  ALWAYS_INLINE void set_inner(V value) { store(inner_operand, value); }
  ALWAYS_INLINE void keep(V value) { store(kept_value, value); }
  ALWAYS_INLINE V kept() const { return load(kept_value); }
  ALWAYS_INLINE void save(int slot, V value) {
    if (!saved_row) return;
    saves_past_caches ? store_past_caches(saved_row + slot * padded_hidden, value) : store(saved_row + slot * padded_hidden, value);
  }
};

}  // namespace throughtime::INSTRUCTION_SET
