// Compiled once for each instruction set, into a namespace of its own.
#include "kernels.h"

#include "backward.h"
#include "cells/list.h"
#include "forward.h"
#include "gradients.h"
#include "weight_gradients.h"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

namespace throughtime::INSTRUCTION_SET {
namespace {

// Weights of this size stay in one core's L2 cache beside what else a step needs.
constexpr std::size_t cache_bytes = 1600 * 1024;

constexpr int most_threads = 64;

// How rows and units are divided among threads.
struct Division {
  Index groups;      // of rows, each run by a team through all steps
  Index group_rows;
  int team;         // threads of a team, which share the units of each step
};

// Rows are divided where each thread can have its own: then nobody waits for anybody. Units are divided where there
// are too few rows, or where the weights fit into the caches of all threads together only.
Division divide(Index batch, int directions, int threads, std::size_t step_bytes, Index step_work, Index most_shared_rows) {
  const int team = threads / directions < 1 ? 1 : threads / directions;
  constexpr Index least_work = 40000;  // multiply-adds of a step below which a barrier costs more than it saves
  constexpr Index rows_at_once = 8;
  const bool few_rows = batch * directions < Index{2} * threads;
  const bool large = step_bytes > cache_bytes && batch <= most_shared_rows * threads;
  if (team > 1 && ((few_rows && batch * step_work > least_work) || large)) return {1, batch, team};
  Index groups = ceiling(batch, 2 * rows_at_once);
  if (step_bytes > cache_bytes) groups = ceiling(batch, 4 * rows_at_once);
  if (batch * directions >= rows_at_once) groups = larger(groups, ceiling(threads, directions));
  groups = larger(smaller(groups, batch), 1);
  return {groups, larger(ceiling(batch, groups), 1), 1};
}

template <class Pass>
void run_pass(const Layer& layer, Pass* passes, int threads) {
  const Division division =
      divide(layer.rows.batch, layer.directions, threads, passes[0].step_bytes(), passes[0].step_work(), Pass::most_shared_rows);
  const int directions = layer.directions;
  const bool split_units = division.team > 1;
  if (!split_units) threads = static_cast<int>(smaller(threads, larger(division.groups * directions, 1)));
  const Index sets = split_units ? directions : threads;
  const std::size_t group_size = passes[0].group_size(division.group_rows);
  const std::size_t thread_size = passes[0].thread_size(division.group_rows);
  Scratch scratch(static_cast<std::size_t>(sets) * group_size + static_cast<std::size_t>(threads) * thread_size);
  typename Pass::Group group[most_threads];
  typename Pass::Thread thread[most_threads];
  for (Index i = 0; i < sets; ++i) group[i] = passes[0].take_group(scratch, division.group_rows);
  for (int i = 0; i < threads; ++i) thread[i] = passes[0].take_thread(scratch, division.group_rows);
  Barrier barriers[2];
  Barrier all;
  Counter packing, items;
  in_parallel(threads, [&](int id, int count) {
    const FlushDenormals flush;
    [[maybe_unused]] const typename Pass::Session session;
    for (;;) {
      Index task = packing.next(), direction = 0;
      for (; direction < directions && task >= passes[direction].pack_tasks(); ++direction)
        task -= passes[direction].pack_tasks();
      if (direction == directions) break;
      passes[direction].pack(task);
    }
    all.wait(count);
    if (split_units) {
      const int team = larger(count / directions, 1);
      for (int direction = id / team; direction < directions; direction += larger(count / team, 1)) {
        const Share share{0, layer.rows.batch, id % team, team, &barriers[direction]};
        passes[direction].run(share, group[direction], thread[id]);
      }
      return;
    }
    Barrier own;
    for (Index item; (item = items.next()) < division.groups * directions;) {
      const Index direction = item % directions, index = item / directions;
      const Index first = index * layer.rows.batch / division.groups, end = (index + 1) * layer.rows.batch / division.groups;
      passes[direction].run({first, end - first, 0, 1, &own}, group[id], thread[id]);
    }
  });
}

template <class T>
void clear_padding(const Layer& layer, const Sequence& sequence, Index size) {
  const Rows& rows = layer.rows;
  for (Index place = 0; place < rows.batch; ++place)
    for (Index time = rows.length[place]; time < rows.time; ++time)
      std::memset(static_cast<T*>(sequence.data) + time * sequence.time_stride + rows.order[place] * sequence.batch_stride, 0,
                  static_cast<std::size_t>(size) * sizeof(T));
}

bool is_regularised(const Layer& layer) {
  const Direction& d = layer.direction[0];
  return layer.reset || d.recurrent_dropout || d.candidate_dropout.data || d.zoneout[0].data || d.zoneout[1].data;
}

template <class Cell, class Engine, bool Projected, bool Regularised>
struct Run {
  using T = typename Engine::Scalar;

  static int threads_of(const Layer& layer, Index work) {
    return static_cast<int>(smaller(smaller(layer.threads, most_threads), 1 + work / Engine::work_of_thread));
  }

