// A cell backward through time: from dL/dh_t to the derivatives of what went into the gates, step by step. The weights'
// derivatives follow from these in gradients.h.
#pragma once

#include "backward_at.h"
#include "derivatives.h"
#include "time_loop.h"

namespace throughtime::INSTRUCTION_SET {

template <class Cell, class Engine, bool Projected, bool Regularised>
class Backward {
 public:
  using T = typename Engine::Scalar;
  using Element = typename Engine::Element;
  using Session = typename Engine::Session;
  static constexpr bool takes_any_rows = Engine::takes_any_rows;
  static constexpr int V = lanes<T>;
  static constexpr int stages = stage_count<Cell>(), products = product_count<Cell>();
  static constexpr int span = 4;  // a product gives one value for each unit
  static constexpr Index width = span * V;
  // As forward, but each thread that shares units prepares all the derivatives of a step for its products.
  static constexpr Index most_shared_rows = 31;

  Backward(const Layer& layer, const Direction& direction)
      : layer_(layer), direction_(direction), sizes_(layer), engine_(layer), derivatives_(sizes_),
        norm_(sizes_.hidden, sizes_.padded_hidden) {}

  Derivatives<Cell, T, Projected>& derivatives() { return derivatives_; }

  std::size_t shared_size() const {
    std::size_t size = derivatives_.size(layer_.rows) + Workspace::size<T>(static_cast<std::size_t>(3 * sizes_.padded_hidden)) +
                       Workspace::size<T>(norm_.size());
    for (int p = 0; p < products; ++p) size += Workspace::size<Element>(packed_size(p));
    if (Projected) size += Workspace::size<Element>(projection_size());
    return size;
  }
  void take_shared(Workspace& workspace) {
    derivatives_.data = workspace.take<T>(static_cast<std::size_t>(layer_.rows.valid * derivatives_.stride));
    diagonals_ = workspace.take<T>(static_cast<std::size_t>(3 * sizes_.padded_hidden));
    norm_.take(workspace.take<T>(norm_.size()));
    for (int p = 0; p < products; ++p) packed_[p] = workspace.take<Element>(packed_size(p));
    if (Projected) projection_ = workspace.take<Element>(projection_size());
  }

  Index pack_tasks() const {
    Index tasks = 0;
    for (int p = 0; p < products; ++p) tasks += panels_of(p);
    return tasks + (Projected ? hidden_panels() : 0);
  }
  void pack(Index task) {
    const Weights& w = direction_.weights;
    if (task == 0) norm_.fill(w);
    if constexpr (has_diagonal<Cell>())
      if (task == 0)
        for (int gate = 0; gate < 3; ++gate)
          for (Index unit = 0; unit < sizes_.padded_hidden; ++unit)
            diagonals_[gate * sizes_.padded_hidden + unit] =
                unit < sizes_.hidden ? static_cast<const T*>(w.matrix[peephole_matrix])[gate * sizes_.hidden + unit] : T(0);
    for (int p = 0; p < products; ++p) {
      const Product& product = Cell::products[p];
      if (task < panels_of(p)) {
        PlainShape<T> shape{sizes_.hidden, sizes_.padded_hidden, columns_of(p), product.gates, {}};
        for (int gate = 0; gate < product.gates; ++gate) shape.blocks[gate] = product.first_gate + gate;
        return engine_.pack_plain(shape, static_cast<const T*>(w.matrix[product.matrix]), task,
                                  packed_[p] + task * engine_.panel_size(depth_of(p), span));
      }
      task -= panels_of(p);
    }
    if (Projected)
      engine_.pack_plain({sizes_.output, sizes_.padded_output, sizes_.hidden, 1, {0}},
                         static_cast<const T*>(w.matrix[projection_matrix]), task,
                         projection_ + task * engine_.panel_size(sizes_.padded_output, span));
  }

  std::size_t step_bytes() const { return shared_size() - derivatives_.size(layer_.rows); }
  Index step_work() const {
    Index work = 0;
    for (int p = 0; p < products; ++p) work += depth_of(p) * columns_of(p);
    return work;
  }

