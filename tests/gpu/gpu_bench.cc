// gpu_bench: the rates of the device by itself, and where a recipe's time goes on it. Figures are lines of words, for
// check.sh.
//
//   gpu_bench                     the best bf16 matrix product, and copies: on the device, up, down
//   gpu_bench --profile RECIPE [--set PATH=VALUE]...
//                                 one lane's program: each kernel by itself, summed by kind of op, and the whole as
//                                 training runs it
//   gpu_bench --choices           what the code has decided without a device: the gradient of attention by how many
//                                 rows are done at once, and gradients of biases with the weights' or by themselves
//
// Ends with 77 where there is no device. --small: sizes that an emulated device does in seconds.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "comm/local/local_communicator.h"
#include "launch/job/gpu.h"
#include "launch/job/job_setup.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "tests/gpu/attention_sweep.h"
#include "tests/gpu/bias_gradients.h"
#include "tests/gpu/device_timing.h"
#include "tests/gpu/kits.h"
#include "tests/trainer/engine/forwarding_backend.h"
#include "trainer/engine/program.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/op_table.h"
#include "trainer/plan/job_plans.h"

namespace lockstep::gpu {
namespace {

/// FLOP per second of x [n, n] times weight [n, n] in bf16, as the backend's linear layer does it.
double ProductRate(step::DeviceKit& kit, int64_t n) {
  graph::Builder builder(graph::Mode::kInfer, n);
  const graph::ValueId x = builder.Input("x", {n}, DType::kBF16);
  builder.Output("y", builder.Linear(x, "product", n, /*bias=*/false, {}));
  graph::Graph graph = builder.Finish();
  const auto op = std::find_if(graph.ops.begin(), graph.ops.end(),
                               [](const graph::Op& o) { return o.kind == graph::OpKind::kLinear; });
  CHECK(op != graph.ops.end());
  for (const graph::ValueId id : op->outputs) graph.values[static_cast<size_t>(id)].dtype = DType::kBF16;
  const auto size = static_cast<size_t>(n * n);
  const auto in = kit.device->Allocate(size * 2, "x"), weight = kit.device->Allocate(size * 4, "weight"),
             out = kit.device->Allocate(size * 2, "y"),
             packed = kit.device->Allocate(kit.backend->PackedBytes(graph, *op, 1, 1), "packed weight"),
             workspace = kit.device->Allocate(kit.backend->WorkspaceBytes(graph, *op), "workspace");
  FillRandom(kit, DType::kBF16, in->bytes());
  FillRandom(kit, DType::kF32, weight->bytes());
  engine::Operands operands;
  operands.inputs.assign(op->inputs.size(), nullptr);
  operands.packed.assign(op->inputs.size(), nullptr);
  operands.inputs[0] = in->data();
  operands.inputs[1] = weight->data();
  operands.outputs = {out->data()};
  operands.workspace = workspace->data();
  if (packed->size() > 0) {
    operands.packed[1] = packed->data();
    kit.backend->PreparePack(graph, *op, 1, weight->data(), packed->data())->Run();
    kit.stream->Synchronize();
  }
  const auto kernel = kit.backend->Prepare(graph, *op, operands);
  const double seconds = SecondsOf(kit, [&] { kernel->Run(); });
  return 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / seconds;
}

void PrintRates(step::DeviceKit& kit, bool small) {
  const int64_t n = small ? 128 : 8192;
  const size_t bytes = small ? 1 << 20 : size_t{1} << 30;
  std::printf("product %lldx%lldx%lld bf16: %.4g TFLOP/s\n", static_cast<long long>(n), static_cast<long long>(n),
              static_cast<long long>(n), ProductRate(kit, n) / 1e12);
  const auto a = kit.device->Allocate(bytes, "a"), b = kit.device->Allocate(bytes, "b");
  const auto host = kit.device->AllocatePinned(bytes / 4);
  FillRandom(kit, DType::kF32, a->bytes());
  const auto rate = [&](void* to, const void* from, size_t size) {
    return static_cast<double>(size) / SecondsOf(kit, [&] { kit.stream->Copy(to, from, size); }) / 1e9;
  };
  std::printf("copy on the device: %.1f GB/s read and written\n", 2 * rate(b->data(), a->data(), bytes));
  std::printf("copy up: %.1f GB/s\n", rate(a->data(), host->data(), host->size()));
  std::printf("copy down: %.1f GB/s\n", rate(host->data(), a->data(), host->size()));
}

/// A backend whose kernels are remembered, to be run one by one.
class RememberingBackend final : public engine::ForwardingBackend {
 public:
  struct Part {
    std::string group;
    engine::Kernel* kernel;
    double flops;
  };
  explicit RememberingBackend(engine::Backend& backend) : backend_(backend) {}

