// Long short-term memory, without and with peepholes; equations (6) to (14), and with layer normalisation.
#pragma once

#include "cell.h"

namespace throughtime::INSTRUCTION_SET {

enum class Peepholes { none, diagonal, full };

template <Peepholes peepholes, bool normalised = false>
struct Lstm {
  enum { i, f, g, o, c };
  static constexpr int norm_slot = 4;  // the derivative of the normalised cell state
  static constexpr int gates = 4, states = 2, saved_slots = 5, slots = normalised ? 5 : 4, inner_slot = c;
  static constexpr bool normalises_cell = normalised;
  static constexpr int input_slot[] = {i, f, g, o};
  static constexpr bool has_diagonal = peepholes == Peepholes::diagonal;
  static constexpr Product products[] = {
      {Operand::hidden, true, recurrent_matrix, 0, 4, i},
      {Operand::inner, true, peephole_matrix, 0, 2, i},
      {Operand::inner, false, peephole_matrix, 2, 1, o},
  };
  static constexpr int product_count = peepholes == Peepholes::full ? 3 : 1;
  // The full peephole of the output gate reads c_t, which the first stage makes; so does the normalisation of c_t.
  static constexpr int stage_count = peepholes == Peepholes::full || normalised ? 2 : 1;
  static constexpr Stage stages[] = {{peepholes == Peepholes::full ? 2 : 1, {0, 1}}, {normalised ? 0 : 1, {2}}};

  template <int stage, class At>
  static ALWAYS_INLINE void forward(At& at) {
    if constexpr (stage == 0) {
      const auto before = at.previous(1);
      auto ai = at.input(i) + at.product(0, i), af = at.input(f) + at.product(0, f);
      if constexpr (peepholes == Peepholes::full) {
        ai += at.product_of_previous(1, 0);
        af += at.product_of_previous(1, 1);
      } else if constexpr (peepholes == Peepholes::diagonal) {
        ai += at.diagonal(0) * before;
        af += at.diagonal(1) * before;
      }
      const auto gate_i = logistic(ai), gate_f = logistic(af);
      const auto gate_g = hyperbolic_tangent(at.input(g) + at.product(0, g));
      const auto cell = gate_f * before + gate_i * at.dropped_candidate(gate_g);
      at.save(i, gate_i);
      at.save(f, gate_f);
      at.save(g, gate_g);
      at.save(c, at.set_state(1, cell));
      auto ao = at.input(o) + at.product(0, o);
      if constexpr (peepholes == Peepholes::full) {
        at.set_inner(cell);
        at.keep(ao);
      } else if constexpr (normalised) {
        at.keep(ao);
      } else {
        if constexpr (peepholes == Peepholes::diagonal) ao += at.diagonal(2) * cell;
        finish(at, ao, cell);
      }
    } else if constexpr (normalised) {
      finish(at, at.kept(), at.normalised_state(at.state(1)));
    } else {
      finish(at, at.kept() + at.product(0, 0), at.state(1));
    }
  }

  template <int stage, class At>
  static ALWAYS_INLINE void backward(At& at) {
    using V = typename At::V;
    const V gate_i = at.saved(i), gate_f = at.saved(f), gate_o = at.saved(o);
    const V gate_g = at.saved(g), before = at.previous(1);
    if constexpr (peepholes == Peepholes::full && stage == 0) {
      const V dh = at.d_hidden();
      at.set_d_gate(o, dh * hyperbolic_tangent(at.saved(c)) * (gate_o - gate_o * gate_o));  // (10)
      at.keep(dh);
      at.add_d_state(1, at.product_of_next(1));  // (14)
      return;
    }
    if constexpr (normalised && stage == 0) {
      const V dh = at.d_hidden(), through_h = dh * gate_o;
      const V squashed = hyperbolic_tangent(at.normalised_state(at.saved(c)));
      at.set_d_gate(o, dh * squashed * (gate_o - gate_o * gate_o));         // (10)
      at.set_d_gate(norm_slot, through_h - through_h * squashed * squashed);  // (9)
      return;
    }
    V dh;
    if constexpr (normalised)
      dh = V{};
    else if constexpr (stage == 0)
      dh = at.d_hidden();
    else
      dh = at.kept();
    // Made again, as zoneout keeps another one.
    const V dropped = at.dropped_candidate(gate_g);
    const V squashed = hyperbolic_tangent(gate_f * before + gate_i * dropped);
    const V through_h = dh * gate_o;
    V dc = at.d_state(1) + through_h - through_h * squashed * squashed;  // (9)
    if constexpr (normalised) {
      dc += at.through_normalised_state(at.saved(c), norm_slot);
    } else if constexpr (stage == 0) {
      const V dao = dh * squashed * (gate_o - gate_o * gate_o);  // (10)
      at.set_d_gate(o, dao);
      if constexpr (peepholes == Peepholes::diagonal) dc += at.diagonal(2) * dao;
    } else {
      dc += at.product(0);
    }
    const V dai = dc * dropped * (gate_i - gate_i * gate_i);                    // (11)
    const V daf = dc * before * (gate_f - gate_f * gate_f);                     // (12)
    const V dag = at.dropped_candidate(dc * gate_i) * (at.one - gate_g * gate_g);  // (13)
    at.set_d_gate(i, dai);
    at.set_d_gate(f, daf);
    at.set_d_gate(g, dag);
    V before_dc = dc * gate_f;
    if constexpr (peepholes == Peepholes::diagonal) before_dc += at.diagonal(0) * dai + at.diagonal(1) * daf;
    at.set_d_state(1, before_dc);
    at.set_d_state(0, V{});
  }

 private:
  template <class At, class V>
  static ALWAYS_INLINE void finish(At& at, V ao, V cell) {
    const V gate_o = logistic(ao);
    at.save(o, gate_o);
    at.set_hidden(gate_o * hyperbolic_tangent(cell));
  }
};

struct LayerNormLstm : Lstm<Peepholes::none, true> {
  static constexpr int norm_groups[] = {4};
};

}  // namespace throughtime::INSTRUCTION_SET
