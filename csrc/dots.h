// Products for a few rows, as an engine of the forward loop: each element is a dot product with a row of the weights
// where they lie, in torch's layout. Nothing is packed, so that a single step costs no more than reading the weights
// once; they may also be bfloat16, or 8-bit integers with a scale for each row.
#pragma once

#include "gemm.h"
#include "layer.h"
#include "packing.h"

namespace throughtime::INSTRUCTION_SET {

// V weights as float.
ALWAYS_INLINE Vec<float> widened(const float* from) { return load(from); }
ALWAYS_INLINE Vec<float> widened(const std::uint16_t* from) {
#if defined(__AVX512F__)
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return reinterpret_cast<Vec<float>>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
#elif defined(__AVX2__)
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return reinterpret_cast<Vec<float>>(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
#else
  typedef std::uint16_t Halves __attribute__((vector_size(vector_bytes / 2)));
  typedef std::uint32_t Words __attribute__((vector_size(vector_bytes)));
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  return reinterpret_cast<Vec<float>>(__builtin_convertvector(halves, Words) << 16);
#endif
}
ALWAYS_INLINE Vec<float> widened(const std::int8_t* from) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return reinterpret_cast<Vec<float>>(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return reinterpret_cast<Vec<float>>(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
#else
  typedef std::int8_t Bytes __attribute__((vector_size(vector_bytes / 4)));
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, Vec<float>);
#endif
}
#if defined(__AVX512BW__) && defined(__AVX512VL__)
ALWAYS_INLINE __mmask16 first_lanes(Index count) { return static_cast<__mmask16>((1U << count) - 1); }
ALWAYS_INLINE Vec<float> widened_first(const float* from, Index count) { return load_first(from, count); }
ALWAYS_INLINE Vec<float> widened_first(const std::uint16_t* from, Index count) {
  const __m256i halves = _mm256_maskz_loadu_epi16(first_lanes(count), from);
  return reinterpret_cast<Vec<float>>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
ALWAYS_INLINE Vec<float> widened_first(const std::int8_t* from, Index count) {
  const __m128i bytes = _mm_maskz_loadu_epi8(first_lanes(count), from);
  return reinterpret_cast<Vec<float>>(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
}
#else
template <class Weight>
ALWAYS_INLINE Vec<float> widened_first(const Weight* from, Index count) {
  Weight all[lanes<float>] = {};
  std::memcpy(all, from, static_cast<std::size_t>(count) * sizeof(Weight));
  return widened(all);
}
#endif

class Dots {
 public:
  using Scalar = float;
  using Element = float;
  static constexpr int V = lanes<float>;
  static constexpr bool packs = false;
  static constexpr bool takes_any_rows = true;
  static constexpr Index work_of_thread = 200000;  // multiply-adds worth waking a thread for
  static constexpr Index most_rows = 4;

  struct Session {};

  explicit Dots(const Layer& layer) : format_(layer.weight_format) {}

  Index panel_size(Index, int) const { return 0; }
  Index left_size(Index, Index) const { return 0; }
  void pack_transposed(const PanelShape<float>&, const float*, Index, Element*) const {}

  using Prepared = Left<float>;
  Prepared prepare(Index, Index, Left<float> left, Element*) const { return left; }

  static constexpr Index panels_at_once(Index) { return 1; }

  // sums[panel][row] = left × (rows of the weights that panels [first, first + panels) stand for)ᵀ + bias
  template <int Vectors>
  ALWAYS_INLINE void multiply(Index rows, const PanelShape<float>& shape, const Packed<float, Element>& weights, Index first,
                              Index panels, Prepared left, float* sums) const {
    constexpr Index width = Vectors * V;
    const float* bias = weights.bias ? weights.bias + first * width : nullptr;
    for (Index panel = 0; panel < panels; ++panel)
      for (int vector = 0; vector < Vectors; ++vector) {
        const Index unit = ((first + panel) * shape.span + vector % shape.span) * V;
        const Index row = (shape.first + vector / shape.span) * shape.units + unit;
        if (unit >= shape.units) {
          for (Index r = 0; r < rows; ++r) store(sums + (panel * rows + r) * width + vector * V, Vec<float>{});
          continue;
        }
        block(rows, smaller(shape.units - unit, V), shape.depth, left, weights, row,
              bias ? bias + panel * width + vector * V : nullptr, sums + panel * rows * width + vector * V, width);
      }
  }

 private:
  // Dot products with V consecutive rows of the weights, `used` of them real.
  __attribute__((noinline)) void block(Index rows, Index used, Index depth, Left<float> left, const Packed<float, Element>& weights,
                                       Index first, const float* bias, float* sums, Index sum_stride) const {
    for (Index row = 0; row < rows; row += most_rows) {
      const Left<float> some{left.data + row * left.row_stride, left.row_stride};
      const Index count = smaller(rows - row, most_rows);
      float* to = sums + row * sum_stride;
      if (format_ == WeightFormat::bfloat16)
        rows_of<std::uint16_t>(count, used, depth, some, weights, first, bias, to, sum_stride);
      else if (format_ == WeightFormat::int8)
        rows_of<std::int8_t>(count, used, depth, some, weights, first, bias, to, sum_stride);
      else
        rows_of<float>(count, used, depth, some, weights, first, bias, to, sum_stride);
    }
  }

  template <class Weight, int Rows = most_rows>
  static void rows_of(Index rows, Index used, Index depth, Left<float> left, const Packed<float, Element>& weights, Index first,
                      const float* bias, float* sums, Index sum_stride) {
    if constexpr (Rows > 1) {
      if (rows < Rows) return rows_of<Weight, Rows - 1>(rows, used, depth, left, weights, first, bias, sums, sum_stride);
    }
    constexpr int at_once = Rows == 1 ? 8 : 4;  // rows of the weights, so that sums stay in registers
    constexpr int blocks = V > at_once ? V / at_once : 1, block_rows = V / blocks;
    const Weight* matrix = static_cast<const Weight*>(weights.matrix) + first * depth;
    Vec<float> sum[Rows][V];
    const Index whole = depth / V * V;
#pragma GCC unroll 64
    for (int block = 0; block < blocks; ++block) {
      const Weight* row[block_rows];
      Vec<float> partial[Rows][block_rows];
#pragma GCC unroll 64
      for (int i = 0; i < block_rows; ++i) {
        row[i] = matrix + smaller(block * block_rows + i, used - 1) * depth;
#pragma GCC unroll 64
        for (int r = 0; r < Rows; ++r) partial[r][i] = Vec<float>{};
      }
      for (Index k = 0; k < whole; k += V) {
        Vec<float> value[Rows];
#pragma GCC unroll 64
        for (int r = 0; r < Rows; ++r) value[r] = load(left.data + r * left.row_stride + k);
#pragma GCC unroll 64
        for (int i = 0; i < block_rows; ++i) {
          const Vec<float> weight = widened(row[i] + k);
#pragma GCC unroll 64
          for (int r = 0; r < Rows; ++r) partial[r][i] += value[r] * weight;
        }
      }
      if (whole < depth)
        for (int i = 0; i < block_rows; ++i) {
          const Vec<float> weight = widened_first(row[i] + whole, depth - whole);
          for (int r = 0; r < Rows; ++r) partial[r][i] += load_first(left.data + r * left.row_stride + whole, depth - whole) * weight;
        }
#pragma GCC unroll 64
      for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 64
        for (int i = 0; i < block_rows; ++i) sum[r][block * block_rows + i] = partial[r][i];
    }
    for (int r = 0; r < Rows; ++r) {
      fold_all<V>(sum[r]);
      Vec<float> value = sum[r][0];
      if (weights.scale) value *= load_first(weights.scale + first, used);
      if (bias) value += load(bias);
      if (used < V) store(sums + r * sum_stride, Vec<float>{});
      store_first(sums + r * sum_stride, value, used);
    }
  }

  WeightFormat format_;
};

}  // namespace throughtime::INSTRUCTION_SET
