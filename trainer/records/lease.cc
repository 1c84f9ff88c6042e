#include "trainer/records/lease.h"

#include <ctime>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/log.h"
#include "base/threads.h"

namespace lockstep::records {
namespace {

std::optional<LeaseRecord> TryParse(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  try {
    return ParseLease(*text, "");
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

Lease::Lease(FileSystem& files, const std::string& folder, LeaseOptions options)
    : files_(files),
      folder_(folder),
      path_(folder + "/" + kLeaseName),
      temporary_(path_ + "." + options.self.id + std::string(kTemporarySuffix)),
      aside_(path_ + ".aside-" + options.self.id),
      options_(std::move(options)),
      attempt_(options_.self.attempt),
      renewed_(Clock::now()) {}

std::unique_ptr<Lease> Lease::Acquire(FileSystem& files, const std::string& folder, LeaseOptions options,
                                      const std::function<void()>& poll) {
  std::unique_ptr<Lease> lease(new Lease(files, folder, std::move(options)));
  LeaseWatch watch(lease->options_);
  bool announced = false;
  for (;;) {
    const std::optional<std::string> text = lease->ReadFile();
    if (text && IsOfNewerVersion(*text)) ParseLease(*text, lease->path_);  // throws, with words
    const std::optional<LeaseRecord> record = TryParse(text);
    const std::string holder = record ? record->holder.Text() : "a job that can't be told";
    const bool dead = record && ProvablyDead(record->holder);
    const auto state = text ? watch.Look(record, Clock::now()) : LeaseState::kWait;
    if (!text || dead || state == LeaseState::kLapsed) {
      if (lease->Take(text)) {
        if (dead)
          LogInfo("took over the run from {}, which is gone", holder);
        else if (text)
          LogNote("took over the run from {}, whose lease lapsed", holder);
        break;
      }
    } else if (state == LeaseState::kHeld) {
      throw Error(ErrorKind::kFolderHeld,
                  fmt::format("another job is running in this folder: {}, at step {}", holder, record->step), folder,
                  "wait for it or stop it, or use another --out");
    } else if (!announced) {
      announced = true;
      LogNote("waiting to see whether {} still runs in {}", holder, folder);
    }
    poll();
    std::this_thread::sleep_for(lease->options_.look);
  }
  lease->RemoveLeftovers();
  lease->thread_ = StartThread("lease", [raw = lease.get()] { raw->Work(); });
  return lease;
}

Lease::~Lease() { Release(); }

/// What is in the file: nothing where there is none, empty where it can't be read.
std::optional<std::string> Lease::ReadFile() {
  try {
    return ReadWholeFile(files_, path_);
  } catch (const Error&) {
    // Its holder may be putting another in its place, or have released it.
    if (!files_.Exists(path_)) return std::nullopt;
    return "";
  }
}

void Lease::WriteTemporary() {
  LeaseRecord record;
  record.holder = options_.self;
  record.holder.attempt = attempt_;
  record.step = step_;
  record.sequence = ++sequence_;
  record.period_seconds = std::chrono::duration<double>(options_.period).count();
  record.time = std::time(nullptr);
  const std::string text = FormatLease(record);
  // No fsync: after a power cut no process holds a lease, and fsync would get in the way of checkpoints.
  const std::unique_ptr<WritableFile> file = files_.Create(temporary_);
  file->Append(std::as_bytes(std::span(text)));
  file->Close();
}

/// Moves the lease that says `observed` out of the way; false where it says something else by now.
bool Lease::MoveAside(const std::string& observed) {
  if (ReadFile() != observed) return false;
  try {
    files_.Rename(path_, aside_);
  } catch (const Error&) {
    // Another taker may have moved it first.
    if (ReadFile() == observed) throw;
    return false;
  }
  // Between look and rename another may have taken it, and then this is its lease: it gets it back.
  std::string moved;
  try {
    moved = ReadWholeFile(files_, aside_);
  } catch (const Error&) {
    // As unreadable as it was; or its holder has cleared it up, and writes it again when it renews.
    if (!files_.Exists(aside_)) return false;
  }
  if (moved != observed && files_.RenameNew(aside_, path_)) return false;
  files_.RemoveAll(aside_);
  return moved == observed;
}

bool Lease::Take(const std::optional<std::string>& observed) {
  const MutexLock lock(file_mutex_);
  const auto begin = Clock::now();
  bool taken = false;
  try {
    WriteTemporary();
    taken = (!observed || MoveAside(*observed)) && files_.RenameNew(temporary_, path_);
  } catch (const Error&) {
    // The winner of a race clears up what the others have begun.
    if (!files_.Exists(temporary_) && files_.Exists(path_)) return false;
    try {
      files_.RemoveAll(temporary_);
    } catch (const Error&) {  // what made the write fail may well forbid this
    }
    throw;
  }
  if (!taken) {
    files_.RemoveAll(temporary_);
    return false;
  }
  renewed_ = begin;
  return IsMine(ReadFile());
}

void Lease::RemoveLeftovers() {
  try {
    for (const std::string& name : files_.List(folder_))
      if (name.starts_with(std::string(kLeaseName) + ".")) files_.RemoveAll(folder_ + "/" + name);
  } catch (const Error&) {
    // They cost nothing but their names.
  }
}

void Lease::Work() {
  MutexLock lock(stop_mutex_);
  for (auto next = Clock::now() + options_.period; !stopping_;) {
    if (stop_.WaitUntil(stop_mutex_, next) || stopping_) continue;
    lock.Unlock();
    RenewOnce();
    next = Clock::now() + options_.period;
    lock.Lock();
  }
}

void Lease::RenewOnce() {
  if (superseded_) return;
  const MutexLock lock(file_mutex_);
  try {
    const std::optional<std::string> current = ReadFile();
    if (IsMine(current)) {
      Renew(current);
    } else {
      LogWarning("{} has taken over this run; this attempt commits nothing any more", successor_.Text());
    }
  } catch (const std::exception& error) {
    if (failed_++ == 0) LogInfo("the lease of the run folder could not be renewed: {}", error.what());
  }
}

bool Lease::IsMine(const std::optional<std::string>& text) {
  const std::optional<LeaseRecord> record = TryParse(text);
  if (!record || record->holder.id == options_.self.id) return true;
  successor_ = record->holder;
  superseded_ = true;
  return false;
}

void Lease::Renew(const std::optional<std::string>& current) {
  const auto begin = Clock::now();
  WriteTemporary();
  if (current) {
    files_.Rename(temporary_, path_);
  } else if (!files_.RenameNew(temporary_, path_)) {
    files_.RemoveAll(temporary_);
    return;  // somebody was faster; the next look says who
  }
  renewed_ = begin;
}

void Lease::ThrowSuperseded() const {
  const uint32_t attempt = attempt_;
  const std::string self = attempt > 0 ? fmt::format("this attempt ({})", attempt) : "this attempt";
  throw Error(ErrorKind::kSuperseded,
              fmt::format("{} was superseded by {}: it may not commit", self, successor_.Text()), folder_,
              "the other job goes on with this run; end one of them");
}

void Lease::CheckHeld() {
  const MutexLock lock(file_mutex_);
  if (superseded_) ThrowSuperseded();
  try {
    const std::optional<std::string> current = ReadFile();
    if (IsMine(current) && (Lapsed() || !TryParse(current))) Renew(current);
  } catch (const Error& error) {
    throw Error(ErrorKind::kCheckpoint,
                fmt::format("the lease of the run folder has lapsed and can't be renewed: {}", error.what()), folder_);
  }
  if (superseded_) ThrowSuperseded();
  if (Lapsed()) throw Error(ErrorKind::kCheckpoint, "the lease of the run folder has lapsed", folder_);
}

void Lease::Release() {
  {
    const MutexLock lock(stop_mutex_);
    stopping_ = true;
  }
  stop_.NotifyAll();
  if (!thread_.joinable()) return;
  thread_.join();
  const MutexLock lock(file_mutex_);
  try {
    const std::optional<LeaseRecord> record = TryParse(ReadFile());
    if (record && record->holder.id == options_.self.id) files_.RemoveAll(path_);
    files_.RemoveAll(temporary_);
  } catch (const Error& error) {
    LogInfo("the lease of the run folder could not be removed: {}", error.what());
  }
}

}  // namespace lockstep::records
