#include "trainer/loop/lease.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

namespace lockstep::loop {
namespace {

using nlohmann::json;

constexpr size_t kMaxLeaseBytes = 1 << 16;

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct ProcessState {
  char state = '?';
  uint64_t start = 0;  ///< clock ticks from boot
};

/// From /proc/PID/stat; none where there is no such process, or it can't be seen.
std::optional<ProcessState> StateOf(int64_t pid) {
  const std::string line = FirstLine(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in parentheses, which may hold anything.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  ProcessState process;
  fields >> process.state;
  std::string skipped;
  constexpr int kStateField = 3, kStartField = 22;
  for (int field = kStateField + 1; field < kStartField; ++field) fields >> skipped;
  if (!(fields >> process.start)) return std::nullopt;
  return process;
}

uint64_t RandomId() {
  Hasher hasher;
  std::random_device random;
  hasher.AddInteger(uint64_t{random()} << 32 | random());
  hasher.AddInteger(static_cast<uint64_t>(getpid()));
  hasher.AddInteger(static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
  return hasher.Digest();
}

[[noreturn]] void Damaged(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kUsage, "damaged lease: " + what, where, "remove the file where no job runs in this folder");
}

/// Field `name` of `object` into `value`, where it is there; it has to be of a fitting type.
void Get(const json& object, const char* name, std::string& value, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end()) return;
  if (!found->is_string()) Damaged(where, fmt::format("\"{}\" is no text", name));
  value = found->get<std::string>();
}

template <typename Integer>
void Get(const json& object, const char* name, Integer& value, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end()) return;
  const bool fits = found->is_number_unsigned() && std::in_range<Integer>(found->get<uint64_t>());
  if (!fits) Damaged(where, fmt::format("\"{}\" is no number that fits", name));
  value = static_cast<Integer>(found->get<uint64_t>());
}

bool IsOfNewerVersion(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto version = object.find("version");
  return version != object.end() && version->is_number_unsigned() && version->get<uint64_t>() > kLeaseVersion;
}

std::optional<LeaseRecord> TryParse(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  try {
    return ParseLease(*text, "");
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

LeaseHolder LeaseHolder::Self() {
  LeaseHolder self;
  self.id = HashText(RandomId());
  self.host = HostName();
  self.pid = getpid();
  if (const auto process = StateOf(self.pid)) self.pid_start = process->start;
  self.boot_id = FirstLine("/proc/sys/kernel/random/boot_id");
  std::error_code error;
  self.pid_namespace = std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  self.slurm_job = Environment("SLURM_JOB_ID");
  self.slurm_restart = static_cast<uint32_t>(std::strtoul(Environment("SLURM_RESTART_COUNT").c_str(), nullptr, 10));
  return self;
}

std::string LeaseHolder::Text() const {
  std::string text = fmt::format("host {}, pid {}", host, pid);
  if (!slurm_job.empty()) text += ", Slurm job " + slurm_job;
  return attempt > 0 ? fmt::format("attempt {} ({})", attempt, text) : text;
}

std::string FormatLease(const LeaseRecord& record) {
  const LeaseHolder& holder = record.holder;
  json object = {{"version", kLeaseVersion},
                 {"id", holder.id},
                 {"host", holder.host},
                 {"pid", holder.pid},
                 {"pid_start", holder.pid_start},
                 {"boot_id", holder.boot_id},
                 {"pid_namespace", holder.pid_namespace},
                 {"attempt", holder.attempt},
                 {"step", record.step},
                 {"sequence", record.sequence},
                 {"period_seconds", record.period_seconds},
                 {"time", record.time}};
  if (!holder.slurm_job.empty()) {
    object["slurm_job"] = holder.slurm_job;
    object["slurm_restart"] = holder.slurm_restart;
  }
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

LeaseRecord ParseLease(std::string_view text, const std::string& where) {
  if (text.size() > kMaxLeaseBytes) Damaged(where, fmt::format("it has {} bytes", text.size()));
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) Damaged(where, "it is no JSON object");
  uint64_t version = 0;
  Get(object, "version", version, where);
  if (version > kLeaseVersion)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("lease format {} is newer than this program, which knows format {}", version, kLeaseVersion), where,
        "use the Lockstep that wrote it, or remove the file where no job runs in this folder");
  if (version < 1) Damaged(where, "it names no version");
  LeaseRecord record;
  LeaseHolder& holder = record.holder;
  Get(object, "id", holder.id, where);
  Get(object, "host", holder.host, where);
  Get(object, "pid", holder.pid, where);
  Get(object, "pid_start", holder.pid_start, where);
  Get(object, "boot_id", holder.boot_id, where);
  Get(object, "pid_namespace", holder.pid_namespace, where);
  Get(object, "slurm_job", holder.slurm_job, where);
  Get(object, "slurm_restart", holder.slurm_restart, where);
  Get(object, "attempt", holder.attempt, where);
  Get(object, "step", record.step, where);
  Get(object, "sequence", record.sequence, where);
  Get(object, "time", record.time, where);
  if (holder.id.empty() || holder.host.empty() || holder.pid < 1) Damaged(where, "it names no holder");
  const auto period = object.find("period_seconds");
  if (period == object.end() || !period->is_number()) Damaged(where, "\"period_seconds\" is no number");
  record.period_seconds = period->get<double>();
  constexpr double kLongestPeriod = 600;
  if (!(record.period_seconds > 0 && record.period_seconds <= kLongestPeriod))
    Damaged(where, fmt::format("its period is {} s", record.period_seconds));
  return record;
}

bool ProvablyDead(const LeaseHolder& holder) {
  const LeaseHolder self = LeaseHolder::Self();
  if (self.boot_id.empty() || self.pid_namespace.empty()) return false;
  if (holder.host != self.host || holder.boot_id != self.boot_id || holder.pid_namespace != self.pid_namespace)
    return false;
  // Not by /proc alone: with hidepid, it hides other users' processes.
  if (!std::in_range<pid_t>(holder.pid)) return false;
  if (::kill(static_cast<pid_t>(holder.pid), 0) != 0 && errno == ESRCH) return true;
  const std::optional<ProcessState> process = StateOf(holder.pid);
  return process && (process->state == 'Z' || process->state == 'X' || process->start != holder.pid_start);
}

bool LeaseWatch::IsPredecessor(const LeaseHolder& holder) const {
  const LeaseHolder& self = options_.self;
  return !self.slurm_job.empty() && holder.slurm_job == self.slurm_job && holder.slurm_restart < self.slurm_restart;
}

LeaseWatch::Verdict LeaseWatch::Look(const std::optional<LeaseRecord>& record, Time now) {
  if (!first_look_) first_look_ = changed_ = now;
  // What can't be read has not changed: it lapses like the rest.
  if (record) {
    const bool same_holder = last_ && last_->holder.id == record->holder.id;
    if (last_ && !(same_holder && last_->sequence == record->sequence)) {
      changed_ = now;
      advances_ = same_holder ? advances_ + 1 : 1;
    }
    last_ = record;
  }
  // A holder with a longer period than ours needs longer.
  constexpr double kMissedRenewals = 3;
  const auto period = std::chrono::duration<double>(last_ ? last_->period_seconds : 0);
  const auto lapse = std::max<std::chrono::duration<double>>(options_.lapse, kMissedRenewals * period);
  if (now - *changed_ >= lapse) return Verdict::kLapsed;
  // One renewal may be the last of a process that is about to end: its launcher is gone, its queue has ended it.
  if (advances_ < 2) return Verdict::kWait;
  if (IsPredecessor(last_->holder) && now - *first_look_ < options_.predecessor) return Verdict::kWait;
  return Verdict::kHeld;
}

Lease::Lease(FileSystem& files, const std::string& folder, LeaseOptions options)
    : files_(files),
      folder_(folder),
      path_(folder + "/" + kLeaseName),
      temporary_(path_ + ".tmp-" + options.self.id),
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
    const auto verdict = text ? watch.Look(record, Clock::now()) : LeaseWatch::Verdict::kWait;
    if (!text || dead || verdict == LeaseWatch::Verdict::kLapsed) {
      if (lease->Take(text)) {
        if (dead)
          LogInfo("took over the run from {}, which is gone", holder);
        else if (text)
          LogNote("took over the run from {}, whose lease lapsed", holder);
        break;
      }
    } else if (verdict == LeaseWatch::Verdict::kHeld) {
      throw Error(ErrorKind::kUsage,
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
  lease->thread_ = std::thread([raw = lease.get()] { raw->Work(); });
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
  const std::lock_guard lock(file_mutex_);
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
  std::unique_lock lock(stop_mutex_);
  while (!stop_.wait_for(lock, options_.period, [&] { return stopping_; })) {
    lock.unlock();
    RenewOnce();
    lock.lock();
  }
}

void Lease::RenewOnce() {
  if (superseded_) return;
  const std::lock_guard lock(file_mutex_);
  try {
    const std::optional<std::string> current = ReadFile();
    if (IsMine(current)) {
      Renew(current);
    } else {
      LogWarning("{} has taken over this run; this attempt commits nothing any more", successor_.Text());
    }
  } catch (const Error& error) {
    if (failed_++ == 0) LogInfo("the lease of the run folder could not be renewed: {}", error.what());
  }
}

/// False, and noted, where the file names another. A file that is gone or damaged is nobody else's.
/// REQUIRES: file_mutex_ is held.
bool Lease::IsMine(const std::optional<std::string>& text) {
  const std::optional<LeaseRecord> record = TryParse(text);
  if (!record || record->holder.id == options_.self.id) return true;
  successor_ = record->holder;
  superseded_ = true;
  return false;
}

/// REQUIRES: file_mutex_ is held, and the file says `current`, which names no other.
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
  throw Error(ErrorKind::kUsage, fmt::format("{} was superseded by {}: it may not commit", self, successor_.Text()),
              folder_, "the other job goes on with this run; end one of them");
}

void Lease::CheckHeld() {
  const std::lock_guard lock(file_mutex_);
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
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  const std::lock_guard lock(file_mutex_);
  try {
    const std::optional<LeaseRecord> record = TryParse(ReadFile());
    if (record && record->holder.id == options_.self.id) files_.RemoveAll(path_);
    files_.RemoveAll(temporary_);
  } catch (const Error& error) {
    LogInfo("the lease of the run folder could not be removed: {}", error.what());
  }
}

}  // namespace lockstep::loop
