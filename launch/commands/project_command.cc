// lockstep project: what a scaling study says of numbers of ranks that nobody has, by simulating the exchange.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/files/file.h"
#include "comm/local/local_communicator.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/commands.h"
#include "launch/commands/errors.h"
#include "launch/job/job_setup.h"
#include "launch/project/bucket_times.h"
#include "launch/project/projection.h"
#include "launch/project/projection_text.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "launch/scale/run_study.h"
#include "launch/scale/study_text.h"
#include "trainer/plan/job_plans.h"

namespace lockstep::launch {
namespace {

constexpr double kAssumedMemory = 20, kAssumedStraggle = 0.05, kAssumedFlopsPerByte = 5;

struct ProjectOptions {
  std::string study, ranks = "64,512,4096", network, mode;
  int steps = 25;
  uint64_t seed = 0;
  bool json = false;
};

/// As the study measured its machine.
double FlopsPerByte(const StudyFacts& facts) {
  const auto flops = facts.limits.find("matrix_gflops"), copies = facts.limits.find("copy_gb_s");
  const bool measured = flops != facts.limits.end() && copies != facts.limits.end() && copies->second > 0;
  return measured && flops->second > 0 ? flops->second / copies->second : kAssumedFlopsPerByte;
}

ProjectedJob JobOf(const StudyFacts& facts) {
  Recipe recipe = ReadRecipe(facts.recipe, facts.settings);
  // The GPUs of this machine, which may be another one than the study's, play no part: MeasureRank sees what it was of.
  if (recipe.train().device() == plan::Device::AUTO) recipe.mutable_train()->set_device(plan::Device::CPU);
  if (recipe.train().device() != plan::Device::CPU)
    throw Error(ErrorKind::kUsage, "projections are of ranks that compute on CPUs", facts.recipe,
                "project from a study with --set train.device=CPU");
  ResolveRecipe(recipe, {});
  const auto world = comm::MakeLocalWorld({});
  const run::Job job = MakeJob(recipe, *world.front(), nullptr);
  const plan::JobPlans plans = plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, 1);
  if (facts.parameters > 0 && facts.parameters != static_cast<double>(plans.layout.parameter_count()))
    throw Error(ErrorKind::kUsage, "the recipe's model is no longer the one that was measured", facts.recipe,
                "measure anew with `lockstep scale`");
  const optim::Optimizer optimizer = plan::MakeOptimizer(job.config, plans);
  return {.lanes = static_cast<int>(recipe.train().lanes()),
          .global_batch = recipe.train().global_batch(),
          .buckets = plans.buckets,
          .ready = ReadyShares(*plans.train.back(), static_cast<int>(plans.buckets.size()), FlopsPerByte(facts)),
          .wire = plan::WireType(job.config.train),
          .share_at_once = !plan::KeepsSums(optimizer, job.config.train),
          .state_arrays = static_cast<int>(optimizer.state_names().size())};
}

/// Steps of the runs of the point with fewest ranks, over each run's median: their folders are the study's.
std::vector<double> FactorsOf(const std::string& folder, const StudyFacts& facts,
                              const std::vector<RunResult>& results) {
  const StudyPoint* fewest = nullptr;
  for (const StudyPoint& point : facts.points)
    if (point.role == StudyPoint::Role::kPoint && (fewest == nullptr || point.ranks < fewest->ranks)) fewest = &point;
  std::vector<double> factors;
  for (const RunResult& result : results) {
    if (fewest == nullptr || result.point != fewest->name || !result.good()) continue;
    const std::string path = folder + "/runs/" + result.point + "-" + std::to_string(result.repeat) + "/times.json";
    if (!FileSystem::Real().Exists(path)) continue;
    const auto times = records::ParseTimes(ReadWholeFile(FileSystem::Real(), path));
    if (!times || times->step_seconds.empty()) continue;
    const double median = Median(times->step_seconds);
    for (const double seconds : times->step_seconds)
      if (median > 0) factors.push_back(seconds / median);
  }
  return factors;
}

ProjectionRequest RequestOf(const ProjectOptions& options, const StudyFacts& facts) {
  if (facts.request.mode == StudyMode::kThroughput)
    throw Error(ErrorKind::kUsage, "a throughput study says nothing of more ranks", options.study,
                "project from a study of --mode strong or weak");
  ProjectionRequest request{.mode = facts.request.mode,
                            .network = ParseNetwork(options.network, MeasuredNetwork(facts)),
                            .steps = options.steps,
                            .seed = options.seed};
  if (options.mode == "weak") request.mode = StudyMode::kWeak;
  if (options.mode == "strong") request.mode = StudyMode::kStrong;
  return request;
}

/// Fills in what the network leaves to the study.
void SettleNetwork(const StudyFacts& facts, Projection& projection) {
  Network& network = projection.request.network;
  const Network measured = MeasuredNetwork(facts);
  const bool has_links = !facts.hosts.BetweenHosts().empty();
  projection.gbit_measured = has_links && network.gbit == measured.gbit;
  projection.latency_measured = has_links && network.latency_us == measured.latency_us;
  const auto copy = facts.limits.find("copy_gb_s");
  projection.memory_measured = network.memory_gb_s <= 0 && copy != facts.limits.end() && copy->second > 0;
  if (network.memory_gb_s <= 0) network.memory_gb_s = projection.memory_measured ? copy->second : kAssumedMemory;
  if (network.straggle < 0 && projection.measured.factors.empty()) network.straggle = kAssumedStraggle;
}

int Project(const ProjectOptions& options) {
  const StudyFacts facts = ReadFacts(options.study);
  const std::vector<RunResult> results = ReadResults(options.study);
  const StudySummary summary = Summarize(facts, results);
  Projection projection{.facts = facts, .request = RequestOf(options, facts)};
  const ProjectedJob job = JobOf(facts);
  projection.measured = MeasureRank(facts, results, summary, job);
  projection.measured.factors = FactorsOf(options.study, facts, results);
  SettleNetwork(facts, projection);
  // A model that was fitted to the other kind of study says nothing of this one.
  StudySummary fitted = summary;
  if (projection.request.mode != facts.request.mode) fitted.cost.reset();
  ProjectionRequest own = projection.request;
  own.mode = facts.request.mode;
  projection.checked = CheckPoints(facts, results, own, job, projection.measured, summary);
  for (const int ranks : ParseCounts(options.ranks, "--ranks"))
    projection.points.push_back(ProjectPoint(ranks, projection.request, job, projection.measured, fitted));
  if (options.json) {
    std::printf("%s", ProjectionJson(projection).c_str());
  } else {
    std::printf("%s\n", AlignedTable(ProjectionTable(projection)).c_str());
    for (const std::string& note : ProjectionNotes(projection)) std::printf("%s\n", note.c_str());
  }
  const bool good = std::ranges::all_of(projection.points, [](const ProjectedPoint& p) { return p.values.good(); });
  return good ? 0 : ExitCodeOf(ErrorKind::kInternal);
}

}  // namespace

void AddProjectCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ProjectOptions>();
  CLI::App* command = app.add_subcommand(
      "project", "Simulate a study's recipe on more ranks: the exchange's own plan on a described network");
  command->add_option("STUDY", options->study, "The folder of a study of lockstep scale")->required();
  command->add_option("--ranks", options->ranks, "Numbers of ranks (default: 64,512,4096)");
  command->add_option("--network", options->network,
                      "KEY=VALUE,... or a file of them: ranks_per_host (8), gbit and latency_us (as the study measured "
                      "them between its "
                      "hosts, else 100 and 5), message_us (1), eager_kb (64), "
                      "memory_gb_s, hosts_per_rack, uplink_gbit, straggle");
  command
      ->add_option("--mode", options->mode,
                   "strong: the recipe's lanes are shared; weak: lanes and batch grow with the ranks (default: the "
                   "study's)")
      ->check(OneOf({"strong", "weak"}));
  command->add_option("--steps", options->steps, "Steps that are simulated, fewer of many messages (default: 25)")
      ->check(WholeNumber(1));
  command->add_option("--seed", options->seed, "Draws how long ranks take (default: 0)");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples:\n"
      "  lockstep project studies/mnist --ranks 64,512,4096 --mode weak\n"
      "  lockstep project studies/mnist --ranks 8 --network ranks_per_host=1,gbit=1,latency_us=50\n"
      "  lockstep project studies/mnist --network hosts_per_rack=32,uplink_gbit=800,straggle=0.1 --json\n"
      "What a rank computes is taken from the study, what ranks send each other is simulated event by event, with "
      "made-up gradients whose sums are compared with the lane tree's.");
  command->callback([options, exit_code] { *exit_code = RunAlone([&] { return Project(*options); }); });
}

}  // namespace lockstep::launch
