#include "launch/estimate/gpu_model.h"

#include <algorithm>
#include <cmath>

#include "base/arena.h"
#include "base/error.h"
#include "launch/estimate/op_work.h"
#include "trainer/graph/op_table.h"
#include "trainer/kernels/cuda/dense/split_sums.h"

namespace lockstep::launch {
namespace {

using graph::OpKind;

constexpr double kRowBytes = 16;  // that rows of matrices are to begin at multiples of

struct Parts {
  double arithmetic = 0, instructions = 0, memory = 0, launches = 0;
  double behind = 0;  ///< seconds of kernels behind the op's main one

  const char* bound() const {
    const double most = std::max({arithmetic, instructions, memory, launches});
    return most == arithmetic     ? "arithmetic"
           : most == instructions ? "instructions"
           : most == memory       ? "memory"
                                  : "launches";
  }
};

double ValueOr(const std::map<OpKind, double>& table, OpKind kind, double other) {
  const auto found = table.find(kind);
  return found == table.end() ? other : found->second;
}

bool IsProduct(OpKind kind) {
  return kind == OpKind::kLinear || kind == OpKind::kLinearInputGrad || kind == OpKind::kLinearWeightGrad;
}
bool IsConvolution(OpKind kind) {
  return kind == OpKind::kConv2d || kind == OpKind::kConv2dInputGrad || kind == OpKind::kConv2dWeightGrad;
}

const graph::Value& Operand(const graph::Graph& graph, const graph::Op& op, size_t input) {
  return graph.value(op.inputs.at(input));
}

double Columns(const graph::Value& value) { return static_cast<double>(value.shape.dim(-1)); }
double Rows(const graph::Value& value) { return static_cast<double>(value.shape.size()) / Columns(value); }

class Card {
 public:
  Card(const GpuFigures& gpu, const GpuKernels& kernels) : gpu_(gpu), kernels_(kernels) {}

  Parts PartsOf(const graph::Graph& graph, const graph::Op& op) const {
    const OpWork work = WorkOf(graph, op);
    Parts parts{.memory = work.bytes * ValueOr(kernels_.passes, op.kind, 1) / gpu_.bytes_per_s,
                .launches = gpu_.launch_seconds};
    const bool bf16 = Operand(graph, op, 0).dtype == DType::kBF16;
    if (IsProduct(op.kind)) {
      parts.arithmetic = work.flops / ProductRate(graph, op, bf16);
      if (bf16 && BiasApart(graph, op)) parts.behind = ColumnSumsSeconds(Operand(graph, op, 0));
    } else if (IsConvolution(op.kind)) {
      parts.arithmetic = work.flops / (bf16 ? gpu_.product_flops : gpu_.float_product_flops);
    } else if (op.kind == OpKind::kAttention) {
      parts.arithmetic = work.flops / gpu_.attention_flops;
    } else if (op.kind == OpKind::kAttentionGrad) {
      parts.arithmetic = work.flops / gpu_.attention_grad_flops;
    } else {
      const double elements = Elements(graph, op);
      parts.instructions = elements * InstructionsOf(op, bf16, elements) / gpu_.instructions_per_s;
    }
    return parts;
  }

  static double Seconds(const Parts& parts, OpKind kind) {
    if (IsConvolution(kind)) return std::max(parts.arithmetic + parts.memory, parts.launches);
    return std::max({parts.arithmetic, parts.instructions, parts.memory, parts.launches}) + parts.behind;
  }

 private:
  double InstructionsOf(const graph::Op& op, bool bf16, double elements) const {
    if (op.kind != OpKind::kActivation && op.kind != OpKind::kActivationGrad)
      return ValueOr(kernels_.instructions, op.kind, 0);
    const auto kind = op.as<graph::ActivationAttributes>().activation;
    const bool looked_up = bf16 && elements >= kernels_.fewest_tabulated && kernels_.tabulated.contains(kind);
    const auto& table = looked_up ? kernels_.tabulated : kernels_.activations;
    const auto found = table.find(kind);
    if (found == table.end()) return 0;
    return op.kind == OpKind::kActivation ? found->second.first : found->second.second;
  }

