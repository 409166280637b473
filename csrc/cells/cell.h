// What a cell is to the time loop: which products a step takes, and in stages what happens between them. A cell is a
// struct of constants and of two functions for each stage:
//
//   template <int stage> static void forward(At& at);   reads what the stage's products gave, sets states and saves
//   template <int stage> static void backward(At& at);  reads dL/dh_t, sets dL/da_t of its gates and dL/d(state_{t-1})
//
// `at` stands for one vector of units of one row at one step (see recurrence.h). The equations cited are those of
// docs/backpropagation_through_time.md.
#pragma once

#include "../layer.h"
#include "../simd.h"

namespace throughtime::INSTRUCTION_SET {

// What a product multiplies. `inner` is a value that the cell makes: r ⊙ h_{t-1}, or c_t.
enum class Operand { hidden, inner, unprojected };

// Gates first_gate … first_gate + gates - 1 get operand × matrixᵀ. Backwards the same product carries the gates'
// derivatives, which the cell puts into slots first_slot … first_slot + gates - 1, to the operand's.
struct Product {
  Operand operand;
  bool previous;  // the operand of the step before; else this step's, from an earlier stage
  Matrix matrix;
  int first_gate;
  int gates;
  int first_slot;
};

// The products, by their places in the cell's table, that must be ready before a stage.
struct Stage {
  int products;
  int product[2];
};

// Units of a panel's gates: as many vectors of units as keep a panel within four vectors. A stage may have no products.
constexpr int unit_vectors(int gates) { return gates >= 3 || gates == 0 ? 1 : gates == 2 ? 2 : 4; }

}  // namespace throughtime::INSTRUCTION_SET
