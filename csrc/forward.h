// A cell forward through time.
#pragma once

#include "forward_at.h"
#include "forward_weights.h"
#include "time_loop.h"

namespace throughtime::INSTRUCTION_SET {

template <class Cell, class Engine, bool Projected, bool Regularised>
class Forward : public ForwardWeights<Cell, Engine, Projected> {
 public:
  using Base = ForwardWeights<Cell, Engine, Projected>;
  using T = typename Engine::Scalar;
  using Element = typename Engine::Element;
  using Session = typename Engine::Session;
  static constexpr bool takes_any_rows = Engine::takes_any_rows;
  static constexpr int V = lanes<T>;
  static constexpr int stages = stage_count<Cell>();
  static constexpr int input_span = Base::input_span;
  static constexpr bool normalised = is_normalised<Cell>();
  // Rows for each thread up to which sharing large weights is quicker than a thread's own rows.
  static constexpr Index most_shared_rows = 32;

  using Base::Base, Base::granule, Base::input_shape, Base::shape_of, Base::span_of;

  // Memory of a group of rows, common to the threads that run them.
  std::size_t group_size(Index rows) const {
    const std::size_t hidden = Workspace::size<T>(static_cast<std::size_t>(rows * hidden_stride()));
    const std::size_t output = Workspace::size<T>(static_cast<std::size_t>(rows * output_stride()));
    return hidden * 6 + output * 3 + sides * Workspace::size<T>(static_cast<std::size_t>(rows * norm_.row()));
  }
  // Memory of each thread.
  std::size_t thread_size(Index rows) const {
    const Index chunk_rows = steps_of_chunk(rows) * rows;
    return Workspace::size<T>(static_cast<std::size_t>(chunk_rows * spread<T>(sizes_.input))) +
           Workspace::size<T>(static_cast<std::size_t>(input_gates_size(chunk_rows))) + 2 * Workspace::size<T>(sums_size) +
           Workspace::size<Index>(static_cast<std::size_t>(steps_of_chunk(rows) + 1)) +
           Workspace::size<Element>(static_cast<std::size_t>(engine_.left_size(chunk_rows, sizes_.input))) +
           2 * Workspace::size<Element>(static_cast<std::size_t>(left_size()));
  }

  struct Group {
    T* states[most_states];
    T* kept;
    T* hidden[2];
    T* inner[2];
    T* unprojected;
    T* raw[sides];  // what the products gave, before normalisation
  };
  struct Thread {
    T* inputs;
    T* input_gates;
    T* sums[2];
    Element* input_left;
    Element* left[2];
    Index chunk;          // steps whose input is taken at once
    Index* chunk_offset;  // [chunk + 1]: the first row of each
  };

  void run(const Share& share, const Group& group, const Thread& thread) const {
    if (share.member == 0) begin(share, group);
    share.wait();
    const Index chunk = thread.chunk;
    for (Index s = 0; share.running(layer_.rows, s) > 0; ++s) {
      const Index step_of_chunk = s % chunk;
      if (step_of_chunk == 0) take_input(share, thread, s);
      run_stages<0>(share, group, thread, s, step_of_chunk);
    }
    finish_stores_past_caches();
  }

  Group take_group(Workspace& workspace, Index rows) const {
    const auto hidden = [&] { return workspace.take<T>(static_cast<std::size_t>(rows * hidden_stride())); };
    const auto output = [&] { return workspace.take<T>(static_cast<std::size_t>(rows * output_stride())); };
    Group group{};
    group.states[0] = output();
    group.hidden[0] = output();
    group.hidden[1] = output();
    group.states[1] = hidden();
    group.kept = hidden();
    group.inner[0] = hidden();
    group.inner[1] = hidden();
    group.unprojected = hidden();
    for (T*& raw : group.raw) raw = workspace.take<T>(static_cast<std::size_t>(rows * norm_.row()));
    return group;
  }

