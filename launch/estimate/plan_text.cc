#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "launch/estimate/plan_facts.h"
#include "trainer/graph/op_table.h"

namespace lockstep::launch {
namespace {

constexpr double kShownShare = 0.01;  // of a step: kinds of ops that are worth a line

std::string Bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) return fmt::format("{:.2f} GiB", value / (1 << 30));
  if (bytes >= int64_t{1} << 20) return fmt::format("{:.1f} MiB", value / (1 << 20));
  return fmt::format("{:.1f} KiB", value / (1 << 10));
}

std::string Seconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} us", 1e6 * seconds);
  if (seconds < 1) return fmt::format("{:.3g} ms", 1e3 * seconds);
  if (seconds < 120) return fmt::format("{:.3g} s", seconds);
  return seconds < 7200 ? fmt::format("{:.3g} min", seconds / 60) : fmt::format("{:.3g} h", seconds / 3600);
}

class Writer {
 public:
  explicit Writer(const PlanFacts& facts) : facts_(facts) {}

  std::string Write() {
    Line("run {}", facts_.recipe.name());
    if (!facts_.recipe.train().init_from_hash().empty())
      Line("begins with weights {} of {}", facts_.recipe.train().init_from_hash(), facts_.recipe.train().init_from());
    Layers();
    Parameters();
    Shapes();
    Work();
    Ranks();
    facts_.device ? DeviceMemory() : Memory();
    facts_.time ? Time() : Line("time\n  not known: {}", facts_.why_no_time);
    return std::move(text_);
  }

