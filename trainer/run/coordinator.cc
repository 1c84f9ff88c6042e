#include "trainer/run/coordinator.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "comm/agreement.h"
#include "trainer/plan/device_placement.h"
#include "trainer/plan/lane_plan.h"

namespace lockstep::run {
namespace {

std::string RankName(const std::vector<Hello>& hellos, size_t rank) {
  return fmt::format("rank {} on {}", rank, hellos[rank].host());
}

/// Whether the checkpoint was written after the evaluation of its step.
bool IsEvaluated(const checkpoint::Manifest& manifest) {
  const auto& evaluations = manifest.loop().evaluations();
  return std::any_of(evaluations.begin(), evaluations.end(),
                     [&](const auto& evaluation) { return evaluation.step() == manifest.step(); });
}

using Numerics = std::map<std::string, std::string>;

Numerics NumericsOf(const Hello& hello) { return {hello.numerics().begin(), hello.numerics().end()}; }

/// "cpu (AMD EPYC on h1, Intel Xeon on h2)"; empty where the two agree.
std::string DescribeNumerics(const Numerics& a, const std::string& where_a, const Numerics& b,
                             const std::string& where_b) {
  std::string text;
  Numerics both = a;
  both.insert(b.begin(), b.end());
  for (const auto& [name, value] : both) {
    const std::string value_a = a.count(name) ? a.at(name) : "unset", value_b = b.count(name) ? b.at(name) : "unset";
    if (value_a != value_b)
      text += fmt::format("{}{} ({} {}, {} {})", text.empty() ? "" : ", ", name, value_a, where_a, value_b, where_b);
  }
  return text;
}

}  // namespace

Coordinator::Coordinator(const plan::Job& job, FileSystem& files, uint64_t total_steps)
    : job_(job), files_(files), folder_(files, job.folder), total_steps_(total_steps) {}

StartPlan Coordinator::Decide(const std::vector<Hello>& hellos) {
  StartPlan verdict;
  try {
    CompareRanks(hellos);
    const comm::Topology& topology = job_.comm->topology();
    std::vector<plan::RankCores> cores;
    for (size_t r = 0; r < hellos.size(); ++r)
      cores.push_back({topology.host_of[r],
                       {hellos[r].cores().begin(), hellos[r].cores().end()},
                       hellos[r].usable_cores(),
                       hellos[r].executors()});
    for (int executors :
         plan::PlanExecutors(cores, static_cast<int>(job_.train.lanes()), static_cast<int>(job_.train.lane_threads())))
      verdict.add_executors(executors);
    OpenFolder(verdict, hellos);
    Report(hellos, verdict);
    WarnOfRecipe();
  } catch (const Error& error) {
    *verdict.mutable_error() = comm::ToText(error);
  }
  return verdict;
}

void Coordinator::CompareRanks(const std::vector<Hello>& hellos) const {
  const Hello& first = hellos.front();
  for (size_t r = 1; r < hellos.size(); ++r) {
    const Hello& other = hellos[r];
    if (other.build_hash() != first.build_hash())
      throw Error(ErrorKind::kUsage,
                  fmt::format("it runs another build of lockstep ({}) than rank 0 on {} ({})", other.build_hash(),
                              first.host(), first.build_hash()),
                  RankName(hellos, r), "install the same build on every host");
    if (other.recipe() != first.recipe())
      throw Error(ErrorKind::kUsage,
                  fmt::format("its recipe differs from rank 0's on {} in {}", first.host(),
                              job_.recipe.describe_difference(first.recipe(), other.recipe())),
                  RankName(hellos, r), "start all ranks with the same recipe and the same --set options");
    for (const auto& [split, fingerprint] : first.data()) {
      const auto found = other.data().find(split);
      if (found == other.data().end() || found->second != fingerprint)
        throw Error(ErrorKind::kData,
                    fmt::format("its {} data ({}) differ from rank 0's on {} ({})", split,
                                found == other.data().end() ? "none" : HashText(found->second), first.host(),
                                HashText(fingerprint)),
                    RankName(hellos, r), "copy the same data files to every host");
    }
    const std::string numerics =
        DescribeNumerics(NumericsOf(first), "on " + first.host(), NumericsOf(other), "on " + other.host());
    if (numerics.empty()) continue;
    const std::string text = fmt::format("its numerics differ from rank 0's in {}", numerics);
    if (job_.train.on_other_hardware() == plan::OnOtherHardware::WARN)
      LogWarning("{}: {}; the bits may depend on which rank runs which lane", RankName(hellos, r), text);
    else
      throw Error(ErrorKind::kUsage, text, RankName(hellos, r),
                  "use hosts of one kind, or set train.on_other_hardware: WARN and give up equal bits");
  }
  if (hellos.size() > job_.train.lanes())
    throw Error(
        ErrorKind::kUsage, fmt::format("{} ranks are more than the {} lanes", hellos.size(), job_.train.lanes()),
        "train.lanes",
        fmt::format("start at most {} ranks, or raise train.lanes (a divisor of global_batch; it changes the bits)",
                    job_.train.lanes()));
}

void Coordinator::TakeFolder() {
  const auto take = [this] {
    folder_.Create();
    lease_ = records::Lease::Acquire(files_, job_.folder, {}, [this] { job_.comm->Poll(); });
  };
  if (job_.fresh && files_.Exists(job_.folder)) {
    take();  // nobody else is in the old run, so it may be moved
    lease_.reset();
    const std::string aside = folder_.MoveAside();
    if (!aside.empty()) LogNote("moved the old run to {}", aside);
  }
  take();
}

void Coordinator::OpenFolder(StartPlan& verdict, const std::vector<Hello>& hellos) {
  TakeFolder();
  const std::string identity_hash = HashText(Hash64(job_.recipe.identity));
  std::unique_ptr<checkpoint::Reader> newest;
  if (folder_.HasRun()) {
    job_.recipe.check_continues(ReadWholeFile(files_, folder_.recipe()), job_.change_numerics);
    std::vector<std::string> passed_over;
    newest = checkpoint::FindNewest(files_, folder_.checkpoints(), total_steps_, &passed_over);
    for (const std::string& text : passed_over) LogWarning("{}; passed over", text);
    if (!newest && !passed_over.empty())
      throw Error(ErrorKind::kCheckpoint, "none of the checkpoints of this run is whole", folder_.checkpoints(),
                  "bring back a good copy of one, or begin again with --fresh, which moves the run aside");
    // Damaged ones must not count among those that are kept.
    if (newest && !passed_over.empty())
      checkpoint::SetAsideNewer(files_, folder_.checkpoints(), newest->manifest().step());
  }
  if (newest) {
    verdict.set_has_checkpoint(true);
    verdict.set_resume_step(newest->manifest().step());
    const std::optional<records::RunFolder::Done> done = folder_.ReadDone();
    if (done && done->step == newest->manifest().step() && done->identity_hash == identity_hash) {
      verdict.set_done_line(done->line);
      return;
    }
  }
  if (newest) CompareWithLastAttempt(hellos.front(), newest->manifest().build_hash());
  folder_.RemoveDone();
  files_.RemoveAll(folder_.heartbeats());
  WriteFileAtomically(files_, folder_.recipe(), job_.recipe.resolved);
  folder_.DiscardMetricsAfter(verdict.resume_step(), newest && IsEvaluated(newest->manifest()));
  verdict.set_attempt(
      folder_.BeginAttempt({0, hellos.front().host(), static_cast<int>(hellos.size()), verdict.resume_step(),
                            hellos.front().build_hash(), NumericsOf(hellos.front())}));
  lease_->SetAttempt(verdict.attempt());
  begun_.recipe = identity_hash;
  for (const auto& [split, fingerprint] : hellos.front().data()) begun_.data[split] = HashText(fingerprint);
  begun_.attempts = {{verdict.attempt(), static_cast<int>(hellos.size()), verdict.resume_step(),
                      hellos.front().build_hash(), NumericsOf(hellos.front())}};
  begun_.every = job_.train.certificate_every_steps();
  // A start that was killed right here has left its own.
  for (const std::string& name : files_.List(job_.folder))
    if (name.starts_with(".witness-")) files_.RemoveAll(job_.folder + "/" + name);
  verdict.set_witness(fmt::format(".witness-{}", verdict.attempt()));
  WriteFileAtomically(files_, job_.folder + "/" + verdict.witness(), hellos.front().host() + "\n");
}

void Coordinator::CompareWithLastAttempt(const Hello& now, const std::string& build_hash) {
  if (build_hash != now.build_hash()) {
    if (!job_.accept_build)
      throw Error(
          ErrorKind::kUsage,
          fmt::format("this run was trained by another build of lockstep ({}; this one is {})", build_hash,
                      now.build_hash()),
          job_.folder,
          "continue with --accept-build (recorded; the bits may differ from here on), or start anew with --fresh");
    LogWarning("continuing with another build of lockstep ({} instead of {}); the bits may differ from here on",
               now.build_hash(), build_hash);
  }
  const std::optional<records::RunFolder::Attempt> last = folder_.LastAttempt();
  if (!last) return;
  const std::string numerics = DescribeNumerics(last->numerics, "before", NumericsOf(now), "on " + now.host());
  if (numerics.empty()) return;
  if (job_.train.on_other_hardware() == plan::OnOtherHardware::STOP && !job_.change_numerics)
    throw Error(ErrorKind::kUsage, fmt::format("the run began on other hardware: it differs in {}", numerics),
                job_.folder, "go on where it began, or set train.on_other_hardware: WARN and give up equal bits");
  LogWarning("the run began on other hardware: it differs in {}; the bits may differ from here on", numerics);
}

void Coordinator::ReportDevices(const std::vector<Hello>& hellos) const {
  std::vector<plan::RankDevice> devices;
  for (const Hello& hello : hellos)
    devices.push_back({static_cast<int>(devices.size()), hello.host(), hello.gpu().name(), hello.gpu().uuid(),
                       hello.gpu().ordinal(), hello.gpu().visible()});
  for (const std::string& line : plan::DescribeDevices(devices)) LogNote("{}", line);
  for (const std::string& line : plan::WarningsOfDevices(devices)) LogWarning("{}", line);
}

void Coordinator::Report(const std::vector<Hello>& hellos, const StartPlan& verdict) const {
  if (job_.device) return ReportDevices(hellos);
  const comm::Topology& topology = job_.comm->topology();
  int all_executors = 0;
  bool shared = false;
  int idle = 0;
  for (const std::vector<int>& ranks : topology.hosts) {
    std::set<int> cores;
    int executors = 0, least = 1 << 20, most = 0, usable = 0;
    for (int rank : ranks) {
      const Hello& hello = hellos[static_cast<size_t>(rank)];
      cores.insert(hello.cores().begin(), hello.cores().end());
      const int count = verdict.executors(rank);
      executors += count;
      least = std::min(least, count);
      most = std::max(most, count);
      usable = std::max(usable, hello.usable_cores());
    }
    const int allowed = std::min(static_cast<int>(cores.size()), std::max(usable, static_cast<int>(ranks.size())));
    all_executors += executors;
    shared |= executors * static_cast<int>(job_.train.lane_threads()) > static_cast<int>(cores.size());
    const Hello& hello = hellos[static_cast<size_t>(ranks.front())];
    idle += std::max(0, allowed - executors * static_cast<int>(job_.train.lane_threads()));
    LogNote("{}: {} rank{}, {} of {} cores allowed, {} executor{} a rank", hello.host(), ranks.size(),
            ranks.size() == 1 ? "" : "s", allowed, hello.machine_cores(),
            least == most ? std::to_string(least) : fmt::format("{}-{}", least, most), most == 1 ? "" : "s");
    if (ranks.size() == 1 && cores.size() == 1 && hello.machine_cores() > 1 && topology.world_size == 1 &&
        std::getenv("OMPI_COMM_WORLD_SIZE"))
      LogWarning("mpirun binds a single rank to one core; add --bind-to none to use all {} cores of {}",
                 hello.machine_cores(), hello.host());
  }
  if (shared) LogWarning("ranks share cores: start at most one rank (or executor) a core, or lower --executors");
  const int lanes = static_cast<int>(job_.train.lanes());
  if (idle > 0 && all_executors == lanes) {
    const int batch = static_cast<int>(job_.train.global_batch());
    int better = all_executors + idle;
    while (better > lanes && batch % better != 0) --better;
    LogWarning("{} lane{} leave{} {} core{} idle{}", lanes, lanes == 1 ? "" : "s", lanes == 1 ? "s" : "", idle,
               idle == 1 ? "" : "s",
               better > lanes ? fmt::format("; train.lanes: {} would use more (it changes the bits)", better) : "");
  }
}

void Coordinator::WarnOfRecipe() const {
  if (job_.train.has_early_stopping() && !job_.splits.validation)
    LogWarning("early stopping is steered by the {} split, so its result flatters; give data.validation",
               job_.splits.reported_name());
  const data::BatchShape shape = job_.splits.batches->shapes().back();
  const int64_t rows = shape.rows;
  const graph::Model model = job_.build_model(graph::Mode::kTrain, shape);
  if (rows < 8 && !model.graph.statistics.empty())
    LogWarning(
        "batch norm sees {} samples a lane, which is few; lower train.lanes or raise train.global_batch (either "
        "changes the bits)",
        rows);
}

void Coordinator::BeginCertificate(const engine::ParameterLayout& layout, uint64_t step) {
  begun_.tensors = records::TensorNames(layout);
  certificate_ =
      std::make_unique<records::CertificateWriter>(files_, job_.folder + "/" + records::kCertificateName, begun_);
  certificate_->ResumeAt(step);
}

bool Coordinator::Superseded() {
  if (lease_->Superseded()) return true;
  // A later attempt may have come and gone, its lease with it, while this process was stopped.
  const std::optional<records::RunFolder::Attempt> last = folder_.LastAttempt();
  return last && last->number > begun_.attempts.front().attempt;
}

void Coordinator::Commit(checkpoint::Manifest manifest, const std::vector<checkpoint::Receipt>& receipts,
                         const std::string& folder) {
  for (const checkpoint::Receipt& receipt : receipts) {
    if (!receipt.error().empty()) throw Error(ErrorKind::kCheckpoint, receipt.error());
    if (receipt.file().chunks_size() > 0) *manifest.add_files() = receipt.file();
  }
  if (Superseded())
    throw Error(ErrorKind::kUsage,
                fmt::format("attempt {} was superseded: another job has gone on with this run", manifest.attempt()),
                job_.folder, "nothing is lost; see attempts.jsonl");
  certificate_->Write();
  lease_->NoteStep(manifest.step());
  lease_->CheckHeld();
  checkpoint::CommitManifest(files_, folder, std::move(manifest));
}

}  // namespace lockstep::run
