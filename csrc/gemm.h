// Matrix products by fused multiply-add. The right factor is packed into panels: a panel is `Vectors` vectors wide
// and as deep as the product, element (k, column) at panel[k * width + column], so that a tile of some rows by one
// panel keeps all its sums in registers. Each sum is taken in the same order whatever the tile, in blocks of k that are
// summed apart and then together, which loses less: a result depends neither on the rows beside it nor on the number
// of threads.
#pragma once

#include "simd.h"

namespace throughtime::INSTRUCTION_SET {

// Whether the sums of a tile leave registers for a row of the panel and one broadcast value, or for the broadcast values
// of all rows and one vector of the panel.
constexpr bool holds_panel_row(int rows, int vectors) { return rows * vectors + vectors + 1 <= vector_registers; }
constexpr bool holds_values(int rows, int vectors) { return rows * vectors + rows + 1 <= vector_registers; }

// The most rows of a tile.
constexpr int tile_rows(int vectors) {
  int rows = 1;
  while (rows < 12 && (holds_panel_row(rows + 1, vectors) || holds_values(rows + 1, vectors))) ++rows;
  return rows;
}

// What a product's factors hold, E, and what its sums are.
template <class E>
struct Factors {
  using Sum = E;
  static ALWAYS_INLINE Vec<E> add_product(Vec<E> sum, Vec<E> a, Vec<E> b) { return sum + a * b; }
};
template <class E>
using Sum = typename Factors<E>::Sum;

// The left factor: element (row, k) at data[row * row_stride + k * k_stride].
template <class E>
struct Left {
  const E* data;
  Index row_stride;
  Index k_stride = 1;
};

// C (+)= A B for `Rows` rows and `Panels` panels that lie `panel_stride` elements apart.
// init: one row of first sums for each panel, null for zero; with `accumulate` the sums are added to C.
// c: row r of panel p at c[p * c_panel_stride + r * c_row_stride].
template <class E, int Rows, int Vectors, int Panels, bool Transposed>
inline void tile(Index depth, Left<E> a, const E* b, Index panel_stride, const Sum<E>* init, bool accumulate, Sum<E>* c,
                 Index c_row_stride, Index c_panel_stride) {
  using T = Sum<E>;
  constexpr int V = lanes<T>;
  constexpr int width = Vectors * V, vectors_of_line = 64 / vector_bytes;
  Vec<T> sum[Panels][Rows][Vectors];
#pragma GCC unroll 64
  for (int p = 0; p < Panels; ++p)
#pragma GCC unroll 64
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 64
      for (int v = 0; v < Vectors; ++v)
        sum[p][r][v] = init ? load(init + p * width + v * V) : Vec<T>{};
  const Index row_stride = Transposed ? 1 : a.row_stride;
  const Index k_stride = Transposed ? a.k_stride : 1;
  const E* left = a.data;
  [[maybe_unused]] constexpr int turns = vector_registers < 32 ? 2 : 1;  // a small tile's products hide little of the loop's own work
#pragma GCC unroll turns
  for (Index k = 0; k < depth; ++k) {
#pragma GCC unroll 64
    for (int p = 0; p < Panels; ++p) {
      const E* right = b + p * panel_stride;
#pragma GCC unroll 64
      for (int v = 0; v < Vectors; v += vectors_of_line) __builtin_prefetch(right + v * V + 16 * width);
      if constexpr (holds_panel_row(Rows, Vectors)) {
        Vec<E> row[Vectors];
#pragma GCC unroll 64
        for (int v = 0; v < Vectors; ++v) row[v] = load(right + v * V);
#pragma GCC unroll 64
        for (int r = 0; r < Rows; ++r) {
          const Vec<E> value = broadcast(left[r * row_stride]);
#pragma GCC unroll 64
          for (int v = 0; v < Vectors; ++v) sum[p][r][v] = Factors<E>::add_product(sum[p][r][v], value, row[v]);
        }
      } else {
        Vec<E> value[Rows];
#pragma GCC unroll 64
        for (int r = 0; r < Rows; ++r) value[r] = broadcast(left[r * row_stride]);
#pragma GCC unroll 64
        for (int v = 0; v < Vectors; ++v) {
          const Vec<E> column = load(right + v * V);
#pragma GCC unroll 64
          for (int r = 0; r < Rows; ++r) sum[p][r][v] = Factors<E>::add_product(sum[p][r][v], value[r], column);
        }
      }
    }
    left += k_stride;
    b += width;
  }
#pragma GCC unroll 64
  for (int p = 0; p < Panels; ++p)
#pragma GCC unroll 64
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 64
      for (int v = 0; v < Vectors; ++v) {
        T* to = c + p * c_panel_stride + r * c_row_stride + v * V;
        store(to, accumulate ? load(to) + sum[p][r][v] : sum[p][r][v]);
      }
}

// One tile of a number of rows that is known only at run time.
template <class E, int Vectors, bool Transposed, int Rows = tile_rows(Vectors)>
ALWAYS_INLINE void tile_of(Index rows, Index depth, Left<E> a, const E* b, const Sum<E>* init, bool accumulate, Sum<E>* c,
                           Index c_row_stride) {
  if constexpr (Rows > 1) {
    if (rows < Rows) return tile_of<E, Vectors, Transposed, Rows - 1>(rows, depth, a, b, init, accumulate, c, c_row_stride);
  }
  tile<E, Rows, Vectors, 1, Transposed>(depth, a, b, 0, init, accumulate, c, c_row_stride, 0);
}

// Panels that one or two rows take side by side, because one panel's sums alone could not hide the latency.
template <int Vectors>
inline constexpr int side_by_side = vector_registers >= 32 ? (Vectors == 1 ? 8 : 4) : 2;

template <class E, int Vectors, bool Transposed>
void multiply_block(Index rows, Index panels, Index depth, Left<E> a, const E* b, Index panel_stride, const Sum<E>* init,
              bool accumulate, Sum<E>* c, Index c_row_stride, Index c_panel_stride) {
  constexpr int width = Vectors * lanes<E>;
  constexpr int most = tile_rows(Vectors), beside = side_by_side<Vectors>;
  Index panel = 0;
  if (rows == 1)
    for (; panel + beside <= panels; panel += beside)
      tile<E, 1, Vectors, beside, Transposed>(depth, a, b + panel * panel_stride, panel_stride,
                                              init ? init + panel * width : nullptr, accumulate,
                                              c + panel * c_panel_stride, c_row_stride, c_panel_stride);
  // Even blocks of rows: a block of many and a block of few would cost more.
  const Index blocks = ceiling(rows, most);
  for (; panel < panels; ++panel) {
    Index row = 0;
    for (Index block = 0; block < blocks; ++block) {
      const Index count = ceiling(rows - row, blocks - block);
      tile_of<E, Vectors, Transposed>(count, depth, {a.data + row * a.row_stride, a.row_stride, a.k_stride},
                                      b + panel * panel_stride, init ? init + panel * width : nullptr, accumulate,
                                      c + panel * c_panel_stride + row * c_row_stride, c_row_stride);
      row += count;
    }
  }
}

// C (+)= A B for any number of rows and some panels that follow each other, `panel_stride` apart.
// c: row r of panel p at c[p * c_panel_stride + r * c_row_stride].
template <class E, int Vectors, bool Transposed = false>
void multiply(Index rows, Index panels, Index depth, Left<E> a, const E* b, Index panel_stride, const Sum<E>* init,
              bool accumulate, Sum<E>* c, Index c_row_stride, Index c_panel_stride) {
  constexpr Index block = vector_bytes >= 64 ? 256 : 128;  // a panel's block stays in the L1 cache
  Index k = 0;
  do {
    multiply_block<E, Vectors, Transposed>(rows, panels, smaller(block, depth - k),
                                           {a.data + k * (Transposed ? a.k_stride : 1), a.row_stride, a.k_stride},
                                           b + k * Vectors * lanes<E>, panel_stride, k == 0 ? init : nullptr,
                                           accumulate || k > 0, c, c_row_stride, c_panel_stride);
    k += block;
  } while (k < depth);
}

}  // namespace throughtime::INSTRUCTION_SET
