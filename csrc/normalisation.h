// Layer normalisation of what the input's and the recurrent product give, and of the cell state; equations (23) to (27).
// A cell that has it says how many gates belong to each group that is normalised together: Cell::norm_groups.
#pragma once

#include <cmath>

#include "layer.h"
#include "simd.h"

namespace throughtime::INSTRUCTION_SET {

enum Side { of_input, of_recurrent, sides };

template <class Cell>
constexpr int norm_group_count() {
  if constexpr (requires { Cell::norm_groups; })
    return static_cast<int>(sizeof(Cell::norm_groups) / sizeof(int));
  else
    return 0;
}

template <class Cell>
constexpr bool is_normalised() {
  return norm_group_count<Cell>() > 0;
}

template <class Cell>
constexpr bool normalises_cell() {
  if constexpr (requires { Cell::normalises_cell; })
    return Cell::normalises_cell;
  else
    return false;
}

// norm(a) = (a - mean) * scale
template <class T>
struct Statistics {
  T mean, scale;

  ALWAYS_INLINE Vec<T> normalised(Vec<T> a) const { return (a - mean) * scale; }
};

// The derivative goes back as scale * (e - mean_e - norm(a) * mean_product), e being the gain times dL/d(what follows).
template <class T>
struct BackwardStatistics {
  T mean_e, mean_product;

  ALWAYS_INLINE Vec<T> derivative(Vec<T> e, Vec<T> normal, const Statistics<T>& statistics) const {
    return (e - mean_e - normal * mean_product) * statistics.scale;
  }
};

template <class T>
ALWAYS_INLINE T sum_of_lanes(Vec<T> v) {
  T sum = 0;
  for (int lane = 0; lane < lanes<T>; ++lane) sum += v[lane];
  return sum;
}

template <class T>
ALWAYS_INLINE Vec<T> first_lanes(Vec<T> v, Index count) {
  T values[lanes<T>];
  store(values, v);
  return load_first(values, count);
}

// Gains and biases of a direction, padded with zeros to whole vectors, and sums over the units of a row.
template <class Cell, class T>
class Normalisation {
 public:
  static constexpr int V = lanes<T>;
  static constexpr int groups = norm_group_count<Cell>();

  Normalisation(Index hidden, Index padded_hidden) : hidden_(hidden), padded_(padded_hidden) {}

  // Elements of a row of raw values: [gate][padded hidden].
  Index row() const { return is_normalised<Cell>() ? Cell::gates * padded_ : 0; }

  std::size_t size() const { return static_cast<std::size_t>(is_normalised<Cell>() ? (4 * Cell::gates + 2) * padded_ : 0); }
  void take(T* memory) { memory_ = memory; }

  void fill(const Weights& w) const {
    if constexpr (is_normalised<Cell>()) {
      const void* from[] = {w.norm_gain[of_input], w.norm_gain[of_recurrent], w.input_bias, w.recurrent_bias};
      for (int part = 0; part < 4; ++part)
        for (int gate = 0; gate < Cell::gates; ++gate)
          fill_one(from[part] ? static_cast<const T*>(from[part]) + gate * hidden_ : nullptr, part * Cell::gates + gate);
      fill_one(static_cast<const T*>(w.norm_gain_cell), 4 * Cell::gates);
      fill_one(static_cast<const T*>(w.norm_bias_cell), 4 * Cell::gates + 1);
    }
  }

  ALWAYS_INLINE Vec<T> gain(int side, int gate, Index unit) const { return at(side * Cell::gates + gate, unit); }
  ALWAYS_INLINE Vec<T> bias(int side, int gate, Index unit) const { return at((2 + side) * Cell::gates + gate, unit); }
  ALWAYS_INLINE Vec<T> cell_gain(Index unit) const { return at(4 * Cell::gates, unit); }
  ALWAYS_INLINE Vec<T> cell_bias(Index unit) const { return at(4 * Cell::gates + 1, unit); }

  static constexpr int group_of(int gate) {
    int group = 0;
    if constexpr (groups > 0)
      for (; gate >= Cell::norm_groups[group]; ++group) gate -= Cell::norm_groups[group];
    return group;
  }

