// The choice of the instruction set, once, when the library is loaded.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace throughtime {

#define DECLARE(instruction_set)   \
  namespace instruction_set {      \
  extern const Kernels kernels;    \
  }
DECLARE(portable)
#if defined(THROUGHTIME_X86)
DECLARE(avx2)
DECLARE(avx512)
#endif

namespace {

struct Candidate {
  const Kernels* kernels;
  bool supported;
};

const Kernels& choose() {
  const Candidate candidates[] = {
#if defined(THROUGHTIME_X86)
      {&avx512::kernels, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")},
      {&avx2::kernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
      {&portable::kernels, true},
  };
  const char* wanted = std::getenv("THROUGHTIME_INSTRUCTION_SET");
  if (wanted)
    for (const Candidate& candidate : candidates)
      if (candidate.supported && std::strcmp(candidate.kernels->name, wanted) == 0) return *candidate.kernels;
  for (const Candidate& candidate : candidates)
    if (candidate.supported) return *candidate.kernels;
  return portable::kernels;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace throughtime