  struct Group {
    T* d_states[most_states];
    T* kept;
  };
  struct Thread {
    T* sums[2];
    T* unused;
    Element* left[2];
  };
  std::size_t group_size(Index rows) const {
    return 3 * Workspace::size<T>(static_cast<std::size_t>(rows * larger(hidden_stride(), output_stride())));
  }
  std::size_t thread_size(Index) const {
    return 2 * Workspace::size<T>(sums_size) + Workspace::size<T>(V) +
           2 * Workspace::size<Element>(static_cast<std::size_t>(left_size()));
  }
  Group take_group(Workspace& workspace, Index rows) const {
    Group group{};
    group.d_states[0] = workspace.take<T>(static_cast<std::size_t>(rows * output_stride()));
    group.d_states[1] = workspace.take<T>(static_cast<std::size_t>(rows * hidden_stride()));
    group.kept = workspace.take<T>(static_cast<std::size_t>(rows * hidden_stride()));
    return group;
  }
  Thread take_thread(Workspace& workspace, Index) const {
    Thread thread{{workspace.take<T>(sums_size), workspace.take<T>(sums_size)}, workspace.take<T>(V), {}};
    for (Element*& left : thread.left) left = workspace.take<Element>(static_cast<std::size_t>(left_size()));
    return thread;
  }

  void run(const Share& share, const Group& group, const Thread& thread) const {
    if (share.member == 0) begin(share, group);
    share.wait();
    Index s = 0;
    while (share.running(layer_.rows, s) > 0) ++s;
    while (s-- > 0) {
      if constexpr (Projected) {
        run_stage<-1>(share, group, thread, s);
        share.wait();
      }
      run_stages<0>(share, group, thread, s);
      if constexpr (is_normalised<Cell>()) {
        run_normalised(share, s);
        share.wait();
      }
    }
    finish(share, group, thread);
  }

 private:
  struct CellStatistics {
    Statistics<T> forward;
    BackwardStatistics<T> backward;  // in the second stage, when the derivatives of the whole row are there
  };

  static constexpr std::size_t sums_size = most_tile_rows * 4 * V;

  Index left_size() const {
    return engine_.left_size(most_tile_rows, larger(Cell::slots * sizes_.padded_hidden, sizes_.padded_output));
  }
  Index hidden_stride() const { return spread<T>(sizes_.padded_hidden); }
  Index output_stride() const { return spread<T>(sizes_.padded_output); }
  Index columns_of(int p) const { return Cell::products[p].operand == Operand::hidden ? sizes_.output : sizes_.hidden; }
  Index panels_of(int p) const { return ceiling(columns_of(p), width); }
  Index hidden_panels() const { return ceiling(sizes_.hidden, width); }
  Index depth_of(int p) const { return Cell::products[p].gates * sizes_.padded_hidden; }
  std::size_t packed_size(int p) const { return static_cast<std::size_t>(panels_of(p) * engine_.panel_size(depth_of(p), span)); }
  std::size_t projection_size() const { return static_cast<std::size_t>(hidden_panels() * engine_.panel_size(sizes_.padded_output, span)); }

  void begin(const Share& share, const Group& group) const {
    for (Index row = 0; row < share.rows; ++row) {
      const Index of_batch = layer_.rows.order[share.first + row];
      for (int state = 0; state < Cell::states; ++state) {
        const Index size = state == 0 ? sizes_.output : sizes_.hidden, padded = rounded_up(size, V);
        T* to = group.d_states[state] + row * (state == 0 ? output_stride() : hidden_stride());
        const T* from = static_cast<const T*>(direction_.d_final[state]);
        for (Index unit = 0; unit < padded; ++unit) to[unit] = from && unit < size ? from[of_batch * size + unit] : T(0);
      }
    }
  }

  template <int stage>
  ALWAYS_INLINE void run_stages(const Share& share, const Group& group, const Thread& thread, Index s) const {
    if constexpr (stage < stages) {
      run_stage<stage>(share, group, thread, s);
      share.wait();
      run_stages<stage + 1>(share, group, thread, s);
    }
  }