  static double Elements(const graph::Graph& graph, const graph::Op& op) {
    double most = 0;
    for (const auto* list : {&op.inputs, &op.outputs})
      for (const graph::ValueId id : *list)
        if (id != graph::kNoValue) most = std::max(most, static_cast<double>(graph.value(id).shape.size()));
    return most;
  }

  double ProductRate(const graph::Graph& graph, const graph::Op& op, bool bf16) const {
    if (!bf16) return gpu_.float_product_flops;
    // Rows of operands and of the result: y and dy have the weight's first dimension as columns.
    const graph::Value& first = Operand(graph, op, 0);
    const graph::Value& result = graph.value(op.outputs.front());
    const auto odd = [&](const graph::Value& value) {
      return value.role != graph::Role::kParameter && std::fmod(Columns(value) * 2, kRowBytes) != 0;
    };
    if (!kernels_.pads_rows && (odd(first) || odd(result))) return gpu_.odd_product_flops;
    const double m = Rows(result), n = Columns(result), flops = WorkOf(graph, op).flops;
    const auto cost = MaySplit(graph, op) ? cuda::SplitSumsCost : cuda::WholeSumsCost;
    return gpu_.product_flops * flops / cost(m, n, flops / (2 * m * n), gpu_.processors);
  }

  /// A weight's gradient is a long sum; parts of it are added where no bias is summed beside it.
  bool MaySplit(const graph::Graph& graph, const graph::Op& op) const {
    if (op.kind != OpKind::kLinearWeightGrad || !kernels_.splits_k) return false;
    return op.outputs[1] == graph::kNoValue || BiasApart(graph, op);
  }
  bool BiasApart(const graph::Graph& graph, const graph::Op& op) const {
    if (op.kind != OpKind::kLinearWeightGrad || !kernels_.sums_biases_apart) return false;
    if (op.outputs[0] == graph::kNoValue || op.outputs[1] == graph::kNoValue) return false;
    const Shape &dy = Operand(graph, op, 0).shape, &x = Operand(graph, op, 1).shape;
    return cuda::SumsBiasGradientApart(dy.dim(-1), x.dim(-1), dy.size() / dy.dim(-1),
                                       static_cast<int>(gpu_.processors));
  }
  /// Of two kernels: what many blocks sum, and what becomes of their sums.
  double ColumnSumsSeconds(const graph::Value& value) const {
    const double bytes = Rows(value) * Columns(value) * static_cast<double>(SizeOf(value.dtype));
    return bytes / gpu_.bytes_per_s + 2 * gpu_.launch_seconds;
  }

  const GpuFigures& gpu_;
  const GpuKernels& kernels_;
};

struct ProgramSeconds {
  double forward = 0, backward = 0, arithmetic = 0;
};

class KindTable {
 public:
  void Add(const std::string& kind, double seconds, const char* bound) {
    Entry& entry = entries_[kind];
    entry.time.kind = kind;
    ++entry.time.ops;
    entry.time.seconds += seconds;
    entry.by_bound[bound] += seconds;
  }

  std::vector<KindTime> Sorted() const {
    std::vector<KindTime> kinds;
    for (const auto& [name, entry] : entries_) {
      kinds.push_back(entry.time);
      kinds.back().bound =
          std::ranges::max_element(entry.by_bound, {}, [](const auto& pair) { return pair.second; })->first;
    }
    std::ranges::stable_sort(kinds, std::greater<>(), &KindTime::seconds);
    return kinds;
  }

