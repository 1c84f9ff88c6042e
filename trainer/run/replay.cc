#include "trainer/run/replay.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "base/build_info.h"
#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/lane_tree.h"
#include "base/log.h"
#include "comm/agreement.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/plan/job_plans.h"
#include "trainer/records/certificate.h"
#include "trainer/run/core_messages.h"
#include "trainer/run/handshake.h"
#include "trainer/run/legs.h"
#include "trainer/step/training.h"

namespace lockstep::run {
namespace {

void CheckOptions(const Job& job, const ReplayOptions& options) {
  if (job.place.comm->world_size() > static_cast<int>(job.config.train.lanes()))
    throw Error(
        ErrorKind::kUsage,
        fmt::format("{} ranks are more than the {} lanes", job.place.comm->world_size(), job.config.train.lanes()),
        "train.lanes", "replay on fewer ranks");
  const uint64_t total = job.splits.length.total_steps;
  if (options.first > options.last || options.last > total)
    throw Error(ErrorKind::kUsage,
                fmt::format("steps {} to {} are not within the run's {} steps", options.first, options.last, total),
                "--steps");
  if (options.certificate.empty() && options.record.empty())
    throw Error(ErrorKind::kUsage, "there is no certificate to compare with, and nothing is recorded",
                options.checkpoint,
                "record the steps with --record FILE, and compare two such files with lockstep diff");
}

/// Everything of a certificate but its rows: what this replay is made of.
records::Certificate Head(const Job& job) {
  const Hello hello = SayHello(job);
  records::Certificate head;
  head.recipe = job.config.identity.Hash();
  for (const auto& [split, fingerprint] : hello.data()) head.data[split] = HashText(fingerprint);
  head.attempts = {
      {1, job.place.comm->world_size(), 0, hello.build_hash(), {hello.numerics().begin(), hello.numerics().end()}}};
  head.every = 1;
  return head;
}

std::unique_ptr<checkpoint::Reader> OpenCheckpoint(const ReplayOptions& options) {
  FileSystem& files = FileSystem::Real();
  const std::string checkpoints = checkpoint::CheckpointsOf(files, options.checkpoint);
  if (checkpoints.empty()) {
    auto reader = checkpoint::Reader::Open(files, options.checkpoint);
    if (const uint64_t step = reader->manifest().step(); step > options.first)
      throw Error(ErrorKind::kUsage, fmt::format("the checkpoint is of step {}, after step {}", step, options.first),
                  options.checkpoint, "begin --steps later, or give an older checkpoint");
    return reader;
  }
  std::vector<std::string> passed_over;
  auto reader = checkpoint::FindNewest(files, checkpoints, options.first, &passed_over);
  for (const std::string& text : passed_over) LogWarning("{}; passed over", text);
  if (!reader)
    throw Error(ErrorKind::kCheckpoint, fmt::format("no good checkpoint of step {} or before", options.first),
                options.checkpoint,
                "begin --steps at a checkpoint that was kept (checkpoint.keep, checkpoint.keep_every)");
  return reader;
}

class Replayer {
 public:
  Replayer(const Job& job, const ReplayOptions& options, const std::function<void(const std::string&)>& say)
      : job_(job),
        options_(options),
        say_(say),
        training_({job.config, job.splits, job.model, job.place},
                  plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, job.place.comm->world_size()),
                  AgreeOnCores(job, std::max(1, job.place.executors))),
        mine_(Head(job)) {
    mine_.tensors = records::TensorNames(layout());
    if (options.every > 0) mine_.every = options.every;
  }

  ReplayResult Run();

 private:
  comm::Communicator& comm() const { return *job_.place.comm; }
  bool leads() const { return job_.place.comm->rank() == 0; }
  uint64_t step() const { return training_.step(); }
  const engine::ParameterLayout& layout() const { return training_.layout(); }
  void Open();
  void RequireOneRecipe() const;
  void CompareRanks();
  bool Due() const;
  /// False, on all ranks, where the replay is over.
  bool Look();
  records::CertificateDifference Compare(const records::CertificateRow& row);
  std::string Owners(const std::string& tensor);
  ReplayResult Finish();

