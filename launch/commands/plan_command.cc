// lockstep plan: checks a recipe without MPI and prints what it will do.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/machine/cores.h"
#include "base/machine/host.h"
#include "comm/local/local_communicator.h"
#include "launch/command_line/option_checks.h"
#include "launch/drawing/model_rows.h"
#include "launch/estimate/gpu_model.h"
#include "launch/estimate/machine_record.h"
#include "launch/estimate/plan_facts.h"
#include "launch/estimate/process_memory.h"
#include "launch/estimate/step_demand.h"
#include "launch/job/gpu.h"
#include "launch/job/init_from.h"
#include "launch/job/job_setup.h"
#include "launch/project/between_hosts.h"
#include "launch/project/bucket_times.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "trainer/graph/dot.h"
#include "trainer/passes/passes.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/plan/memory_estimate.h"
#include "trainer/step/device/device_memory.h"

namespace lockstep::launch {
namespace {

struct PlanOptions {
  std::string recipe;
  std::vector<std::string> settings;
  int ranks = 1;
  int executors = 0;  ///< on each rank; 0: as training would have
  int hosts = 1;
  std::string network;  ///< between them, as ParseNetwork takes it
  std::string machine;  ///< a file; empty: the kept one of this host
  bool json = false;
  std::string gpu;  ///< of a card that need not be here
  bool model = false;
  std::string dot, html;  ///< files to draw the model into; empty: none
  double gpu_memory = 0;  ///< GiB; 0: that card's, or the device that is here
};

/// 0: what is here.
double GpuBytes(const PlanOptions& options) {
  if (options.gpu_memory > 0) return options.gpu_memory * (1 << 30);
  return options.gpu.empty() ? 0 : FindGpu(options.gpu)->memory_bytes;
}

/// The recipe, resolved for this machine or, where GPUs' memory is given, for one that has such GPUs.
Recipe ReadResolved(const PlanOptions& options) {
  Recipe recipe = ReadRecipe(options.recipe, options.settings);
  const bool elsewhere = GpuBytes(options) > 0;
  if (elsewhere) recipe.mutable_train()->set_device(plan::Device::GPU);
  ResolveRecipe(recipe, elsewhere ? GpuFacts{.any = true, .bf16 = true} : FactsOfGpus(recipe));
  if (options.ranks > static_cast<int>(recipe.train().lanes()))
    throw Error(ErrorKind::kUsage,
                fmt::format("{} ranks are more than the {} lanes", options.ranks, recipe.train().lanes()), "-n",
                fmt::format("plan at most {} ranks, or raise train.lanes", recipe.train().lanes()));
  return recipe;
}

/// A kept measurement that can be gone by; or why there is none.
struct KnownMachine {
  std::optional<MachineRecord> record;
  std::string why_none;
};

KnownMachine MachineOf(const PlanOptions& options) {
  FileSystem& files = FileSystem::Real();
  const bool named = !options.machine.empty();
  const std::string path = named ? options.machine : KeptMachinePath();
  constexpr char kRemedy[] = "measure it with lockstep doctor --measure, which takes under a minute";
  if (!named && (path.empty() || !files.Exists(path)))
    return {std::nullopt, fmt::format("this machine has not been measured: {}", kRemedy)};
  const MachineRecord record = ParseMachine(ReadWholeFile(files, path), path);
  const std::string stale = named ? WhyOtherBuild(record) : WhyStale(record);
  if (!stale.empty()) return {std::nullopt, fmt::format("{} {}: {}", path, stale, kRemedy)};
  return {record, ""};
}

/// As training deals them on hosts with so many cores each.
PlannedRanks RanksOf(const run::Job& job, const PlanOptions& options, int cores) {
  const auto lanes = static_cast<int>(job.config.train.lanes());
  PlannedRanks planned{.lanes = {}, .hosts = std::min(options.hosts, options.ranks)};
  const int per_host = (options.ranks + planned.hosts - 1) / planned.hosts;
  const int by_cores = std::max(1, cores / per_host / static_cast<int>(job.config.train.lane_threads()));
  const int wanted = job.place.device ? 1 : options.executors > 0 ? options.executors : by_cores;
  std::vector<int> executors;
  for (const LaneRange& run : DealLanes(lanes, options.ranks)) executors.push_back(std::min(wanted, run.size()));
  // Ranks of a host have equally many executors: a step is as slow as its slowest rank.
  const int least = *std::min_element(executors.begin(), executors.end());
  if (options.executors == 0) std::fill(executors.begin(), executors.end(), least);
  planned.lanes = plan::PlanLanes(lanes, executors);
  return planned;
}

void AddMemory(PlanFacts& facts) {
  const run::Job& job = facts.job;
  if (job.place.device) {
    facts.device =
        step::PlanDeviceMemory(job.config, facts.plans, facts.ranks.lanes.front().front(), 0, facts.ranks.ranks());
    facts.device_free = static_cast<int64_t>(job.place.device->device->free_memory());
    return;
  }
  plan::MemoryEstimate& memory = facts.memory;
  memory = plan::EstimateRank({job.config, job.splits, facts.plans, facts.ranks.lanes}, 0, facts.ranks.per_host());
  memory.answers = AnswerBytes(facts.recipe, job, facts.plans, facts.ranks.lanes);
  memory.process = ProcessBytes(facts.plans, static_cast<int64_t>(ResidentMemory()), memory.data, facts.ranks.ranks(),
                                memory.optimizer + memory.weights / facts.ranks.ranks());
  facts.memory_limit = static_cast<int64_t>(MemoryLimit());
}

void AddGpuTime(const std::string& name, PlanFacts& facts) {
  const GpuFigures& gpu = *FindGpu(name);
  std::vector<const engine::ProgramPlan*> programs;
  for (const auto& program : facts.plans.train) programs.push_back(program.get());
  GpuEstimate estimate = EstimateGpuStep(DemandOf(facts.job, facts.plans, facts.ranks), programs, gpu, OurKernels());
  facts.machine = gpu.title;
  facts.time = std::move(estimate.step);
  facts.kinds = std::move(estimate.kinds);
}

/// What messages between hosts add, on top of what a step takes on one.
void AddExchange(const PlanOptions& options, const MachineRecord& machine, PlanFacts& facts) {
  const run::Job& job = facts.job;
  Network network = ParseNetwork(options.network);
  network.ranks_per_host = facts.ranks.per_host();
  if (network.memory_gb_s == 0) network.memory_gb_s = machine.together.copy_gb_s * machine.cores;
  const optim::Optimizer optimizer = plan::MakeOptimizer(job.config, facts.plans);
  StepEstimate& time = *facts.time;
  size_t most = 1;
  for (const auto& rank : facts.ranks.lanes)
    for (const LaneRange& run : rank) most = std::max(most, static_cast<size_t>(run.size()));
  const auto lanes = static_cast<double>(most);
  time.exchange =
      SecondsBetweenHosts({.exchange = plan::MakeExchangeOptions(job.config.train, facts.plans, facts.ranks.lanes),
                           .ready = ReadyShares(*facts.plans.train.back(), static_cast<int>(facts.plans.buckets.size()),
                                                machine.together.matrix_gflops / machine.together.copy_gb_s),
                           .lane_seconds = (time.forward + time.backward) / lanes,
                           .backward_seconds = time.backward / lanes,
                           .share_at_once = !plan::KeepsSums(optimizer, job.config.train),
                           .state_arrays = static_cast<int>(optimizer.state_names().size())},
                          network);
  time.step += time.exchange;
  if (time.exchange > time.step / 2) time.bound = "exchange";
  facts.network = fmt::format("{}, {}", DescribeLinks(network), DescribeLatency(network));
}

void AddTime(const PlanOptions& options, const KnownMachine& machine, PlanFacts& facts) {
  const run::Job& job = facts.job;
  if (!options.gpu.empty()) {
    AddGpuTime(options.gpu, facts);
  } else if (job.place.device) {
    facts.why_no_time = "only steps on CPUs are measured (--gpu " + KnownGpus() + " estimates one of a card)";
  } else if (job.config.train.lane_threads() > 1) {
    facts.why_no_time = "lanes of several threads (train.lane_threads) are not measured";
  } else if (!machine.record) {
    facts.why_no_time = machine.why_none;
  } else {
    const MachineRecord& record = *machine.record;
    facts.machine = fmt::format("{} ({}, {} cores)", record.host, record.cpu, record.cores);
    facts.time = EstimateStep(DemandOf(job, facts.plans, facts.ranks), record);
    if (facts.ranks.hosts > 1) AddExchange(options, record, facts);
  }
}

/// Throws what a run would, where they don't fit the model.
void CheckInitialWeights(const plan::InitialWeights& initial, const plan::JobPlans& plans) {
  std::vector<float> arena(static_cast<size_t>(plans.layout.elements()));
  initial(plans.model.graph, plans.layout, arena.data());
}

/// The model as it was written, of one lane's largest batch. What orders of dimensions cost is moved away first.
void ShowModel(const PlanOptions& options, const Recipe& recipe, const run::Job& job) {
  const bool print = !options.json && (options.model || recipe.model().has_graph());
  if (!print && options.dot.empty() && options.html.empty()) return;
  const graph::Graph graph =
      passes::SinkTransposes(job.model.build(graph::Mode::kTrain, job.splits.batches->shapes().back()).graph);
  const std::vector<ModelRow> rows = RowsOf(graph);
  if (!options.dot.empty()) WriteFileAtomically(FileSystem::Real(), options.dot, graph::ToDot(graph));
  if (!options.html.empty()) WriteFileAtomically(FileSystem::Real(), options.html, ModelPage(recipe.name(), rows));
  if (print) fmt::print("{}\n", ModelText(rows));
}

int Plan(const PlanOptions& options) {
  ParseNetwork(options.network);  // a mistake is said although one host needs none
  Recipe recipe = ReadResolved(options);
  const plan::InitialWeights initial = ResolveInitFrom(recipe);
  const auto world = comm::MakeLocalWorld({});
  std::shared_ptr<step::DeviceKit> device;
  if (const double bytes = GpuBytes(options); bytes > 0) device = PlanGpu(static_cast<size_t>(bytes));
  const run::Job job = MakeJob(recipe, *world.front(), device);
  ShowModel(options, recipe, job);
  const plan::JobPlans plans = plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, options.ranks);
  if (initial) CheckInitialWeights(initial, plans);
  const KnownMachine machine = MachineOf(options);
  PlanFacts facts{.recipe = recipe, .job = job, .plans = plans};
  facts.ranks = RanksOf(job, options, machine.record ? machine.record->cores : QueryCores().usable);
  AddMemory(facts);
  AddTime(options, machine, facts);
  std::printf("%s", (options.json ? PlanJson(facts) : PlanText(facts)).c_str());
  return 0;
}

}  // namespace

void AddPlanCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = app.add_subcommand(
      "plan", "Check a recipe and print shapes, parameters, work, lanes, memory and time; without MPI");
  command->add_option("RECIPE", options->recipe, "The recipe")->required();
  command->add_option("-n,--ranks", options->ranks, "Ranks (default: 1)")->check(WholeNumber(1));
  command->add_option("--executors", options->executors, "Executors on each rank (default: as training has)")
      ->check(WholeNumber(1));
  command->add_option("--hosts", options->hosts, "Hosts that the ranks are spread over (default: 1)")
      ->check(WholeNumber(1));
  command->add_option("--network", options->network,
                      "Between hosts, as `lockstep project` takes it: gbit (100), latency_us (5), ...");
  command->add_option("--machine", options->machine,
                      "A measurement that doctor --measure made on a host like those (default: this host's)");
  command->add_flag("--json", options->json, "Print one JSON object");
  command->add_flag("--model", options->model,
                    "Print the model's ops with their shapes and parameters (graphs are printed without it)");
  command->add_option("--dot", options->dot, "Write the model as a graph for Graphviz to this file");
  command->add_option("--html", options->html, "Draw the model as a page into this file");
  command
      ->add_option("--gpu", options->gpu,
                   "Plan for such cards, which need not be here, and estimate a step: " + KnownGpus())
      ->check([](const std::string& name) {
        return FindGpu(name) != nullptr ? std::string()
                                        : "'" + name + "' is no card that is known (known: " + KnownGpus() + ")";
      });
  command->add_option("--gpu-memory", options->gpu_memory, "Plan for GPUs of so many GiB, which need not be here")
      ->check(PositiveNumber());
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe")->allow_extra_args(false);
  command->footer(
      "Examples:\n"
      "  lockstep plan examples/mnist.textproto -n 4\n"
      "  lockstep plan r.textproto -n 64 --hosts 4 --network gbit=25 --machine node.json --json\n"
      "  lockstep plan examples/bench/resnet50.textproto -n 8 --gpu-memory 80\n"
      "  lockstep plan examples/bench/resnet50.textproto --gpu h200\n"
      "  lockstep plan r.textproto --html model.html\n"
      "Seconds follow from what lockstep doctor --measure has measured; without that there are none.");
  command->callback([options, exit_code] { *exit_code = Plan(*options); });
}

}  // namespace lockstep::launch