  static void forward(const Layer& layer) {
    using Pass = Forward<Cell, Engine, Projected, Regularised>;
    Pass passes[2] = {{layer, layer.direction[0]}, {layer, layer.direction[1]}};
    Scratch shared(static_cast<std::size_t>(layer.directions) * passes[0].shared_size());
    for (int i = 0; i < layer.directions; ++i) {
      passes[i].take_shared(shared);
      clear_padding<T>(layer, layer.direction[i].output, layer.output_size);
    }
    const Index work = layer.rows.valid * layer.directions * passes[0].step_work();
    run_pass(layer, passes, threads_of(layer, work));
  }

  static void backward(const Layer& layer) {
    using Pass = Backward<Cell, Engine, Projected, Regularised>;
    Pass passes[2] = {{layer, layer.direction[0]}, {layer, layer.direction[1]}};
    const int directions = layer.directions;
    const int threads = threads_of(layer, layer.rows.valid * directions * passes[0].step_work());
    Scratch shared(static_cast<std::size_t>(directions) * passes[0].shared_size());
    for (int i = 0; i < directions; ++i) passes[i].take_shared(shared);
    run_pass(layer, passes, threads);
    run_gradients(layer, passes, threads);
  }

  // What remains once the derivatives of all steps are there.
  template <class Pass>
  static void run_gradients(const Layer& layer, Pass* passes, int threads) {
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

  template <class Of>
  static Index total(const Of* of, int directions, Index (Of::*tasks)() const) {
    Index sum = 0;
    for (int i = 0; i < directions; ++i) sum += (of[i].*tasks)();
    return sum;
  }

  // Does the tasks of both directions that are numbered from `first` on, each in whichever thread asks for it. `task` is
  // the number that this thread holds, and after these tasks one beyond them.
  template <class Of, class Do>
  static void each_task(Of* of, int directions, Index first, Index& task, Counter& counter, const Do& run, Index (Of::*tasks)() const) {
    const Index end = first + total(of, directions, tasks);
    for (; task < end; task = counter.next()) {
      Index own = task - first, direction = 0;
      for (; own >= (of[direction].*tasks)(); ++direction) own -= (of[direction].*tasks)();
      run(of[direction], own);
    }
  }
};

template <class Cell, class Engine>
void forward_of(const Layer& layer) {
  const bool regularised = is_regularised(layer);
  if constexpr (Cell::states > 1) {
    if (layer.projected) return regularised ? Run<Cell, Engine, true, true>::forward(layer) : Run<Cell, Engine, true, false>::forward(layer);
  }
  regularised ? Run<Cell, Engine, false, true>::forward(layer) : Run<Cell, Engine, false, false>::forward(layer);
}

template <class Cell, class Engine>
void backward_of(const Layer& layer) {
  const bool regularised = is_regularised(layer);
  if constexpr (Cell::states > 1) {
    if (layer.projected) return regularised ? Run<Cell, Engine, true, true>::backward(layer) : Run<Cell, Engine, true, false>::backward(layer);
  }
  regularised ? Run<Cell, Engine, false, true>::backward(layer) : Run<Cell, Engine, false, false>::backward(layer);
}

#define NAME(name, cell) #name,
constexpr const char* cell_names[] = {THROUGHTIME_CELLS(NAME) nullptr};

// Calls use.template operator()<Cell>() with the struct of the cell of this number.
template <class Use>
auto with_cell(int number, const Use& use) {
  int place = 0;
#define TRY(name, cell) \
  if (number == place++) return use.template operator()<cell>();
  THROUGHTIME_CELLS(TRY)
  return use.template operator()<Gru>();
}

#if !defined(__AMX_BF16__)
// Whether packing the weights would cost more than it saves.
bool is_short(const Layer& layer) {
  constexpr Index few_steps = 8;
  return !layer.double_precision && layer.rows.batch <= Dots::most_rows && layer.rows.steps <= few_steps && !is_regularised(layer);
}

template <class Cell>
void forward_unpacked(const Layer& layer) {
  if constexpr (Cell::states > 1)
    if (layer.projected) return Run<Cell, Dots, true, false>::forward(layer);
  Run<Cell, Dots, false, false>::forward(layer);
}
#endif

void forward(const Layer& layer) {
  with_cell(layer.cell, [&]<class Cell>() {
#if defined(__AMX_BF16__)
    forward_of<Cell, Amx>(layer);
#else
    if (layer.weight_format != WeightFormat::scalar || is_short(layer)) return forward_unpacked<Cell>(layer);
    layer.double_precision ? forward_of<Cell, Fma<double>>(layer) : forward_of<Cell, Fma<float>>(layer);
#endif
  });
}

void backward(const Layer& layer) {
  with_cell(layer.cell, [&]<class Cell>() {
#if defined(__AMX_BF16__)
    backward_of<Cell, Amx>(layer);
#else
    layer.double_precision ? backward_of<Cell, Fma<double>>(layer) : backward_of<Cell, Fma<float>>(layer);
#endif
  });
}

int saved_slots(int cell, bool projected) {
  return with_cell(cell, [&]<class Cell>() { return static_cast<int>(projected ? saved_slot_count<Cell, true>() : saved_slot_count<Cell, false>()); });
}

}  // namespace

word2vec::Report train_word_vectors(const word2vec::Round& round);  // in word2vec/training.cpp

extern const Kernels kernels;
const Kernels kernels = {TEXT(INSTRUCTION_SET), forward, backward, saved_slots, lanes<float>, lanes<double>, cell_names,
                         train_word_vectors};

}  // namespace throughtime::INSTRUCTION_SET
