// The derivatives of the weight matrices: sums over all valid rows of (derivative of a slot) times (what the matrix
// multiplied); equations (2), (14), (20) and (22). Both factors are packed once, a chunk of rows at a time: the right
// ones by all threads before the sums, the left one by the task that uses it, for all matrices that share it.
#pragma once

#include "derivatives.h"
#include "operands.h"

namespace throughtime::INSTRUCTION_SET {

template <class Cell, class Engine, bool Projected>
class WeightGradients {
 public:
  using T = typename Engine::Scalar;
  using Element = typename Engine::Element;
  static constexpr int V = lanes<T>;
  static constexpr Index width = 4 * V;
  static constexpr Index depth_block = Engine::depth_block;  // valid rows at a time

  WeightGradients(const Layer& layer, const Direction& direction, const Derivatives<Cell, T, Projected>& derivatives)
      : layer_(layer), direction_(direction), sizes_(layer), engine_(layer), derivatives_(derivatives), operands_(layer, direction) {
    for (int p = 0; p < product_count<Cell>(); ++p) {
      const Product& product = Cell::products[p];
      for (int gate = 0; gate < product.gates; ++gate)
        add(derivatives.of_product(product) + gate * derivatives.slot, sizes_.hidden, operands_.of(product),
            direction.d_weights.matrix[product.matrix], product.first_gate + gate);
    }
    for (int gate = 0; gate < Cell::gates; ++gate)
      add(derivatives.of_input_gate(gate), sizes_.hidden, Source::input, direction.d_weights.input, gate);
    if (Projected)
      add(derivatives.projected, sizes_.output, Source::unprojected_now, direction.d_weights.matrix[projection_matrix], 0);
    Index elements = 0;  // of the right factors of a depth block
    for (int right = 0; right < rights_; ++right) elements += engine_.right_size(panels(right_[right]));
    constexpr Index most_elements = (Index{32} << 20) / sizeof(Element);
    blocks_ = smaller(larger(most_elements / larger(elements, 1), 1), larger(ceiling(layer.rows.valid, depth_block), 1));
  }

  // The right factors of a chunk of rows.
  std::size_t shared_size() const {
    std::size_t size = 0;
    for (int right = 0; right < rights_; ++right) size += Workspace::size<Element>(right_size(right_[right]));
    return size;
  }
  void take_shared(Workspace& workspace) {
    for (int right = 0; right < rights_; ++right) right_[right].packed = workspace.take<Element>(right_size(right_[right]));
  }

  // At least one where there are matrices: with no rows their derivatives are zero.
  Index chunks() const { return slots_ > 0 ? larger(ceiling(layer_.rows.valid, blocks_ * depth_block), 1) : 0; }
  Index pack_tasks() const { return rights_ * blocks_; }
  void pack(Index chunk, Index task) {
    const Right& right = right_[task / blocks_];
    const Index block = task % blocks_, from = (chunk * blocks_ + block) * depth_block;
    const Index to = smaller(from + depth_block, layer_.rows.valid);
    if (from < to) pack_rows(right.source, from, to, right.packed + block * engine_.right_size(panels(right)));
  }

  std::size_t thread_size() const {
    Index sums = 0, left = 0;
    for (int slot = 0; slot < slots_; ++slot) {
      sums = larger(sums, columns(slot_[slot]) * Engine::sum_rows(strip_units(slot_[slot])));
      left = larger(left, engine_.transposed_size(strip_units(slot_[slot]), depth_block));
    }
    return Workspace::size<T>(static_cast<std::size_t>(sums)) + Workspace::size<Element>(static_cast<std::size_t>(left));
  }

  Index tasks() const {
    Index tasks = 0;
    for (int slot = 0; slot < slots_; ++slot) tasks += strips(slot_[slot]);
    return tasks;
  }
  void run(Index chunk, Index task, Workspace& workspace) const {
    int slot = 0;
    for (; task >= strips(slot_[slot]); ++slot) task -= strips(slot_[slot]);
    const Index units = strip_units(slot_[slot]), first = task * units;
    run_strip(slot_[slot], chunk, first, smaller(units, slot_[slot].units - first), workspace);
  }

 private:
  // A right factor, and the rows of a matrix whose derivative is a slot's derivative times it.
  struct Right {
    Source source;
    Element* packed;
  };
  struct Block {
    T* rows;
    int right;
  };
  // One slot: the left factor of some blocks.
  struct Slot {
    Index column, units;
    int blocks;
    Block block[3];
  };

  void add(Index column, Index units, Source source, void* matrix, int place) {
    if (!matrix) return;
    int right = 0, slot = 0;
    while (right < rights_ && right_[right].source != source) ++right;
    if (right == rights_) right_[rights_++] = {source, nullptr};
    while (slot < slots_ && slot_[slot].column != column) ++slot;
    if (slot == slots_) slot_[slots_++] = {column, units, 0, {}};
    Slot& found = slot_[slot];
    found.block[found.blocks++] = {static_cast<T*>(matrix) + place * units * operands_.columns(source), right};
  }

