// Products of bfloat16 tiles with sums in float32 (Intel AMX), as an engine of the time loops. With one part the products
// are bfloat16's, with two (3 products) the error is about 2^-16, with three (6 products) that of float32 itself.
//
// A tile is 16 rows of 16 pairs. Left factor: [row tile][depth block][part] tiles of 16 rows x 16 pairs of depth. Panel:
// [depth block][part][vector] tiles of 16 pairs of depth x 16 columns.
#pragma once

#if defined(__AMX_BF16__)

#include "bfloat16.h"
#include "layer.h"

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
  using Element = Pair;
  static constexpr int V = 16;
  static constexpr bool packs = true;
  static constexpr bool takes_any_rows = false;  // a tile costs the same with fewer
  static constexpr Index work_of_thread = 2000000;  // multiply-adds worth waking a thread for
  static constexpr int most_parts = 3;
  // A tile has 16 rows: with fewer than half of them in use, products in float32 are quicker.
  static constexpr Index least_rows(int parts) { return parts == most_parts ? 16 : 8; }
  static constexpr Index tile = 256;  // pairs
  static constexpr Index tile_depth = packed_depth;
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
    split_transposed(shape, matrix, panel, parts_, V, [&](Index k, int part, int vector) { return at(to, k, part, vector, shape.vectors()); });
  }
  void pack_plain(const PlainShape<float>& shape, const float* matrix, Index panel, Element* to) const {
    split_plain(shape, matrix, panel, parts_, V, [&](Index k, int part, int vector) { return at(to, k, part, vector, 4); });
  }

  struct Prepared {
    const Element* tiles;
  };
  Prepared prepare(Index rows, Index depth, Left<float> left, Element* space) const {
    const Index row_tile = ceiling(depth, tile_depth) * parts_ * tile;
    split_rows(rows, rounded_up(rows, tile_rows), depth, left, parts_, [&](Index row, Index k, int part) {
      return space + row / tile_rows * row_tile + (k / tile_depth * parts_ + part) * tile + row % tile_rows * V;
    });
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
        alignas(64) Pair pairs[most_parts][V][V];
        for (Index pair = 0; pair < V; ++pair)
          split_row_pair(data + unit, stride, depth, k / 2 + pair, units - unit, parts_,
                         [&](int part, __m512i values) { _mm512_store_si512(pairs[part][pair], values); });
        for (int part = 0; part < parts_; ++part) transpose_pairs(pairs[part], to + part * tile, V);
        to += parts_ * tile;
      }
    return {space};
  }

  void pack_right_pair(Index k, RightRow<float> first, RightRow<float> second, Index used, Element* to) const {
    constexpr Index width = 4 * V;
    for (Index column = 0; column < rounded_up(used, width); column += V) {
      Element* panel = to + column / width * panel_size(depth_block, 4);
      split_pair((__m512)first.load(column, used), (__m512)second.load(column, used), parts_, [&](int part, __m512i values) {
        _mm512_storeu_si512(at(panel, k, part, static_cast<int>(column % width / V), 4) + k % tile_depth / 2 * V, values);
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
