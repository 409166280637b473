// Convolutional recurrence to the native core: sizes and pointers. The scalars are float or double, the same throughout;
// pictures are contiguous, their channels last: [pictures][height][width][channels].
#pragma once

#include "layer.h"

namespace throughtime {

// A convolution: stride 1, zeros beyond the edges, as many rows and columns out as in.
struct Convolution {
  bool double_precision = false;
  int kernel = 3;  // rows and columns of a filter: 3 or 5
  Index pictures = 0, height = 0, width = 0;
  Index inputs = 0, outputs = 0;  // channels
  int threads = 1;
};

// The filters as `convolve` takes them, of weights [outputs][kernel][kernel][inputs]. With `backwards`, for the derivative
// of what was convolved: of weights [inputs][kernel][kernel][outputs], each turned by half a turn.
struct Filters {
  const void* weights;
  bool backwards;
  void* transformed;  // `filters_size` scalars
};

// How a cell takes the sums of the input's and of the recurrent side: added up, or apart. It is unknown of cells whose step
// is more than one product of the state, which is not taken at places.
enum class Sides { unknown, added, apart };

// A step of a cell at each place of some pictures, forwards or backwards, in memory that is there already: gates are
// [places][gates * units], states [places][units]. Null where a cell has no such thing.
struct PlaceStep {
  int cell = 0;
  bool double_precision = false;
  Index places = 0, units = 0;
  int threads = 1;
  // The sums of the input's side, or of both sides where the cell adds them; forwards they are activated in place.
  void* gates = nullptr;
  void* recurrent = nullptr;  // the sums of the recurrent side, where the cell keeps it apart
  const void* before[most_states] = {};
  void* after[most_states] = {};
  const void* diagonals = nullptr;  // peepholes, [3][diagonal_places][units]
  Index diagonal_places = 1;        // 1, or those of a picture
  bool backwards = false;
  const void* d_output = nullptr;  // what comes from outside to the hidden state after the step
  // Of the states after the step; becomes that of the states before, but for what comes through the recurrent side.
  void* d_state[most_states] = {};
  void* d_gates = nullptr;  // out: of the sums
  void* d_recurrent = nullptr;
};

}  // namespace throughtime
