#include "comm/mpi/shared_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <random>

#include "base/error.h"

namespace lockstep::comm {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Names are PREFIX PID - RANDOM.
std::string NamePrefix() { return fmt::format("lockstep-{}-", getuid()); }

std::string NewName() {
  std::random_device device;
  const uint64_t random = uint64_t{device()} << 32 | device();
  return fmt::format("/{}{}-{:016x}", NamePrefix(), getpid(), random);
}

// Removes this user's names whose maker was killed between making and unlinking one. A name lives for milliseconds,
// so an old one is of no use to anybody, even where its maker's process can't be seen from here.
void RemoveAbandonedNames() {
  constexpr time_t kOldSeconds = 60;
  const std::string prefix = NamePrefix();
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    struct stat status {};
    if (stat(entry.path().c_str(), &status) != 0 || time(nullptr) - status.st_mtime < kOldSeconds) continue;
    const pid_t maker = static_cast<pid_t>(std::atol(name.c_str() + prefix.size()));
    if (maker > 0 && kill(maker, 0) != 0 && errno == ESRCH) shm_unlink(name.c_str());
  }
}

double MiB(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

[[noreturn]] void ThrowNoRoom(size_t bytes, int reason) {
  struct statvfs disk {};
  statvfs("/dev/shm", &disk);
  throw Error(
      ErrorKind::kMemory,
      fmt::format("can't get {:.1f} MiB of shared memory for gradients and weights: {} (/dev/shm has {:.1f} MiB, "
                  "{:.1f} MiB of them free)",
                  MiB(bytes), std::strerror(reason), MiB(disk.f_blocks * disk.f_frsize),
                  MiB(disk.f_bavail * disk.f_frsize)),
      "/dev/shm",
      "make it larger (mount -o remount,size=N /dev/shm; docker run --shm-size=N), remove what old jobs left in "
      "it, or use fewer ranks per host");
}

}  // namespace

std::unique_ptr<SharedSegment> SharedSegment::Create(size_t bytes) {
  RemoveAbandonedNames();
  // Pages are made one by one until there are no more: better not to begin where that is certain.
  struct statvfs disk {};
  if (statvfs("/dev/shm", &disk) == 0 && bytes / disk.f_frsize > disk.f_bavail) ThrowNoRoom(bytes, ENOSPC);
  const std::string name = NewName();
  const File file(shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
  if (file.get() < 0) ThrowNoRoom(bytes, errno);
  std::unique_ptr<SharedSegment> segment(new SharedSegment(name, true));
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) ThrowNoRoom(bytes, errno);
  segment->Map(file.get(), bytes);
  // Huge pages come only by way of a mapping, so it is filled first, as far as there is room; what is missing then is
  // asked for in a way that can fail.
  madvise(segment->data_.data(), bytes, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  madvise(segment->data_.data(), bytes, MADV_POPULATE_WRITE);
#endif
  int failed;
  do {
    failed = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  } while (failed == EINTR);
  if (failed != 0) ThrowNoRoom(bytes, failed);
  return segment;
}

std::unique_ptr<SharedSegment> SharedSegment::Open(const std::string& name, size_t bytes) {
  const File file(shm_open(name.c_str(), O_RDWR, 0));
  if (file.get() < 0) {
    throw Error(ErrorKind::kPeer, fmt::format("can't open a peer's shared memory: {}", std::strerror(errno)), name,
                "all ranks of a host must see the same /dev/shm: run them in one container");
  }
  std::unique_ptr<SharedSegment> segment(new SharedSegment(name, false));
  segment->Map(file.get(), bytes);
  madvise(segment->data_.data(), bytes, MADV_HUGEPAGE);
  return segment;
}

void SharedSegment::Map(int file, size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) ThrowNoRoom(bytes, errno);
  data_ = {static_cast<std::byte*>(mapped), bytes};
}

void SharedSegment::Unlink() {
  if (linked_) shm_unlink(name_.c_str());
  linked_ = false;
}

SharedSegment::~SharedSegment() {
  Unlink();
  if (!data_.empty()) munmap(data_.data(), data_.size());
}

}  // namespace lockstep::comm