  Thread take_thread(Workspace& workspace, Index rows) const {
    const Index chunk_rows = steps_of_chunk(rows) * rows;
    Thread thread{};
    thread.chunk = steps_of_chunk(rows);
    thread.inputs = workspace.take<T>(static_cast<std::size_t>(chunk_rows * spread<T>(sizes_.input)));
    thread.input_gates = workspace.take<T>(static_cast<std::size_t>(input_gates_size(chunk_rows)));
    thread.sums[0] = workspace.take<T>(sums_size);
    thread.sums[1] = workspace.take<T>(sums_size);
    thread.chunk_offset = workspace.take<Index>(static_cast<std::size_t>(steps_of_chunk(rows) + 1));
    thread.input_left = workspace.take<Element>(static_cast<std::size_t>(engine_.left_size(chunk_rows, sizes_.input)));
    for (Element*& left : thread.left) left = workspace.take<Element>(static_cast<std::size_t>(left_size()));
    return thread;
  }

 private:
  using Base::layer_, Base::direction_, Base::sizes_, Base::engine_, Base::norm_, Base::diagonals_;
  using Base::input_, Base::product_, Base::projection_, Base::depth_of, Base::projection_shape;

  static constexpr std::size_t sums_size = most_tile_rows * 4 * V;
  static constexpr Index input_width = static_cast<Index>(input_span) * Cell::gates * V;

  // With room for full tiles of rows behind the last panel.
  Index input_gates_size(Index rows) const {
    return (rows * (rounded_up(sizes_.hidden_vectors, input_span) + input_span) + 16 * input_span) * Cell::gates * V;
  }
  Index left_size() const { return engine_.left_size(most_tile_rows, larger(sizes_.hidden, sizes_.output)); }
  Index hidden_stride() const { return spread<T>(sizes_.padded_hidden); }
  Index output_stride() const { return spread<T>(sizes_.padded_output); }

  // The input's product is taken for some steps at once, so that weights bigger than the L2 cache are fetched into it
  // once for so many rows. What it gives is read a step at a time, in order, so it need not stay in the L2 cache.
  Index steps_of_chunk(Index rows) const {
    constexpr Index enough_rows = 96, most = (Index{1} << 22) / sizeof(T);
    const Index fitting = most / (rows * (sizes_.hidden_vectors * V * Cell::gates + sizes_.input));
    return smaller(larger(1, smaller(ceiling(enough_rows, rows), larger(fitting, 1))), larger(layer_.rows.steps, 1));
  }

  void begin(const Share& share, const Group& group) const {
    for (Index row = 0; row < share.rows; ++row) {
      const Index place = share.first + row, of_batch = layer_.rows.order[place];
      const bool reset = is_reset(layer_, direction_, 0, place);
      copy_initial(0, of_batch, sizes_.output, sizes_.padded_output, group.states[0] + row * output_stride());
      T* operand = group.hidden[1] + row * output_stride();
      copy_initial(0, of_batch, sizes_.output, sizes_.padded_output, operand);
      const T* dropout = static_cast<const T*>(direction_.recurrent_dropout);
      for (Index unit = 0; unit < sizes_.output; ++unit) {
        if (dropout) operand[unit] *= dropout[of_batch * sizes_.output + unit];
        if (reset) operand[unit] = 0;
      }
      if constexpr (Cell::states > 1) {
        T* state = group.states[1] + row * hidden_stride();
        copy_initial(1, of_batch, sizes_.hidden, sizes_.padded_hidden, state);
        T* inner = group.inner[1] + row * hidden_stride();
        for (Index unit = 0; unit < sizes_.padded_hidden; ++unit) inner[unit] = reset ? T(0) : state[unit];
      }
    }
  }

  void copy_initial(int state, Index of_batch, Index size, Index padded, T* to) const {
    const T* from = static_cast<const T*>(direction_.initial[state]);
    for (Index unit = 0; unit < padded; ++unit) to[unit] = from && unit < size ? from[of_batch * size + unit] : T(0);
  }

