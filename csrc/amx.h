// Products of bfloat16 tiles with sums in float32 (Intel AMX), as an engine of the time loops. A float32 factor is split
// into 1, 2 or 3 bfloat16 parts, each the rounded rest of those before: with one part the products are bfloat16's, with
// two (3 products) the error is about 2^-16, with three (6 products) that of float32 itself.
//
// A tile is 16 rows of 64 bytes. Left factor: [row tile][depth block][part] tiles of 16 rows x 32. Panel: [depth
// block][part][vector] tiles of 16 pairs of depth x 16 columns x the two of a pair.
#pragma once

#if defined(__AMX_BF16__)

#include "gemm.h"
#include "layer.h"
#include "packing.h"

namespace throughtime::INSTRUCTION_SET {

template <int tile>
ALWAYS_INLINE void tile_load(const void* from, Index stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
ALWAYS_INLINE void tile_store(void* to, Index stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
ALWAYS_INLINE void tile_clear() {
  asm volatile("tilezero %%tmm%c0" ::"i"(tile));
}
template <int sum, int left, int right>
ALWAYS_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(left), "i"(right));
}

template <int value>
struct Number {
  static constexpr int n = value;
};
template <int count, class Body>
ALWAYS_INLINE void repeat(const Body& body) {
  if constexpr (count > 0) {
    repeat<count - 1>(body);
    body(Number<count - 1>{});
  }
}

class Amx {
 public:
  using Scalar = float;
  using Element = std::uint16_t;
  static constexpr int V = 16;
  static constexpr bool packs = true;
  static constexpr bool takes_any_rows = false;  // a tile costs the same with fewer
  static constexpr Index work_of_thread = 2000000;  // multiply-adds worth waking a thread for
  static constexpr Index tile = 512;      // elements
  static constexpr Index tile_depth = 32;
  static constexpr Index tile_rows = 16;

  struct Session {
    Session() {
      struct alignas(64) Configuration {
        std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
        std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
      };
      static const Configuration configuration;
      asm volatile("ldtilecfg %0" ::"m"(configuration) : "memory");
    }
    ~Session() { asm volatile("tilerelease"); }
  };

  explicit Amx(const Layer& layer) : parts_(layer.bfloat16_parts) {}

  Index panel_size(Index depth, int vectors) const { return ceiling(depth, tile_depth) * parts_ * vectors * tile; }
  Index left_size(Index rows, Index depth) const {
    return ceiling(rows, tile_rows) * ceiling(depth, tile_depth) * parts_ * tile;
  }

  void pack_transposed(const PanelShape<float>& shape, const float* matrix, Index panel, Element* to) const {
    for (Index k = 0; k < shape.depth; k += tile_depth)
      for (int vector = 0; vector < shape.vectors(); ++vector) {
        // A column's pairs follow each other in a row of the matrix: convert 16 rows, then transpose the pairs.
        alignas(64) std::uint32_t pairs[3][16][16];
        for (int lane = 0; lane < V; ++lane) {
          const Index unit = (panel * shape.span + vector % shape.span) * V + lane;
          const float* row = matrix + ((shape.first + vector / shape.span) * shape.units + unit) * shape.depth + k;
          const Index count = unit < shape.units ? shape.depth - k : 0;
          split(load_some(row, count), load_some(row + V, count - V),
                [&](int part, __m512i values) { _mm512_store_si512(pairs[part][lane], values); });
        }
        for (int part = 0; part < parts_; ++part)
          transpose(pairs[part], at(to, k, part, vector, shape.vectors()));
      }
  }