  static constexpr int gates_of(int group) {
    if constexpr (groups > 0)
      return Cell::norm_groups[group];
    else
      return 0;
  }

  // Of one group's gates in a row of raw values; of a cell state with `gates` = 1.
  Statistics<T> statistics(const T* raw, int gates) const {
    Vec<T> sum{}, squares{};
    each_vector(gates, [&](int gate, Index unit, Index) { sum += load(raw + gate * padded_ + unit); });  // padding is zero
    const T count = static_cast<T>(gates * hidden_), mean = sum_of_lanes<T>(sum) / count;
    each_vector(gates, [&](int gate, Index unit, Index used) {
      const Vec<T> difference = load(raw + gate * padded_ + unit) - mean;
      squares += used < V ? first_lanes<T>(difference * difference, used) : difference * difference;
    });
    return {mean, T(1) / std::sqrt(sum_of_lanes<T>(squares) / count + T(1e-5))};
  }

  // Of all groups of one side.
  void row_statistics(const T* raw, Statistics<T>* to) const {
    if constexpr (groups > 0) {
      for (int group = 0; group < groups; ++group) {
        to[group] = statistics(raw, Cell::norm_groups[group]);
        raw += Cell::norm_groups[group] * padded_;
      }
    }
  }

  // derivative(gate, unit): e of a vector of units; raw as above.
  template <class Derivative>
  BackwardStatistics<T> backward(const T* raw, int gates, const Statistics<T>& statistics, const Derivative& derivative) const {
    Vec<T> sum{}, products{};
    each_vector(gates, [&](int gate, Index unit, Index) {
      const Vec<T> e = derivative(gate, unit);  // zero in the padding, as gains are
      sum += e;
      products += e * statistics.normalised(load(raw + gate * padded_ + unit));
    });
    const T count = static_cast<T>(gates * hidden_);
    return {sum_of_lanes<T>(sum) / count, sum_of_lanes<T>(products) / count};
  }

  // For both products of a row, from the derivatives of what entered the gates to those of what the products gave, units
  // [begin, end). raw and to: [side][gate][padded hidden]; slot_of(side, gate): where a gate's derivative lies.
  template <class SlotOf>
  void backward_row(const T* raw, const T* derivatives, T* to, Index begin, Index end, Statistics<T>* keep, const SlotOf& slot_of) const {
    for (int side = 0; side < sides; ++side) {
      Statistics<T> statistics[groups];
      row_statistics(raw, statistics);
      for (int group = 0, first = 0; group < groups; first += gates_of(group++)) {
        const int gates = gates_of(group);
        const auto entering = [&](int gate, Index unit) {
          return load(derivatives + slot_of(side, first + gate) * padded_ + unit) * gain(side, first + gate, unit);
        };
        const auto back = backward(raw, gates, statistics[group], entering);
        if (keep) keep[side * groups + group] = statistics[group];
        for (int gate = 0; gate < gates; ++gate)
          for (Index unit = begin; unit < end; unit += V) {
            const Vec<T> normal = statistics[group].normalised(load(raw + gate * padded_ + unit));
            const Vec<T> value = back.derivative(entering(gate, unit), normal, statistics[group]);
            store(to + gate * padded_ + unit, first_lanes<T>(value, hidden_ - unit));
          }
        raw += gates * padded_;
        to += gates * padded_;
      }
    }
  }

 private:
  template <class Body>
  ALWAYS_INLINE void each_vector(int gates, const Body& body) const {
    for (int gate = 0; gate < gates; ++gate)
      for (Index unit = 0; unit < padded_; unit += V) body(gate, unit, hidden_ - unit);
  }
  void fill_one(const T* from, int row) const {
    for (Index unit = 0; unit < padded_; ++unit) memory_[row * padded_ + unit] = from && unit < hidden_ ? from[unit] : T(0);
  }
  ALWAYS_INLINE Vec<T> at(int row, Index unit) const { return load(memory_ + row * padded_ + unit); }

  Index hidden_, padded_;
  T* memory_ = nullptr;
};

}  // namespace throughtime::INSTRUCTION_SET