  std::unique_ptr<engine::Kernel> PreparePack(const graph::Graph& graph, const graph::Op& op, int input,
                                              const void* plain, void* packed) override {
    return Remember("pack weights", 0, backend_.PreparePack(graph, op, input, plain, packed));
  }
  std::unique_ptr<engine::Kernel> Prepare(const graph::Graph& graph, const graph::Op& op,
                                          const engine::Operands& operands) override {
    return Remember(graph::Name(op.kind), graph::Row(op.kind).flops(graph, op), backend_.Prepare(graph, op, operands));
  }

  const std::vector<Part>& parts() const { return parts_; }

 private:
  engine::Backend& inner() const override { return backend_; }
  std::unique_ptr<engine::Kernel> Remember(const std::string& group, double flops,
                                           std::unique_ptr<engine::Kernel> kernel) {
    parts_.push_back({group, kernel.get(), flops});
    return kernel;
  }

  engine::Backend& backend_;
  std::vector<Part> parts_;
};

/// One lane's training program with memory of its own, as DeviceLanes prepares it.
struct LaneProgram {
  RememberingBackend backend;
  std::unique_ptr<DeviceMemory> weights, gradients, arena, workspace, inputs, packed_memory;
  std::unique_ptr<engine::PackedWeights> packed;
  std::unique_ptr<engine::Program> program;

  LaneProgram(step::DeviceKit& kit, const plan::JobPlans& plans) : backend(*kit.backend) {
    const engine::ProgramPlan& plan = *plans.train.front();
    const auto elements = static_cast<size_t>(plans.layout.elements()) * sizeof(float);
    weights = kit.device->Allocate(elements, "weights");
    gradients = kit.device->Allocate(elements, "gradients");
    arena = kit.device->Allocate(static_cast<size_t>(plan.memory.bytes), "activations");
    workspace = kit.device->Allocate(plan.workspace_bytes, "workspace");
    inputs = kit.device->Allocate(plan.input_bytes, "inputs");
    packed_memory = kit.device->Allocate(plan.packed_bytes, "packed weights");
    FillRandom(kit, DType::kF32, weights->bytes());
    FillInputs(kit, plan);
    packed = std::make_unique<engine::PackedWeights>(plan, plans.layout, backend, weights->As<float>(),
                                                     packed_memory->bytes());
    engine::Program::Bindings bindings;
    bindings.parameters = weights->As<float>();
    bindings.gradients = gradients->As<float>();
    bindings.packed = packed.get();
    bindings.arena = arena->bytes();
    bindings.workspace = workspace->bytes();
    bindings.inputs = inputs->bytes();
    program = std::make_unique<engine::Program>(plans.train.front(), plans.layout, backend, bindings);
  }

  std::span<std::byte> InputPlace(const engine::ProgramPlan& plan, graph::ValueId id) const {
    return inputs->bytes().subspan(static_cast<size_t>(plan.input_offset[static_cast<size_t>(id)]),
                                   static_cast<size_t>(plan.graph.value(id).bytes()));
  }

  /// Random images, all of them whole, and features; labels are class 0, the step block is that of step 0.
  void FillInputs(step::DeviceKit& kit, const engine::ProgramPlan& plan) const {
    for (size_t id = 0; id < plan.graph.values.size(); ++id) {
      const graph::Value& value = plan.graph.values[id];
      if (value.role != graph::Role::kInput) continue;
      const auto place = InputPlace(plan, static_cast<graph::ValueId>(id));
      if (value.dtype == DType::kF32) FillRandom(kit, DType::kF32, place);
      if (value.dtype == DType::kBF16 || value.dtype == DType::kU8) FillRandom(kit, DType::kBF16, place);
    }
    for (const graph::Op& op : plan.graph.ops)
      if (op.kind == graph::OpKind::kPixels)
        FillEdges(kit, plan.graph.value(op.inputs[0]).shape, InputPlace(plan, op.inputs[1]));
  }

