// lockstep plan: checks a recipe without MPI and prints what it will do.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/machine/host.h"
#include "comm/local/local_communicator.h"
#include "launch/command_line/option_checks.h"
#include "launch/job/gpu.h"
#include "launch/job/init_from.h"
#include "launch/job/job_setup.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "trainer/graph/op_table.h"
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
  int executors = 1;
  double gpu_memory = 0;  ///< GiB; 0: the device that is here
};

std::string Bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) return fmt::format("{:.2f} GiB", value / (1 << 30));
  if (bytes >= int64_t{1} << 20) return fmt::format("{:.1f} MiB", value / (1 << 20));
  return fmt::format("{:.1f} KiB", value / (1 << 10));
}

void PrintParameters(const plan::JobPlans& plans, const run::Job& job) {
  const std::set<std::string> frozen = plan::FrozenParameters(plans.model, job.config.optimizer);
  std::printf("parameters\n");
  for (auto entry = plans.layout.entries().rbegin(); entry != plans.layout.entries().rend(); ++entry)
    if (!entry->statistic)
      std::printf("  %-36s %-20s %lld%s\n", entry->name.c_str(), entry->shape.ToString().c_str(),
                  static_cast<long long>(entry->size()), frozen.count(entry->name) ? "  frozen" : "");
  std::printf("  %-36s %-20s %lld\n", "all", "", static_cast<long long>(plans.layout.parameter_count()));
}

void PrintActivations(const graph::Graph& graph) {
  std::printf("layers (one lane)\n");
  for (const graph::Op& op : graph.ops)
    if (op.outputs.front() != graph::kNoValue)
      std::printf("  %-36s %-20s %s\n", op.name.c_str(), graph.value(op.outputs.front()).shape.ToString().c_str(),
                  graph::Name(op.kind));
}

/// Of samples that differ in length: the shapes that programs are made for.
void PrintShapes(const run::Job& job) {
  const std::span<const data::BatchShape> shapes = job.splits.batches->shapes();
  if (shapes.size() == 1) return;
  std::printf("shapes of a lane (samples x length)\n ");
  for (const data::BatchShape& shape : shapes)
    std::printf(" %lldx%lld", static_cast<long long>(shape.rows), static_cast<long long>(shape.length));
  std::printf("\n");
}

void PrintRanks(const run::Job& job, const comm::LanePlan& plan) {
  const std::span<const data::BatchShape> shapes = job.splits.batches->shapes();
  std::printf("ranks (%u lanes of %s%lld samples)\n", job.config.train.lanes(),
              job.config.train.batch_tokens() > 0 ? "up to " : "", static_cast<long long>(shapes.front().rows));
  for (size_t rank = 0; rank < plan.size(); ++rank) {
    std::string text;
    for (const LaneRange& run : plan[rank]) text += fmt::format(" {}-{}", run.begin, run.end - 1);
    std::printf("  rank %zu: %d lanes; by executor:%s\n", rank, plan[rank].back().end - plan[rank].front().begin,
                text.c_str());
  }
}

void PrintMemory(const run::Job& job, const plan::JobPlans& plans, const comm::LanePlan& plan) {
  const optim::Optimizer optimizer = plan::MakeOptimizer(job.config, plans);
  const int arrays = static_cast<int>(plan::StateArrays(optimizer, job.config.train).size()) +
                     (plan::KeepsSums(optimizer, job.config.train) ? 1 : 0);
  plan::MemoryEstimate rank = plan::EstimateMemory(plans, plan::MakeExchangeOptions(job.config.train, plans, plan), 0,
                                                   arrays, plan::SavesMeanwhile(job.config.checkpoint));
  for (const auto& split : {job.splits.train, job.splits.validation, job.splits.test})
    if (split) rank.data += static_cast<int64_t>(split->traits().held_bytes);
  std::printf("memory of rank 0\n");
  std::printf(
      "  gradients       %s\n  optimizer       %s\n  activations     %s\n  packed weights  %s\n  checkpoint copy %s\n  "
      "data            %s\n",
      Bytes(rank.gradients).c_str(), Bytes(rank.optimizer).c_str(), Bytes(rank.activations).c_str(),
      Bytes(rank.packed).c_str(), Bytes(rank.checkpoint).c_str(), Bytes(rank.data).c_str());
  std::printf("  weights         %s, shared by the ranks of a host\n", Bytes(rank.weights).c_str());
  std::printf("  all             %s of %s\n", Bytes(rank.rank() + rank.weights).c_str(),
              Bytes(static_cast<int64_t>(MemoryLimit())).c_str());
}

void PrintDeviceMemory(const run::Job& job, const plan::JobPlans& plans, const comm::LanePlan& plan) {
  const step::DeviceMemoryPlan rank =
      step::PlanDeviceMemory(job.config, plans, plan.front().front(), 0, static_cast<int>(plan.size()));
  const auto free = static_cast<int64_t>(job.place.device->device->free_memory());
  std::printf("GPU memory of rank 0 (%s)\n", plan::Precision::Value_Name(job.config.train.precision()).c_str());
  std::printf(
      "  parameters      %s\n  gradients       %s\n  optimizer       %s\n  activations     %s\n  workspace       %s at "
      "most\n"
      "  packed weights  %s\n  inputs          %s\n  tables          %s\n",
      Bytes(rank.parameters).c_str(), Bytes(rank.gradients).c_str(), Bytes(rank.optimizer).c_str(),
      Bytes(rank.activations).c_str(), Bytes(rank.workspace).c_str(), Bytes(rank.packed).c_str(),
      Bytes(rank.inputs).c_str(), Bytes(rank.tables).c_str());
  std::printf("  all             %s of %s: %s\n", Bytes(rank.all()).c_str(), Bytes(free).c_str(),
              rank.all() <= free ? "it fits" : "it does not fit");
}

