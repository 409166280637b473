#pragma once

#include <cstddef>

namespace throughtime {

// Counts, sizes and offsets in elements: long has only 32 bits on Windows.
using Index = std::ptrdiff_t;

}  // namespace throughtime
