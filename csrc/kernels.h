// The entry points of one instruction set.
#pragma once

#include "convolution.h"
#include "layer.h"

namespace throughtime {

namespace word2vec {
struct Round;
struct Report;
}  // namespace word2vec

struct Kernels {
  const char* name;
  void (*forward)(const Layer&);
  void (*backward)(const Layer&);
  // Values that a cell keeps for each valid row, in units of the padded hidden size, and what that is a multiple of.
  int (*saved_slots)(int cell, bool projected);
  int float_lanes, double_lanes;
  // The cells by name, in the order of their numbers; null after the last.
  const char* const* cell_names;
  // Whether these multiply the bfloat16 parts that a layer's factors may have, faster than others multiply float32.
  bool (*multiplies_bfloat16)(const Layer&);
  word2vec::Report (*train_word_vectors)(const word2vec::Round&);
  // Convolutions: how many scalars transformed filters are; their transform; result = values * filters + bias, or with `add`
  // result += values * filters, and at each place of it a step, bias and step if not null; from the derivative of the result
  // that of the weights, [outputs][kernel][kernel][inputs]; and a step alone.
  Index (*filters_size)(const Convolution&);
  void (*transform_filters)(const Convolution&, const Filters&);
  void (*convolve)(const Convolution&, const void* values, const void* filters, const void* bias, bool add, void* result,
                   const PlaceStep* step);
  void (*derive_filters)(const Convolution&, const void* values, const void* derivatives, void* weights);
  void (*step_all_places)(const PlaceStep&);
  Sides (*sides_at_places)(int cell);
};

// Carry out a call: with the kernels for bfloat16, if this machine has them and they are for such a call.
void forward(const Layer& layer);
void backward(const Layer& layer);

// The kernels for this machine: the best instruction set that it has, or the one that the environment variable
// THROUGHTIME_INSTRUCTION_SET names.
const Kernels& kernels();

// Those that run on this machine, the fastest first: by name, and by place; null if there is none.
const Kernels* find_kernels(const char* name);
const Kernels* kernels_at(int place);

// Use these from now on; not while a call is under way.
void choose_kernels(const Kernels& kernels);

// The same of the kernels for products of bfloat16, which only run beside those of AVX-512: null if none are chosen.
const Kernels* bfloat16_kernels();
const Kernels* find_bfloat16_kernels(const char* name);
const Kernels* bfloat16_kernels_at(int place);
void choose_bfloat16_kernels(const Kernels& kernels);

}  // namespace throughtime
