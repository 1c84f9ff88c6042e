#include "trainer/run/coordinator.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/hash.h"
#include "base/log.h"
#include "comm/agreement.h"
#include "trainer/optim/schedule.h"
#include "trainer/plan/core_report.h"
#include "trainer/plan/device_placement.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/run/core_messages.h"

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

/// What a rank said of its recipe.
plan::RunIdentity IdentityOf(const Hello& hello) {
  std::vector<plan::RunIdentity::Field> fields;
  for (const IdentityField& field : hello.identity()) fields.push_back({field.name(), field.value(), field.numerics()});
  return {"", hello.recipe(), std::move(fields)};
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

Coordinator::Coordinator(const Job& job, const Start& start)
    : job_(job), start_(start), files_(*start.files), folder_(files_, start.folder) {}

StartPlan Coordinator::Decide(const std::vector<Hello>& hellos) {
  StartPlan start_plan;
  try {
    CompareRanks(hellos);
    const comm::Topology& topology = job_.place.comm->topology();
    std::vector<plan::RankCores> cores;
    for (size_t r = 0; r < hellos.size(); ++r)
      cores.push_back(CoresOf(hellos[r].cores(), topology.host_of[r], hellos[r].executors()));
    plan::CorePlan plan =
        plan::PlanCores(cores, static_cast<int>(job_.config.train.lanes()),
                        static_cast<int>(job_.config.train.lane_threads()), PinningOf(hellos.front().cores()));
    Balance(hellos, plan);
    SetCorePlan(plan, &start_plan);
    OpenFolder(start_plan, hellos);
    job_.place.device ? ReportDevices(hellos) : ReportCores(hellos, cores, plan);
    ReportIgnored(hellos);
    WarnOfRecipe();
  } catch (const comm::PeerAborted&) {
    throw;
  } catch (...) {
    const Error error = CurrentError();
    *start_plan.mutable_error() = comm::ToText(error);
    if (start_plan.attempt() > 0)  // it has begun
      folder_.WriteEnding({start_plan.attempt(), error.kind(), error.exit_code(), error.message(),
                           error.where().empty() ? RankName(hellos, 0) : error.where(), start_plan.resume_step(), ""});
  }
  return start_plan;
}

void Coordinator::Balance(const std::vector<Hello>& hellos, plan::CorePlan& plan) const {
  if (job_.config.train.balance() != plan::Balance::MEASURED || hellos.size() < 2) return;
  std::vector<double> speeds;
  for (const Hello& hello : hellos) speeds.push_back(hello.speed());
  if (*std::min_element(speeds.begin(), speeds.end()) <= 0) {
    LogWarning("train.balance: MEASURED is for CPUs: lanes are dealt evenly");
    return;
  }
  const std::vector<int> lanes =
      plan::BalanceLanes(static_cast<int>(job_.config.train.lanes()), plan::ExecutorsOf(plan), speeds);
  for (size_t r = 0; r < plan.size(); ++r) {
    plan[r].lanes = lanes[r];
    plan[r].executors = std::min(plan[r].executors, lanes[r]);
    if (!plan[r].pins.empty()) plan[r].pins.resize(static_cast<size_t>(plan[r].executors));
  }
  const double fastest = *std::max_element(speeds.begin(), speeds.end());
  std::vector<std::string> ranks;
  for (size_t r = 0; r < plan.size() && r < 16; ++r)
    ranks.push_back(fmt::format("{} ({:.0f} %)", lanes[r], 100 * speeds[r] / fastest));
  LogNote("lanes by measured speed, rank by rank: {}{}", fmt::join(ranks, ", "), plan.size() > 16 ? ", ..." : "");
}

void Coordinator::CompareRanks(const std::vector<Hello>& hellos) const {
  const Hello& first = hellos.front();
  for (size_t r = 1; r < hellos.size(); ++r) {
    const Hello& other = hellos[r];
    if (other.build_hash() != first.build_hash())
      throw Error(ErrorKind::kMixed,
                  fmt::format("it runs another build of lockstep ({}) than rank 0 on {} ({})", other.build_hash(),
                              first.host(), first.build_hash()),
                  RankName(hellos, r), "install the same build on every host");
    if (other.recipe() != first.recipe())
      throw Error(ErrorKind::kMixed,
                  fmt::format("its recipe differs from rank 0's on {} in {}", first.host(),
                              fmt::join(IdentityOf(first).Compare(IdentityOf(other)), ", ")),
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
    if (job_.config.train.on_other_hardware() == plan::OnOtherHardware::WARN)
      LogWarning("{}: {}; the bits may depend on which rank runs which lane", RankName(hellos, r), text);
    else
      throw Error(ErrorKind::kMixed, text, RankName(hellos, r),
                  "use hosts of one kind, or set train.on_other_hardware: WARN and give up equal bits");
  }
  if (hellos.size() > job_.config.train.lanes())
    throw Error(
        ErrorKind::kUsage, fmt::format("{} ranks are more than the {} lanes", hellos.size(), job_.config.train.lanes()),
        "train.lanes",
        fmt::format("start at most {} ranks, or raise train.lanes (a divisor of global_batch; it changes the bits)",
                    job_.config.train.lanes()));
}

void Coordinator::TakeFolder() {
  const auto take = [this] {
    folder_.Create();
    lease_ = records::Lease::Acquire(files_, start_.folder, {}, [this] { job_.place.comm->Poll(); });
  };
  if (start_.fresh && files_.Exists(start_.folder)) {
    take();  // nobody else is in the old run, so it may be moved
    lease_.reset();
    const std::string aside = folder_.MoveAside();
    if (!aside.empty()) LogNote("moved the old run to {}", aside);
  }
  take();
}

std::vector<std::string> Coordinator::CheckContinues() const {
  return plan::CheckContinues(start_.read_identity(ReadWholeFile(files_, folder_.recipe())), job_.config.identity,
                              {.longer = optim::IsExtendable(job_.config.optimizer.schedule()),
                               .numerics = start_.change_numerics,
                               .steering = start_.change_recipe});
}

void Coordinator::CheckSameData(const std::map<std::string, std::string>& now, std::vector<std::string>& changed) {
  const std::optional<records::AttemptStart> last = folder_.LastAttempt();
  if (!last) return;
  // The weights don't hang on the other splits, unless one of them decides when training ends.
  const auto decides = [&](const std::string& split) {
    return split == "train" || (split == "validation" && job_.config.train.has_early_stopping());
  };
  std::vector<std::string> warnings;
  for (const auto& [split, before] : last->data) {
    const auto found = now.find(split);
    if (found != now.end() && found->second == before) continue;
    const std::string what =
        fmt::format("the {} data are not those that this run began with (fingerprint {}, now {})",
                    split == "train" ? "training" : split, before, found == now.end() ? "none" : found->second);
    if (decides(split) && start_.change_recipe) {
      changed.push_back(fmt::format("data.{}: {} -> {}", split, before, found == now.end() ? "none" : found->second));
      continue;
    }
    if (decides(split))
      throw Error(ErrorKind::kData, what, split == "train" ? job_.splits.train_files : "data." + split,
                  "bring back the files as they were, go on with these by --change recipe (recorded), or begin another "
                  "run: give another --out, or --fresh, which moves this one aside");
    warnings.push_back(what + ": its figures from here on are of other samples");
  }
  for (const std::string& warning : warnings) LogWarning("{}", warning);
}

std::unique_ptr<checkpoint::Reader> Coordinator::FindCheckpoint(uint64_t last_step) {
  std::vector<std::string> passed_over;
  auto newest = checkpoint::FindNewest(files_, folder_.checkpoints(), last_step, &passed_over);
  for (const std::string& text : passed_over) LogWarning("{}; passed over", text);
  if (!newest && !passed_over.empty())
    throw Error(ErrorKind::kCheckpoint, "none of the checkpoints of this run is whole", folder_.checkpoints(),
                "bring back a good copy of one, or begin again with --fresh, which moves the run aside");
  // Damaged ones must not count among those that are kept.
  if (newest && !passed_over.empty())
    checkpoint::SetAsideNewer(files_, folder_.checkpoints(), newest->manifest().step());
  return newest;
}

data::Leg Coordinator::LegFrom(const checkpoint::Reader& newest) const {
  return NextLeg(newest.manifest().loop(), newest.manifest().step(), job_.config.train, *job_.splits.train);
}

std::unique_ptr<checkpoint::Reader> Coordinator::FindResume(StartPlan& start_plan) {
  std::unique_ptr<checkpoint::Reader> newest = FindCheckpoint(std::numeric_limits<uint64_t>::max());
  if (!newest) return nullptr;
  // A run may have been made shorter.
  if (const uint64_t end = JobIn(job_, LegFrom(*newest)).splits.length.total_steps; newest->manifest().step() > end)
    newest = FindCheckpoint(end);
  if (!newest) return nullptr;
  const data::Leg leg = LegFrom(*newest);
  start_plan.set_has_checkpoint(true);
  start_plan.set_resume_step(newest->manifest().step());
  start_plan.set_first_step(leg.first_step);
  start_plan.set_first_position(leg.first_position);
  return newest;
}

void Coordinator::OpenFolder(StartPlan& start_plan, const std::vector<Hello>& hellos) {
  TakeFolder();
  folder_.RemoveLeftovers();
  const std::string identity_hash = job_.config.identity.Hash();
  std::unique_ptr<checkpoint::Reader> newest;
  std::map<std::string, std::string> data;
  for (const auto& [split, fingerprint] : hellos.front().data()) data[split] = HashText(fingerprint);
  std::vector<std::string> changed;
  if (folder_.HasRun()) {
    changed = CheckContinues();
    CheckSameData(data, changed);
    newest = FindResume(start_plan);
  }
  if (newest) {
    const std::vector<std::string> lost = folder_.ChangedSince(newest->manifest().attempt());
    changed.insert(changed.begin(), lost.begin(), lost.end());
    const std::optional<records::RunDone> done = folder_.ReadDone();
    if (done && done->step == newest->manifest().step() && done->identity_hash == identity_hash) {
      start_plan.set_done_line(done->line);
      return;
    }
  }
  if (newest) CompareWithLastAttempt(hellos.front(), newest->manifest().build_hash());
  folder_.RemoveDone();
  files_.RemoveAll(folder_.heartbeats());
  WriteFileAtomically(files_, folder_.recipe(), job_.config.identity.resolved());
  folder_.DiscardMetricsAfter(start_plan.resume_step(), newest && IsEvaluated(newest->manifest()));
  start_plan.set_attempt(folder_.NextAttempt());  // first: from here on an error is one of this attempt
  folder_.BeginAttempt({0, hellos.front().host(), static_cast<int>(hellos.size()), start_plan.resume_step(),
                        hellos.front().build_hash(), NumericsOf(hellos.front()), data, changed});
  lease_->SetAttempt(start_plan.attempt());
  begun_.recipe = identity_hash;
  begun_.data = data;
  begun_.attempts = {{start_plan.attempt(), static_cast<int>(hellos.size()), start_plan.resume_step(),
                      hellos.front().build_hash(), NumericsOf(hellos.front()), changed}};
  for (const std::string& change : changed)
    LogWarning("from step {} on this is another run than the one that began: {}", start_plan.resume_step(), change);
  begun_.every = job_.config.train.certificate_every_steps();
  start_plan.set_witness(fmt::format(".witness-{}", start_plan.attempt()));
  WriteFileAtomically(files_, start_.folder + "/" + start_plan.witness(), hellos.front().host() + "\n");
}

void Coordinator::CompareWithLastAttempt(const Hello& now, const std::string& build_hash) {
  if (build_hash != now.build_hash()) {
    if (!start_.accept_build)
      throw Error(
          ErrorKind::kMixed,
          fmt::format("this run was trained by another build of lockstep ({}; this one is {})", build_hash,
                      now.build_hash()),
          start_.folder,
          "continue with --accept-build (recorded; the bits may differ from here on), or start anew with --fresh");
    LogWarning("continuing with another build of lockstep ({} instead of {}); the bits may differ from here on",
               now.build_hash(), build_hash);
  }
  const std::optional<records::AttemptStart> last = folder_.LastAttempt();
  if (!last) return;
  const std::string numerics = DescribeNumerics(last->numerics, "before", NumericsOf(now), "on " + now.host());
  if (numerics.empty()) return;
  if (job_.config.train.on_other_hardware() == plan::OnOtherHardware::STOP && !start_.change_numerics)
    throw Error(ErrorKind::kMixed, fmt::format("the run began on other hardware: it differs in {}", numerics),
                start_.folder, "go on where it began, or set train.on_other_hardware: WARN and give up equal bits");
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

void Coordinator::ReportCores(const std::vector<Hello>& hellos, const std::vector<plan::RankCores>& cores,
                              const plan::CorePlan& plan) const {
  plan::CoreReportOptions options;
  for (const Hello& hello : hellos) options.host_names.push_back(hello.host());
  options.lanes = static_cast<int>(job_.config.train.lanes());
  options.lane_threads = static_cast<int>(job_.config.train.lane_threads());
  options.global_batch = static_cast<int>(job_.config.train.global_batch());
  options.under_mpirun = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
  const plan::CoreReport report = plan::DescribeCorePlan(cores, plan, options);
  for (const std::string& line : report.notes) LogNote("{}", line);
  for (const std::string& line : report.warnings) LogWarning("{}", line);
}

void Coordinator::ReportIgnored(const std::vector<Hello>& hellos) const {
  std::set<std::string> variables;
  for (const Hello& hello : hellos) variables.insert(hello.cores().ignored().begin(), hello.cores().ignored().end());
  if (!variables.empty())
    LogNote("not followed, since the plan of cores decides where threads run: {}", fmt::join(variables, ", "));
}

void Coordinator::WarnOfRecipe() const {
  const plan::Splits& splits = job_.splits;
  if (!splits.test && splits.train_part && splits.train_part->size() < splits.train->size())
    LogNote("there is no test split: the last line reports on {} of the {} training samples (evaluate.samples)",
            splits.train_part->size(), splits.train->size());
  if (job_.config.train.has_early_stopping() && !job_.splits.validation)
    LogWarning("early stopping is steered by the {} split, so its result flatters; give data.validation",
               job_.splits.reported_name());
  const data::BatchShape shape = job_.splits.batches->shapes().back();
  const int64_t rows = shape.rows;
  const graph::Model model = job_.model.build(graph::Mode::kTrain, shape);
  if (rows < 8 && !model.graph.statistic_updates.empty())
    LogWarning(
        "batch norm sees {} samples a lane, which is few; lower train.lanes or raise train.global_batch (either "
        "changes the bits)",
        rows);
}

void Coordinator::BeginCertificate(const engine::ParameterLayout& layout, uint64_t step) {
  begun_.tensors = records::TensorNames(layout);
  certificate_ =
      std::make_unique<records::CertificateWriter>(files_, start_.folder + "/" + records::kCertificateName, begun_);
  certificate_->ResumeAt(step);
}

bool Coordinator::Superseded() {
  if (lease_->Superseded()) return true;
  // A later attempt may have come and gone, its lease with it, while this process was stopped.
  const std::optional<records::AttemptStart> last = folder_.LastAttempt();
  return last && last->number > begun_.attempts.front().attempt;
}

void Coordinator::Commit(checkpoint::Manifest manifest, const std::vector<checkpoint::Receipt>& receipts,
                         const std::string& folder) {
  for (const checkpoint::Receipt& receipt : receipts) {
    if (!receipt.error().empty()) throw Error(ErrorKind::kCheckpoint, receipt.error());
    if (receipt.file().chunks_size() > 0) *manifest.add_files() = receipt.file();
  }
  if (Superseded())
    throw Error(ErrorKind::kSuperseded,
                fmt::format("attempt {} was superseded: another job has gone on with this run", manifest.attempt()),
                start_.folder, "nothing is lost; see attempts.jsonl");
  certificate_->Write();
  lease_->NoteStep(manifest.step());
  lease_->CheckHeld();
  checkpoint::CommitManifest(files_, folder, std::move(manifest));
}

}  // namespace lockstep::run
