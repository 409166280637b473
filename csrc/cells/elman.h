// The simple recurrent network; equations (4) and (5).
#pragma once

#include "cell.h"

namespace throughtime::INSTRUCTION_SET {

enum class Activation { tanh, relu, logistic };

template <Activation activation>
struct Elman {
  static constexpr int gates = 1, states = 1, saved_slots = 0, slots = 1, inner_slot = -1;
  static constexpr int input_slot[] = {0};
  static constexpr Product products[] = {{Operand::hidden, true, recurrent_matrix, 0, 1, 0}};
  static constexpr Stage stages[] = {{1, {0}}};

  template <int stage, class At>
  static ALWAYS_INLINE void forward(At& at) {
    const auto a = at.input(0) + at.product(0, 0);
    if constexpr (activation == Activation::tanh)
      at.set_hidden(hyperbolic_tangent(a));
    else if constexpr (activation == Activation::relu)
      at.set_hidden(rectified(a));
    else
      at.set_hidden(logistic(a));
  }

  template <int stage, class At>
  static ALWAYS_INLINE void backward(At& at) {
    using V = typename At::V;
    const V dh = at.d_hidden(), h = at.hidden();
    V da;
    if constexpr (activation == Activation::tanh)
      da = dh - dh * h * h;
    else if constexpr (activation == Activation::relu)
      da = h > V{} ? dh : V{};
    else
      da = dh * h * (at.one - h);
    at.set_d_gate(0, da);
    at.set_d_state(0, V{});
  }
};

}  // namespace throughtime::INSTRUCTION_SET
