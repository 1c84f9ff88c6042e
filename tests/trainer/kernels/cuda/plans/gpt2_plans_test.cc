// Every op of GPT-2's smallest shape (124 million parameters) in bf16, as its recipes train it: that the GPU backend
// has a kernel for it, that attention has plans of cuDNN's, and what each takes of workspace.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/emulated_device.h"
#include "base/files/file.h"
#include "tests/trainer/kernels/cuda/plans/model_specs.h"
#include "trainer/graph/op_table.h"
#include "trainer/kernels/cuda/cuda_backend.h"
#include "trainer/kernels/cuda/dense/cublaslt.h"
#include "trainer/kernels/cuda/dense/cudnn_attention.h"
#include "trainer/passes/passes.h"

namespace lockstep::cuda {
namespace {

using graph::OpKind;

/// cuDNN's attention for a device that is only described. Products have descriptors, and take what they may.
class DescribedLibrary final : public DenseLibrary {
 public:
  explicit DescribedLibrary(const std::string& device)
      : attention_(
            CudnnDevice(ReadWholeFile(FileSystem::Real(), fmt::format("{}/{}.json", LOCKSTEP_DEVICES, device)))) {}

  AttentionLibrary* attention() override { return &attention_; }
  bool Supports(const MatmulSpec&) override { return true; }
  size_t WorkspaceBytes(const MatmulSpec& spec) override {
    MatmulProblem(spec, FloatMath::kF32);
    return kMatmulWorkspaceLimit;
  }
  size_t WorkspaceBytes(const ConvolutionSpec& spec) override {
    ADD_FAILURE() << spec.ToString();
    return 0;
  }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec&, const MatmulOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec&, const ConvolutionOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::string version() const override { return "described"; }

  CudnnAttention& cudnn() { return attention_; }

 private:
  CudnnAttention attention_;
};

struct Case {
  const char *name, *device, *recipe;
  int64_t rows = 0;  ///< 0: as the recipe says
};

class Gpt2Plans : public testing::TestWithParam<Case> {
 protected:
  graph::Graph GraphOf(graph::Mode mode) const {
    LaneModel lane = Lane();
    const bool training = mode == graph::Mode::kTrain;
    graph::Graph graph = passes::LowerPrecision(
        passes::FuseActivations(models::Build(lane.config, lane.data, mode, lane.rows).graph, training));
    if (training) graph = passes::AddGradients(graph, {});
    return passes::RemoveDeadOps(graph);
  }
  LaneModel Lane() const {
    LaneModel lane = ReadLaneModel(fmt::format("{}/{}.textproto", LOCKSTEP_EXAMPLES, GetParam().recipe));
    if (GetParam().rows > 0) lane.rows = GetParam().rows;
    return lane;
  }
};

TEST_P(Gpt2Plans, HaveAKernelForEveryOp) {
  DescribedLibrary library(GetParam().device);
  const auto device = MakeEmulatedDevice();
  const auto stream = device->MakeStream();
  const auto backend = MakeCudaBackend(library, *stream);
  const LaneModel lane = Lane();
  struct Kind {
    int ops = 0;
    size_t workspace = 0;
  };
  std::map<std::string, Kind> kinds;
  for (const graph::Mode mode : {graph::Mode::kTrain, graph::Mode::kEvaluate}) {
    const graph::Graph graph = GraphOf(mode);
    for (const graph::Op& op : graph.ops) {
      ASSERT_TRUE(backend->Supports(op.kind)) << graph::Name(op.kind);
      Kind& kind = kinds[graph::Name(op.kind)];
      ++kind.ops;
      kind.workspace = std::max(kind.workspace, backend->WorkspaceBytes(graph, op));
    }
  }
  for (const OpKind needed : {OpKind::kEmbedding, OpKind::kEmbeddingGrad, OpKind::kLinear, OpKind::kLinearInputGrad,
                              OpKind::kLinearWeightGrad, OpKind::kAttention, OpKind::kAttentionGrad})
    EXPECT_GT(kinds[graph::Name(needed)].ops, 0) << graph::Name(needed);
  for (const auto& [name, kind] : kinds)
    fmt::print("{:<24} {:3} ops, {:8.2f} MiB of workspace\n", name, kind.ops,
               static_cast<double>(kind.workspace) / (1 << 20));

  AttentionSpec spec{
      .rows = lane.rows, .positions = lane.data.sample.dim(0), .heads = 12, .head_size = 64, .causal = true};
  for (const auto direction : {AttentionSpec::Direction::kForward, AttentionSpec::Direction::kGradient}) {
    spec.direction = direction;
    ASSERT_TRUE(library.cudnn().Supports(spec)) << spec.ToString();
    const char* const name =
        graph::Name(direction == AttentionSpec::Direction::kForward ? OpKind::kAttention : OpKind::kAttentionGrad);
    EXPECT_EQ(kinds[name].workspace, library.cudnn().WorkspaceBytes(spec)) << spec.ToString();
    fmt::print("{}: {}: {}\n", GetParam().device, spec.ToString(), library.cudnn().Describe(spec));
  }
}

INSTANTIATE_TEST_SUITE_P(, Gpt2Plans,
                         testing::Values(Case{"bench_h100", "h100", "bench/gpt124"}, Case{"gpt2_h100", "h100", "gpt2"},
                                         Case{"gpt2_h200", "h200", "gpt2"}, Case{"lane_of_8_h100", "h100", "gpt2", 8},
                                         Case{"lane_of_64_h200", "h200", "gpt2", 64}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace lockstep::cuda