  void pack_plain(const PlainShape<float>& shape, const float* matrix, Index panel, Element* to) const {
    for (Index k = 0; k < shape.depth(); k += tile_depth)
      for (int vector = 0; vector < 4; ++vector) {
        const Index column = (panel * 4 + vector) * V, count = shape.columns - column;
        for (Index pair = 0; pair < tile_depth / 2; ++pair) {
          const float* first = shape.row(matrix, k + 2 * pair);
          const float* second = shape.row(matrix, k + 2 * pair + 1);
          split_pair(load_some(first ? first + column : nullptr, first ? count : 0),
                     load_some(second ? second + column : nullptr, second ? count : 0), [&](int part, __m512i values) {
                       _mm512_storeu_si512(at(to, k, part, vector, 4) + pair * 32, values);
                     });
        }
      }
  }

  struct Prepared {
    const Element* tiles;
  };
  Prepared prepare(Index rows, Index depth, Left<float> left, Element* space) const {
    Element* to = space;
    for (Index row = 0; row < rows; row += tile_rows)
      for (Index k = 0; k < depth; k += tile_depth) {
        for (Index r = 0; r < tile_rows; ++r) {
          const float* from = left.data + (row + r) * left.row_stride + k;
          const Index count = row + r < rows ? depth - k : 0;
          split(load_some(from, count), load_some(from + V, count - V),
                [&](int part, __m512i values) { _mm512_storeu_si512(to + part * tile + r * 32, values); });
        }
        to += parts_ * tile;
      }
    return {space};
  }

  static constexpr Index panels_at_once(Index) { return 1; }

  template <int Vectors>
  void multiply(Index rows, Index panels, Index depth, Prepared left, const Element* packed, const float* bias, float* sums) const {
    constexpr Index width = Vectors * V;
    for (Index panel = 0; panel < panels; ++panel)
      rows_of_panel<Vectors>(rows, ceiling(depth, tile_depth), left.tiles, packed + panel * panel_size(depth, Vectors),
                             bias ? bias + panel * width : nullptr, false, sums + panel * rows * width);
  }

  static constexpr Index depth_block = 512;
  static constexpr Index most_panels = 8;
  static constexpr Index strip_units = 512;
  static constexpr Index sum_rows(Index units) { return rounded_up(units, tile_rows); }
  Index transposed_size(Index units, Index depth) const { return left_size(units, depth); }
  Index right_size(Index panels) const { return panels * panel_size(depth_block, 4); }

  Prepared prepare_transposed(Index units, Index depth, const float* data, Index stride, Element* space) const {
    Element* to = space;
    for (Index unit = 0; unit < units; unit += tile_rows)
      for (Index k = 0; k < depth; k += tile_depth) {
        alignas(64) std::uint32_t pairs[3][16][16];
        for (Index pair = 0; pair < tile_depth / 2; ++pair) {
          const float* from = data + (k + 2 * pair) * stride + unit;
          const Index count = units - unit;
          split_pair(load_some(from, k + 2 * pair < depth ? count : 0),
                     load_some(from + stride, k + 2 * pair + 1 < depth ? count : 0),
                     [&](int part, __m512i values) { _mm512_store_si512(pairs[part][pair], values); });
        }
        for (int part = 0; part < parts_; ++part) transpose(pairs[part], to + part * tile);
        to += parts_ * tile;
      }
    return {space};
  }

  void pack_right_pair(Index k, RightRow<float> first, RightRow<float> second, Index used, Element* to) const {
    constexpr Index width = 4 * V;
    for (Index column = 0; column < rounded_up(used, width); column += V) {
      Element* panel = to + column / width * panel_size(depth_block, 4);
      split_pair((__m512)first.load(column, used), (__m512)second.load(column, used), [&](int part, __m512i values) {
        _mm512_storeu_si512(at(panel, k, part, static_cast<int>(column % width / V), 4) + k % tile_depth / 2 * 32, values);
      });
    }
  }
  void clear_right(Index depth, Index used, Element* to) const {
    for (Index k = rounded_up(depth, 2); k % tile_depth != 0; k += 2) pack_right_pair(k, {}, {}, used, to);
  }

