// Knows Python, which else only word2vec/bindings.cpp does. Tensors come as addresses and strides, which costs less than any exchange protocol;
// throughtime/recurrence/passes.py owns them and has checked their shapes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <optional>
#include <vector>

#include "kernels.h"
#include "rows.h"
#include "word2vec/bindings.h"
#include "workspace.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace throughtime;

namespace {

using Address = std::uintptr_t;

template <class T = void>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

Sequence sequence(Address address, Index time_stride, Index batch_stride) {
  return {pointer(address), time_stride, batch_stride};
}

void set_normalisation(Weights& weights, Address input_gain, Address recurrent_gain, Address cell_gain, Address cell_bias) {
  weights.norm_gain[0] = pointer(input_gain);
  weights.norm_gain[1] = pointer(recurrent_gain);
  weights.norm_gain_cell = pointer(cell_gain);
  weights.norm_bias_cell = pointer(cell_bias);
}

// A layer's description together with the order of its rows.
struct Call {
  Call(int cell, bool double_precision, bool projected, Index input_size, Index hidden_size, Index output_size, Index time,
       Index batch, Address lengths, int threads)
      : order(time, batch, pointer<const std::int64_t>(lengths)) {
    layer.cell = cell;
    layer.double_precision = double_precision;
    layer.projected = projected;
    layer.input_size = input_size;
    layer.hidden_size = hidden_size;
    layer.output_size = output_size;
    layer.threads = threads;
    layer.directions = 0;
    layer.rows = order.rows();
  }

  Layer layer;
  RowOrder order;
};

// Layers above each other, for inference: states are (layer and direction, batch, size), and the final ones may be
// written where the initial ones lie.
class Stack {
 public:
  void add(Call& call) { calls_.push_back(&call); }

  void run(const Sequence& input, Address output, const std::array<Address, most_states>& initial,
           const std::array<Address, most_states>& final) const {
    std::optional<Scratch> between[2];
    Sequence from = input;
    Index row = 0;  // of the states
    for (std::size_t place = 0; place < calls_.size(); ++place) {
      Layer& layer = calls_[place]->layer;
      const std::size_t scalar = layer.double_precision ? sizeof(double) : sizeof(float);
      const Index width = layer.directions * layer.output_size, batch = layer.rows.batch;
      char* to = pointer<char>(output);
      if (place + 1 < calls_.size()) {
        const std::size_t bytes = static_cast<std::size_t>(layer.rows.time * batch * width) * scalar;
        to = between[place % 2].emplace(Workspace::size<char>(bytes)).take<char>(bytes);
      }
      layer.input = from;
      layer.odd = !layer.odd;
      for (int d = 0; d < layer.directions; ++d, ++row) {
        Direction& direction = layer.direction[d];
        direction.output = {to + static_cast<std::size_t>(d * layer.output_size) * scalar, batch * width, width};
        for (int state = 0; state < most_states; ++state) {
          const std::size_t offset = static_cast<std::size_t>(row * batch * (state == 0 ? layer.output_size : layer.hidden_size)) * scalar;
          direction.initial[state] = initial[state] ? pointer<char>(initial[state]) + offset : nullptr;
          direction.final[state] = final[state] ? pointer<char>(final[state]) + offset : nullptr;
        }
      }
      forward(layer);
      from = {to, batch * width, width};
    }
  }

 private:
  std::vector<Call*> calls_;
};

// A tensor whose memory comes from the workspaces and goes back to them.
template <class T>
nb::ndarray<nb::pytorch, T, nb::ndim<1>> workspace_tensor(std::size_t size) {
  auto* workspace = new Workspace(size * sizeof(T));
  nb::capsule owner(workspace, [](void* given) noexcept { delete static_cast<Workspace*>(given); });
  return {workspace->take<T>(size), {size}, owner};
}

nb::list names(const Kernels* (*kernels_at)(int place)) {
  nb::list names;
  for (int place = 0; const Kernels* found = kernels_at(place); ++place) names.append(found->name);
  return names;
}

}  // namespace

