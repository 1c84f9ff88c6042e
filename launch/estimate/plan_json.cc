#include <string>
#include <utility>

#include "base/json_fields.h"
#include "launch/estimate/plan_facts.h"
#include "trainer/graph/op_table.h"

namespace lockstep::launch {
namespace {

using Ordered = nlohmann::ordered_json;

Ordered ShapeOf(const Shape& shape) { return Ordered(std::vector<int64_t>(shape.dims().begin(), shape.dims().end())); }

Ordered Parameters(const PlanFacts& facts) {
  const auto frozen = plan::FrozenParameters(facts.plans.model, facts.job.config.optimizer, 0);
  Ordered list = Ordered::array();
  const auto entries = facts.plans.layout.entries();
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
    if (!entry->statistic)
      list.push_back(
          {{"name", entry->name}, {"shape", ShapeOf(entry->shape)}, {"frozen", frozen.contains(entry->name)}});
  return {{"all", facts.plans.layout.parameter_count()}, {"each", std::move(list)}};
}

Ordered Layers(const PlanFacts& facts) {
  Ordered list = Ordered::array();
  const graph::Graph& graph = facts.plans.model.graph;
  for (const graph::Op& op : graph.ops)
    if (op.outputs.front() != graph::kNoValue)
      list.push_back({{"name", op.name},
                      {"kind", graph::Name(op.kind)},
                      {"shape", ShapeOf(graph.value(op.outputs.front()).shape)}});
  return list;
}

Ordered Work(const PlanFacts& facts) {
  const plan::Splits& splits = facts.job.splits;
  const plan::TrainConfig& train = facts.job.config.train;
  Ordered shapes = Ordered::array();
  for (const data::BatchShape& shape : splits.batches->shapes())
    shapes.push_back({{"samples", shape.rows}, {"length", shape.length}});
  Ordered work = {
      {"flop_per_sample", facts.plans.train.back()->flops / static_cast<double>(splits.batches->shapes().back().rows)},
      {"steps", splits.length.total_steps},
      {"steps_per_epoch", splits.length.steps_per_epoch},
      {"samples", splits.train->size()},
      {"lane_shapes", std::move(shapes)}};
  if (train.batch_tokens() > 0) {
    work["batch_tokens"] = train.batch_tokens();
  } else {
    work["global_batch"] = train.global_batch();
  }
  return work;
}

Ordered Ranks(const PlanFacts& facts) {
  Ordered list = Ordered::array();
  for (const auto& rank : facts.ranks.lanes) {
    Ordered executors = Ordered::array();
    for (const LaneRange& run : rank) executors.push_back({run.begin, run.end});
    list.push_back({{"lanes_of_executors", std::move(executors)}});
  }
  return list;
}

Ordered Memory(const PlanFacts& facts) {
  if (facts.device) {
    const step::DeviceMemoryPlan& rank = *facts.device;
    return {{"device", "GPU"},
            {"parameters", rank.parameters},
            {"gradients", rank.gradients},
            {"optimizer", rank.optimizer},
            {"activations", rank.activations},
            {"workspace", rank.workspace},
            {"packed_weights", rank.packed},
            {"inputs", rank.inputs},
            {"tables", rank.tables},
            {"all", rank.all()},
            {"limit", facts.device_free}};
  }
  const plan::MemoryEstimate& rank = facts.memory;
  return {{"device", "CPU"},
          {"weights", rank.weights},
          {"gradients", rank.gradients},
          {"peers_gradients", rank.peers},
          {"optimizer", rank.optimizer},
          {"activations", rank.activations},
          {"packed_weights", rank.packed},
          {"checkpoint_copy", rank.checkpoint},
          {"data", rank.data},
          {"batches", rank.batches},
          {"answers", rank.answers},
          {"process", rank.process},
          {"all", rank.resident()},
          {"limit", facts.memory_limit}};
}

Ordered Time(const PlanFacts& facts) {
  if (!facts.time) return {{"unknown", facts.why_no_time}};
  const StepEstimate& time = *facts.time;
  Ordered kinds = Ordered::array();
  for (const KindTime& kind : facts.kinds)
    kinds.push_back({{"kind", kind.kind}, {"ops", kind.ops}, {"ms", 1e3 * kind.seconds}, {"bound", kind.bound}});
  return {{"machine", facts.machine},
          {"measured", facts.kinds.empty()},
          {"step_seconds", time.step},
          {"step_ms", 1e3 * time.step},
          {"kinds", std::move(kinds)},
          {"parts",
           {{"packing", time.prepare},
            {"loading", time.loading},
            {"forward", time.forward},
            {"backward", time.backward},
            {"update", time.update},
            {"exchange", time.exchange},
            {"other", time.other}}},
          {"network", facts.network},
          {"bound", time.bound},
          {"epoch_seconds", EpochSeconds(facts)},
          {"run_seconds", time.step * static_cast<double>(facts.job.splits.length.total_steps)},
          {"guessed_kinds", time.guessed}};
}

}  // namespace

std::string PlanJson(const PlanFacts& facts) {
  const Ordered object = {{"name", facts.recipe.name()},
                          {"parameters", Parameters(facts)},
                          {"layers", Layers(facts)},
                          {"work", Work(facts)},
                          {"lanes", facts.job.config.train.lanes()},
                          {"hosts", facts.ranks.hosts},
                          {"ranks", Ranks(facts)},
                          {"memory", Memory(facts)},
                          {"time", Time(facts)}};
  return DumpJson(object, 2) + "\n";
}

}  // namespace lockstep::launch