  // The left factor of product p for rows [row, row + rows) of the group, and how many of them have one: a product whose
  // operand was the state before the next step carries nothing for rows that end here.
  struct LeftFactor {
    typename Engine::Prepared prepared;
    Index rows;
  };
  ALWAYS_INLINE LeftFactor prepare(const Share& share, int p, Index s, Index row, Index rows, Element* space) const {
    const Product& product = Cell::products[p];
    const Index step = product.previous ? s + 1 : s;
    const Index running = smaller(larger(share.running(layer_.rows, step) - row, 0), rows);
    const Index valid = layer_.rows.offset[step] + share.first + row;
    const T* left = derivatives_.data + valid * derivatives_.stride + derivatives_.of_product(product);
    return {engine_.prepare(running, depth_of(p), {left, derivatives_.stride}, space), running};
  }

  ALWAYS_INLINE void take_product(const LeftFactor& left, int p, Index rows, Index panel, T* sums) const {
    engine_.template multiply<span>(left.rows, 1, depth_of(p), left.prepared,
                                    packed_[p] + panel * engine_.panel_size(depth_of(p), span), nullptr, sums);
    for (Index i = left.rows * width; i < rows * width; ++i) sums[i] = 0;
  }

  // dL/d(h before the projection).
  ALWAYS_INLINE LeftFactor prepare_projected(const Share& share, Index s, Index row, Index rows, Element* space) const {
    const Index valid = layer_.rows.offset[s] + share.first + row;
    const T* left = derivatives_.data + valid * derivatives_.stride + derivatives_.projected;
    return {engine_.prepare(rows, sizes_.padded_output, {left, derivatives_.stride}, space), rows};
  }

  // Stage -1 goes through the projection's output, the others through the cell's.
  template <int stage>
  void run_stage(const Share& share, const Group& group, const Thread& thread, Index s) const {
    constexpr bool of_output = stage < 0;
    constexpr Stage which = of_output ? Stage{1, {0}} : Cell::stages[of_output ? 0 : stage];
    constexpr bool unprojected = Projected && !of_output && which.product[0] == 0;
    const Index vectors = of_output ? sizes_.output_vectors : sizes_.hidden_vectors;
    Index begin, end;
    share.units(vectors, span, begin, end);
    const Index running = share.running(layer_.rows, s);
    for (Index row = 0; row < running; row += most_tile_rows) {
      const Index rows = smaller(running - row, most_tile_rows);
      LeftFactor left{};
      if constexpr (unprojected)
        left = prepare_projected(share, s, row, rows, thread.left[0]);
      else if constexpr (which.products > 0)
        left = prepare(share, which.product[0], s, row, rows, thread.left[0]);
      CellStatistics statistics[most_tile_rows];
      if constexpr (normalises_cell<Cell>() && !of_output)
        for (Index r = 0; r < rows; ++r) statistics[r] = cell_statistics<stage>(layer_.rows.offset[s] + share.first + row + r, begin == 0);
      LeftFactor other{};
      if constexpr (which.products > 1) other = prepare(share, which.product[1], s, row, rows, thread.left[1]);
      each_panel(begin / span, ceiling(end, span), 1, s, [&](Index panel, Index) {
        if constexpr (unprojected)
          engine_.template multiply<span>(rows, 1, sizes_.padded_output, left.prepared,
                                          projection_ + panel * engine_.panel_size(sizes_.padded_output, span), nullptr,
                                          thread.sums[0]);
        else if constexpr (which.products > 0)
          take_product(left, which.product[0], rows, panel, thread.sums[0]);
        if constexpr (which.products > 1) take_product(other, which.product[1], rows, panel, thread.sums[1]);
        for (int v = 0; v < span && panel * span + v < end; ++v)
          for (Index r = 0; r < rows; ++r) step_of_row<stage>(share, group, thread, s, row + r, (panel * span + v) * V, r * width + v * V, statistics[r]);
      });
    }
  }

