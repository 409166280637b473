// What a recurrent layer is to the native core: sizes, strides and pointers. Nothing here depends on an instruction
// set, on Python or on torch. All pointers are the caller's; scalars are float or double, the same throughout.
#pragma once

#include <cstdint>

#include "index.h"

namespace throughtime {

// The weight matrices beside the input's, by the place that they have in Weights::matrix.
enum Matrix { recurrent_matrix, projection_matrix, peephole_matrix, matrices };

// A tensor (time, batch, feature) whose features are contiguous; strides in elements.
struct Sequence {
  void* data = nullptr;
  Index time_stride = 0;
  Index batch_stride = 0;
};

// The rows of a batch in the order in which they run: longest first, so that the rows still running at a step are the
// first ones. A running row at a step is "valid"; valid rows are numbered step by step.
struct Rows {
  Index time;            // of the tensors
  Index batch;
  Index steps;           // the greatest length
  Index valid;           // sum of the lengths
  const Index* order;    // [batch]: place among the running rows -> row of the caller's batch
  const Index* length;   // [batch] by place, descending
  const Index* running;  // [steps + 1]: rows longer than s; zero at the end
  const Index* offset;   // [steps + 1]: number of the first valid row of step s
};

// How the matrices' elements are stored: as the layer's scalars, or for inference on a few rows smaller.
enum class WeightFormat { scalar, bfloat16, int8 };

// Row-major, torch's layout; biases and matrices that a cell lacks are null.
struct Weights {
  void* input = nullptr;           // [gates * hidden][input]
  void* input_bias = nullptr;      // [gates * hidden]
  void* recurrent_bias = nullptr;  // [gates * hidden]
  void* matrix[matrices] = {};     // recurrent [gates * hidden][output], projection [output][hidden],
                                   // peephole [3 * hidden], always of scalars, or [3 * hidden][hidden]
  void* norm_gain[2] = {};         // of the input's and the recurrent product, [gates * hidden]
  void* norm_gain_cell = nullptr;  // [hidden]
  void* norm_bias_cell = nullptr;  // [hidden]
  // Factors of the rows of int8 matrices, else null.
  const float* input_scale = nullptr;
  const float* scale[matrices] = {};
};

inline constexpr int most_states = 2;

struct Direction {
  bool reverse = false;
  Weights weights;
  const void* initial[most_states] = {};  // in: [batch][size], null for zeros
  void* final[most_states] = {};          // out: [batch][size]
  Sequence output;                        // forward: out; backward: in. Zero in the padding
  void* saved = nullptr;                  // [valid][saved slots][padded hidden]; forward: out, null in inference
  // Factors and masks of regularisation, each null where there is none.
  const void* recurrent_dropout = nullptr;  // [batch][output]: factor of h before the recurrent product
  Sequence candidate_dropout;               // (time, batch, hidden): factor of the candidate
  Sequence zoneout[most_states];            // (time, batch, size): share of the state that stays as it was
  // Backward.
  Sequence d_output;                        // in; data null for zeros
  const void* d_final[most_states] = {};    // in: [batch][size], null for zeros
  void* d_initial[most_states] = {};        // out: [batch][size], null if not wanted
  Sequence d_input;                         // out; data null if not wanted; not written in the padding
  Weights d_weights;                        // out; null if not wanted
  Sequence d_hidden;                        // out: dL/dh_t, all paths together; data null if not wanted
};

struct Layer {
  int cell;  // place in the list of cells/list.h
  bool double_precision;
  int bfloat16_parts = 0;  // of each factor of a product, 1 to 3, where there are kernels for them; 0 for none
  bool projected;
  WeightFormat weight_format = WeightFormat::scalar;
  Index input_size, hidden_size, output_size;
  Rows rows;
  Sequence input;
  const std::uint8_t* reset = nullptr;  // (time, batch): where not zero, the state before the step is zero; null for nowhere
  double gradient_limit = 0;            // dL/dh_t is clipped to [-limit, limit]; 0 for no limit
  bool odd = false;  // of calls that follow each other with the same weights, whether this is the second, the fourth, …
  int directions = 1;
  Direction direction[2];
  int threads = 1;
};

}  // namespace throughtime
