// Factors of products in bfloat16, two neighbours in depth to a pair: what tiles (amx.h) and vectors (pairs.h) multiply. A
// float32 factor is split into 1, 2 or 3 bfloat16 parts, each the rounded rest of those before. How the pairs lie differs
// between the engines, which say so by a function: place(k, part, vector) is where those of 16 columns and 32 rows of
// depth from k on begin, 16 pairs side by side, with the next 16 `stride` further on.
#pragma once

#if defined(__AVX512BF16__)

#include "gemm.h"
#include "packing.h"

namespace throughtime::INSTRUCTION_SET {

using Pair = std::uint32_t;
inline constexpr int pair_lanes = lanes<Pair>;
inline constexpr Index packed_depth = 2 * pair_lanes;  // depth that is packed at once

ALWAYS_INLINE __m512 load_some(const float* from, Index count) {
  return reinterpret_cast<__m512>(count > 0 ? load_first(from, count) : Vec<float>{});
}

ALWAYS_INLINE __m512i rounded_to_bfloat16(__m512 values) {  // as float32
  const __m256i half = (__m256i)_mm512_cvtneps_pbh(values);
  return _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

// What rounding leaves over; nothing of an infinity.
ALWAYS_INLINE __m512 rest_of(__m512 values) {
  const __m512 left = _mm512_sub_ps(values, _mm512_castsi512_ps(rounded_to_bfloat16(values)));
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(left, left, _CMP_EQ_OQ), left);
}

// Calls give(part, pairs) with the parts of 32 numbers, in their order.
template <class Give>
ALWAYS_INLINE void split(__m512 low, __m512 high, int parts, const Give& give) {
  for (int part = 0;; ++part) {
    give(part, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    if (part + 1 == parts) return;
    low = rest_of(low);
    high = rest_of(high);
  }
}

// As split, of 16 numbers of each of two rows, side by side in pairs.
template <class Give>
ALWAYS_INLINE void split_pair(__m512 first, __m512 second, int parts, const Give& give) {
  for (int part = 0;; ++part) {
    const __m512i a = _mm512_srli_epi32(rounded_to_bfloat16(first), 16), b = rounded_to_bfloat16(second);
    give(part, _mm512_or_si512(a, b));
    if (part + 1 == parts) return;
    first = rest_of(first);
    second = rest_of(second);
  }
}

// 16 x 16 pairs.
ALWAYS_INLINE void transpose_pairs(const Pair (*from)[pair_lanes], Pair* to, Index stride) {
  __m512i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_load_si512(from[i]);
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    _mm512_storeu_si512(to + i * stride, _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88));
    _mm512_storeu_si512(to + (i + 4) * stride, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88));
    _mm512_storeu_si512(to + (i + 8) * stride, _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd));
    _mm512_storeu_si512(to + (i + 12) * stride, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd));
  }
}

// The left factor, as it lies: place(row, k, part) takes the 16 pairs of a row from depth k on. Rows behind the last are zero.
template <class Place>
void split_rows(Index rows, Index padded_rows, Index depth, Left<float> left, int parts, const Place& place) {
  for (Index row = 0; row < padded_rows; ++row)
    for (Index k = 0; k < depth; k += packed_depth) {
      const float* from = left.data + row * left.row_stride + k;
      const Index count = row < rows ? depth - k : 0;
      split(load_some(from, count), load_some(from + pair_lanes, count - pair_lanes), parts,
            [&](int part, __m512i pairs) { _mm512_storeu_si512(place(row, k, part), pairs); });
    }
}

template <class Place>
void split_transposed(const PanelShape<float>& shape, const float* matrix, Index panel, int parts, Index stride, const Place& place) {
  for (Index k = 0; k < shape.depth; k += packed_depth)
    for (int vector = 0; vector < shape.vectors(); ++vector) {
      // A column's pairs follow each other in a row of the matrix: convert 16 rows, then transpose the pairs.
      alignas(64) Pair pairs[3][pair_lanes][pair_lanes];
      for (int lane = 0; lane < pair_lanes; ++lane) {
        const Index unit = (panel * shape.span + vector % shape.span) * pair_lanes + lane;
        const float* row = matrix + ((shape.first + vector / shape.span) * shape.units + unit) * shape.depth + k;
        const Index count = unit < shape.units ? shape.depth - k : 0;
        split(load_some(row, count), load_some(row + pair_lanes, count - pair_lanes), parts,
              [&](int part, __m512i values) { _mm512_store_si512(pairs[part][lane], values); });
      }
      for (int part = 0; part < parts; ++part) transpose_pairs(pairs[part], place(k, part, vector), stride);
    }
}

template <class Place>
void split_plain(const PlainShape<float>& shape, const float* matrix, Index panel, int parts, Index stride, const Place& place) {
  for (Index k = 0; k < shape.depth(); k += packed_depth)
    for (int vector = 0; vector < 4; ++vector) {
      const Index column = (panel * 4 + vector) * pair_lanes, count = shape.columns - column;
      for (Index pair = 0; pair < pair_lanes; ++pair) {
        const float* first = shape.row(matrix, k + 2 * pair);
        const float* second = shape.row(matrix, k + 2 * pair + 1);
        split_pair(load_some(first ? first + column : nullptr, first ? count : 0),
                   load_some(second ? second + column : nullptr, second ? count : 0), parts,
                   [&](int part, __m512i pairs) { _mm512_storeu_si512(place(k, part, vector) + pair * stride, pairs); });
      }
    }
}

// Pairs of rows 2 * pair and 2 * pair + 1 of `depth` rows that lie `stride` apart, `count` columns; zero behind the last row.
template <class Give>
ALWAYS_INLINE void split_row_pair(const float* data, Index stride, Index depth, Index pair, Index count, int parts, const Give& give) {
  const float* from = data + 2 * pair * stride;
  split_pair(load_some(from, 2 * pair < depth ? count : 0), load_some(from + stride, 2 * pair + 1 < depth ? count : 0), parts, give);
}

}  // namespace throughtime::INSTRUCTION_SET

#endif