  void accumulate(Index units, Index panels, Index depth, Prepared left, const Element* right, float* sums) const {
    constexpr Index width = 4 * V;
    const Index padded = rounded_up(units, tile_rows);
    for (Index panel = 0; panel < panels; ++panel)
      rows_of_panel<4>(units, ceiling(depth, tile_depth), left.tiles, right + panel * panel_size(depth_block, 4), nullptr, true,
                       sums + panel * padded * width);
  }

 private:
  Element* at(Element* panel, Index k, int part, int vector, int vectors) const {
    return panel + ((k / tile_depth * parts_ + part) * vectors + vector) * tile;
  }

  static ALWAYS_INLINE __m512 load_some(const float* from, Index count) {
    if (count >= V) return _mm512_loadu_ps(from);
    if (count <= 0) return _mm512_setzero_ps();
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
  }

  static ALWAYS_INLINE __m512i rounded(__m512 values) {  // to bfloat16, as float32
    const __m256i half = (__m256i)_mm512_cvtneps_pbh(values);
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
  }

  // Calls give(part, values) with the parts of 32 numbers, in their order.
  template <class Give>
  ALWAYS_INLINE void split(__m512 low, __m512 high, const Give& give) const {
    for (int part = 0;; ++part) {
      give(part, (__m512i)_mm512_cvtne2ps_pbh(high, low));
      if (part + 1 == parts_) return;
      low = rest(low);
      high = rest(high);
    }
  }

  // As split, of 16 numbers of each of two rows, side by side in pairs.
  template <class Give>
  ALWAYS_INLINE void split_pair(__m512 first, __m512 second, const Give& give) const {
    for (int part = 0;; ++part) {
      const __m512i a = _mm512_srli_epi32(rounded(first), 16), b = rounded(second);
      give(part, _mm512_or_si512(a, b));
      if (part + 1 == parts_) return;
      first = rest(first);
      second = rest(second);
    }
  }

  // What rounding leaves over; nothing of an infinity.
  static ALWAYS_INLINE __m512 rest(__m512 values) {
    const __m512 left = _mm512_sub_ps(values, _mm512_castsi512_ps(rounded(values)));
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(left, left, _CMP_EQ_OQ), left);
  }

