// The choice of the instruction set.
#include <atomic>
#include <cstdlib>
#include <cstring>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

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
DECLARE(amx)
#endif

namespace {

bool runs_here(const Kernels& candidate) {
#if defined(THROUGHTIME_X86)
  if (&candidate == &avx512::kernels)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  if (&candidate == &avx2::kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &candidate == &portable::kernels;
}

const Kernels* const all[] = {
#if defined(THROUGHTIME_X86)
    &avx512::kernels, &avx2::kernels,
#endif
    &portable::kernels};

const Kernels* first_choice() {
  if (const char* wanted = std::getenv("THROUGHTIME_INSTRUCTION_SET"))
    if (const Kernels* found = find_kernels(wanted)) return found;
  for (const Kernels* candidate : all)
    if (runs_here(*candidate)) return candidate;
  return &portable::kernels;
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> kernels = first_choice();
  return kernels;
}

}  // namespace

bool has_amx() {
#if defined(THROUGHTIME_X86) && defined(__linux__)
  // The kernel hands the tile registers out on request, once for a process.
  static const bool granted = [] {
    constexpr Index request_permission = 0x1023, tile_data = 18;
    return runs_here(avx512::kernels) && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-bf16") &&
           syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  }();
  return granted && &kernels() == &avx512::kernels;
#else
  return false;
#endif
}

namespace {

const Kernels& kernels_for(const Layer& layer) {
#if defined(THROUGHTIME_X86)
  if (layer.bfloat16_parts > 0 && !layer.double_precision && has_amx()) return amx::kernels;
#endif
  (void)layer;
  return kernels();
}

}  // namespace

void forward(const Layer& layer) { kernels_for(layer).forward(layer); }
void backward(const Layer& layer) { kernels_for(layer).backward(layer); }

const Kernels& kernels() { return *chosen().load(std::memory_order_relaxed); }

const Kernels* find_kernels(const char* name) {
  for (const Kernels* candidate : all)
    if (runs_here(*candidate) && std::strcmp(candidate->name, name) == 0) return candidate;
  return nullptr;
}

const Kernels* kernels_at(int place) {
  for (const Kernels* candidate : all)
    if (runs_here(*candidate) && place-- == 0) return candidate;
  return nullptr;
}

void choose_kernels(const Kernels& kernels) { chosen() = &kernels; }

}  // namespace throughtime
