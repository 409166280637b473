// Winograd's minimal filtering, nested in two dimensions: Lavin and Gray (2016), https://arxiv.org/abs/1509.09308.
// 2 x 2 outputs of a k x k filter g on a tile d of (k + 1) x (k + 1) inputs are
//
//   Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A,
//
// one multiplication for each element of the tile in place of k² for each output: 16 for 36 with k = 3, 36 for 100 with
// k = 5. The matrices are those of polynomial interpolation: with k = 3 at 0, 1, -1 and infinity, with k = 5 at 0, 2/3, -2/3,
// 3/2, -3/2 and infinity. With these points rounding errors stay about as small as those of k² products added up, which with
// 1, -1, 2 and -2, or on larger tiles, they do not.
// What is linear has its adjoint: the derivative of g is Gᵀ [(Bᵀ d B) ⊙ (A dY Aᵀ)] G.
#pragma once

#include "simd.h"

namespace throughtime::INSTRUCTION_SET {

template <int Rows, int Columns>
struct Coefficients {
  double at[Rows][Columns];
};

template <int Rows, int Columns>
constexpr Coefficients<Columns, Rows> transposed(const Coefficients<Rows, Columns>& matrix) {
  Coefficients<Columns, Rows> result{};
  for (int row = 0; row < Rows; ++row)
    for (int column = 0; column < Columns; ++column) result.at[column][row] = matrix.at[row][column];
  return result;
}

template <int Kernel>
struct Winograd;

template <>
struct Winograd<3> {
  static constexpr int kernel = 3, outputs = 2, size = 4;
  static constexpr Coefficients<4, 4> input = {{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}};
  static constexpr Coefficients<4, 3> filter = {{{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}};
  static constexpr Coefficients<2, 4> output = {{{1, 1, 1, 0}, {0, 1, -1, 1}}};
};

template <>
struct Winograd<5> {
  static constexpr int kernel = 5, outputs = 2, size = 6;
  static constexpr Coefficients<6, 6> input = {{{1, 0, -97 / 36.0, 0, 1, 0},
                                                {0, 1.5, 2.25, -2 / 3.0, -1, 0},
                                                {0, -1.5, 2.25, 2 / 3.0, -1, 0},
                                                {0, -2 / 3.0, -4 / 9.0, 1.5, 1, 0},
                                                {0, 2 / 3.0, -4 / 9.0, -1.5, 1, 0},
                                                {0, 1, 0, -97 / 36.0, 0, 1}}};
  static constexpr Coefficients<6, 5> filter = {{{1, 0, 0, 0, 0},
                                                 {81 / 130.0, 54 / 130.0, 36 / 130.0, 24 / 130.0, 16 / 130.0},
                                                 {81 / 130.0, -54 / 130.0, 36 / 130.0, -24 / 130.0, 16 / 130.0},
                                                 {16 / 130.0, 24 / 130.0, 36 / 130.0, 54 / 130.0, 81 / 130.0},
                                                 {16 / 130.0, -24 / 130.0, 36 / 130.0, -54 / 130.0, 81 / 130.0},
                                                 {0, 0, 0, 0, 1}}};
  static constexpr Coefficients<2, 6> output = {{{1, 1, 1, 1, 1, 0}, {0, 2 / 3.0, -2 / 3.0, 1.5, -1.5, 1}}};
};

// The sum of a row of coefficients times values that lie `step` apart.
template <class T, int Columns>
ALWAYS_INLINE Vec<T> combined(const double (&row)[Columns], const Vec<T>* values, int step) {
  Vec<T> sum{};
  bool empty = true;  // once the loop is unrolled, all of this is known to the compiler
#pragma GCC unroll 64
  for (int column = 0; column < Columns; ++column) {
    const double factor = row[column];
    if (factor == 0) continue;
    const Vec<T> value = values[column * step];
    if (empty)
      sum = factor == 1 ? value : factor == -1 ? -value : value * static_cast<T>(factor);
    else
      sum = factor == 1 ? sum + value : factor == -1 ? sum - value : sum + value * static_cast<T>(factor);
    empty = false;
  }
  return sum;
}

// M X Mᵀ
template <class T, int Rows, int Columns>
ALWAYS_INLINE void on_both_sides(const Coefficients<Rows, Columns>& matrix, const Vec<T> (&values)[Columns][Columns],
                                 Vec<T> (&result)[Rows][Rows]) {
  Vec<T> half[Rows][Columns];
#pragma GCC unroll 64
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 64
    for (int column = 0; column < Columns; ++column) half[row][column] = combined<T>(matrix.at[row], &values[0][column], Columns);
#pragma GCC unroll 64
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 64
    for (int column = 0; column < Rows; ++column) result[row][column] = combined<T>(matrix.at[column], half[row], 1);
}

}  // namespace throughtime::INSTRUCTION_SET
