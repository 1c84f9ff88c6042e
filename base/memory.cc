#include "base/memory.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <utility>

#include "base/error.h"

namespace lockstep {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

/// Zeroed pages that start at a multiple of `alignment`, which is kBufferAlignment or kHugePage.
std::byte* MapPages(size_t bytes, size_t alignment) {
  const size_t slack = alignment - kBufferAlignment;
  void* mapped =
      mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    throw Error(ErrorKind::kMemory, fmt::format("can't get {} MiB of memory", (bytes >> 20) + 1), "",
                "use more ranks or hosts, a smaller model or batch, or raise the limit (ulimit -v)");
  }
  const uintptr_t start = reinterpret_cast<uintptr_t>(mapped);
  const size_t before = AlignUp(start, alignment) - start;
  std::byte* data = static_cast<std::byte*>(mapped) + before;
  if (before > 0) munmap(mapped, before);
  if (slack > before) munmap(data + bytes, slack - before);
  return data;
}

}  // namespace

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const size_t mapped = AlignUp(bytes, kBufferAlignment);
  CHECK(mapped >= bytes, "a buffer of {} bytes", bytes);
  const bool huge = bytes >= kHugePage;
  data_ = MapPages(mapped, huge ? kHugePage : kBufferAlignment);
  if (huge) madvise(data_, mapped, MADV_HUGEPAGE);  // a wish: kernels without huge pages refuse it
  ASAN_POISON_MEMORY_REGION(data_ + bytes, mapped - bytes);
}

Buffer::Buffer(std::span<std::byte> memory, std::shared_ptr<void> owner)
    : data_(memory.data()), size_(memory.size()), owner_(std::move(owner)) {
  CHECK(owner_ != nullptr && reinterpret_cast<uintptr_t>(data_) % kValueAlignment == 0);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      owner_(std::move(other.owner_)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(owner_, other.owner_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ == nullptr || owner_ != nullptr) return;
  const size_t mapped = AlignUp(size_, kBufferAlignment);
  ASAN_UNPOISON_MEMORY_REGION(data_, mapped);
  munmap(data_, mapped);
}

}  // namespace lockstep