  // 16 x 16 pairs of bfloat16.
  static ALWAYS_INLINE void transpose(const std::uint32_t (*from)[16], Element* to) {
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
      _mm512_storeu_si512(to + i * 32, _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88));
      _mm512_storeu_si512(to + (i + 4) * 32, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88));
      _mm512_storeu_si512(to + (i + 8) * 32, _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd));
      _mm512_storeu_si512(to + (i + 12) * 32, _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd));
    }
  }

  template <int Vectors>
  void rows_of_panel(Index rows, Index blocks, const Element* left, const Element* panel, const float* bias, bool accumulate,
                     float* sums) const {
    constexpr Index width = Vectors * V;
    const Index left_tile = blocks * parts_ * tile;
    Index row = 0;
    if (parts_ == 1)
      for (; row + tile_rows < rows; row += 2 * tile_rows, left += 2 * left_tile)
        two_row_tiles<Vectors>(blocks, left, panel, bias, accumulate, sums + row * width);
    for (; row < rows; row += tile_rows, left += left_tile) {
      if (parts_ == 1)
        one_row_tile<Vectors, 1>(blocks, left, panel, bias, accumulate, sums + row * width);
      else if (parts_ == 2)
        one_row_tile<Vectors, 2>(blocks, left, panel, bias, accumulate, sums + row * width);
      else
        one_row_tile<Vectors, 3>(blocks, left, panel, bias, accumulate, sums + row * width);
    }
  }

  template <int sum, Index width>
  static ALWAYS_INLINE void begin_sum(const float* bias, bool accumulate, const float* sums, int vector) {
    if (accumulate)
      tile_load<sum>(sums + vector * V, width * 4);
    else if (bias)
      tile_load<sum>(bias + vector * V, 0);
    else
      tile_clear<sum>();
  }

  // Sums in tiles 0 to 3, the left factor's parts in 4 to 6, the right factor in 7. The small products come first.
  template <int Vectors, int parts>
  static void one_row_tile(Index blocks, const Element* left, const Element* panel, const float* bias, bool accumulate, float* sums) {
    constexpr Index width = Vectors * V;
    // Summed apart and then together, which loses less.
    const bool apart = parts > 1 && accumulate;
    repeat<Vectors>([&](auto v) { begin_sum<v.n, width>(bias, accumulate && !apart, sums, v.n); });
    for (Index block = 0; block < blocks; ++block) {
      repeat<parts>([&](auto part) { tile_load<4 + part.n>(left + part.n * tile, 64); });
      repeat<Vectors>([&](auto v) {
        repeat<parts>([&](auto part) {
          tile_load<7>(panel + (part.n * Vectors + v.n) * tile, 64);
          repeat<parts - part.n>([&](auto i) { tile_multiply<v.n, 4 + parts - part.n - 1 - i.n, 7>(); });
        });
      });
      left += parts * tile;
      panel += parts * Vectors * tile;
    }
    alignas(64) float own[parts > 1 ? tile_rows * width : 1];
    float* to = apart ? own : sums;
    repeat<Vectors>([&](auto v) { tile_store<v.n>(to + v.n * V, width * 4); });
    if (apart)
      for (Index i = 0; i < tile_rows * width; i += V) store(sums + i, load(sums + i) + load(own + i));
  }

  // One part and two row tiles: each tile of the panel serves both. Sums in tiles 0 to 5, two vectors or three at a time.
  template <int Vectors>
  static void two_row_tiles(Index blocks, const Element* left, const Element* panel, const float* bias, bool accumulate, float* sums) {
    if constexpr (Vectors == 4) {
      some_vectors<Vectors, 2, 0>(blocks, left, panel, bias, accumulate, sums);
      some_vectors<Vectors, 2, 2>(blocks, left, panel, bias, accumulate, sums);
    } else {
      some_vectors<Vectors, Vectors, 0>(blocks, left, panel, bias, accumulate, sums);
    }
  }

  template <int Vectors, int count, int first>
  static ALWAYS_INLINE void some_vectors(Index blocks, const Element* left, const Element* panel, const float* bias,
                                         bool accumulate, float* sums) {
    constexpr Index width = Vectors * V;
    const Element* second = left + blocks * tile;
    float* second_sums = sums + tile_rows * width;
    repeat<count>([&](auto v) {
      begin_sum<2 * v.n, width>(bias, accumulate, sums, first + v.n);
      begin_sum<2 * v.n + 1, width>(bias, accumulate, second_sums, first + v.n);
    });
    for (Index block = 0; block < blocks; ++block) {
      if constexpr (count <= 2) {
        tile_load<4>(left + block * tile, 64);
        tile_load<5>(second + block * tile, 64);
        repeat<count>([&](auto v) {
          tile_load<6 + v.n>(panel + (block * Vectors + first + v.n) * tile, 64);
          tile_multiply<2 * v.n, 4, 6 + v.n>();
          tile_multiply<2 * v.n + 1, 5, 6 + v.n>();
        });
      } else {
        repeat<count>([&](auto v) {
          tile_load<7>(panel + (block * Vectors + first + v.n) * tile, 64);
          tile_load<6>(left + block * tile, 64);
          tile_multiply<2 * v.n, 6, 7>();
          tile_load<6>(second + block * tile, 64);
          tile_multiply<2 * v.n + 1, 6, 7>();
        });
      }
    }
    repeat<count>([&](auto v) {
      tile_store<2 * v.n>(sums + (first + v.n) * V, width * 4);
      tile_store<2 * v.n + 1>(second_sums + (first + v.n) * V, width * 4);
    });
  }

  int parts_;
};

}  // namespace throughtime::INSTRUCTION_SET

#endif