 private:
  template <typename... Args>
  void Line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }

  void Layers() {
    Line("layers (one lane)");
    const graph::Graph& graph = facts_.plans.model.graph;
    for (const graph::Op& op : graph.ops)
      if (op.outputs.front() != graph::kNoValue)
        Line("  {:<36} {:<20} {}", op.name, graph.value(op.outputs.front()).shape.ToString(), graph::Name(op.kind));
  }

  void Parameters() {
    const optim::OptimizerConfig& optimizer = facts_.job.config.optimizer;
    const auto frozen = plan::FrozenParameters(facts_.plans.model, optimizer, 0);
    const auto frozen_text = [&](const std::string& name) {
      const uint64_t thaw = optim::SegmentFor(optimizer, name, false, 0, 0).thaw_at_step;
      return thaw > 0 ? fmt::format("  frozen before step {}", thaw) : "  frozen";
    };
    Line("parameters");
    const auto entries = facts_.plans.layout.entries();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
      if (!entry->statistic)
        Line("  {:<36} {:<20} {}{}", entry->name, entry->shape.ToString(), entry->size(),
             frozen.contains(entry->name) ? frozen_text(entry->name) : "");
    Line("  {:<36} {:<20} {}", "all", "", facts_.plans.layout.parameter_count());
  }

  /// Of samples that differ in length: the shapes that programs are made for.
  void Shapes() {
    const std::span<const data::BatchShape> shapes = facts_.job.splits.batches->shapes();
    if (shapes.size() == 1) return;
    text_ += "shapes of a lane (samples x length)\n ";
    for (const data::BatchShape& shape : shapes) text_ += fmt::format(" {}x{}", shape.rows, shape.length);
    text_ += '\n';
  }

  void Work() {
    const run::Job& job = facts_.job;
    const plan::TrainConfig& train = job.config.train;
    const auto rows = static_cast<double>(job.splits.batches->shapes().back().rows);
    Line("work\n  {:.3g} FLOP a sample (forward and backward)", facts_.plans.train.back()->flops / rows);
    const optim::RunLength length = job.splits.length;
    const std::string step = train.batch_tokens() > 0 ? fmt::format("at most {} tokens", train.batch_tokens())
                                                      : fmt::format("{} samples", train.global_batch());
    Line("  {} steps of {}; {:.2f} steps an epoch of {} samples, {:.2f} epochs", length.total_steps, step,
         length.steps_per_epoch, job.splits.train->size(),
         static_cast<double>(length.total_steps) / length.steps_per_epoch);
    for (const auto& [name, split] : {std::pair{"validation", job.splits.validation}, {"test", job.splits.test}})
      if (split)
        Line("  {}: {} samples in blocks of {}", name, split->size(), facts_.plans.evaluation_shapes.front().rows);
  }

  void Ranks() {
    const plan::TrainConfig& train = facts_.job.config.train;
    Line("ranks ({} lanes of {}{} samples)", train.lanes(), train.batch_tokens() > 0 ? "up to " : "",
         facts_.job.splits.batches->shapes().front().rows);
    for (size_t rank = 0; rank < facts_.ranks.lanes.size(); ++rank) {
      const auto& runs = facts_.ranks.lanes[rank];
      std::string by_executor;
      for (const LaneRange& run : runs) by_executor += fmt::format(" {}-{}", run.begin, run.end - 1);
      Line("  rank {}: {} lanes; by executor:{}", rank, runs.back().end - runs.front().begin, by_executor);
    }
  }

  void Memory() {
    const plan::MemoryEstimate& rank = facts_.memory;
    Line("memory of rank 0");
    const std::pair<const char*, int64_t> rows[] = {{"gradients", rank.gradients},
                                                    {"optimizer", rank.optimizer},
                                                    {"activations", rank.activations},
                                                    {"packed weights", rank.packed},
                                                    {"checkpoint copy", rank.checkpoint},
                                                    {"data", rank.data},
                                                    {"batches", rank.batches},
                                                    {"answers", rank.answers},
                                                    {"process", rank.process}};
    for (const auto& [name, bytes] : rows) Line("  {:<15} {}", name, Bytes(bytes));
    Line("  {:<15} {}, shared by the ranks of a host", "weights", Bytes(rank.weights));
    if (rank.peers > 0) Line("  {:<15} {}, of gradients that other ranks of the host hold", "read", Bytes(rank.peers));
    Line("  {:<15} {} of {}", "all", Bytes(rank.resident()), Bytes(facts_.memory_limit));
  }

  void DeviceMemory() {
    const step::DeviceMemoryPlan& rank = *facts_.device;
    Line("GPU memory of rank 0 ({})", plan::Precision::Value_Name(facts_.job.config.train.precision()));
    const std::pair<const char*, std::string> rows[] = {{"parameters", Bytes(rank.parameters)},
                                                        {"gradients", Bytes(rank.gradients)},
                                                        {"optimizer", Bytes(rank.optimizer)},
                                                        {"activations", Bytes(rank.activations)},
                                                        {"workspace", Bytes(rank.workspace) + " at most"},
                                                        {"packed weights", Bytes(rank.packed)},
                                                        {"inputs", Bytes(rank.inputs)},
                                                        {"tables", Bytes(rank.tables)}};
    for (const auto& [name, bytes] : rows) Line("  {:<15} {}", name, bytes);
    Line("  {:<15} {} of {}: {}", "all", Bytes(rank.all()), Bytes(facts_.device_free),
         rank.all() <= facts_.device_free ? "it fits" : "it does not fit");
  }

  void Time() {
    const StepEstimate& time = *facts_.time;
    if (facts_.kinds.empty()) {
      Line("time by the measurement of {}", facts_.machine);
    } else {
      Line("time on one {}: an estimate from what kernels read, write and compute, not measured", facts_.machine);
    }
    const std::pair<const char*, double> rows[] = {{"packing weights", time.prepare},
                                                   {"loading", time.loading},
                                                   {"forward", time.forward},
                                                   {"backward", time.backward},
                                                   {"update", time.update},
                                                   {"exchange", time.exchange},
                                                   {"other", time.other}};
    for (const auto& [name, seconds] : rows)
      if (seconds > 0) Line("  {:<15} {}", name, Seconds(seconds));
    Line("  {:<15} {}, most of it {}", "a step", Seconds(time.step), time.bound);
    for (const KindTime& kind : facts_.kinds)
      if (kind.seconds >= kShownShare * time.step)
        Line("  {:<29} {:>4} x  {:<8} bound by {}", kind.kind, kind.ops, Seconds(kind.seconds), kind.bound);
    const double epoch = EpochSeconds(facts_);
    Line("  {:<15} {}, without evaluations and checkpoints; {} in all", "an epoch", Seconds(epoch),
         Seconds(time.step * static_cast<double>(facts_.job.splits.length.total_steps)));
    if (!facts_.kinds.empty() && facts_.ranks.ranks() > 1) Line("  the exchange with other cards comes on top");
    if (!facts_.network.empty()) Line("  messages between hosts simulated over {}", facts_.network);
    if (!time.guessed.empty())
      Line("  kinds of ops that were not measured, so that this is a guess: {}", fmt::join(time.guessed, ", "));
  }

  const PlanFacts& facts_;
  std::string text_;
};

}  // namespace

std::string PlanText(const PlanFacts& facts) { return Writer(facts).Write(); }

double EpochSeconds(const PlanFacts& facts) {
  return facts.time ? facts.time->step * facts.job.splits.length.steps_per_epoch : 0;
}

}  // namespace lockstep::launch