  template <int stage>
  ALWAYS_INLINE void step_of_row(const Share& share, const Group& group, const Thread& thread, Index s, Index row, Index unit,
                                 Index sum, const CellStatistics& statistics) const {
    constexpr bool of_output = stage < 0;
    const Rows& rows = layer_.rows;
    const Index place = share.first + row, valid = rows.offset[s] + place, of_batch = rows.order[place];
    const Places<T> places{rows, direction_.reverse};
    constexpr Index slots = saved_slot_count<Cell, Projected>();
    const T* saved = static_cast<const T*>(direction_.saved);
    BackwardAt<T, Regularised> at{};
    if constexpr (normalises_cell<Cell>() && !of_output) {
      at.state_statistics = statistics.forward;
      at.state_backward = statistics.backward;
      at.state_gain = norm_.cell_gain(unit);
      at.state_bias = norm_.cell_bias(unit);
    }
    at.sums[0] = thread.sums[0] + sum;
    at.sums[1] = thread.sums[1] + sum;
    at.d_states[0] = group.d_states[0] + row * output_stride() + unit;
    at.d_states[1] = group.d_states[1] + row * hidden_stride() + unit;
    at.kept_value = group.kept + row * hidden_stride() + unit;
    at.diagonals = diagonals_ + unit;
    at.saved_row = saved + valid * slots * sizes_.padded_hidden + unit;
    at.padded_hidden = sizes_.padded_hidden;
    T* derivatives = derivatives_.data + valid * derivatives_.stride;
    at.d_gates = derivatives + unit;
    at.count = (of_output ? sizes_.output : sizes_.hidden) - unit;
    if constexpr (Regularised) {
      at.reset = is_reset(layer_, direction_, s, place);
      at.next_reset = rows.length[place] > s + 1 && is_reset(layer_, direction_, s + 1, place);
      at.recurrent_dropout = direction_.recurrent_dropout
                                 ? static_cast<const T*>(direction_.recurrent_dropout) + of_batch * sizes_.output + unit
                                 : nullptr;
      at.candidate_dropout =
          direction_.candidate_dropout.data ? places.at(direction_.candidate_dropout, s, place) + unit : nullptr;
      for (int state = 0; state < Cell::states; ++state)
        at.zoneout[state] = direction_.zoneout[state].data ? places.at(direction_.zoneout[state], s, place) + unit : nullptr;
    }
    if constexpr (of_output || (!Projected && stage == 0)) set_total(at, s, place, unit);
    if constexpr (of_output) {
      store(derivatives + derivatives_.projected + unit, at.d_hidden());
      at.set_d_state(0, Vec<T>{});
    } else {
      at.hidden_now = places.at(direction_.output, s, place) + unit;
      if constexpr (Cell::states > 1) {
        const T* c_before = saved + (s > 0 ? rows.offset[s - 1] + place : 0) * slots * sizes_.padded_hidden +
                            Cell::inner_slot * sizes_.padded_hidden + unit;
        at.before[1] = s > 0 ? c_before : initial(1, of_batch, sizes_.hidden, unit);
      }
      if constexpr (!Projected)
        at.before[0] = s > 0 ? places.at(direction_.output, s - 1, place) + unit : initial(0, of_batch, sizes_.output, unit);
      if constexpr (Projected) {  // stage -1 has dealt with the projected state
        if constexpr (stage == 0) at.total_d_hidden = at.product(0);
        at.d_states[0] = thread.unused;
        at.zoneout[0] = nullptr;
      }
      Cell::template backward<stage>(at);
    }
  }

  template <int stage>
  CellStatistics cell_statistics(Index valid, bool keep) const {
    CellStatistics result{};
    if constexpr (normalises_cell<Cell>()) {
      const T* cell = static_cast<const T*>(direction_.saved) +
                      (valid * saved_slot_count<Cell, Projected>() + Cell::inner_slot) * sizes_.padded_hidden;
      const T* derivatives = derivatives_.data + valid * derivatives_.stride + Cell::norm_slot * derivatives_.slot;
      result.forward = norm_.statistics(cell, 1);
      if (stage == 1) {
        if (keep) *derivatives_.statistics_of_cell(valid) = result.forward;
        result.backward = norm_.backward(cell, 1, result.forward, [&](int, Index unit) {
          return load(derivatives + unit) * norm_.cell_gain(unit);
        });
      }
    }
    return result;
  }