  void take_input(const Share& share, const Thread& thread, Index s) const {
    const Places<T> places{layer_.rows, direction_.reverse};
    const Index stride = spread<T>(sizes_.input), chunk = thread.chunk;
    Index count = 0;
    for (Index step = 0; step < chunk; ++step) {
      thread.chunk_offset[step] = count;
      const Index running = share.running(layer_.rows, s + step);
      for (Index row = 0; row < running; ++row)
        std::memcpy(thread.inputs + (count + row) * stride, places.at(layer_.input, s + step, share.first + row),
                    static_cast<std::size_t>(sizes_.input) * sizeof(T));
      count += running;
    }
    thread.chunk_offset[chunk] = count;
    Index begin, end;
    share.units(sizes_.hidden_vectors, granule(), begin, end);
    if (begin == end) return;
    const Index first = begin / input_span, panels = ceiling(end, input_span) - first;
    const auto left = engine_.prepare(count, sizes_.input, {thread.inputs, stride}, thread.input_left);
    Base::template multiply<input_span * Cell::gates>(count, input_shape(), input_, first, panels, left, thread.input_gates);
  }

  template <int stage>
  ALWAYS_INLINE void run_stages(const Share& share, const Group& group, const Thread& thread, Index s, Index step_of_chunk) const {
    if constexpr (stage < stages) {
      run_stage<stage>(share, group, thread, s, step_of_chunk);
      share.wait();
      run_stages<stage + 1>(share, group, thread, s, step_of_chunk);
    } else if constexpr (Projected) {
      run_projection(share, group, thread, s);
      share.wait();
    }
  }

  template <int stage>
  void run_stage(const Share& share, const Group& group, const Thread& thread, Index s, Index step_of_chunk) const {
    constexpr Stage which = Cell::stages[stage];
    constexpr int span = span_of(stage);
    Index begin, end;
    share.units(sizes_.hidden_vectors, granule(), begin, end);
    const Index running = share.running(layer_.rows, s);
    const Index chunk_rows = thread.chunk_offset[thread.chunk];
    for (Index row = 0; row < running; row += most_tile_rows) {
      const Index rows = smaller(running - row, most_tile_rows);
      const auto left = prepare<stage, 0>(group, thread, s, row, rows), other = prepare<stage, 1>(group, thread, s, row, rows);
      Statistics<T> statistics[most_tile_rows];
      if constexpr (normalises_cell<Cell>() && stage == 1)
        for (Index r = 0; r < rows; ++r) statistics[r] = norm_.statistics(group.states[1] + (row + r) * hidden_stride(), 1);
      each_panel(begin / span, ceiling(end, span), engine_.panels_at_once(rows), s + layer_.odd, [&](Index panel, Index panels) {
        take_product<stage, 0>(thread, left, rows, panel, panels);
        take_product<stage, 1>(thread, other, rows, panel, panels);
        for (Index p = 0; p < panels; ++p)
          for (int v = 0; v < span; ++v) {
            const Index vector = (panel + p) * span + v;
            if (vector >= end) break;
            const T* input_gates = thread.input_gates +
                                   ((vector / input_span - begin / input_span) * chunk_rows +
                                    thread.chunk_offset[step_of_chunk] + row) * input_width +
                                   vector % input_span * V;
            const T* sums[2];
            Index width[2];
            for (int j = 0; j < 2; ++j) {
              width[j] = static_cast<Index>(span) * Cell::products[which.product[j]].gates * V;
              sums[j] = thread.sums[j] + p * rows * width[j] + v * V;
            }
            for (Index r = 0; r < rows; ++r) {
              const T* const at_sums[2] = {sums[0] + r * width[0], sums[1] + r * width[1]};
              if constexpr (normalised && stage == 0)
                keep_raw(group, row + r, vector * V, input_gates + r * input_width, sums[0] + r * width[0], span * V);
              else
                step_of_row<stage>(share, group, s, row + r, vector * V, input_gates + r * input_width, input_span * V, at_sums,
                                   span * V, statistics[r]);
            }
          }
      });
    }
    if constexpr (normalised && stage == 0) {
      share.wait();
      run_normalised(share, group, s, begin, end);
    }
  }

  ALWAYS_INLINE void keep_raw(const Group& group, Index row, Index unit, const T* input_gates, const T* sums, Index gate_stride) const {
    for (int gate = 0; gate < Cell::gates; ++gate) {
      const Index to = row * norm_.row() + gate * sizes_.padded_hidden + unit;
      store(group.raw[of_input] + to, load(input_gates + gate * input_span * V));
      store(group.raw[of_recurrent] + to, load(sums + gate * gate_stride));
    }
  }

