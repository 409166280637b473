// Gated recurrent unit, the reset gate after or before the recurrent product; equations (15) to (22).
#pragma once

#include "cell.h"

namespace throughtime::INSTRUCTION_SET {

struct Gru {
  enum { r, z, n, p };                // gates, and what is saved
  enum { slot_n, slot_r, slot_z, slot_p };  // W_ih's three and W_hh's three each follow one another
  static constexpr int gates = 3, states = 1, saved_slots = 4, slots = 4, inner_slot = -1;
  static constexpr int input_slot[] = {slot_r, slot_z, slot_n};
  static constexpr Product products[] = {{Operand::hidden, true, recurrent_matrix, 0, 3, slot_r}};
  static constexpr Stage stages[] = {{1, {0}}};

  template <int stage, class At>
  static ALWAYS_INLINE void forward(At& at) {
    const auto recurrent_n = at.product(0, n);
    const auto gate_r = logistic(at.input(r) + at.product(0, r));
    const auto gate_z = logistic(at.input(z) + at.product(0, z));
    const auto candidate = hyperbolic_tangent(at.input(n) + gate_r * recurrent_n);
    at.save(r, gate_r);
    at.save(z, gate_z);
    at.save(n, candidate);
    at.save(p, recurrent_n);
    const auto dropped = at.dropped_candidate(candidate);
    at.set_hidden(dropped + gate_z * (at.previous(0) - dropped));
  }

  template <int stage, class At>
  static ALWAYS_INLINE void backward(At& at) {
    using V = typename At::V;
    const V gate_r = at.saved(r), gate_z = at.saved(z), candidate = at.saved(n);
    const V dh = at.d_hidden();
    const V through_z = dh * gate_z;
    const V dan = at.dropped_candidate(dh - through_z) * (at.one - candidate * candidate);  // (17)
    const V dp = dan * gate_r;                                                              // (20)
    at.set_d_gate(slot_n, dan);
    at.set_d_gate(slot_z, (at.previous(0) - at.dropped_candidate(candidate)) * (through_z - through_z * gate_z));  // (18)
    at.set_d_gate(slot_r, at.saved(p) * (dp - dp * gate_r));                                // (19)
    at.set_d_gate(slot_p, dp);
    at.set_d_state(0, through_z);  // (21)
  }
};

struct LayerNormGru : Gru {
  static constexpr int norm_groups[] = {2, 1};  // r and z together, the candidate alone
};

struct GruResetBefore {
  enum { r, z, n, s };  // gates, their slots, and what is saved; s = r ⊙ h_{t-1}
  static constexpr int gates = 3, states = 1, saved_slots = 4, slots = 3, inner_slot = s;
  static constexpr int input_slot[] = {r, z, n};
  static constexpr Product products[] = {
      {Operand::hidden, true, recurrent_matrix, 0, 2, r},
      {Operand::inner, false, recurrent_matrix, 2, 1, n},
  };
  static constexpr Stage stages[] = {{1, {0}}, {1, {1}}};

  template <int stage, class At>
  static ALWAYS_INLINE void forward(At& at) {
    if constexpr (stage == 0) {
      const auto gate_r = logistic(at.input(r) + at.product(0, 0));
      const auto gate_z = logistic(at.input(z) + at.product(0, 1));
      const auto reset = gate_r * at.dropped_hidden(at.previous(0));
      at.save(r, gate_r);
      at.save(z, gate_z);
      at.save(s, reset);
      at.set_inner(reset);
      at.keep(gate_z);
    } else {
      const auto candidate = hyperbolic_tangent(at.input(n) + at.product(0, 0));
      at.save(n, candidate);
      const auto dropped = at.dropped_candidate(candidate);
      at.set_hidden(dropped + at.kept() * (at.previous(0) - dropped));
    }
  }

  template <int stage, class At>
  static ALWAYS_INLINE void backward(At& at) {
    using V = typename At::V;
    if constexpr (stage == 0) {
      const V gate_z = at.saved(z), candidate = at.saved(n);
      const V dh = at.d_hidden();
      const V through_z = dh * gate_z;
      at.set_d_gate(n, at.dropped_candidate(dh - through_z) * (at.one - candidate * candidate));  // (17)
      at.set_d_gate(z, (at.previous(0) - at.dropped_candidate(candidate)) * (through_z - through_z * gate_z));  // (18)
      at.set_d_state(0, through_z);
    } else {
      const V gate_r = at.saved(r), ds = at.product(0);
      at.set_d_gate(r, ds * at.saved(s) * (at.one - gate_r));  // (22), with s = r ⊙ h_{t-1}
      at.add_d_state(0, at.kept_at_reset(at.dropped_hidden(ds * gate_r)));
    }
  }
};

}  // namespace throughtime::INSTRUCTION_SET
