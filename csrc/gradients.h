// The derivatives of the input, the biases and other vectors, over all steps at once; equations (2), (3) and (25).
#pragma once

#include "derivatives.h"
#include "operands.h"

namespace throughtime::INSTRUCTION_SET {

template <class Cell, class Engine, bool Projected>
class Gradients {
 public:
  using T = typename Engine::Scalar;
  using Element = typename Engine::Element;
  using Session = typename Engine::Session;
  static constexpr int V = lanes<T>;
  static constexpr int span = 4;
  static constexpr Index width = span * V;
  static constexpr int products = product_count<Cell>();
  static constexpr Index summed_rows = 128;                  // of a bias's derivative, before they join the others
  static constexpr Index input_rows = 96;                    // valid rows of a task of the input's derivative

  Gradients(const Layer& layer, const Direction& direction, const Derivatives<Cell, T, Projected>& derivatives)
      : layer_(layer), direction_(direction), sizes_(layer), engine_(layer), derivatives_(derivatives), operands_(layer, direction) {}

  // The input's weights in panels, for its derivative.
  std::size_t shared_size() const {
    return Workspace::size<Element>(static_cast<std::size_t>(input_panels() * input_panel_size()));
  }
  void take_shared(Workspace& workspace) {
    input_weights_ = workspace.take<Element>(static_cast<std::size_t>(input_panels() * input_panel_size()));
  }
  Index pack_tasks() const { return direction_.d_input.data ? input_panels() : 0; }
  void pack(Index task) {
    PlainShape<T> shape{sizes_.hidden, sizes_.padded_hidden, sizes_.input, Cell::gates, {}};
    for (int gate = 0; gate < Cell::gates; ++gate) shape.blocks[place_of_input_gate(gate)] = gate;
    engine_.pack_plain(shape, static_cast<const T*>(direction_.weights.input), task, input_weights_ + task * input_panel_size());
  }

  std::size_t thread_size() const {
    return Workspace::size<T>(static_cast<std::size_t>(sums_size())) +
           Workspace::size<Element>(static_cast<std::size_t>(left_size()));
  }

  Index tasks() const { return bias_tasks() + input_tasks(); }

  void run(Index task, Workspace& workspace) const {
    T* sums = workspace.take<T>(static_cast<std::size_t>(sums_size()));
    Element* left = workspace.take<Element>(static_cast<std::size_t>(left_size()));
    if (task < input_tasks())
      input_derivative(task * input_rows, sums, left);
    else
      bias_derivative(static_cast<int>(task - input_tasks()), sums);
  }

 private:
  // What a row's derivatives are multiplied by, normalised; null for zero.
  struct Factor {
    const T* values = nullptr;
    Statistics<T> statistics{0, 1};
  };

  // Among the derivatives of what the input's product gave, which lie together, the place of a gate's.
  static constexpr int place_of_input_gate(int gate) {
    int place = is_normalised<Cell>() ? gate : 0;
    for (int other = 0; other < Cell::gates && !is_normalised<Cell>(); ++other)
      if (Cell::input_slot[other] < Cell::input_slot[gate]) ++place;
    return place;
  }
  Index first_input_column() const {
    for (int gate = 0; gate < Cell::gates; ++gate)
      if (place_of_input_gate(gate) == 0) return derivatives_.of_input_gate(gate);
    return 0;
  }

  Index left_size() const { return engine_.left_size(input_rows, Cell::gates * sizes_.padded_hidden); }
  Index sums_size() const { return larger(input_rows * width, 2 * larger(sizes_.padded_hidden, sizes_.padded_output)); }
  Index input_panels() const { return ceiling(sizes_.input, width); }
  Index input_panel_size() const { return engine_.panel_size(Cell::gates * sizes_.padded_hidden, span); }
  Index input_tasks() const { return direction_.d_input.data ? ceiling(layer_.rows.valid, input_rows) : 0; }
  static constexpr int diagonal_tasks = has_diagonal<Cell>() ? 3 : 0;
  static constexpr int norm_tasks = is_normalised<Cell>() ? sides * Cell::gates + (normalises_cell<Cell>() ? 2 : 0) : 0;
  Index bias_tasks() const { return Cell::slots + diagonal_tasks + norm_tasks; }

  // The sum of a slot over all rows, and of a slot times a cell state for a diagonal peephole.
  void bias_derivative(int task, T* sums) const {
    if (task >= Cell::slots) {
      if constexpr (has_diagonal<Cell>()) diagonal_derivative(task - Cell::slots, sums);
      if constexpr (is_normalised<Cell>()) norm_derivative(task - Cell::slots, sums);
      return;
    }
    T* to[2] = {};
    for (int gate = 0; gate < Cell::gates; ++gate)
      if (Cell::input_slot[gate] == task && direction_.d_weights.input_bias)
        to[0] = static_cast<T*>(direction_.d_weights.input_bias) + gate * sizes_.hidden;
    for (int p = 0; p < products; ++p) {
      const Product& product = Cell::products[p];
      const int gate = product.first_gate + task - product.first_slot;
      if (product.matrix == recurrent_matrix && gate >= product.first_gate && gate < product.first_gate + product.gates &&
          direction_.d_weights.recurrent_bias)
        to[1] = static_cast<T*>(direction_.d_weights.recurrent_bias) + gate * sizes_.hidden;
    }
    if (!to[0] && !to[1]) return;
    sum_over_rows(task * derivatives_.slot, sums, [](Index, Index, Index) { return Factor{}; }, false);
    for (T* bias : to)
      if (bias) std::memcpy(bias, sums, static_cast<std::size_t>(sizes_.hidden) * sizeof(T));
  }

