// What an instruction set offers.
#include "kernels.h"

#include "passes.h"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

namespace throughtime::INSTRUCTION_SET {

void forward(const Layer& layer);
void backward(const Layer& layer);

namespace {

#define NAME(name, cell) #name,
constexpr const char* cell_names[] = {THROUGHTIME_CELLS(NAME) nullptr};

int saved_slots(int cell, bool projected) {
  return with_cell(cell, [&]<class Cell>() { return static_cast<int>(projected ? saved_slot_count<Cell, true>() : saved_slot_count<Cell, false>()); });
}

bool multiplies_bfloat16([[maybe_unused]] const Layer& layer) {
#if defined(__AVX512BF16__)
  const int parts = layer.bfloat16_parts;
  const bool plain = layer.double_precision || layer.weight_format != WeightFormat::scalar;
  return !plain && parts > 0 && parts <= Bfloat16::most_parts && layer.rows.batch >= Bfloat16::least_rows(parts) && !is_short(layer);
#else
  return false;
#endif
}

}  // namespace

word2vec::Report train_word_vectors(const word2vec::Round& round);  // in word2vec/training.cpp

Index filters_size(const Convolution& c);
void transform_filters(const Convolution& c, const Filters& filters);
void convolve(const Convolution& c, const void* values, const void* filters, const void* bias, bool add, void* result,
              const PlaceStep* step);
void derive_filters(const Convolution& c, const void* values, const void* derivatives, void* weights);
void step_all_places(const PlaceStep& step);
Sides sides_at_places(int cell);

#if defined(__AVX512BF16__)
#define CONVOLUTION(function) nullptr  // those of AVX-512 run beside these
#else
#define CONVOLUTION(function) function
#endif

extern const Kernels kernels;
const Kernels kernels = {TEXT(INSTRUCTION_SET), forward, backward, saved_slots, lanes<float>, lanes<double>, cell_names,
                         multiplies_bfloat16, train_word_vectors, CONVOLUTION(filters_size), CONVOLUTION(transform_filters),
                         CONVOLUTION(convolve), CONVOLUTION(derive_filters), CONVOLUTION(step_all_places),
                         CONVOLUTION(sides_at_places)};

}  // namespace throughtime::INSTRUCTION_SET