  static void FillEdges(step::DeviceKit& kit, const Shape& images, std::span<std::byte> to) {
    const auto edges = kit.device->AllocatePinned(to.size());
    for (int64_t n = 0; n < images[0]; ++n) {
      edges->As<int32_t>()[4 * n + 2] = static_cast<int32_t>(images[1]);
      edges->As<int32_t>()[4 * n + 3] = static_cast<int32_t>(images[2]);
    }
    kit.stream->Copy(to.data(), edges->data(), to.size());
    kit.stream->Synchronize();
  }
};

void PrintProfile(const std::string& path, const std::vector<std::string>& settings) {
  Recipe recipe = launch::ReadRecipe(path, settings);
  recipe.mutable_train()->set_device(plan::Device::GPU);
  launch::ResolveRecipe(recipe, launch::FactsOfGpus(recipe));
  const auto world = comm::MakeLocalWorld({});
  const run::Job job = launch::MakeJob(recipe, *world.front());
  const plan::JobPlans plans =
      plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, job.place.comm->world_size());
  step::DeviceKit& kit = *job.place.device;
  kit.device->UseOnThisThread();
  LaneProgram lane(kit, plans);
  lane.program->Run(nullptr);
  kit.stream->Synchronize();

  struct Group {
    int kernels = 0;
    double seconds = 0, flops = 0;
  };
  std::map<std::string, Group> groups;
  double sum = 0;
  for (const RememberingBackend::Part& part : lane.backend.parts()) {
    Group& group = groups[part.group];
    const double seconds = SecondsOf(
        kit, [&] { part.kernel->Run(); }, 3);
    ++group.kernels;
    group.seconds += seconds;
    group.flops += part.flops;
    sum += seconds;
  }
  const double whole = SecondsOf(
      kit, [&] { lane.program->Run(nullptr); }, 7);
  const double rows = static_cast<double>(recipe.train().global_batch()) / recipe.train().lanes();
  std::printf("lane: %.0f samples in %.3f ms, %.1f samples/s, %.2f TFLOP/s; kernels by themselves %.3f ms\n", rows,
              1e3 * whole, rows / whole, plans.train.front()->flops / whole / 1e12, 1e3 * sum);
  std::vector<std::pair<std::string, Group>> sorted(groups.begin(), groups.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  for (const auto& [name, group] : sorted)
    std::printf("group %s: %d kernels, %.3f ms, %.1f%%, %.1f TFLOP/s\n", name.c_str(), group.kernels,
                1e3 * group.seconds, 100 * group.seconds / sum, group.flops / group.seconds / 1e12);
}

int Main(const std::vector<std::string>& words) {
  std::string recipe;
  std::vector<std::string> settings;
  bool small = false, choices = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--small")
      small = true;
    else if (words[i] == "--choices")
      choices = true;
    else if (words[i] == "--profile" && has_value)
      recipe = words[++i];
    else if (words[i] == "--set" && has_value)
      settings.push_back(words[++i]);
    else
      throw Error(ErrorKind::kUsage, fmt::format("unknown argument {}", words[i]), "gpu_bench");
  }
  if (const std::string missing = WhyNoDevice(); !missing.empty()) {
    std::printf("SKIPPED: there is no GPU here: %s\n", missing.c_str());
    return kSkipped;
  }
  PrepareComputeThread(1, "bench");
  std::printf("device: %s\n", Describe().c_str());
  if (!recipe.empty()) {
    PrintProfile(recipe, settings);
    return 0;
  }
  Kit().device->UseOnThisThread();
  if (!choices) {
    PrintRates(Kit(), small);
    return 0;
  }
  PrintAttentionSweep(Kit(), small);
  PrintBiasGradients(Kit(), small);
  return 0;
}

}  // namespace
}  // namespace lockstep::gpu

int main(int argc, char** argv) {
  try {
    return lockstep::gpu::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_bench: error: %s\n", error.what());
    return 1;
  }
}
