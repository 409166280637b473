#include "workspace.h"

#include <mutex>
#include <new>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace throughtime {
namespace {

struct Block {
  char* data;
  std::size_t bytes;
};

std::mutex mutex;
std::vector<Block> free_blocks;
std::size_t free_bytes = 0, scratch_bytes = 0, scratch_peak = 0;
constexpr std::size_t most_free_bytes = std::size_t{1} << 30;
constexpr std::size_t page = std::size_t{2} << 20;

Block allocate(std::size_t bytes) {
  const std::size_t alignment = bytes >= page ? page : 64;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  char* data = static_cast<char*>(::operator new(bytes, std::align_val_t(alignment)));
#if defined(__linux__)
  if (alignment == page) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return {data, bytes};
}

void release(Block block) {
  ::operator delete(block.data, std::align_val_t(block.bytes >= page ? page : 64));
}

}  // namespace

Workspace::Workspace(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex);
    std::size_t best = free_blocks.size();
    for (std::size_t i = 0; i < free_blocks.size(); ++i) {
      const std::size_t size = free_blocks[i].bytes;
      if (size >= bytes && size <= 4 * bytes + page && (best == free_blocks.size() || size < free_blocks[best].bytes))
        best = i;
    }
    if (best < free_blocks.size()) {
      data_ = free_blocks[best].data;
      bytes_ = free_blocks[best].bytes;
      free_blocks.erase(free_blocks.begin() + static_cast<std::ptrdiff_t>(best));
      free_bytes -= bytes_;
      return;
    }
  }
  const Block block = allocate(bytes);
  data_ = block.data;
  bytes_ = block.bytes;
}

Workspace::~Workspace() {
  std::vector<Block> surplus;
  {
    const std::lock_guard lock(mutex);
    free_blocks.push_back({data_, bytes_});
    free_bytes += bytes_;
    while (free_bytes > most_free_bytes) {  // the oldest go
      surplus.push_back(free_blocks.front());
      free_bytes -= free_blocks.front().bytes;
      free_blocks.erase(free_blocks.begin());
    }
  }
  for (const Block block : surplus) release(block);
}

Scratch::Scratch(std::size_t bytes) : Workspace(bytes), asked_(bytes) {
  const std::lock_guard lock(mutex);
  scratch_bytes += asked_;
  if (scratch_bytes > scratch_peak) scratch_peak = scratch_bytes;
}

Scratch::~Scratch() {
  const std::lock_guard lock(mutex);
  scratch_bytes -= asked_;
}

std::size_t take_scratch_peak() {
  const std::lock_guard lock(mutex);
  const std::size_t peak = scratch_peak;
  scratch_peak = scratch_bytes;
  return peak;
}

}  // namespace throughtime
