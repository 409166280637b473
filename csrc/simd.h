// Vectors of the widest size that the instruction set of this translation unit has, on the compiler's own
// vector types (GCC and Clang): + - * / and comparisons work lane by lane, and a * b + c becomes a fused
// multiply-add. Every name here lives in a namespace of its own for each instruction set, because this code is
// compiled once for each of them (see CMakeLists.txt).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__AVX512F__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#include "index.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

namespace throughtime::INSTRUCTION_SET {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
inline constexpr int vector_registers = 32;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
inline constexpr int vector_registers = 16;
#elif defined(__aarch64__)
inline constexpr int vector_bytes = 16;
inline constexpr int vector_registers = 32;
#else
inline constexpr int vector_bytes = 16;
inline constexpr int vector_registers = 16;
#endif

template <class T>
struct Types;

template <>
struct Types<float> {
  typedef float Vector __attribute__((vector_size(vector_bytes)));
  typedef std::int32_t Integers __attribute__((vector_size(vector_bytes)));
};

template <>
struct Types<double> {
  typedef double Vector __attribute__((vector_size(vector_bytes)));
  typedef std::int64_t Integers __attribute__((vector_size(vector_bytes)));
};

template <>
struct Types<std::uint32_t> {
  typedef std::uint32_t Vector __attribute__((vector_size(vector_bytes)));
};

template <class T>
using Vec = typename Types<T>::Vector;

template <class T>
inline constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

template <class T>
ALWAYS_INLINE Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // plus zero would not fold away: it changes the sign of -0
}

template <class T>
ALWAYS_INLINE Vec<T> load(const T* from) {
  Vec<T> value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
ALWAYS_INLINE void store(T* to, Vec<T> value) {
  std::memcpy(to, &value, sizeof value);
}

// The first `count` lanes, the others zero.
template <class T>
ALWAYS_INLINE Vec<T> load_first(const T* from, Index count) {
  if (count >= lanes<T>) return load(from);
#if defined(__AVX512F__)
  const unsigned some = (1U << count) - 1;
  if constexpr (sizeof(T) == 4)
    return reinterpret_cast<Vec<T>>(_mm512_maskz_loadu_ps(static_cast<__mmask16>(some), from));
  else
    return reinterpret_cast<Vec<T>>(_mm512_maskz_loadu_pd(static_cast<__mmask8>(some), from));
#else
  Vec<T> value{};
  std::memcpy(&value, from, static_cast<std::size_t>(count) * sizeof(T));
  return value;
#endif
}

template <class T>
ALWAYS_INLINE void store_first(T* to, Vec<T> value, Index count) {
  if (count >= lanes<T>) return store(to, value);
#if defined(__AVX512F__)
  const unsigned some = (1U << count) - 1;
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>(some), reinterpret_cast<__m512>(value));
  else
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>(some), reinterpret_cast<__m512d>(value));
#else
  std::memcpy(to, &value, static_cast<std::size_t>(count) * sizeof(T));
#endif
}

// Past the caches: what is not read again soon takes no place there, and its old contents are not read first. `to` is
// aligned to a vector. Other threads may read it after `finish_stores_past_caches`.
ALWAYS_INLINE void store_past_caches(float* to, Vec<float> value) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, reinterpret_cast<__m512>(value));
#elif defined(__AVX__)
  _mm256_stream_ps(to, reinterpret_cast<__m256>(value));
#else
  store(to, value);
#endif
}
ALWAYS_INLINE void store_past_caches(double* to, Vec<double> value) {
#if defined(__AVX512F__)
  _mm512_stream_pd(to, reinterpret_cast<__m512d>(value));
#elif defined(__AVX__)
  _mm256_stream_pd(to, reinterpret_cast<__m256d>(value));
#else
  store(to, value);
#endif
}
ALWAYS_INLINE void finish_stores_past_caches() {
#if defined(__AVX__)
  _mm_sfence();
#endif
}
// Whether so many elements from `to` on are better stored there.
template <class T>
inline bool belongs_past_caches(const T* to, Index size) {
  constexpr Index cache = Index{16} << 20;
  return size * static_cast<Index>(sizeof(T)) > cache && reinterpret_cast<std::uintptr_t>(to) % vector_bytes == 0;
}