NB_MODULE(_core, module) {
  nb::set_leak_warnings(false);  // a layer that lives until the interpreter ends is none
  module.doc() = "Recurrent cells through time, fused: the native core of throughtime.recurrence.fused.";

  nb::class_<Direction>(module, "Direction")
      .def(nb::init<>())
      .def_rw("reverse", &Direction::reverse)
      .def("set_weights",
           [](Direction& d, Address input, Address recurrent, Address input_bias, Address recurrent_bias,
              Address projection, Address peephole) {
             d.weights = {pointer(input), pointer(input_bias), pointer(recurrent_bias),
                          {pointer(recurrent), pointer(projection), pointer(peephole)}};
           })
      .def("set_weight_gradients",
           [](Direction& d, Address input, Address recurrent, Address input_bias, Address recurrent_bias,
              Address projection, Address peephole) {
             d.d_weights = {pointer(input), pointer(input_bias), pointer(recurrent_bias),
                            {pointer(recurrent), pointer(projection), pointer(peephole)}};
           })
      .def("set_normalisation",
           [](Direction& d, Address input_gain, Address recurrent_gain, Address cell_gain, Address cell_bias) {
             set_normalisation(d.weights, input_gain, recurrent_gain, cell_gain, cell_bias);
           })
      .def("set_normalisation_gradients",
           [](Direction& d, Address input_gain, Address recurrent_gain, Address cell_gain, Address cell_bias) {
             set_normalisation(d.d_weights, input_gain, recurrent_gain, cell_gain, cell_bias);
           })
      .def("set_scales",
           [](Direction& d, Address input, Address recurrent, Address projection, Address peephole) {
             d.weights.input_scale = pointer<const float>(input);
             const Address scales[matrices] = {recurrent, projection, peephole};
             for (int matrix = 0; matrix < matrices; ++matrix) d.weights.scale[matrix] = pointer<const float>(scales[matrix]);
           })
      .def("set_initial", [](Direction& d, int state, Address address) { d.initial[state] = pointer(address); })
      .def("set_final", [](Direction& d, int state, Address address) { d.final[state] = pointer(address); })
      .def("set_initial_gradient", [](Direction& d, int state, Address address) { d.d_initial[state] = pointer(address); })
      .def("set_final_gradient", [](Direction& d, int state, Address address) { d.d_final[state] = pointer(address); })
      .def("set_saved", [](Direction& d, Address address) { d.saved = pointer(address); })
      .def("set_output", [](Direction& d, Address a, Index t, Index b) { d.output = sequence(a, t, b); })
      .def("set_output_gradient", [](Direction& d, Address a, Index t, Index b) { d.d_output = sequence(a, t, b); })
      .def("set_input_gradient", [](Direction& d, Address a, Index t, Index b) { d.d_input = sequence(a, t, b); })
      .def("set_hidden_gradient", [](Direction& d, Address a, Index t, Index b) { d.d_hidden = sequence(a, t, b); })
      .def("set_recurrent_dropout", [](Direction& d, Address address) { d.recurrent_dropout = pointer(address); })
      .def("set_candidate_dropout", [](Direction& d, Address a, Index t, Index b) { d.candidate_dropout = sequence(a, t, b); })
      .def("set_zoneout",
           [](Direction& d, int state, Address a, Index t, Index b) { d.zoneout[state] = sequence(a, t, b); });

  nb::class_<Call>(module, "Layer")
      .def(nb::init<int, bool, bool, Index, Index, Index, Index, Index, Address, int>(), "cell"_a, "double_precision"_a,
           "projected"_a, "input_size"_a, "hidden_size"_a, "output_size"_a, "time"_a, "batch"_a, "lengths"_a, "threads"_a)
      .def("set_input", [](Call& c, Address a, Index t, Index b) { c.layer.input = sequence(a, t, b); })
      .def("set_reset", [](Call& c, Address address) { c.layer.reset = pointer<std::uint8_t>(address); })
      .def("set_bfloat16_parts", [](Call& c, int parts) { c.layer.bfloat16_parts = parts; })
      .def("set_weight_format", [](Call& c, int format) { c.layer.weight_format = static_cast<WeightFormat>(format); })
      .def("set_gradient_limit", [](Call& c, double limit) { c.layer.gradient_limit = limit; })
      .def("add_direction", [](Call& c, const Direction& direction) { c.layer.direction[c.layer.directions++] = direction; })
      .def_prop_ro("valid", [](const Call& c) { return c.layer.rows.valid; })
      .def_prop_ro("saved_size",
                   [](const Call& c) {
                     const Kernels& k = kernels();
                     const Index lanes = c.layer.double_precision ? k.double_lanes : k.float_lanes;
                     const Index padded = (c.layer.hidden_size + lanes - 1) / lanes * lanes;
                     return c.layer.rows.valid * padded * k.saved_slots(c.layer.cell, c.layer.projected);
                   })
      .def(
          "forward", [](const Call& c) { forward(c.layer); }, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "backward", [](const Call& c) { backward(c.layer); }, nb::call_guard<nb::gil_scoped_release>());

  nb::class_<Stack>(module, "Stack")
      .def(nb::init<>())
      .def("add", &Stack::add, "layer"_a, nb::keep_alive<1, 2>())
      .def(
          "run",
          [](const Stack& s, Address input, Index time_stride, Index batch_stride, Address output, Address initial_hidden,
             Address initial_cell, Address final_hidden, Address final_cell) {
            s.run(sequence(input, time_stride, batch_stride), output, {initial_hidden, initial_cell}, {final_hidden, final_cell});
          },
          nb::call_guard<nb::gil_scoped_release>());

  nb::class_<PlaceStep>(module, "PlaceStep")
      .def(
          "__init__",
          [](PlaceStep* step, int cell, bool double_precision, Index places, Index units, int threads) {
            new (step) PlaceStep{.cell = cell, .double_precision = double_precision, .places = places, .units = units,
                                 .threads = threads};
          },
          nb::kw_only(), "cell"_a, "double_precision"_a, "places"_a, "units"_a, "threads"_a)
      .def("set_gates",
           [](PlaceStep& s, Address gates, Address recurrent) {
             s.gates = pointer(gates);
             s.recurrent = pointer(recurrent);
           })
      .def("set_state",
           [](PlaceStep& s, int state, Address before, Address after) {
             s.before[state] = pointer(before);
             s.after[state] = pointer(after);
           })
      .def("set_diagonals",
           [](PlaceStep& s, Address diagonals, Index places) {
             s.diagonals = pointer(diagonals);
             s.diagonal_places = places;
           })
      .def("set_output_gradient", [](PlaceStep& s, Address address) { s.d_output = pointer(address); })
      .def("set_state_gradient", [](PlaceStep& s, int state, Address address) { s.d_state[state] = pointer(address); })
      .def("set_gate_gradients",
           [](PlaceStep& s, Address gates, Address recurrent) {
             s.backwards = true;
             s.d_gates = pointer(gates);
             s.d_recurrent = pointer(recurrent);
           })
      .def(
          "run", [](const PlaceStep& s) { kernels().step_all_places(s); }, nb::call_guard<nb::gil_scoped_release>());

  nb::class_<Convolution>(module, "Convolution")
      .def(
          "__init__",
          [](Convolution* c, bool double_precision, int kernel, Index pictures, Index height, Index width, Index inputs,
             Index outputs, int threads) {
            new (c) Convolution{double_precision, kernel, pictures, height, width, inputs, outputs, threads};
          },
          nb::kw_only(), "double_precision"_a, "kernel"_a, "pictures"_a, "height"_a, "width"_a, "inputs"_a, "outputs"_a,
          "threads"_a)
      .def_prop_ro("filters_size", [](const Convolution& c) { return kernels().filters_size(c); })
      .def(
          "transform_filters",
          [](const Convolution& c, Address weights, bool backwards, Address transformed) {
            kernels().transform_filters(c, {pointer(weights), backwards, pointer(transformed)});
          },
          "weights"_a, nb::kw_only(), "backwards"_a, "transformed"_a, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "convolve",
          [](const Convolution& c, Address values, Address filters, Address bias, bool add, Address result,
             const PlaceStep* step) {
            kernels().convolve(c, pointer(values), pointer(filters), pointer(bias), add, pointer(result), step);
          },
          "values"_a, "filters"_a, nb::kw_only(), "bias"_a, "add"_a, "result"_a, "step"_a.none(),
          nb::call_guard<nb::gil_scoped_release>())
      .def(
          "derive_filters",
          [](const Convolution& c, Address values, Address derivatives, Address weights) {
            kernels().derive_filters(c, pointer(values), pointer(derivatives), pointer(weights));
          },
          "values"_a, "derivatives"_a, nb::kw_only(), "weights"_a, nb::call_guard<nb::gil_scoped_release>());

  word2vec::bind(module);

  module.def("take_scratch_peak", &take_scratch_peak,
             "The most bytes at a time that calls have used within themselves since this was last called.");
  module.def("float_tensor", &workspace_tensor<float>, "size"_a, "A vector of uninitialised memory that is used again.");
  module.def("double_tensor", &workspace_tensor<double>, "size"_a, "A vector of uninitialised memory that is used again.");
  module.def(
      "cells",
      [] {
        nb::list names;
        for (const char* const* name = kernels().cell_names; *name; ++name) names.append(*name);
        return names;
      },
      "The names of the cells, in the order of their numbers.");
  module.def(
      "cells_at_places",
      [] {
        nb::dict cells;
        for (int cell = 0; kernels().cell_names[cell]; ++cell)
          if (const Sides sides = kernels().sides_at_places(cell); sides != Sides::unknown)
            cells[kernels().cell_names[cell]] = sides == Sides::added;
        return cells;
      },
      "The names of the cells that PlaceStep knows, and whether they add up the input's and the recurrent side.");
  module.def("instruction_set", [] { return kernels().name; }, "The instruction set whose kernels run.");
  module.def(
      "instruction_sets", [] { return names(kernels_at); }, "The instruction sets whose kernels this machine can run, the fastest first.");
  module.def(
      "set_instruction_set",
      [](const char* name) {
        const Kernels* found = find_kernels(name);
        if (!found) throw nb::value_error("this machine has no kernels of that instruction set");
        choose_kernels(*found);
      },
      "name"_a, "Run the kernels of this instruction set from now on.");
  module.def(
      "bfloat16_instruction_set", [] { return bfloat16_kernels() ? bfloat16_kernels()->name : nullptr; },
      "The instruction set that products of bfloat16 run on; None where they are products of float32.");
  module.def(
      "bfloat16_instruction_sets", [] { return names(bfloat16_kernels_at); },
      "Those that this machine multiplies bfloat16 with, beside avx512, the fastest first.");
  module.def(
      "set_bfloat16_instruction_set",
      [](const char* name) {
        const Kernels* found = find_bfloat16_kernels(name);
        if (!found) throw nb::value_error("this machine has no kernels for bfloat16 of that instruction set");
        choose_bfloat16_kernels(*found);
      },
      "name"_a, "Multiply bfloat16 by the kernels of this instruction set from now on.");
}