 private:
  struct Entry {
    KindTime time;
    std::map<std::string, double> by_bound;
  };
  std::map<std::string, Entry> entries_;
};

ProgramSeconds AddProgram(const engine::ProgramPlan& plan, const Card& card, double times, KindTable& kinds) {
  ProgramSeconds sum;
  for (size_t i = 0; i < plan.graph.ops.size(); ++i) {
    const graph::Op& op = plan.graph.ops[i];
    if (op.kind == OpKind::kReshape) continue;
    const Parts parts = card.PartsOf(plan.graph, op);
    const double seconds = times * Card::Seconds(parts, op.kind);
    (i < plan.forward_ops ? sum.forward : sum.backward) += seconds;
    if (parts.bound() == std::string("arithmetic")) sum.arithmetic += seconds;
    kinds.Add(graph::Name(op.kind), seconds, parts.bound());
  }
  return sum;
}

/// How often a rank runs each program in a step, on average over steps; rank 0's, as all have about as many lanes.
std::vector<double> RunsOfPrograms(const StepDemand& demand) {
  std::vector<double> runs(demand.programs.size(), 0);
  for (const auto& step : demand.steps)
    for (const int shape : step.front())
      runs[static_cast<size_t>(shape)] += 1.0 / static_cast<double>(demand.steps.size());
  return runs;
}

}  // namespace

GpuEstimate EstimateGpuStep(const StepDemand& demand, const std::vector<const engine::ProgramPlan*>& programs,
                            const GpuFigures& gpu, const GpuKernels& kernels) {
  CHECK(!demand.steps.empty() && programs.size() == demand.programs.size());
  const Card card(gpu, kernels);
  KindTable kinds;
  GpuEstimate estimate;
  StepEstimate& step = estimate.step;
  const std::vector<double> runs = RunsOfPrograms(demand);
  double lanes = 0, staging = 0;
  for (size_t i = 0; i < programs.size(); ++i) {
    if (runs[i] == 0) continue;
    const ProgramSeconds seconds = AddProgram(*programs[i], card, runs[i], kinds);
    step.forward += seconds.forward;
    step.backward += seconds.backward;
    step.arithmetic += seconds.arithmetic;
    lanes += runs[i];
    const auto bytes = static_cast<double>(programs[i]->input_bytes);
    staging += runs[i] *
               (bytes / gpu.upload_bytes_per_s + bytes / 2 * kernels.rounding_seconds + bytes * kernels.copy_seconds);
  }
  const double first_lane = (step.forward + step.backward) / lanes;
  // Where a rank has several lanes each one's gradient is added to a sum.
  if (lanes > 1) {
    const double fold = lanes * 3 * sizeof(float) * demand.elements / gpu.bytes_per_s;
    step.backward += fold;
    kinds.Add("fold", fold, "memory");
  }
  step.prepare = 2 * demand.programs.back().packed_bytes / gpu.bytes_per_s;
  const double owned = demand.elements / demand.ranks;
  const double update = UpdateWork(owned, demand.pieces, demand.state_arrays).bytes / gpu.bytes_per_s;
  const double conclusion = demand.elements / kChunkElements * kernels.conclusion_seconds;
  step.update = update + conclusion;
  kinds.Add("pack", step.prepare, "memory");
  kinds.Add("update", update, "memory");
  kinds.Add("conclude", conclusion, "launches");
  step.loading = kernels.stages_beside_lanes ? std::max(0.0, staging - step.forward - step.backward) : staging;
  kinds.Add("staging", step.loading, "memory");
  step.other = kernels.lane_ahead ? std::max(0.0, kernels.host_seconds - first_lane) : kernels.host_seconds;
  kinds.Add("host", step.other, "launches");
  step.step = step.prepare + step.loading + step.forward + step.backward + step.update + step.other;
  estimate.kinds = kinds.Sorted();
  step.bound = step.arithmetic > step.step / 2 ? "arithmetic" : estimate.kinds.front().bound;
  return estimate;
}

}  // namespace lockstep::launch