  // From the derivatives of what entered the gates to those of what the products gave.
  void run_normalised(const Share& share, Index s) const {
    Index begin, end;
    share.units(sizes_.hidden_vectors, span, begin, end);
    const Index running = share.running(layer_.rows, s);
    for (Index row = 0; row < running; ++row) {
      const Index valid = layer_.rows.offset[s] + share.first + row;
      T* derivatives = derivatives_.data + valid * derivatives_.stride;
      const T* raw = static_cast<const T*>(direction_.saved) +
                     (valid * saved_slot_count<Cell, Projected>() + first_raw_slot<Cell, Projected>()) * sizes_.padded_hidden;
      norm_.backward_row(raw, derivatives, derivatives + derivatives_.raw, begin * V, end * V,
                         begin == 0 ? derivatives_.statistics_of(valid, 0, 0) : nullptr, [](int side, int gate) {
                           return side == of_input ? Cell::input_slot[gate] : Cell::products[0].first_slot + gate;
                         });
    }
  }

  // dL/dh_t: of the output, of the state after the last step or what the step after it passed on, and of the recurrent
  // product; equation (1).
  ALWAYS_INLINE void set_total(BackwardAt<T, Regularised>& at, Index s, Index place, Index unit) const {
    const Places<T> places{layer_.rows, direction_.reverse};
    Vec<T> total = load(at.d_states[0]) + at.dropped_hidden(at.product_of_next(0));
    if (direction_.d_output.data) total += load_first(places.at(direction_.d_output, s, place) + unit, at.count);
    if (layer_.gradient_limit > 0) total = clamped(total, static_cast<T>(layer_.gradient_limit));
    if (direction_.d_hidden.data) store_first(places.at(direction_.d_hidden, s, place) + unit, total, at.count);
    at.total_d_hidden = total;
  }

  const T* initial(int state, Index of_batch, Index size, Index unit) const {
    const T* data = static_cast<const T*>(direction_.initial[state]);
    return data ? data + of_batch * size + unit : nullptr;
  }

  // dL/d(initial states): what the first step passes on.
  void finish(const Share& share, const Group& group, const Thread& thread) const {
    finish_state<0>(share, group, thread);
    if constexpr (Cell::states > 1) finish_state<1>(share, group, thread);
  }

  template <int state>
  void finish_state(const Share& share, const Group& group, const Thread& thread) const {
    T* to = static_cast<T*>(direction_.d_initial[state]);
    if (!to) return;
    constexpr Operand operand = state == 0 ? Operand::hidden : Operand::inner;
    const Index size = state == 0 ? sizes_.output : sizes_.hidden;
    int product = -1;
    for (int p = 0; p < products; ++p)
      if (Cell::products[p].previous && Cell::products[p].operand == operand) product = p;
    Index begin, end;
    share.units(ceiling(size, V), span, begin, end);
    for (Index row = 0; row < share.rows; row += most_tile_rows) {
      const Index rows = smaller(share.rows - row, most_tile_rows);
      LeftFactor left{};
      if (product >= 0) left = prepare(share, product, -1, row, rows, thread.left[0]);
      for (Index panel = begin / span; panel < ceiling(end, span); ++panel) {
        if (product >= 0)
          take_product(left, product, rows, panel, thread.sums[0]);
        else
          for (Index i = 0; i < rows * width; ++i) thread.sums[0][i] = 0;
        for (Index r = 0; r < rows; ++r)
          for (Index column = panel * width; column < smaller((panel + 1) * width, size); ++column) {
            const Index place = share.first + row + r, of_batch = layer_.rows.order[place];
            T carried = thread.sums[0][r * width + column - panel * width];
            if (is_reset(layer_, direction_, 0, place)) carried = 0;
            if (state == 0 && direction_.recurrent_dropout)
              carried *= static_cast<const T*>(direction_.recurrent_dropout)[of_batch * size + column];
            to[of_batch * size + column] =
                carried + group.d_states[state][(row + r) * (state == 0 ? output_stride() : hidden_stride()) + column];
          }
      }
    }
  }

  const Layer& layer_;
  const Direction& direction_;
  const Sizes<T> sizes_;
  const Engine engine_;
  Derivatives<Cell, T, Projected> derivatives_;
  Element* packed_[products];
  Element* projection_ = nullptr;
  T* diagonals_ = nullptr;
  Normalisation<Cell, T> norm_;
};

}  // namespace throughtime::INSTRUCTION_SET