  // The first stage, once whole rows of the products are there.
  void run_normalised(const Share& share, const Group& group, Index s, Index begin, Index end) const {
    T* saved = static_cast<T*>(direction_.saved);
    const Index running = share.running(layer_.rows, s);
    for (Index row = 0; row < running; ++row) {
      const T* raw[sides];
      Statistics<T> statistics[sides][Normalisation<Cell, T>::groups];
      for (int side = 0; side < sides; ++side) {
        raw[side] = group.raw[side] + row * norm_.row();
        norm_.row_statistics(raw[side], statistics[side]);
      }
      T* raw_saved = saved ? saved + ((layer_.rows.offset[s] + share.first + row) * saved_slot_count<Cell, Projected>() +
                                      first_raw_slot<Cell, Projected>()) * sizes_.padded_hidden
                           : nullptr;
      for (Index vector = begin; vector < end; ++vector) {
        const Index unit = vector * V;
        alignas(64) T normal[sides][Cell::gates * V];
        for (int side = 0; side < sides; ++side)
          for (int gate = 0; gate < Cell::gates; ++gate) {
            const Vec<T> value = load(raw[side] + gate * sizes_.padded_hidden + unit);
            store(normal[side] + gate * V, statistics[side][norm_.group_of(gate)].normalised(value) * norm_.gain(side, gate, unit) +
                                               norm_.bias(side, gate, unit));
            if (raw_saved) store(raw_saved + (side * Cell::gates + gate) * sizes_.padded_hidden + unit, value);
          }
        const T* const sums[2] = {normal[of_recurrent], nullptr};
        step_of_row<0>(share, group, s, row, unit, normal[of_input], V, sums, V, {});
      }
    }
  }

  // The left factor of product j of a stage, if it has that many.
  template <int stage, int j>
  ALWAYS_INLINE typename Engine::Prepared prepare(const Group& group, const Thread& thread, Index s, Index row, Index rows) const {
    if constexpr (j < Cell::stages[stage].products) {
      constexpr Product product = Cell::products[Cell::stages[stage].product[j]];
      const bool hidden = product.operand == Operand::hidden;
      const Index stride = hidden ? output_stride() : hidden_stride();
      const Index which = (product.previous ? s + 1 : s) & 1;
      const T* left = (hidden ? group.hidden : group.inner)[which] + row * stride;
      return engine_.prepare(rows, depth_of(product.operand), {left, stride}, thread.left[j]);
    } else {
      return {};
    }
  }

  template <int stage, int j>
  ALWAYS_INLINE void take_product(const Thread& thread, typename Engine::Prepared left, Index rows, Index panel, Index panels) const {
    if constexpr (j < Cell::stages[stage].products) {
      constexpr int index = Cell::stages[stage].product[j];
      constexpr int vectors = span_of(stage) * Cell::products[index].gates;
      Base::template multiply<vectors>(rows, shape_of(index), product_[index], panel, panels, left, thread.sums[j]);
    }
  }

