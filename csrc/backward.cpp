// Every cell backward.
#include "backward.h"

#include "gradients.h"
#include "passes.h"
#include "weight_gradients.h"

namespace throughtime::INSTRUCTION_SET {
namespace {

template <class Of>
Index total(const Of* of, int directions, Index (Of::*tasks)() const) {
  Index sum = 0;
  for (int i = 0; i < directions; ++i) sum += (of[i].*tasks)();
  return sum;
}

// Does the tasks of both directions that are numbered from `first` on, each in whichever thread asks for it. `task` is
// the number that this thread holds, and after these tasks one beyond them.
template <class Of, class Do>
void each_task(Of* of, int directions, Index first, Index& task, Counter& counter, const Do& run, Index (Of::*tasks)() const) {
  const Index end = first + total(of, directions, tasks);
  for (; task < end; task = counter.next()) {
    Index own = task - first, direction = 0;
    for (; own >= (of[direction].*tasks)(); ++direction) own -= (of[direction].*tasks)();
    run(of[direction], own);
  }
}

// What remains once the derivatives of all steps are there.
template <class Cell, class Engine, bool Projected, class Pass>
void run_gradients(const Layer& layer, Pass* passes, int threads) {
  using Vectors = Gradients<Cell, Engine, Projected>;
  using Matrices = WeightGradients<Cell, Engine, Projected>;
  const int directions = layer.directions;
  Vectors vectors[2] = {{layer, layer.direction[0], passes[0].derivatives()}, {layer, layer.direction[1], passes[1].derivatives()}};
  Matrices matrices[2] = {{layer, layer.direction[0], passes[0].derivatives()}, {layer, layer.direction[1], passes[1].derivatives()}};
  std::size_t size = 0;
  for (int i = 0; i < directions; ++i) size += vectors[i].shared_size() + matrices[i].shared_size();
  Scratch shared(size);
  for (int i = 0; i < directions; ++i) {
    vectors[i].take_shared(shared);
    matrices[i].take_shared(shared);
  }
  Index chunks = 0;
  for (int i = 0; i < directions; ++i) chunks = larger(chunks, matrices[i].chunks());
  Counter packing, weights, sums;
  Barrier barrier;
  in_parallel(threads, [&](int, int count) {
    const FlushDenormals flush;
    [[maybe_unused]] const typename Vectors::Session session;
    Index task = packing.next();
    each_task(vectors, directions, 0, task, packing, [](auto& vector, Index own) { vector.pack(own); }, &Vectors::pack_tasks);
    const Index packed = total(vectors, directions, &Vectors::pack_tasks);
    Index weight = weights.next();
    for (Index chunk = 0; chunk < chunks; ++chunk) {
      const Index of_packing = total(matrices, directions, &Matrices::pack_tasks);
      each_task(matrices, directions, packed + chunk * of_packing, task, packing,
                [&](auto& matrix, Index own) { matrix.pack(chunk, own); }, &Matrices::pack_tasks);
      barrier.wait(count);
      each_task(matrices, directions, chunk * total(matrices, directions, &Matrices::tasks), weight, weights,
                [&](auto& matrix, Index own) {
                  Scratch scratch(matrix.thread_size());
                  matrix.run(chunk, own, scratch);
                },
                &Matrices::tasks);
      if (chunk + 1 < chunks) barrier.wait(count);
    }
    if (chunks == 0) barrier.wait(count);
    Index sum = sums.next();
    each_task(vectors, directions, 0, sum, sums, [](auto& vector, Index own) {
      Scratch scratch(vector.thread_size());
      vector.run(own, scratch);
    }, &Vectors::tasks);
  });
}

template <class Cell, class Engine, bool Projected, bool Regularised>
void run_backward(const Layer& layer) {
  using Pass = Backward<Cell, Engine, Projected, Regularised>;
  Pass passes[2] = {{layer, layer.direction[0]}, {layer, layer.direction[1]}};
  const int directions = layer.directions;
  const int threads = threads_of<Engine>(layer, layer.rows.valid * directions * passes[0].step_work());
  Scratch shared(static_cast<std::size_t>(directions) * passes[0].shared_size());
  for (int i = 0; i < directions; ++i) passes[i].take_shared(shared);
  run_pass(layer, passes, threads);
  run_gradients<Cell, Engine, Projected>(layer, passes, threads);
}

template <class Cell, class Engine>
void backward_of(const Layer& layer) {
  const bool regularised = is_regularised(layer);
  if constexpr (Cell::states > 1) {
    if (layer.projected) return regularised ? run_backward<Cell, Engine, true, true>(layer) : run_backward<Cell, Engine, true, false>(layer);
  }
  regularised ? run_backward<Cell, Engine, false, true>(layer) : run_backward<Cell, Engine, false, false>(layer);
}

}  // namespace

void backward(const Layer& layer) {
  with_cell(layer.cell, [&]<class Cell>() {
#if defined(__AVX512BF16__)
    backward_of<Cell, Bfloat16>(layer);
#else
    layer.double_precision ? backward_of<Cell, Fma<double>>(layer) : backward_of<Cell, Fma<float>>(layer);
#endif
  });
}

}  // namespace throughtime::INSTRUCTION_SET