  Index panels(const Right& right) const { return ceiling(operands_.columns(right.source), width); }
  std::size_t right_size(const Right& right) const {
    return static_cast<std::size_t>(blocks_ * engine_.right_size(panels(right)));
  }
  // Of the sums of a slot's blocks, in whole panels.
  Index columns(const Slot& slot) const {
    Index columns = 0;
    for (int block = 0; block < slot.blocks; ++block) columns += panels(right_[slot.block[block].right]) * width;
    return columns;
  }
  // A task's units: their sums stay in the L2 cache, and there are enough tasks for the threads.
  Index strip_units(const Slot& slot) const {
    constexpr Index granule = 16, cache = (Index{1} << 20) / sizeof(T), least_tasks = 8;
    const Index even = rounded_up(ceiling(slot.units * slots_, least_tasks), granule);
    return larger(granule, smaller(cache / columns(slot) / granule * granule, even));
  }
  Index strips(const Slot& slot) const { return ceiling(slot.units, strip_units(slot)); }

  void pack_rows(Source source, Index from, Index to, Element* packed) const {
    const Index used = operands_.columns(source);
    const T* dropout = source == Source::hidden_before ? static_cast<const T*>(direction_.recurrent_dropout) : nullptr;
    RightRow<T> rows[2] = {};
    operands_.each_row(from, to, [&](Index valid, Index s, Index place) {
      rows[valid & 1] = {operands_.at(source, valid, s, place),
                         dropout ? dropout + layer_.rows.order[place] * used : nullptr};
      if (valid & 1) engine_.pack_right_pair(valid - from - 1, rows[0], rows[1], used, packed);
    });
    if (to & 1) engine_.pack_right_pair(to - from - 1, rows[0], {}, used, packed);
    engine_.clear_right(to - from, used, packed);
  }

  void run_strip(const Slot& slot, Index chunk, Index first, Index units, Workspace& workspace) const {
    const Index sum_rows = Engine::sum_rows(units);
    T* sums = workspace.take<T>(static_cast<std::size_t>(columns(slot) * sum_rows));
    Element* left_space = workspace.take<Element>(static_cast<std::size_t>(engine_.transposed_size(units, depth_block)));
    each_block(slot, first, sums, sum_rows, [&](T* out, T* from, Index stride, Index used) {
      for (Index unit = 0; unit < units; ++unit)
        for (Index column = 0; column < width; column += V)
          store(from + unit * width + column,
                chunk > 0 && column < used ? load_first(out + unit * stride + column, used - column) : Vec<T>{});
    });
    const T* left = derivatives_.data + slot.column + first;
    for (Index block = 0; block < blocks_; ++block) {
      const Index from = (chunk * blocks_ + block) * depth_block, to = smaller(from + depth_block, layer_.rows.valid);
      if (from >= to) break;
      prefetch(left + to * derivatives_.stride, smaller(depth_block, layer_.rows.valid - to), units);
      const auto prepared = engine_.prepare_transposed(units, to - from, left + from * derivatives_.stride, derivatives_.stride, left_space);
      T* group_sums = sums;
      for (int i = 0; i < slot.blocks; ++i) {
        const Right& right = right_[slot.block[i].right];
        const Element* packed = right.packed + block * engine_.right_size(panels(right));
        for (Index panel = 0; panel < panels(right); panel += Engine::most_panels) {
          const Index count = smaller(Engine::most_panels, panels(right) - panel);
          engine_.accumulate(units, count, to - from, prepared, packed + panel * engine_.right_size(1), group_sums);
          group_sums += count * sum_rows * width;
        }
      }
    }
    each_block(slot, first, sums, sum_rows, [&](T* out, T* from, Index stride, Index used) {
      for (Index unit = 0; unit < units; ++unit)
        std::memcpy(out + unit * stride, from + unit * width, static_cast<std::size_t>(smaller(width, used)) * sizeof(T));
    });
  }

  // Calls visit(out, sums, row stride of out, columns in use) for each panel of each block of a slot.
  template <class Visit>
  void each_block(const Slot& slot, Index first, T* sums, Index sum_rows, const Visit& visit) const {
    for (int i = 0; i < slot.blocks; ++i) {
      const Right& right = right_[slot.block[i].right];
      const Index stride = operands_.columns(right.source);
      for (Index panel = 0; panel < panels(right); ++panel, sums += sum_rows * width)
        visit(slot.block[i].rows + first * stride + panel * width, sums, stride, stride - panel * width);
    }
  }

  // Into the L2 cache, while the block before is being multiplied.
  void prefetch(const T* rows, Index count, Index units) const {
    for (Index row = 0; row < count; ++row)
      for (Index unit = 0; unit < units; unit += 64 / static_cast<Index>(sizeof(T)))
        __builtin_prefetch(rows + row * derivatives_.stride + unit, 0, 2);
  }

  const Layer& layer_;
  const Direction& direction_;
  const Sizes<T> sizes_;
  const Engine engine_;
  const Derivatives<Cell, T, Projected>& derivatives_;
  const Operands<Cell, T, Projected> operands_;
  Right right_[5] = {};
  Slot slot_[16] = {};
  int rights_ = 0, slots_ = 0;
  Index blocks_ = 0;  // depth blocks of a chunk
};

}  // namespace throughtime::INSTRUCTION_SET
