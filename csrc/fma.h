// Products by fused multiply-add, as an engine of the time loops: how weights are packed, how the left factor is
// prepared, and how the two are multiplied. The other engines are pairs.h, amx.h and dots.h.
#pragma once

#include "gemm.h"
#include "layer.h"
#include "packing.h"

namespace throughtime::INSTRUCTION_SET {

template <class T>
class Fma {
 public:
  using Scalar = T;
  using Element = T;  // of packed factors
  static constexpr int V = lanes<T>;
  static constexpr bool packs = true;
  static constexpr bool takes_any_rows = true;  // at about the same cost for each
  static constexpr Index work_of_thread = 2000000;  // multiply-adds worth waking a thread for

  // What a thread needs around its products.
  struct Session {};

  explicit Fma(const Layer&) {}

  // Elements of one panel of this depth, and of a prepared left factor.
  Index panel_size(Index depth, int vectors) const { return depth * vectors * V; }
  Index left_size(Index, Index) const { return 0; }

  // A panel of blocks of a matrix for operand × matrixᵀ; of rows of matrices for derivatives × matrix.
  void pack_transposed(const PanelShape<T>& shape, const T* matrix, Index panel, Element* to) const {
    throughtime::INSTRUCTION_SET::pack_transposed(shape, matrix, panel, to);
  }
  void pack_plain(const PlainShape<T>& shape, const T* matrix, Index panel, Element* to) const {
    throughtime::INSTRUCTION_SET::pack_plain(shape, matrix, panel, to);
  }

  // The left factor, ready for any number of panels; `space` has left_size elements and must outlive it.
  using Prepared = Left<T>;
  Prepared prepare(Index, Index, Left<T> left, Element*) const { return left; }

  // Panels that are best taken at once.
  static constexpr Index panels_at_once(Index rows) { return rows == 1 ? 8 : 1; }

  // sums[panel][row] = left × panel + bias; bias null for zero. `sums` has room for rows in full tiles of 16.
  template <int Vectors>
  ALWAYS_INLINE void multiply(Index rows, Index panels, Index depth, Prepared left, const Element* packed, const T* bias,
                              T* sums) const {
    constexpr Index width = Vectors * V;
    throughtime::INSTRUCTION_SET::multiply<T, Vectors>(rows, panels, depth, left, packed, depth * width, bias, false, sums,
                                                       width, rows * width);
  }

  // The weights' derivatives: a sum over `depth` valid rows, at most this many at a time.
  static constexpr Index depth_block = 128;  // a panel of the right factor stays in the L1 cache
  static constexpr Index most_panels = 4;
  static constexpr Index strip_units = 192;
  static constexpr Index sum_rows(Index units) { return units; }
  Index transposed_size(Index, Index) const { return 0; }
  Index right_size(Index panels) const { return panels * depth_block * 4 * V; }

  // derivatives: element (row, unit) at data[row * stride + unit]. right: panels of 4 vectors, depth_block rows each.
  Prepared prepare_transposed(Index, Index, const T* data, Index stride, Element*) const { return {data, 1, stride}; }

  // Rows k and k + 1 of the right factor, `used` columns, into its panels; and what must be zero behind `depth` rows.
  void pack_right_pair(Index k, RightRow<T> first, RightRow<T> second, Index used, Element* to) const {
    constexpr Index width = 4 * V;
    for (Index column = 0; column < rounded_up(used, width); column += V) {
      T* out = to + column / width * depth_block * width + k * width + column % width;
      store(out, first.load(column, used));
      if (k + 1 < depth_block) store(out + width, second.load(column, used));
    }
  }
  void clear_right(Index, Index, Element*) const {}

  // sums[panel][unit] += derivativesᵀ × right
  void accumulate(Index units, Index panels, Index depth, Prepared left, const Element* right, T* sums) const {
    constexpr Index width = 4 * V, rows = tile_rows(4);
    // A tile's columns of the left factor stay in the L1 cache for all panels.
    for (Index unit = 0; unit < units; unit += rows)
      throughtime::INSTRUCTION_SET::multiply<T, 4, true>(smaller(rows, units - unit), panels, depth,
                                                         {left.data + unit, 1, left.k_stride}, right, depth_block * width,
                                                         nullptr, true, sums + unit * width, width, units * width);
  }
};

}  // namespace throughtime::INSTRUCTION_SET
