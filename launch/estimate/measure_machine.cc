#include "launch/estimate/measure_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/build_info.h"
#include "base/machine/cores.h"
#include "base/machine/cpu_info.h"
#include "base/machine/host.h"
#include "launch/estimate/reference_recipes.h"
#include "launch/estimate/time_ops.h"
#include "launch/estimate/time_updates.h"
#include "launch/recipe/resolve_recipe.h"
#include "launch/scale/machine_limits.h"

namespace lockstep::launch {
namespace {

constexpr double kSecondsOfARate = 0.25, kSecondsOfARecipe = 0.12, kSecondsOfUpdates = 0.4;

/// The reference recipe for so many executors: each has the two lanes that its text means.
Recipe ReferenceFor(const char* text, int executors) {
  Recipe recipe = ParseRecipe(text, "a reference recipe", "/", {});
  plan::TrainConfig& train = *recipe.mutable_train();
  const auto batch = static_cast<uint64_t>(train.global_batch()) * static_cast<uint64_t>(executors);
  train.set_lanes(static_cast<uint32_t>(2 * executors));
  train.set_global_batch(static_cast<uint32_t>(batch));
  train.set_steps(1000);
  train.set_evaluation_block(2);
  train.set_seed(1);
  train.set_device(plan::Device::CPU);
  train.set_precision(plan::Precision::F32);
  data::Synthetic& data = *recipe.mutable_data()->mutable_train()->mutable_synthetic();
  data.set_samples(std::max<uint64_t>(batch, 16));
  recipe.mutable_optimizer()->mutable_adamw();
  recipe.mutable_optimizer()->set_learning_rate(1e-4);
  ResolveRecipe(recipe);
  return recipe;
}

/// What tells measured ops apart.
using Key = std::pair<std::string, std::vector<double>>;
Key KeyOf(const OpWork& work) {
  Key key{work.kind, {work.flops, work.bytes}};
  key.second.insert(key.second.end(), work.shape.begin(), work.shape.end());
  return key;
}

/// Times of ops, those of alike ones together: their mean.
class Collected {
 public:
  void Add(const TimedOp& op, bool together) {
    Entry& entry = entries_[KeyOf(op.work)];
    entry.work = op.work;
    (together ? entry.together : entry.alone).Add(op.seconds);
  }
  /// Those that were measured both ways.
  std::vector<MeasuredOp> Ops() const {
    std::vector<MeasuredOp> ops;
    for (const auto& [key, entry] : entries_)
      if (entry.alone.count > 0 && entry.together.count > 0)
        ops.push_back({entry.work, entry.alone.Mean(), entry.together.Mean()});
    return ops;
  }

 private:
  struct Times {
    double sum = 0;
    int count = 0;
    void Add(double seconds) {
      sum += seconds;
      ++count;
    }
    double Mean() const { return sum / count; }
  };
  struct Entry {
    OpWork work;
    Times alone, together;
  };
  std::map<Key, Entry> entries_;
};

}  // namespace

MachineRecord MeasureMachine(const std::function<void(const std::string& what)>& say) {
  MachineRecord record;
  record.host = HostName();
  record.cpu = CpuModel();
  record.isa = Name(DetectIsa());
  record.build = BuildHash();
  record.cores = QueryCores().usable;
  Collected collected;
  for (const bool together : {false, true}) {
    const int threads = together ? record.cores : 1;
    if (together && threads == 1) say("there is one core");
    const std::string on = fmt::format("on {} core{}", threads, threads == 1 ? "" : "s");
    say("rates " + on);
    (together ? record.together : record.alone) = {MeasureMatrixRate(threads, kSecondsOfARate) / threads,
                                                   MeasureCopyRate(threads, kSecondsOfARate) / threads};
    say("updates " + on);
    for (const TimedOp& op : TimeUpdates(threads, kSecondsOfUpdates)) collected.Add(op, together);
    size_t number = 0;
    const auto recipes = ReferenceRecipes();
    for (const char* text : recipes) {
      say(fmt::format("reference training {} of {} {}", ++number, recipes.size(), on));
      const TimedTraining times = TimeOps(ReferenceFor(text, threads), threads, kSecondsOfARecipe);
      for (const TimedOp& op : times.ops) collected.Add(op, together);
      // The first is small: what its steps take is what any step takes.
      if (number == 1) record.step_overhead = std::max(record.step_overhead, times.beside_lanes);
    }
  }
  record.ops = collected.Ops();
  return record;
}

}  // namespace lockstep::launch