// Lane i of the result is the sum of all lanes of vectors[i]: each level halves the vectors and folds each row's
// partial sums in two.
template <int Count, class V, std::size_t... Lane>
ALWAYS_INLINE V folded(V a, V b, std::index_sequence<Lane...>) {
  // With Count lanes of each row: take the first and the second halves of the rows of a, then of b.
  constexpr int half = Count / 2;
  return __builtin_shufflevector(a, b, ((static_cast<int>(Lane) / half) * Count + static_cast<int>(Lane) % half)...) +
         __builtin_shufflevector(a, b, ((static_cast<int>(Lane) / half) * Count + static_cast<int>(Lane) % half + half)...);
}
template <int Count>
ALWAYS_INLINE void fold_all(Vec<float>* vectors) {
  if constexpr (Count > 1) {
    for (int i = 0; i < Count / 2; ++i)
      vectors[i] = folded<Count>(vectors[2 * i], vectors[2 * i + 1], std::make_index_sequence<lanes<float>>{});
    fold_all<Count / 2>(vectors);
  }
}

// a / b, in float32 with AVX-512 by an estimate and one Newton step (relative error below 2^-23).
ALWAYS_INLINE Vec<double> divide(Vec<double> a, Vec<double> b) { return a / b; }

ALWAYS_INLINE Vec<float> divide(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  const Vec<float> estimate = reinterpret_cast<Vec<float>>(_mm512_maskz_rcp14_ps(0xFFFF, reinterpret_cast<__m512>(b)));
  return a * (estimate * (2.0f - b * estimate));
#else
  return a / b;
#endif
}

// exp(x) - 1 = scale * remainder + (scale - 1): x = n ln 2 + r, |r| <= ln 2 / 2, remainder = exp(r) - 1 and
// scale = 2^n. Keeping the parts separate leaves small results their relative accuracy.
template <class T>
struct Exponential {
  Vec<T> scale;
  Vec<T> remainder;
};

// |x| at most 87. Minimax polynomial of Cephes' expf, S. L. Moshier.
ALWAYS_INLINE Exponential<float> exponential(Vec<float> x) {
  constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const Vec<float> shifted = x * 1.44269504088896341f + magic;
  const Vec<float> n = shifted - magic;
  const Vec<float> r = x - n * 0.693359375f - n * -2.12194440e-4f;
  Vec<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const auto bits = reinterpret_cast<Types<float>::Integers>(shifted);
  const auto exponent = (bits - 0x4B400000 + 127) << 23;
  return {reinterpret_cast<Vec<float>>(exponent), p * (r * r) + r};
}

// |x| at most 700. Taylor polynomial of degree 13: the rest is below 2^-53.
ALWAYS_INLINE Exponential<double> exponential(Vec<double> x) {
  constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  const Vec<double> shifted = x * 1.4426950408889634 + magic;
  const Vec<double> n = shifted - magic;
  const Vec<double> r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
  Vec<double> p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  const auto bits = reinterpret_cast<Types<double>::Integers>(shifted);
  const auto exponent = (bits - 0x4338000000000000 + 1023) << 52;
  return {reinterpret_cast<Vec<double>>(exponent), p * (r * r) + r};
}

template <class V, class T>
ALWAYS_INLINE V clamped(V x, T bound) {
  x = x > bound ? bound - V{} : x;  // a NaN stays one
  return x < -bound ? -bound - V{} : x;
}

// 1 / (1 + exp(-x))
template <class V>
ALWAYS_INLINE V logistic(V x) {
  using T = std::remove_cvref_t<decltype(x[0])>;
  const auto e = exponential(clamped(-x, sizeof(T) == 4 ? T(87) : T(700)));
  return divide(T(1) - V{}, e.scale * e.remainder + (e.scale + T(1)));
}

// m / (m + 2) with m = exp(2x) - 1
template <class V>
ALWAYS_INLINE V hyperbolic_tangent(V x) {
  using T = std::remove_cvref_t<decltype(x[0])>;
  const auto e = exponential(clamped(x + x, sizeof(T) == 4 ? T(20) : T(44)));
  const V m = e.scale * e.remainder + (e.scale - T(1));
  return divide(m, m + T(2));
}

template <class V>
ALWAYS_INLINE V rectified(V x) {
  return x < V{} ? V{} : x;  // a NaN stays one
}

constexpr Index ceiling(Index count, Index unit) { return (count + unit - 1) / unit; }
constexpr Index rounded_up(Index count, Index unit) { return ceiling(count, unit) * unit; }
constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }
constexpr Index larger(Index a, Index b) { return a > b ? a : b; }

// A row stride in which neighbouring rows don't fall into the same set of a cache.
template <class T>
constexpr Index spread(Index length) {
  return rounded_up(length, lanes<T>) + lanes<T>;
}

}  // namespace throughtime::INSTRUCTION_SET
