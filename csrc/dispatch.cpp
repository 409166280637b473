// The choice of the instruction sets.
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
DECLARE(avx512_bf16)
DECLARE(amx)
#endif

namespace {

#if defined(THROUGHTIME_X86)
// The operating system hands the tile registers out on request, once for a process.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr Index request_permission = 0x1023, tile_data = 18;
  static const bool granted = syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return granted;
#else
  return false;
#endif
}
#endif

bool runs_here(const Kernels& candidate) {
#if defined(THROUGHTIME_X86)
  if (&candidate == &amx::kernels) return runs_here(avx512_bf16::kernels) && __builtin_cpu_supports("amx-bf16") && may_use_tiles();
  if (&candidate == &avx512_bf16::kernels) return runs_here(avx512::kernels) && __builtin_cpu_supports("avx512bf16");
  if (&candidate == &avx512::kernels)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  if (&candidate == &avx2::kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &candidate == &portable::kernels;
}

// The fastest first; null after the last.
const Kernels* const all[] = {
#if defined(THROUGHTIME_X86)
    &avx512::kernels, &avx2::kernels,
#endif
    &portable::kernels, nullptr};
const Kernels* const all_for_bfloat16[] = {
#if defined(THROUGHTIME_X86)
    &amx::kernels, &avx512_bf16::kernels,
#endif
    nullptr};

const Kernels* at(const Kernels* const* candidates, int place) {
  for (; *candidates; ++candidates)
    if (runs_here(**candidates) && place-- == 0) return *candidates;
  return nullptr;
}

const Kernels* find(const Kernels* const* candidates, const char* name) {
  for (; *candidates; ++candidates)
    if (runs_here(**candidates) && std::strcmp((*candidates)->name, name) == 0) return *candidates;
  return nullptr;
}

const Kernels* first_choice() {
  if (const char* wanted = std::getenv("THROUGHTIME_INSTRUCTION_SET"))
    if (const Kernels* found = find_kernels(wanted)) return found;
  return kernels_at(0);
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> kernels = first_choice();
  return kernels;
}
std::atomic<const Kernels*>& chosen_for_bfloat16() {
  static std::atomic<const Kernels*> kernels = bfloat16_kernels_at(0);
  return kernels;
}

const Kernels& kernels_for(const Layer& layer) {
  const Kernels* found = bfloat16_kernels();
  return found && found->multiplies_bfloat16(layer) ? *found : kernels();
}

}  // namespace

void forward(const Layer& layer) { kernels_for(layer).forward(layer); }
void backward(const Layer& layer) { kernels_for(layer).backward(layer); }

const Kernels& kernels() { return *chosen().load(std::memory_order_relaxed); }
const Kernels* find_kernels(const char* name) { return find(all, name); }
const Kernels* kernels_at(int place) { return at(all, place); }
void choose_kernels(const Kernels& kernels) { chosen() = &kernels; }

const Kernels* bfloat16_kernels() {
#if defined(THROUGHTIME_X86)
  if (&kernels() == &avx512::kernels) return chosen_for_bfloat16().load(std::memory_order_relaxed);
#endif
  return nullptr;
}
const Kernels* find_bfloat16_kernels(const char* name) { return find(all_for_bfloat16, name); }
const Kernels* bfloat16_kernels_at(int place) { return at(all_for_bfloat16, place); }
void choose_bfloat16_kernels(const Kernels& kernels) { chosen_for_bfloat16() = &kernels; }

}  // namespace throughtime