void PrintWork(const run::Job& job, const plan::JobPlans& plans) {
  const auto rows = static_cast<double>(job.splits.batches->shapes().back().rows);
  std::printf("work\n  %.3g FLOP a sample (forward and backward)\n", plans.train.back()->flops / rows);
  const optim::RunLength length = job.splits.length;
  const std::string step = job.config.train.batch_tokens() > 0
                               ? fmt::format("at most {} tokens", job.config.train.batch_tokens())
                               : fmt::format("{} samples", job.config.train.global_batch());
  std::printf("  %llu steps of %s; %.2f steps an epoch of %llu samples, %.2f epochs\n",
              static_cast<unsigned long long>(length.total_steps), step.c_str(), length.steps_per_epoch,
              static_cast<unsigned long long>(job.splits.train->size()),
              static_cast<double>(length.total_steps) / length.steps_per_epoch);
  for (const auto& [name, split] : {std::pair{"validation", job.splits.validation}, {"test", job.splits.test}})
    if (split)
      std::printf("  %s: %llu samples in blocks of %lld\n", name, static_cast<unsigned long long>(split->size()),
                  static_cast<long long>(plans.evaluation_shapes.front().rows));
}

/// The recipe, resolved for this machine or, where GPUs' memory is given, for one that has such GPUs.
Recipe ReadResolved(const PlanOptions& options) {
  Recipe recipe = ReadRecipe(options.recipe, options.settings);
  const bool elsewhere = options.gpu_memory > 0;
  if (elsewhere) recipe.mutable_train()->set_device(plan::Device::GPU);
  ResolveRecipe(recipe, elsewhere ? GpuFacts{.any = true, .bf16 = true} : FactsOfGpus(recipe));
  if (options.ranks > static_cast<int>(recipe.train().lanes()))
    throw Error(ErrorKind::kUsage,
                fmt::format("{} ranks are more than the {} lanes", options.ranks, recipe.train().lanes()), "-n",
                fmt::format("plan at most {} ranks, or raise train.lanes", recipe.train().lanes()));
  return recipe;
}

comm::LanePlan LanesOf(const run::Job& job, const PlanOptions& options) {
  const auto lanes = static_cast<int>(job.config.train.lanes());
  std::vector<int> executors;
  for (const LaneRange& run : DealLanes(lanes, options.ranks))
    executors.push_back(job.place.device ? 1 : std::min(options.executors, run.size()));
  return plan::PlanLanes(lanes, executors);
}

/// Throws what a run would, where they don't fit the model.
void CheckInitialWeights(const plan::InitialWeights& initial, const engine::ParameterLayout& layout) {
  std::vector<float> arena(static_cast<size_t>(layout.elements()));
  initial(layout, arena.data());
}

int Plan(const PlanOptions& options) {
  Recipe recipe = ReadResolved(options);
  const plan::InitialWeights initial = ResolveInitFrom(recipe);
  const auto world = comm::MakeLocalWorld({});
  std::shared_ptr<step::DeviceKit> device;
  if (options.gpu_memory > 0) device = PlanGpu(static_cast<size_t>(options.gpu_memory * (1 << 30)));
  const run::Job job = MakeJob(recipe, *world.front(), device);
  const plan::JobPlans plans = plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, options.ranks);
  const comm::LanePlan lanes = LanesOf(job, options);
  if (initial) CheckInitialWeights(initial, plans.layout);

  std::printf("run %s\n", recipe.name().c_str());
  if (initial)
    std::printf("begins with weights %s of %s\n", recipe.train().init_from_hash().c_str(),
                recipe.train().init_from().c_str());
  PrintActivations(plans.model.graph);
  PrintParameters(plans, job);
  PrintShapes(job);
  PrintWork(job, plans);
  PrintRanks(job, lanes);
  if (job.place.device) {
    PrintDeviceMemory(job, plans, lanes);
  } else {
    PrintMemory(job, plans, lanes);
  }
  return 0;
}

}  // namespace

void AddPlanCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command =
      app.add_subcommand("plan", "Check a recipe and print shapes, parameters, work, lanes and memory; without MPI");
  command->add_option("RECIPE", options->recipe, "The recipe")->required();
  command->add_option("-n,--ranks", options->ranks, "Ranks (default: 1)")->check(WholeNumber(1));
  command->add_option("--executors", options->executors, "Executors on each rank (default: 1)")->check(WholeNumber(1));
  command->add_option("--gpu-memory", options->gpu_memory, "Plan for GPUs of so many GiB, which need not be here")
      ->check(PositiveNumber());
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe")->allow_extra_args(false);
  command->footer(
      "Example:\n  lockstep plan examples/mnist.textproto -n 4\n  lockstep plan examples/bench/resnet50.textproto -n 8 "
      "--gpu-memory 80");
  command->callback([options, exit_code] { *exit_code = Plan(*options); });
}

}  // namespace lockstep::launch
