// The weights of the forward loop: how they are packed for the engine, and the products with them.
#pragma once

#include "time_loop.h"

namespace throughtime::INSTRUCTION_SET {

template <class Cell, class Engine, bool Projected>
class ForwardWeights {
 public:
  using T = typename Engine::Scalar;
  using Element = typename Engine::Element;
  static constexpr int V = lanes<T>;
  static constexpr int stages = stage_count<Cell>(), products = product_count<Cell>();
  static constexpr int input_span = unit_vectors(Cell::gates);
  static constexpr bool normalised = is_normalised<Cell>();

  ForwardWeights(const Layer& layer, const Direction& direction)
      : layer_(layer), direction_(direction), sizes_(layer), engine_(layer), norm_(sizes_.hidden, sizes_.padded_hidden) {}

  static constexpr int span_of(int stage) { return unit_vectors(widest_gates(Cell::stages[stage], Cell::products)); }
  static constexpr int granule() {
    int most = input_span;
    for (int stage = 0; stage < stages; ++stage)
      if (span_of(stage) > most) most = span_of(stage);
    return most;
  }
  static constexpr int stage_of(int product) {
    for (int stage = 0; stage < stages; ++stage)
      for (int j = 0; j < Cell::stages[stage].products; ++j)
        if (Cell::stages[stage].product[j] == product) return stage;
    return 0;
  }

  PanelShape<T> input_shape() const { return {sizes_.hidden, sizes_.input, 0, Cell::gates, input_span}; }
  PanelShape<T> shape_of(int product) const {
    const Product& p = Cell::products[product];
    return {sizes_.hidden, depth_of(p.operand), p.first_gate, p.gates, span_of(stage_of(product))};
  }
  PanelShape<T> projection_shape() const { return {sizes_.output, sizes_.hidden, 0, 1, 4}; }

  // Memory common to all threads: packed weights.
  std::size_t shared_size() const {
    std::size_t size = packed_size(input_shape()) + Workspace::size<T>(3 * sizes_.padded_hidden) + Workspace::size<T>(norm_.size());
    for (int p = 0; p < products; ++p) size += packed_size(shape_of(p));
    if (Projected) size += packed_size(projection_shape());
    return size;
  }

  void take_shared(Workspace& workspace) {
    const Weights& w = direction_.weights;
    input_ = take_packed(workspace, input_shape(), w.input, w.input_scale);
    for (int p = 0; p < products; ++p) {
      const Matrix matrix = Cell::products[p].matrix;
      product_[p] = take_packed(workspace, shape_of(p), w.matrix[matrix], w.scale[matrix]);
    }
    if (Projected)
      projection_ = take_packed(workspace, projection_shape(), w.matrix[projection_matrix], w.scale[projection_matrix]);
    diagonals_ = workspace.take<T>(static_cast<std::size_t>(3 * sizes_.padded_hidden));
    norm_.take(workspace.take<T>(norm_.size()));
  }

  // Packing, as tasks for the threads.
  Index pack_tasks() const {
    if (!Engine::packs) return 1;
    Index tasks = input_shape().panels();
    for (int p = 0; p < products; ++p) tasks += shape_of(p).panels();
    return tasks + (Projected ? projection_shape().panels() : 0);
  }
  void pack(Index task) {
    const Weights& w = direction_.weights;
    if (task == 0) {
      norm_.fill(w);  // which adds the biases afterwards
      pack_bias(input_shape(), normalised ? nullptr : static_cast<const T*>(w.input_bias), input_.bias);
      for (int p = 0; p < products; ++p) {
        const bool recurrent = Cell::products[p].matrix == recurrent_matrix && !normalised;
        pack_bias(shape_of(p), recurrent ? static_cast<const T*>(w.recurrent_bias) : nullptr, product_[p].bias);
      }
      if (Projected) pack_bias<T>(projection_shape(), nullptr, projection_.bias);
      if constexpr (has_diagonal<Cell>())
        for (int gate = 0; gate < 3; ++gate)
          for (Index unit = 0; unit < sizes_.padded_hidden; ++unit)
            diagonals_[gate * sizes_.padded_hidden + unit] =
                unit < sizes_.hidden ? static_cast<const T*>(w.matrix[peephole_matrix])[gate * sizes_.hidden + unit] : T(0);
    }
    if (pack_some(task, input_, input_shape())) return;
    for (int p = 0; p < products; ++p)
      if (pack_some(task, product_[p], shape_of(p))) return;
    if (Projected) pack_some(task, projection_, projection_shape());
  }

  // Bytes of weights that a step reads.
  std::size_t step_bytes() const { return shared_size(); }
  // Multiply-adds of a step of one row.
  Index step_work() const {
    Index work = sizes_.input * sizes_.hidden * Cell::gates;
    for (int p = 0; p < products; ++p) work += shape_of(p).depth * sizes_.hidden * Cell::products[p].gates;
    return work;
  }

 protected:
  using PackedMatrix = Packed<T, Element>;
  Index panel_size(const PanelShape<T>& shape) const { return engine_.panel_size(shape.depth, shape.vectors()); }
  std::size_t packed_size(const PanelShape<T>& shape) const {
    return Workspace::size<Element>(static_cast<std::size_t>(shape.panels() * panel_size(shape))) +
           Workspace::size<T>(static_cast<std::size_t>(shape.panels() * shape.width()));
  }
  PackedMatrix take_packed(Workspace& workspace, const PanelShape<T>& shape, const void* matrix, const float* scale) const {
    Element* panels = workspace.take<Element>(static_cast<std::size_t>(shape.panels() * panel_size(shape)));
    return {matrix, scale, panels, workspace.take<T>(static_cast<std::size_t>(shape.panels() * shape.width()))};
  }
  // Whether the task was one of this matrix; else it is counted down.
  bool pack_some(Index& task, const PackedMatrix& packed, const PanelShape<T>& shape) const {
    if (task >= shape.panels()) {
      task -= shape.panels();
      return false;
    }
    engine_.pack_transposed(shape, static_cast<const T*>(packed.matrix), task, packed.panels + task * panel_size(shape));
    return true;
  }

  // sums[panel][row] = left × panels [first, first + panels) of the matrix + bias
  template <int vectors>
  ALWAYS_INLINE void multiply(Index rows, const PanelShape<T>& shape, const PackedMatrix& packed, Index first, Index panels,
                              typename Engine::Prepared left, T* sums) const {
    if constexpr (Engine::packs)
      engine_.template multiply<vectors>(rows, panels, shape.depth, left, packed.panels + first * panel_size(shape),
                                         packed.bias + first * vectors * V, sums);
    else
      engine_.template multiply<vectors>(rows, shape, packed, first, panels, left, sums);
  }

  Index depth_of(Operand operand) const { return operand == Operand::hidden ? sizes_.output : sizes_.hidden; }

  const Layer& layer_;
  const Direction& direction_;
  const Sizes<T> sizes_;
  const Engine engine_;
  PackedMatrix input_, product_[products], projection_;
  T* diagonals_ = nullptr;
  Normalisation<Cell, T> norm_;
};

}  // namespace throughtime::INSTRUCTION_SET
