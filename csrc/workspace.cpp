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
constexpr std::size_t most_free_blocks = 8;
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
      return;
    }
  }
  const Block block = allocate(bytes);
  data_ = block.data;
  bytes_ = block.bytes;
}

Workspace::~Workspace() {
  Block oldest{data_, bytes_};
  {
    const std::lock_guard lock(mutex);
    free_blocks.push_back(oldest);
    if (free_blocks.size() <= most_free_blocks) return;
    oldest = free_blocks.front();
    free_blocks.erase(free_blocks.begin());
  }
  release(oldest);
}

}  // namespace throughtime
