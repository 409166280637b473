// Products of bfloat16 pairs with sums in float32 (AVX512_BF16), as an engine of the time loops: the loops of gemm.h with
// two multiply-adds for each of their one. A factor is one part, so that products are bfloat16's; splitting it into two
// would take three products, more than one of float32.
//
// The instruction rounds to nearest, ties to even, and counts numbers below float32's normal range as zero whatever the
// thread's settings say; the other engines count so under FlushDenormals.
#pragma once

#if defined(__AVX512BF16__)

#include "bfloat16.h"
#include "layer.h"

namespace throughtime::INSTRUCTION_SET {

template <>
struct Factors<Pair> {
  using Sum = float;
  static ALWAYS_INLINE Vec<float> add_product(Vec<float> sum, Vec<Pair> a, Vec<Pair> b) {
    return reinterpret_cast<Vec<float>>(
        _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
  }
};

class Pairs {
 public:
  using Scalar = float;
  using Element = Pair;
  static constexpr int V = lanes<float>;
  static constexpr bool packs = true;
  static constexpr bool takes_any_rows = true;
  static constexpr Index work_of_thread = 2000000;  // multiply-adds worth waking a thread for
  static constexpr int most_parts = 1;
  static constexpr Index least_rows(int) { return 1; }

  struct Session {};

  explicit Pairs(const Layer&) {}

  // In whole blocks of what is packed at once; only the depth that there is gets multiplied.
  Index panel_size(Index depth, int vectors) const { return packed_pairs(depth) * vectors * V; }
  Index left_size(Index rows, Index depth) const { return rows * left_stride(depth); }

  void pack_transposed(const PanelShape<float>& shape, const float* matrix, Index panel, Element* to) const {
    const Index width = shape.width();
    split_transposed(shape, matrix, panel, 1, width, [=](Index k, int, int vector) { return to + k / 2 * width + vector * V; });
  }
  void pack_plain(const PlainShape<float>& shape, const float* matrix, Index panel, Element* to) const {
    split_plain(shape, matrix, panel, 1, 4 * V, [=](Index k, int, int vector) { return to + k / 2 * 4 * V + vector * V; });
  }

  using Prepared = Left<Pair>;
  Prepared prepare(Index rows, Index depth, Left<float> left, Element* space) const {
    const Index stride = left_stride(depth);
    split_rows(rows, rows, depth, left, 1, [=](Index row, Index k, int) { return space + row * stride + k / 2; });
    return {space, stride};
  }

  static constexpr Index panels_at_once(Index rows) { return rows == 1 ? 8 : 1; }

  template <int Vectors>
  ALWAYS_INLINE void multiply(Index rows, Index panels, Index depth, Prepared left, const Element* packed, const float* bias,
                              float* sums) const {
    constexpr Index width = Vectors * V;
    throughtime::INSTRUCTION_SET::multiply<Pair, Vectors>(rows, panels, ceiling(depth, 2), left, packed, panel_size(depth, Vectors),
                                                          bias, false, sums, width, rows * width);
  }

  static constexpr Index depth_block = 256;
  static constexpr Index most_panels = 4;
  static constexpr Index strip_units = 192;
  static constexpr Index sum_rows(Index units) { return units; }
  Index transposed_size(Index units, Index depth) const { return transposed_stride(units) * ceiling(depth, 2); }
  Index right_size(Index panels) const { return panels * panel_size(depth_block, 4); }

  Prepared prepare_transposed(Index units, Index depth, const float* data, Index stride, Element* space) const {
    const Index pair_stride = transposed_stride(units);
    for (Index pair = 0; pair < ceiling(depth, 2); ++pair)
      for (Index unit = 0; unit < units; unit += V)
        split_row_pair(data + unit, stride, depth, pair, units - unit, 1,
                       [&](int, __m512i pairs) { _mm512_storeu_si512(space + pair * pair_stride + unit, pairs); });
    return {space, 1, pair_stride};
  }

  void pack_right_pair(Index k, RightRow<float> first, RightRow<float> second, Index used, Element* to) const {
    constexpr Index width = 4 * V;
    for (Index column = 0; column < rounded_up(used, width); column += V) {
      Element* pairs = to + column / width * panel_size(depth_block, 4) + k / 2 * width + column % width;
      split_pair((__m512)first.load(column, used), (__m512)second.load(column, used), 1,
                 [&](int, __m512i values) { _mm512_storeu_si512(pairs, values); });
    }
  }
  void clear_right(Index, Index, Element*) const {}

  void accumulate(Index units, Index panels, Index depth, Prepared left, const Element* right, float* sums) const {
    constexpr Index width = 4 * V, rows = tile_rows(4);
    for (Index unit = 0; unit < units; unit += rows)
      throughtime::INSTRUCTION_SET::multiply<Pair, 4, true>(smaller(rows, units - unit), panels, ceiling(depth, 2),
                                                            {left.data + unit, 1, left.k_stride}, right, panel_size(depth_block, 4),
                                                            nullptr, true, sums + unit * width, width, units * width);
  }

 private:
  static constexpr Index packed_pairs(Index depth) { return rounded_up(depth, packed_depth) / 2; }
  static constexpr Index left_stride(Index depth) { return spread<Pair>(packed_pairs(depth)); }
  static constexpr Index transposed_stride(Index units) { return spread<Pair>(units); }
};

}  // namespace throughtime::INSTRUCTION_SET

#endif
