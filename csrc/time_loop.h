// What the forward and the backward loop share: sizes, who computes which units of which rows, and where a row's step
// lies in the caller's tensors.
#pragma once

#include "cells/cell.h"
#include "amx.h"
#include "dots.h"
#include "fma.h"
#include "normalisation.h"
#include "pairs.h"
#include "threads.h"
#include "workspace.h"

namespace throughtime::INSTRUCTION_SET {

#if defined(__AMX_BF16__)
using Bfloat16 = Amx;
#elif defined(__AVX512BF16__)
using Bfloat16 = Pairs;
#endif

inline constexpr Index most_tile_rows = 64;    // rows between a product and what follows it: their sums stay in the L1 cache

template <class T>
struct Sizes {
  static constexpr int V = lanes<T>;

  explicit Sizes(const Layer& layer)
      : input(layer.input_size),
        hidden(layer.hidden_size),
        output(layer.output_size),
        hidden_vectors(ceiling(hidden, V)),
        output_vectors(ceiling(output, V)),
        padded_hidden(hidden_vectors * V),
        padded_output(output_vectors * V) {}

  Index input, hidden, output;
  Index hidden_vectors, output_vectors;
  Index padded_hidden, padded_output;
};

// The rows and the units of one thread: rows [first, first + rows) by place, and its share of the units among the
// threads that run the same rows.
struct Share {
  Index first, rows;
  int member, members;
  Barrier* barrier;

  void wait() const { barrier->wait(members); }

  // Vectors of units [begin, end) out of `vectors`, in whole granules.
  void units(Index vectors, Index granule, Index& begin, Index& end) const {
    const Index granules = ceiling(vectors, granule);
    begin = smaller(granules * member / members * granule, vectors);
    end = smaller(granules * (member + 1) / members * granule, vectors);
  }

  // How many of these rows run at step s; none after the last step.
  Index running(const Rows& all, Index s) const {
    const Index count = (s < all.steps ? all.running[s] : 0) - first;
    return count < 0 ? 0 : smaller(count, rows);
  }
};

// Step s of the row at a place, in a tensor (time, batch, feature).
template <class T>
struct Places {
  const Rows& rows;
  bool reverse;

  Index time(Index s, Index place) const { return reverse ? rows.length[place] - 1 - s : s; }

  T* at(const Sequence& sequence, Index s, Index place) const {
    return static_cast<T*>(sequence.data) + time(s, place) * sequence.time_stride +
           rows.order[place] * sequence.batch_stride;
  }
};

// 0 where the state before step s of a row is reset, else 1.
inline bool is_reset(const Layer& layer, const Direction& direction, Index s, Index place) {
  if (!layer.reset) return false;
  const Rows& rows = layer.rows;
  const Index time = direction.reverse ? rows.length[place] - 1 - s : s;
  return layer.reset[time * rows.batch + rows.order[place]] != 0;
}

constexpr int widest_gates(const Stage& stage, const Product* products) {
  int most = 0;
  for (int j = 0; j < stage.products; ++j)
    if (products[stage.product[j]].gates > most) most = products[stage.product[j]].gates;
  return most;
}

template <class Cell>
constexpr int stage_count() {
  if constexpr (requires { Cell::stage_count; })
    return Cell::stage_count;
  else
    return static_cast<int>(sizeof(Cell::stages) / sizeof(Stage));
}

template <class Cell>
constexpr int product_count() {
  if constexpr (requires { Cell::product_count; })
    return Cell::product_count;
  else
    return static_cast<int>(sizeof(Cell::products) / sizeof(Product));
}

template <class Cell>
constexpr bool has_diagonal() {
  if constexpr (requires { Cell::has_diagonal; })
    return Cell::has_diagonal;
  else
    return false;
}

// What is saved of a row for the backward pass, in units of the padded hidden size: the cell's own values, the output
// before the projection, and what the products of a normalised cell gave, [side][gate].
template <class Cell, bool Projected>
constexpr Index first_raw_slot() {
  return Cell::saved_slots + (Projected ? 1 : 0);
}
template <class Cell, bool Projected>
constexpr Index saved_slot_count() {
  return first_raw_slot<Cell, Projected>() + (is_normalised<Cell>() ? sides * Cell::gates : 0);
}

// Panels [begin, end), `at_once` at a time, in alternating order from step to step: what a step has read last is still
// in the cache when the next one begins, which counts where a step's weights are a little larger than the cache.
template <class Body>
ALWAYS_INLINE void each_panel(Index begin, Index end, Index at_once, Index s, const Body& body) {
  const Index count = ceiling(end - begin, at_once);
  for (Index i = 0; i < count; ++i) {
    const Index panel = begin + (s & 1 ? count - 1 - i : i) * at_once;
    body(panel, smaller(at_once, end - panel));
  }
}

}  // namespace throughtime::INSTRUCTION_SET
