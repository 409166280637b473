// Weights into panels (see gemm.h), the gates of a unit side by side. Padded units and rows are zero.
#pragma once

#include <utility>

#include "simd.h"

namespace throughtime::INSTRUCTION_SET {

// A matrix [blocks * units][columns] of which `count` blocks from `first` on become panels for operand × matrixᵀ.
// A panel holds `span` vectors of units: vector (block, v) of it at [block * span + v].
template <class T>
struct PanelShape {
  Index units, depth;
  int first, count, span;

  int vectors() const { return count * span; }
  Index width() const { return static_cast<Index>(vectors()) * lanes<T>; }
  Index panels() const { return ceiling(units, static_cast<Index>(span) * lanes<T>); }
};

// What an engine knows of one matrix: where it lies, and as panels, if it packs them, with the bias beside each.
template <class T, class Element>
struct Packed {
  const void* matrix = nullptr;
  const float* scale = nullptr;
  Element* panels = nullptr;
  T* bias = nullptr;
};

template <class V, std::size_t... Lane>
ALWAYS_INLINE void interleave(V a, V b, V& low, V& high, std::index_sequence<Lane...>) {
  constexpr int all = static_cast<int>(sizeof...(Lane));
  low = __builtin_shufflevector(a, b, (static_cast<int>(Lane) / 2 + static_cast<int>(Lane) % 2 * all)...);
  high = __builtin_shufflevector(a, b, (all / 2 + static_cast<int>(Lane) / 2 + static_cast<int>(Lane) % 2 * all)...);
}

// Afterwards vector i holds what was in lane i of each.
template <class T, int Rounds = lanes<T>>
ALWAYS_INLINE void transpose(Vec<T>* vectors) {
  if constexpr (Rounds > 1) {
    constexpr int half = lanes<T> / 2;
    Vec<T> next[lanes<T>];
#pragma GCC unroll 64
    for (int i = 0; i < half; ++i)
      interleave(vectors[i], vectors[i + half], next[2 * i], next[2 * i + 1], std::make_index_sequence<lanes<T>>{});
#pragma GCC unroll 64
    for (int i = 0; i < lanes<T>; ++i) vectors[i] = next[i];
    transpose<T, Rounds / 2>(vectors);
  }
}

template <class T>
void pack_transposed(const PanelShape<T>& shape, const T* matrix, Index panel, T* to) {
  constexpr int V = lanes<T>;
  const Index width = shape.width();
  for (int gate = 0; gate < shape.count; ++gate)
    for (int v = 0; v < shape.span; ++v) {
      const Index unit = (panel * shape.span + v) * V;
      const T* rows = matrix + ((shape.first + gate) * shape.units + unit) * shape.depth;
      T* out = to + (gate * shape.span + v) * V;
      for (Index k = 0; k < shape.depth; k += V) {
        const Index used = smaller(shape.depth - k, V);
        Vec<T> block[V];
#pragma GCC unroll 64
        for (int lane = 0; lane < V; ++lane)
          block[lane] = unit + lane < shape.units ? load_first(rows + lane * shape.depth + k, used) : Vec<T>{};
        transpose<T>(block);
        for (int lane = 0; lane < used; ++lane) store(out + (k + lane) * width, block[lane]);
      }
    }
}

// A row of the right factor of a weight's derivative, and a factor of its elements; null for zeros, and for ones.
template <class T>
struct RightRow {
  const T* data = nullptr;
  const T* factor = nullptr;

  ALWAYS_INLINE Vec<T> load(Index column, Index used) const {
    if (!data || column >= used) return Vec<T>{};
    const Vec<T> values = load_first(data + column, used - column);
    return factor ? values * load_first(factor + column, used - column) : values;
  }
};

// The bias that goes with the panels: [panel][width].
template <class T>
void pack_bias(const PanelShape<T>& shape, const T* bias, T* to) {
  constexpr int V = lanes<T>;
  for (Index panel = 0; panel < shape.panels(); ++panel)
    for (int gate = 0; gate < shape.count; ++gate)
      for (int v = 0; v < shape.span; ++v, to += V) {
        const Index unit = (panel * shape.span + v) * V;
        const bool real = bias && unit < shape.units;
        store(to, real ? load_first(bias + (shape.first + gate) * shape.units + unit, shape.units - unit) : Vec<T>{});
      }
}

// For derivatives × matrix: the rows of the listed blocks of a matrix [blocks * units][columns], each block padded with
// zero rows, in panels of four vectors of columns.
template <class T>
struct PlainShape {
  Index units, padded_units, columns;
  int count;
  int blocks[4];

  Index depth() const { return count * padded_units; }
  Index panels() const { return ceiling(columns, Index{4} * lanes<T>); }
  // Row k of the panels, null where it is padding.
  const T* row(const T* matrix, Index k) const {
    const Index block = k / padded_units, unit = k % padded_units;
    return block < count && unit < units ? matrix + (blocks[block] * units + unit) * columns : nullptr;
  }
};

template <class T>
void pack_plain(const PlainShape<T>& shape, const T* matrix, Index panel, T* to) {
  constexpr Index width = 4 * lanes<T>;
  const Index first = panel * width, used = smaller(width, shape.columns - first);
  for (Index k = 0; k < shape.depth(); ++k, to += width) {
    const T* from = shape.row(matrix, k);
    Index column = 0;
    if (from)
      for (; column < used; ++column) to[column] = from[first + column];
    for (; column < width; ++column) to[column] = 0;
  }
}

}  // namespace throughtime::INSTRUCTION_SET
