// Every convolution of the conformance table has an engine of cuDNN's on the GPUs that are described beside the plans
// test: what gpu_conformance_test asks a real card for, asked without one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files/file.h"
#include "tests/trainer/kernels/op_cases.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/kernels/cuda/dense/cudnn_convolution.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using conformance::Instance;

/// Plans convolutions; products always have an algorithm.
class Planner final : public DenseLibrary {
 public:
  Planner(const std::string& device, FloatMath math)
      : convolutions_(
            CudnnDevice(ReadWholeFile(FileSystem::Real(), fmt::format("{}/{}.json", LOCKSTEP_DEVICES, device))), math) {
  }

  bool Supports(const MatmulSpec&) override { return true; }
  size_t WorkspaceBytes(const MatmulSpec&) override { return 0; }
  size_t WorkspaceBytes(const ConvolutionSpec& spec) override {
    ++planned;
    return convolutions_.WorkspaceBytes(spec);
  }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec&, const MatmulOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec&, const ConvolutionOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::string version() const override { return "plans"; }

  int planned = 0;

 private:
  CudnnConvolutions convolutions_;
};

struct Precision {
  const char* name;
  DType type;
  FloatMath math;
};

class ConformancePlansTest : public testing::TestWithParam<std::tuple<const char*, Precision>> {};

TEST_P(ConformancePlansTest, ExistForEveryConvolution) {
  const auto& [device, precision] = GetParam();
  Planner planner(device, precision.math);
  const auto rows = graph::CollectRows<KernelRow>("convolutions", {ConvolutionRows()});
  for (const conformance::OpCases& line : conformance::Table()) {
    const KernelRow* row = rows.Find(line.kind);
    if (row == nullptr || row->workspace_bytes == nullptr) continue;
    for (const conformance::OpCase& op_case : line.cases) {
      const Instance instance = conformance::MakeInstance(line.kind, op_case, precision.type);
      try {
        row->workspace_bytes({{instance.graph, instance.op()}, planner});
      } catch (const Error& error) {
        ADD_FAILURE() << graph::Name(line.kind) << ", " << op_case.name << ": " << error.what();
      }
    }
  }
  EXPECT_GT(planner.planned, 30);
}

INSTANTIATE_TEST_SUITE_P(Devices, ConformancePlansTest,
                         testing::Combine(testing::Values("h100", "h200"),
                                          testing::Values(Precision{"bf16", DType::kBF16, FloatMath::kF32},
                                                          Precision{"tf32", DType::kF32, FloatMath::kTF32},
                                                          Precision{"f32", DType::kF32, FloatMath::kF32})),
                         [](const auto& info) {
                           return fmt::format("{}_{}", std::get<0>(info.param), std::get<1>(info.param).name);
                         });

}  // namespace
}  // namespace lockstep::cuda
