// What all of word2vec comes down to: m input vectors are to be told by logistic regression from n output vectors, and
// both move along the gradient. The m × n products are taken at once, tile by tile of up to six output vectors, whose
// columns stay in registers while all input vectors pass: Ji et al. (2016), https://arxiv.org/abs/1604.04661, take such
// products by a library of matrix products.
//
//   p_ij = logistic(x_i · y_j),  g_ij = rate (label_ij - p_ij)
//   x_i += sum_j g_ij y_j,  y_j += sum_i g_ij x_i        (both sums with the vectors as the tile found them,
//                                                        but for an input that is there twice: it passes twice)
#pragma once

#include "../simd.h"

namespace throughtime::INSTRUCTION_SET {

inline constexpr int most_outputs = 6;

// Six output rows, their changed copies, an input row, its sum and a gradient take 15 registers, as AVX2 has 16.
template <int N>
ALWAYS_INLINE void move_vectors(float* const* x, Index m, float* const* y, Index size, const float* g) {
  for (Index at = 0; at < size; at += lanes<float>) {
    Vec<float> old[N], moved[N];
    for (int j = 0; j < N; ++j) old[j] = moved[j] = load(y[j] + at);
    for (Index i = 0; i < m; ++i) {
      const Vec<float> row = load(x[i] + at);
      Vec<float> sum = row;
      for (int j = 0; j < N; ++j) {
        const Vec<float> gradient = broadcast(g[i * N + j]);
        sum += gradient * old[j];
        moved[j] += gradient * row;
      }
      store(x[i] + at, sum);
    }
    for (int j = 0; j < N; ++j) store(y[j] + at, moved[j]);
  }
}

// products[r][j] of R rows; writes up to a vector more than that.
template <int R, int N>
ALWAYS_INLINE void dot_rows(float* const* x, float* const* y, Index size, float* products) {
  constexpr int V = lanes<float>, padded = (R * N + V - 1) / V * V;
  Vec<float> sums[padded] = {};
  for (Index at = 0; at < size; at += V) {
    Vec<float> rows[R];
    for (int r = 0; r < R; ++r) rows[r] = load(x[r] + at);
    for (int j = 0; j < N; ++j) {
      const Vec<float> column = load(y[j] + at);
      for (int r = 0; r < R; ++r) sums[r * N + j] += rows[r] * column;
    }
  }
  for (int first = 0; first < padded; first += V) {
    fold_all<V>(sums + first);
    store(products + first, sums[first]);
  }
}

template <int N>
ALWAYS_INLINE void dot_products(float* const* x, Index m, float* const* y, Index size, float* products) {
  constexpr int R = vector_registers == 32 ? 4 : 2;
  Index i = 0;
  for (; i + R <= m; i += R) dot_rows<R, N>(x + i, y, size, products + i * N);
  for (; i < m; ++i) dot_rows<1, N>(x + i, y, size, products + i * N);
}

// Room for the products of m inputs and what is written beyond them.
inline Index room_for_products(Index m) { return rounded_up(m * most_outputs, lanes<float>) + 2 * lanes<float>; }

// One tile of N outputs. `finish(p)` turns the probabilities, [input][output], into gradients divided by the rate.
template <int N, class Finish>
ALWAYS_INLINE void regress_tile(float* const* x, Index m, float* const* y, Index size, float rate, float* p, const Finish& finish) {
  dot_products<N>(x, m, y, size, p);
  for (Index at = 0; at < m * N; at += lanes<float>) store(p + at, logistic(load(p + at)));
  finish(p);
  for (Index at = 0; at < m * N; at += lanes<float>) store(p + at, load(p + at) * rate);
  move_vectors<N>(x, m, y, size, p);
}

template <class Finish>
void regress(int n, float* const* x, Index m, float* const* y, Index size, float rate, float* p, const Finish& finish) {
  switch (n) {
    case 1: return regress_tile<1>(x, m, y, size, rate, p, finish);
    case 2: return regress_tile<2>(x, m, y, size, rate, p, finish);
    case 3: return regress_tile<3>(x, m, y, size, rate, p, finish);
    case 4: return regress_tile<4>(x, m, y, size, rate, p, finish);
    case 5: return regress_tile<5>(x, m, y, size, rate, p, finish);
    default: return regress_tile<6>(x, m, y, size, rate, p, finish);
  }
}

}  // namespace throughtime::INSTRUCTION_SET