  template <int stage>
  ALWAYS_INLINE void step_of_row(const Share& share, const Group& group, Index s, Index row, Index unit, const T* input_gates,
                                 Index input_gate_stride, const T* const* sums, Index gate_stride,
                                 const Statistics<T>& statistics) const {
    const Rows& rows = layer_.rows;
    const Index place = share.first + row, valid = rows.offset[s] + place, of_batch = rows.order[place];
    const Places<T> places{rows, direction_.reverse};
    const bool last = rows.length[place] == s + 1;
    ForwardAt<T, Regularised> at{};
    at.input_gates = input_gates;
    at.input_gate_stride = input_gate_stride;
    at.sums[0] = sums[0];
    at.sums[1] = sums[1];
    at.gate_stride = gate_stride;
    at.states[0] = group.states[0] + row * output_stride() + unit;
    at.states[1] = group.states[1] + row * hidden_stride() + unit;
    at.kept_value = group.kept + row * hidden_stride() + unit;
    at.diagonals = diagonals_ + unit;
    at.padded_hidden = sizes_.padded_hidden;
    T* saved = static_cast<T*>(direction_.saved);
    constexpr Index slots = saved_slot_count<Cell, Projected>();
    if constexpr (normalises_cell<Cell>() && stage == 1) {
      at.state_statistics = statistics;
      at.state_gain = norm_.cell_gain(unit);
      at.state_bias = norm_.cell_bias(unit);
    }
    at.saved_row = saved ? saved + valid * slots * sizes_.padded_hidden + unit : nullptr;
    at.saves_past_caches = saves_past_caches_;
    at.inner_operand = group.inner[s & 1] + row * hidden_stride() + unit;
    at.count = sizes_.hidden - unit;
    for (int state = 0; state < Cell::states; ++state) {
      const Index size = state == 0 ? sizes_.output : sizes_.hidden;
      T* final = static_cast<T*>(direction_.final[state]);
      at.finals[state] = last ? final + of_batch * size + unit : nullptr;
      if constexpr (Regularised)
        at.zoneout[state] = direction_.zoneout[state].data ? places.at(direction_.zoneout[state], s, place) + unit : nullptr;
    }
    if constexpr (Projected) {
      at.hidden_operand = group.unprojected + row * hidden_stride() + unit;
      at.unprojected_saved = at.saved_row ? at.saved_row + Cell::saved_slots * sizes_.padded_hidden : nullptr;
    } else {
      at.hidden_operand = group.hidden[s & 1] + row * output_stride() + unit;
      at.output = places.at(direction_.output, s, place) + unit;
    }
    if constexpr (Regularised) {
      at.reset = is_reset(layer_, direction_, s, place);
      at.next_reset = !last && is_reset(layer_, direction_, s + 1, place);
      at.recurrent_dropout = direction_.recurrent_dropout
                                 ? static_cast<const T*>(direction_.recurrent_dropout) + of_batch * sizes_.output + unit
                                 : nullptr;
      at.candidate_dropout =
          direction_.candidate_dropout.data ? places.at(direction_.candidate_dropout, s, place) + unit : nullptr;
    }
    Cell::template forward<stage>(at);
  }

  void run_projection(const Share& share, const Group& group, const Thread& thread, Index s) const {
    constexpr int span = 4;
    const Rows& rows = layer_.rows;
    const Places<T> places{rows, direction_.reverse};
    Index begin, end;
    share.units(sizes_.output_vectors, span, begin, end);
    const Index running = share.running(rows, s);
    for (Index row = 0; row < running; row += most_tile_rows) {
      const Index count = smaller(running - row, most_tile_rows);
      const auto left = engine_.prepare(count, sizes_.hidden, {group.unprojected + row * hidden_stride(), hidden_stride()},
                                        thread.left[0]);
      each_panel(begin / span, ceiling(end, span), 1, s, [&](Index panel, Index) {
        Base::template multiply<span>(count, projection_shape(), projection_, panel, 1, left, thread.sums[0]);
        for (Index r = 0; r < count; ++r)
          for (int v = 0; v < span && panel * span + v < end; ++v) {
            const Index unit = (panel * span + v) * V, place = share.first + row + r, of_batch = rows.order[place];
            const bool last = rows.length[place] == s + 1;
            ForwardAt<T, Regularised> at{};
            at.states[0] = group.states[0] + (row + r) * output_stride() + unit;
            at.hidden_operand = group.hidden[s & 1] + (row + r) * output_stride() + unit;
            at.output = places.at(direction_.output, s, place) + unit;
            at.finals[0] = last ? static_cast<T*>(direction_.final[0]) + of_batch * sizes_.output + unit : nullptr;
            at.count = sizes_.output - unit;
            if constexpr (Regularised) {
              at.reset = is_reset(layer_, direction_, s, place);
              at.next_reset = !last && is_reset(layer_, direction_, s + 1, place);
              at.zoneout[0] = direction_.zoneout[0].data ? places.at(direction_.zoneout[0], s, place) + unit : nullptr;
              at.recurrent_dropout = direction_.recurrent_dropout
                                         ? static_cast<const T*>(direction_.recurrent_dropout) + of_batch * sizes_.output + unit
                                         : nullptr;
            }
            at.set_hidden(load(thread.sums[0] + r * span * V + v * V));
          }
      });
    }
  }

  const bool saves_past_caches_ = belongs_past_caches(
      static_cast<const T*>(direction_.saved), layer_.rows.valid * saved_slot_count<Cell, Projected>() * sizes_.padded_hidden);
};

}  // namespace throughtime::INSTRUCTION_SET
