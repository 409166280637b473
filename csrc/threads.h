// Threads: one parallel region a call, in torch's own OpenMP pool where the compiler has OpenMP (the extension links
// against the same runtime), else short-lived threads; and what threads of a region share.
#pragma once

#include <atomic>
#include <thread>
#if defined(_OPENMP)
#include <omp.h>
#else
#include <vector>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "index.h"

namespace throughtime::INSTRUCTION_SET {

// Call body(thread, threads) in threads that run at the same time, and wait for them. There may be fewer than were
// asked for: a nested region has one.
template <class Body>
void in_parallel(int threads, const Body& body) {
  if (threads <= 1) return body(0, 1);
#if defined(_OPENMP)
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
#else
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back([&, thread] { body(thread, threads); });
  body(0, threads);
  for (auto& other : others) other.join();
#endif
}

// Waiting costs some hundred nanoseconds while all threads run. Where one does not, because another process has its core,
// the others sleep: a thread that is woken gets its core back at once, one that yields waits for its turn.
class Barrier {
 public:
  void wait(int threads) {
    if (threads == 1) return;
    const int phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      phase_.notify_all();
      return;
    }
    for (int spins = 0; spins < 4000; ++spins) {
      if (phase_.load(std::memory_order_acquire) != phase) return;
      pause();
    }
    phase_.wait(phase, std::memory_order_acquire);
  }

 private:
  static void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> phase_{0};
};

// Hands out 0, 1, … to whichever thread asks next, so that a thread beside a busy neighbour takes fewer.
class Counter {
 public:
  Index next() { return next_.fetch_add(1, std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<Index> next_{0};
};

// Denormal numbers count as zero while this lives: they would cost a hundred times as much.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | (1ull << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  unsigned long long before_;
#else
  FlushDenormals() {}
#endif
};

}  // namespace throughtime::INSTRUCTION_SET