  void diagonal_derivative(int gate, T* sums) const {
    T* to = static_cast<T*>(direction_.d_weights.matrix[peephole_matrix]);
    if (!to) return;
    constexpr int slot_of[] = {0, 1, 3};  // input, forget, output
    const Source source = gate == 2 ? Source::inner_now : Source::inner_before;
    sum_over_rows(slot_of[gate] * derivatives_.slot, sums,
                  [&](Index valid, Index s, Index place) { return Factor{operands_.at(source, valid, s, place), {0, 1}}; }, true);
    std::memcpy(to + gate * sizes_.hidden, sums, static_cast<std::size_t>(sizes_.hidden) * sizeof(T));
  }

  // Of the gains, for each side and gate; then of the cell state's gain and bias.
  void norm_derivative(int task, T* sums) const {
    const T* saved = static_cast<const T*>(direction_.saved);
    const auto saved_at = [&](Index valid, Index slot) {
      return saved + (valid * saved_slot_count<Cell, Projected>() + slot) * sizes_.padded_hidden;
    };
    T* to = nullptr;
    if (task < sides * Cell::gates) {
      const int side = task / Cell::gates, gate = task % Cell::gates;
      if (!direction_.d_weights.norm_gain[side]) return;
      to = static_cast<T*>(direction_.d_weights.norm_gain[side]) + gate * sizes_.hidden;
      const int slot = side == of_input ? Cell::input_slot[gate] : Cell::products[0].first_slot + gate;
      sum_over_rows(slot * derivatives_.slot, sums, [&](Index valid, Index, Index) {
        const int group = Normalisation<Cell, T>::group_of(gate);
        return Factor{saved_at(valid, first_raw_slot<Cell, Projected>() + task), *derivatives_.statistics_of(valid, side, group)};
      }, true);
    } else if constexpr (normalises_cell<Cell>()) {
      const bool of_gain = task == sides * Cell::gates;
      to = static_cast<T*>(of_gain ? direction_.d_weights.norm_gain_cell : direction_.d_weights.norm_bias_cell);
      if (!to) return;
      sum_over_rows(Cell::norm_slot * derivatives_.slot, sums, [&](Index valid, Index, Index) {
        return Factor{saved_at(valid, Cell::inner_slot), *derivatives_.statistics_of_cell(valid)};
      }, of_gain);
    }
    std::memcpy(to, sums, static_cast<std::size_t>(sizes_.hidden) * sizeof(T));
  }

  // Blocks of rows are summed apart, then together: a long sum of small terms loses less.
  template <class FactorOf>
  void sum_over_rows(Index column, T* sums, const FactorOf& factor, bool has_factor) const {
    T* part = sums + sizes_.padded_hidden;
    for (Index unit = 0; unit < sizes_.padded_hidden; unit += V) store(sums + unit, Vec<T>{});
    for (Index from = 0; from < layer_.rows.valid; from += summed_rows) {
      for (Index unit = 0; unit < sizes_.padded_hidden; unit += V) store(part + unit, Vec<T>{});
      operands_.each_row(from, smaller(from + summed_rows, layer_.rows.valid), [&](Index valid, Index s, Index place) {
        const T* derivatives = derivatives_.data + valid * derivatives_.stride + column;
        const Factor other = has_factor ? factor(valid, s, place) : Factor{};
        if (has_factor && !other.values) return;
        for (Index unit = 0; unit < sizes_.padded_hidden; unit += V) {
          const Vec<T> value = load(derivatives + unit);
          store(part + unit, load(part + unit) + (has_factor ? value * other.statistics.normalised(load_first(other.values + unit, sizes_.hidden - unit)) : value));
        }
      });
      for (Index unit = 0; unit < sizes_.padded_hidden; unit += V) store(sums + unit, load(sums + unit) + load(part + unit));
    }
  }

  void input_derivative(Index from, T* sums, Element* space) const {
    const Index to = smaller(from + input_rows, layer_.rows.valid), rows = to - from;
    const Places<T> places{layer_.rows, direction_.reverse};
    const Index depth = Cell::gates * sizes_.padded_hidden;
    const T* derivatives = derivatives_.data + from * derivatives_.stride + first_input_column();
    const auto left = engine_.prepare(rows, depth, {derivatives, derivatives_.stride}, space);
    for (Index panel = 0; panel < input_panels(); ++panel) {
      engine_.template multiply<span>(rows, 1, depth, left, input_weights_ + panel * input_panel_size(), nullptr, sums);
      const Index first = panel * width, used = smaller(width, sizes_.input - first);
      operands_.each_row(from, to, [&](Index valid, Index s, Index place) {
        std::memcpy(places.at(direction_.d_input, s, place) + first, sums + (valid - from) * width,
                    static_cast<std::size_t>(used) * sizeof(T));
      });
    }
  }

  const Layer& layer_;
  const Direction& direction_;
  const Sizes<T> sizes_;
  const Engine engine_;
  const Derivatives<Cell, T, Projected>& derivatives_;
  const Operands<Cell, T, Projected> operands_;
  Element* input_weights_ = nullptr;
};

}  // namespace throughtime::INSTRUCTION_SET
