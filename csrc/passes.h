// A pass over a layer: how its rows and units are divided among threads, and the threads that run it.
#pragma once

#include <vector>

#include "cells/list.h"
#include "time_loop.h"

namespace throughtime::INSTRUCTION_SET {

// Weights of this size stay in one core's L2 cache beside what else a step needs.
inline constexpr std::size_t cache_bytes = 1600 * 1024;

inline constexpr int most_threads = 64;

// How rows and units are divided among threads.
struct Division {
  Index groups;      // of rows, each run by a team through all steps
  Index group_rows;
  int team;         // threads of a team, which share the units of each step
};

// Rows are divided where each thread can have its own: then nobody waits for anybody. Units are divided where there
// are too few rows, or where the weights fit into the caches of all threads together only.
inline Division divide(Index batch, int directions, int threads, std::size_t step_bytes, Index step_work, Index most_shared_rows) {
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

// The first row of each group, and the end of the last. Rows of unequal lengths are divided so that each group has about
// as many valid ones: else the thread with the longest would be waited for.
inline std::vector<Index> first_rows(const Rows& rows, Index groups, bool of_equal_work) {
  std::vector<Index> first(static_cast<std::size_t>(groups) + 1);
  Index row = 0, before = 0;  // valid rows
  for (Index group = 1; group <= groups; ++group) {
    const Index most = rows.batch - (groups - group);
    if (!of_equal_work)
      row = group * rows.batch / groups;
    else if (group == groups)
      row = rows.batch;
    else
      for (; row < most && (row < first[group - 1] + 1 || (2 * before + rows.length[row]) * groups <= 2 * group * rows.valid); ++row)
        before += rows.length[row];
    first[group] = row;
  }
  return first;
}

template <class Pass>
void run_pass(const Layer& layer, Pass* passes, int threads) {
  Division division =
      divide(layer.rows.batch, layer.directions, threads, passes[0].step_bytes(), passes[0].step_work(), Pass::most_shared_rows);
  const int directions = layer.directions;
  const bool split_units = division.team > 1;
  if (!split_units) threads = static_cast<int>(smaller(threads, larger(division.groups * directions, 1)));
  const bool ragged = layer.rows.valid < layer.rows.batch * layer.rows.steps;
  const std::vector<Index> first = first_rows(layer.rows, division.groups, ragged && Pass::takes_any_rows);
  for (Index i = 0; i < division.groups; ++i) division.group_rows = larger(division.group_rows, first[i + 1] - first[i]);
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
      passes[direction].run({first[index], first[index + 1] - first[index], 0, 1, &own}, group[id], thread[id]);
    }
  });
}

template <class Engine>
int threads_of(const Layer& layer, Index work) {
  return static_cast<int>(smaller(smaller(layer.threads, most_threads), 1 + work / Engine::work_of_thread));
}

inline bool is_regularised(const Layer& layer) {
  const Direction& d = layer.direction[0];
  return layer.reset || d.recurrent_dropout || d.candidate_dropout.data || d.zoneout[0].data || d.zoneout[1].data;
}

// Whether packing the weights would cost more than it saves.
inline bool is_short(const Layer& layer) {
  constexpr Index few_steps = 8;
  return !layer.double_precision && layer.rows.batch <= Dots::most_rows && layer.rows.steps <= few_steps && !is_regularised(layer);
}

// Calls use.template operator()<Cell>() with the struct of the cell of this number.
template <class Use>
auto with_cell(int number, const Use& use) {
  int place = 0;
#define TRY(name, cell) \
  if (number == place++) return use.template operator()<cell>();
  THROUGHTIME_CELLS(TRY)
  return use.template operator()<Gru>();
}

}  // namespace throughtime::INSTRUCTION_SET
