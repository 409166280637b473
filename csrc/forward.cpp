// Every cell forward. Compiled once for each instruction set, into a namespace of its own, as backward.cpp and kernels.cpp.
#include "forward.h"

#include "passes.h"

namespace throughtime::INSTRUCTION_SET {
namespace {

template <class T>
void clear_padding(const Layer& layer, const Sequence& sequence, Index size) {
  const Rows& rows = layer.rows;
  for (Index place = 0; place < rows.batch; ++place)
    for (Index time = rows.length[place]; time < rows.time; ++time)
      std::memset(static_cast<T*>(sequence.data) + time * sequence.time_stride + rows.order[place] * sequence.batch_stride, 0,
                  static_cast<std::size_t>(size) * sizeof(T));
}

template <class Cell, class Engine, bool Projected, bool Regularised>
void run_forward(const Layer& layer) {
  using T = typename Engine::Scalar;
  using Pass = Forward<Cell, Engine, Projected, Regularised>;
  Pass passes[2] = {{layer, layer.direction[0]}, {layer, layer.direction[1]}};
  Scratch shared(static_cast<std::size_t>(layer.directions) * passes[0].shared_size());
  for (int i = 0; i < layer.directions; ++i) {
    passes[i].take_shared(shared);
    clear_padding<T>(layer, layer.direction[i].output, layer.output_size);
  }
  const Index work = layer.rows.valid * layer.directions * passes[0].step_work();
  run_pass(layer, passes, threads_of<Engine>(layer, work));
}

template <class Cell, class Engine>
void forward_of(const Layer& layer) {
  const bool regularised = is_regularised(layer);
  if constexpr (Cell::states > 1) {
    if (layer.projected) return regularised ? run_forward<Cell, Engine, true, true>(layer) : run_forward<Cell, Engine, true, false>(layer);
  }
  regularised ? run_forward<Cell, Engine, false, true>(layer) : run_forward<Cell, Engine, false, false>(layer);
}

#if !defined(__AVX512BF16__)
template <class Cell>
void forward_unpacked(const Layer& layer) {
  if constexpr (Cell::states > 1)
    if (layer.projected) return run_forward<Cell, Dots, true, false>(layer);
  run_forward<Cell, Dots, false, false>(layer);
}
#endif

}  // namespace

void forward(const Layer& layer) {
  with_cell(layer.cell, [&]<class Cell>() {
#if defined(__AVX512BF16__)
    forward_of<Cell, Bfloat16>(layer);
#else
    if (layer.weight_format != WeightFormat::scalar || is_short(layer)) return forward_unpacked<Cell>(layer);
    layer.double_precision ? forward_of<Cell, Fma<double>>(layer) : forward_of<Cell, Fma<float>>(layer);
#endif
  });
}

}  // namespace throughtime::INSTRUCTION_SET