  const Job& job_;
  const ReplayOptions& options_;
  const std::function<void(const std::string&)>& say_;
  step::Training training_;
  std::optional<records::Certificate> theirs_;
  records::Certificate mine_;
  std::string first_difference_;    ///< rank 0
  std::vector<uint64_t> agreeing_;  ///< rank 0: steps that agree with theirs_, before the first difference
};

void Replayer::Open() {
  comm::Together(comm(), "the reading of the certificate", [&] {
    if (!options_.certificate.empty()) theirs_ = records::ReadCertificate(FileSystem::Real(), options_.certificate);
  });
  training_.Load([&] { return OpenCheckpoint(options_); });
  comm::Together(comm(), "the reading of the certificate", [&] {
    if (!theirs_) return;
    RequireOneRecipe();
    const bool common = std::any_of(
        theirs_->rows.begin(), theirs_->rows.end(),
        [&](const records::CertificateRow& row) { return row.step >= options_.first && row.step <= options_.last; });
    if (!common)
      throw Error(ErrorKind::kUsage,
                  fmt::format("the certificate has no row from step {} to {}", options_.first, options_.last),
                  options_.certificate, fmt::format("it has one every {} steps: take more of them", theirs_->every));
  });
  training_.StartLoader(options_.last);
  mine_.attempts.front().from_step = step();
}

/// The recipe and the data that are here are those that the run ended with.
void Replayer::RequireOneRecipe() const {
  for (const records::CertificateAttempt& attempt : theirs_->attempts) {
    if (attempt.changed.empty() || attempt.from_step <= step()) continue;
    throw Error(
        ErrorKind::kUsage,
        fmt::format("before step {} this was another run: {}", attempt.from_step, fmt::join(attempt.changed, ", ")),
        options_.checkpoint, fmt::format("begin --steps at {} or later", attempt.from_step));
  }
}

/// Ranks that differ would train something else together; the coordinator, which would say so, has no part in this.
void Replayer::CompareRanks() {
  std::vector<Hello> hellos;
  for (const std::string& bytes :
       comm::GatherStrings(comm(), SayHello(job_).SerializeAsString(), "the comparison of ranks"))
    hellos.emplace_back().ParseFromString(bytes);
  const Hello& first = hellos.front();
  const auto differs = [&](const Hello& other) -> const char* {
    if (other.build_hash() != first.build_hash()) return "build of lockstep";
    if (other.recipe() != first.recipe()) return "recipe";
    for (const auto& [split, fingerprint] : first.data())
      if (const auto found = other.data().find(split); found == other.data().end() || found->second != fingerprint)
        return "data";
    return nullptr;
  };
  comm::Together(comm(), "the comparison of ranks", [&] {
    if (const char* what = differs(hellos[static_cast<size_t>(comm().rank())]))
      throw Error(ErrorKind::kMixed, fmt::format("its {} differs from rank 0's on {}", what, first.host()));
  });
}

bool Replayer::Due() const {
  if (step() < options_.first) return false;
  if (theirs_ && theirs_->RowOf(step()) != nullptr) return true;
  return options_.every > 0 && (step() % options_.every == 0 || step() == options_.first || step() == options_.last);
}

/// "rank 1 on h1", "ranks 0 on h1 and 1 on h2": who holds the master copy and updates it, in this replay.
std::string Replayer::Owners(const std::string& tensor) {
  const engine::ArenaEntry* entry = layout().Find(tensor);
  const comm::SliceMap& slices = training_.compute().slices();
  std::vector<int> owners;
  for (int rank = 0; rank < job_.place.comm->world_size(); ++rank)
    for (int bucket = 0; bucket < slices.buckets(); ++bucket) {
      const ElementRange slice = slices.slice(bucket, rank);
      if (slice.begin >= entry->offset + entry->size() || slice.end <= entry->offset) continue;
      owners.push_back(rank);
      break;
    }
  std::string text;
  for (const int rank : owners)
    text += fmt::format("{}{} on {}",
                        text.empty()            ? ""
                        : rank == owners.back() ? " and "
                                                : ", ",
                        rank, job_.place.comm->topology().host_name_of[static_cast<size_t>(rank)]);
  return (owners.size() == 1 ? "rank " : "ranks ") + text;
}

records::CertificateDifference Replayer::Compare(const records::CertificateRow& row) {
  const records::CertificateRow* other = theirs_ ? theirs_->RowOf(row.step) : nullptr;
  if (other == nullptr) {
    say_(fmt::format("step {}: weights={}", row.step, HashText(row.weights)));
    return {};
  }
  records::CertificateDifference difference = records::CompareRows(mine_, row, *theirs_, *other);
  say_(fmt::format("step {}: {}", row.step, difference.text.empty() ? "ok" : "differs"));
  if (difference.text.empty() && first_difference_.empty()) agreeing_.push_back(row.step);
  return difference;
}

bool Replayer::Look() {
  records::CertificateRow row;
  row.step = step();
  row.weights = training_.CompareHosts();
  row.order = training_.ledger().chain();
  std::string over;
  if (leads()) {
    row.tensors = records::HashTensors(layout(), training_.weights().data());
    const records::CertificateDifference difference = Compare(row);
    if (!difference.text.empty() && first_difference_.empty())
      first_difference_ = difference.tensor.empty() ? difference.text
                                                    : fmt::format("step {}, tensor {} (owned by {})", step(),
                                                                  difference.tensor, Owners(difference.tensor));
    if (!first_difference_.empty() && options_.record.empty()) over = "over";
  }
  mine_.rows.push_back(std::move(row));
  return comm::BroadcastString(comm(), over, 0, "the comparison with the certificate").empty();
}

ReplayResult Replayer::Finish() {
  comm::Together(comm(), "the recording", [&] {
    if (leads() && !options_.record.empty())
      WriteFileAtomically(FileSystem::Real(), options_.record, records::FormatCertificate(mine_));
  });
  ReplayResult result;
  if (leads()) {
    result.exit_code = first_difference_.empty() ? 0 : 1;
    if (!first_difference_.empty())
      result.line = "first difference: " + first_difference_ +
                    (agreeing_.empty() ? "" : fmt::format("; step {} agrees", agreeing_.back()));
    else if (agreeing_.empty())
      result.line = fmt::format("steps {} to {} recorded in {}", mine_.rows.front().step, mine_.rows.back().step,
                                options_.record);
    else
      result.line = fmt::format("steps {} to {} agree with the certificate", agreeing_.front(), agreeing_.back());
  }
  const std::string code = comm::BroadcastString(comm(), std::to_string(result.exit_code), 0, "the end of the replay");
  result.exit_code = std::stoi(code);
  return result;
}

ReplayResult Replayer::Run() {
  CompareRanks();
  Open();
  if (theirs_) {
    // Recipes and data first: rows of others mean nothing.
    records::Certificate head = *theirs_;
    head.rows.clear();
    head.final.reset();
    if (const records::CertificateDifference difference = records::FirstDifference(mine_, head);
        !difference.text.empty())
      return {leads() ? "first difference: " + difference.text : "", 1};
    if (leads())
      for (const std::string& line : records::DifferentCircumstances(head, mine_))
        LogNote("the run and this replay differ in {}", line);
  }
  bool goes_on = !Due() || Look();
  while (goes_on && step() < options_.last) {
    training_.Step(/*want_norm=*/false, [](step::RankRecord&) {});
    goes_on = !Due() || Look();
  }
  return Finish();
}

}  // namespace

ReplayResult Replay(const Job& job, const ReplayOptions& options, const std::function<void(const std::string&)>& say) {
  Job continued;
  comm::Together(*job.place.comm, "the set-up", [&] {
    const std::unique_ptr<checkpoint::Reader> from = OpenCheckpoint(options);
    continued =
        JobIn(job, NextLeg(from->manifest().loop(), from->manifest().step(), job.config.train, *job.splits.train));
    CheckOptions(continued, options);
  });
  return Replayer(continued, options, say).Run();
}

}  // namespace lockstep::run
