// Memory for the length of one call, or between a call and its backward. Blocks are kept for the next call, up to a
// gibibyte in all: fresh pages would cost a third of a small layer's time.
#pragma once

#include <cstddef>

namespace throughtime {

class Workspace {
 public:
  explicit Workspace(std::size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // The next `count` elements, aligned to a cache line; the sum of all must not exceed what was asked for.
  template <class T>
  T* take(std::size_t count) {
    T* result = reinterpret_cast<T*>(data_ + used_);
    used_ += size<T>(count);
    return result;
  }

  // What `take` uses up for `count` elements.
  template <class T>
  static constexpr std::size_t size(std::size_t count) {
    return (count * sizeof(T) + 63) / 64 * 64;
  }

 private:
  char* data_;
  std::size_t bytes_;
  std::size_t used_ = 0;
};

// A workspace for the length of one call, counted: what a caller can't see of a call's memory.
class Scratch : public Workspace {
 public:
  explicit Scratch(std::size_t bytes);
  ~Scratch();

 private:
  std::size_t asked_;
};

// The most bytes of scratch at a time since it was last asked for.
std::size_t take_scratch_peak();

}  // namespace throughtime
