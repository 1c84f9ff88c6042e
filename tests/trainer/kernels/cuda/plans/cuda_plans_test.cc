// What can be known of cuDNN's plans and cuBLASLt's descriptors without a GPU. cuDNN plans for a device that is only
// described (h100.json, h200.json), through a driver with nothing behind it (fake_driver.cc). cuBLASLt's heuristic
// can't be asked: its handle wants a device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/files/file.h"
#include "tests/base/error_of.h"
#include "tests/trainer/kernels/cuda/plans/model_specs.h"
#include "trainer/kernels/cuda/dense/cublaslt.h"
#include "trainer/kernels/cuda/dense/cudnn_convolution.h"

namespace lockstep::cuda {
namespace {

using Direction = ConvolutionSpec::Direction;
using graph::Activation;
using testing::HasSubstr;
using testing::Not;

/// What a precision asks of the library.
struct Precision {
  const char* name;
  DType type;
  FloatMath math;
};
constexpr Precision kBf16{"bf16", DType::kBF16, FloatMath::kF32};
constexpr Precision kTf32{"tf32", DType::kF32, FloatMath::kTF32};
constexpr Precision kF32{"f32", DType::kF32, FloatMath::kF32};

CudnnConvolutions LibraryFor(const std::string& device, const Precision& precision) {
  const std::string path = fmt::format("{}/{}.json", LOCKSTEP_DEVICES, device);
  return {CudnnDevice(ReadWholeFile(FileSystem::Real(), path)), precision.math};
}

ConvolutionSpec Of(ConvolutionSpec spec, const Precision& precision) {
  spec.type = precision.type;
  return spec;
}

const ModelSpecs& Models() {
  static const ModelSpecs specs = CollectModelSpecs(LOCKSTEP_EXAMPLES);
  return specs;
}

double Mebibytes(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

class EveryModel : public testing::TestWithParam<std::tuple<std::string, Precision>> {
 protected:
  const std::string device_ = std::get<0>(GetParam());
  const Precision precision_ = std::get<1>(GetParam());
  CudnnConvolutions library_ = LibraryFor(device_, precision_);
};

TEST_P(EveryModel, HasAnEngineForEveryConvolution) {
  size_t most = 0;
  for (const auto& [model, f32] : Models().convolutions) {
    const ConvolutionSpec spec = Of(f32, precision_);
    try {
      const size_t workspace = library_.WorkspaceBytes(spec);
      most = std::max(most, workspace);
      fmt::print("{:<9} {:<110} {:8.2f} MiB  {}\n", model, spec.ToString(), Mebibytes(workspace),
                 library_.Describe(spec));
    } catch (const Error& error) {
      ADD_FAILURE() << model << ": " << error.what();
    }
  }
  fmt::print("{}, {}: {} convolutions, at most {:.2f} MiB of workspace\n", device_, precision_.name,
             Models().convolutions.size(), Mebibytes(most));
}

INSTANTIATE_TEST_SUITE_P(, EveryModel,
                         testing::Combine(testing::Values("h100", "h200"), testing::Values(kBf16, kTf32, kF32)),
                         [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param).name; });

TEST(ConvolutionPlans, RunFloatsOnMatrixUnitsOnlyAsTf32) {
  CudnnConvolutions library = LibraryFor("h100", kF32);
  for (const auto& [model, spec] : Models().convolutions) {
    EXPECT_THAT(library.Describe(spec), Not(HasSubstr("tensor cores"))) << spec.ToString();
  }
}

/// 28x28 images of 64 channels, 3x3 filters.
ConvolutionSpec Small() {
  ConvolutionSpec spec;
  spec.n = 4, spec.h = spec.w = 28, spec.c = spec.o = 64, spec.kh = spec.kw = 3, spec.padding = 1;
  return spec;
}

std::vector<ConvolutionSpec> AllDirections(const ConvolutionSpec& forward) {
  std::vector<ConvolutionSpec> specs = {forward};
  for (const Direction direction : {Direction::kInputGrad, Direction::kWeightGrad}) {
    ConvolutionSpec spec = forward;
    spec.direction = direction, spec.bias = false, spec.activation = Activation::kNone;
    specs.push_back(spec);
  }
  return specs;
}

TEST(ConvolutionPlans, ExistForUnusualShapes) {
  std::vector<ConvolutionSpec> forwards(8, Small());
  forwards[0].groups = 4;
  forwards[1].groups = 64;                                   // depthwise
  forwards[2].c = 1, forwards[2].o = 7;                      // channels that fill no vector
  forwards[3].n = 1, forwards[3].h = 9, forwards[3].w = 31;  // not square
  forwards[4].kh = 1, forwards[4].kw = 5;
  forwards[5].stride = 3, forwards[5].padding = 0;             // some cells are never read
  forwards[6].h = forwards[6].w = 3, forwards[6].padding = 0;  // one cell comes out
  forwards[7].groups = 32, forwards[7].o = 96, forwards[7].n = 1;
  for (const Precision& precision : {kBf16, kTf32, kF32}) {
    CudnnConvolutions library = LibraryFor("h100", precision);
    for (ConvolutionSpec forward : forwards) {
      for (const bool finish : {false, true}) {
        forward.bias = finish;
        forward.activation = finish ? Activation::kRelu : Activation::kNone;
        for (const ConvolutionSpec& spec : AllDirections(forward))
          EXPECT_NO_THROW(library.Describe(Of(spec, precision)));
      }
    }
  }
}

TEST(ConvolutionPlans, FuseBiasAndReluIntoOneKernel) {
  for (const Precision& precision : {kBf16, kTf32}) {
    CudnnConvolutions library = LibraryFor("h100", precision);
    for (const bool bias : {false, true}) {
      for (const Activation activation : {Activation::kNone, Activation::kRelu}) {
        ConvolutionSpec spec = Of(Small(), precision);
        spec.bias = bias, spec.activation = activation;
        EXPECT_THAT(library.Describe(spec), Not(HasSubstr("; "))) << spec.ToString();
      }
    }
  }
}

// cuDNN 9.19 has no bf16 engine for relu right behind a depthwise convolution. Where a later one has, this needs
// another case.
TEST(ConvolutionPlans, FinishInAKernelOfTheirOwnWhereNoEngineDoesAll) {
  CudnnConvolutions library = LibraryFor("h100", kBf16);
  ConvolutionSpec spec = Of(Small(), kBf16);
  spec.groups = spec.c, spec.activation = Activation::kRelu;
  EXPECT_THAT(library.Describe(spec), HasSubstr("; "));
}

TEST(ConvolutionPlans, AreTheSameEveryTime) {
  for (const Precision& precision : {kBf16, kTf32, kF32}) {
    CudnnConvolutions first = LibraryFor("h100", precision), second = LibraryFor("h100", precision);
    for (const ConvolutionSpec& spec : AllDirections(Of(Small(), precision))) {
      EXPECT_EQ(first.Describe(spec), second.Describe(spec));
      EXPECT_EQ(first.WorkspaceBytes(spec), second.WorkspaceBytes(spec));
    }
  }
}

TEST(ConvolutionPlans, NameTheConvolutionThatHasNone) {
  CudnnConvolutions library = LibraryFor("h100", kBf16);
  ConvolutionSpec spec = Of(Small(), kBf16);
  spec.groups = 3;  // doesn't divide the channels
  const Error error = ErrorOf([&] { library.WorkspaceBytes(spec); });
  EXPECT_EQ(error.kind(), ErrorKind::kInternal);
  EXPECT_THAT(error.what(), HasSubstr(spec.ToString()));
}

struct Layout {
  uint64_t rows = 0, columns = 0;
  int64_t leading = 0;
};
Layout LayoutOf(cublasLtMatrixLayout_t layout) {
  Layout read;
  size_t written = 0;
  CUBLAS_CHECK(
      cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &read.rows, sizeof read.rows, &written));
  CUBLAS_CHECK(cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &read.columns, sizeof read.columns,
                                                &written));
  CUBLAS_CHECK(cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_LD, &read.leading, sizeof read.leading,
                                                &written));
  return read;
}
template <typename T>
T AttributeOf(const MatmulProblem& problem, cublasLtMatmulDescAttributes_t name) {
  T value{};
  size_t written = 0;
  CUBLAS_CHECK(cublasLtMatmulDescGetAttribute(problem.description(), name, &value, sizeof value, &written));
  return value;
}
bool Transposed(const MatmulProblem& problem, cublasLtMatmulDescAttributes_t name) {
  return AttributeOf<int32_t>(problem, name) == CUBLAS_OP_T;
}

/// That cuBLASLt, which reads element (i, j) of a matrix at i + j * leading, computes the spec's product: element (j,
/// i) of its result, which lies where ours has (i, j), from the elements of a and b that the spec's definition names.
void ExpectTheProduct(const MatmulSpec& spec, const MatmulProblem& problem) {
  const Layout first = LayoutOf(problem.first()), second = LayoutOf(problem.second()),
               result = LayoutOf(problem.result());
  const bool first_transposed = Transposed(problem, CUBLASLT_MATMUL_DESC_TRANSA),
             second_transposed = Transposed(problem, CUBLASLT_MATMUL_DESC_TRANSB);
  const auto at = [](const Layout& layout, bool transposed, int64_t row, int64_t column) {
    return transposed ? column + row * layout.leading : row + column * layout.leading;
  };
  EXPECT_EQ(result.rows, static_cast<uint64_t>(spec.n)) << spec.ToString();  // the bias's length
  EXPECT_EQ(result.columns, static_cast<uint64_t>(spec.m)) << spec.ToString();
  EXPECT_EQ(first_transposed ? first.columns : first.rows, result.rows) << spec.ToString();
  EXPECT_EQ(second_transposed ? second.rows : second.columns, result.columns) << spec.ToString();
  const int64_t i = spec.m - 1, j = spec.n - 1, k = spec.k - 1;
  EXPECT_EQ(at(result, false, j, i), i * spec.d_step() + j) << spec.ToString();
  EXPECT_EQ(at(first, first_transposed, j, k), spec.transpose_b ? j * spec.k + k : k * spec.n + j) << spec.ToString();
  EXPECT_EQ(at(second, second_transposed, k, i),
            (spec.transpose_a ? k : i) * spec.a_step() + (spec.transpose_a ? i : k))
      << spec.ToString();
}

TEST(MatmulDescriptors, ComputeEveryFormOfProduct) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const bool bias : {false, true}) {
        for (const Activation activation : {Activation::kNone, Activation::kRelu}) {
          for (const auto& [ab, d] : {std::pair(DType::kF32, DType::kF32), std::pair(DType::kBF16, DType::kF32),
                                      std::pair(DType::kBF16, DType::kBF16)}) {
            for (const int64_t pitch : {0, 8}) {
              const MatmulSpec spec{.m = 5,
                                    .n = 7,
                                    .k = 3,
                                    .a_pitch = pitch,
                                    .d_pitch = pitch,
                                    .transpose_a = transpose_a,
                                    .transpose_b = transpose_b,
                                    .ab = ab,
                                    .d = d,
                                    .bias = bias,
                                    .activation = activation};
              for (const FloatMath math : {FloatMath::kF32, FloatMath::kTF32}) {
                MatmulProblem problem(spec, math);
                if (bias) problem.SetVector(&spec);
                ExpectTheProduct(spec, problem);
              }
            }
          }
        }
      }
    }
  }
}

// cublasLt.h, of BGRADB: "bias gradient based on the input matrix B", "the bias size corresponds to the number of
// columns of the matrix D", "the reduction happens over the GEMM's k dimension".
TEST(MatmulDescriptors, SumTheSpecsFirstOperandIntoFloats) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const DType ab : {DType::kF32, DType::kBF16}) {
        const MatmulSpec spec{
            .m = 5, .n = 7, .k = 3, .transpose_a = transpose_a, .transpose_b = transpose_b, .ab = ab, .a_sums = true};
        MatmulProblem problem(spec, FloatMath::kF32);
        float sums[5];
        problem.SetVector(sums);
        ExpectTheProduct(spec, problem);  // also that a is B, and that D has m columns
        EXPECT_EQ(AttributeOf<uint32_t>(problem, CUBLASLT_MATMUL_DESC_EPILOGUE), uint32_t{CUBLASLT_EPILOGUE_BGRADB});
        EXPECT_EQ(AttributeOf<int32_t>(problem, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE), int32_t{CUDA_R_32F});
        EXPECT_EQ(AttributeOf<const void*>(problem, CUBLASLT_MATMUL_DESC_BIAS_POINTER), sums);
      }
    }
  }
}

TEST(MatmulDescriptors, HaveTheEpiloguesOfTheirSpecs) {
  const auto epilogue = [](bool bias, Activation activation) {
    const MatmulProblem problem({.m = 8, .n = 8, .k = 8, .bias = bias, .activation = activation}, FloatMath::kF32);
    return static_cast<cublasLtEpilogue_t>(AttributeOf<uint32_t>(problem, CUBLASLT_MATMUL_DESC_EPILOGUE));
  };
  EXPECT_EQ(epilogue(false, Activation::kNone), CUBLASLT_EPILOGUE_DEFAULT);
  EXPECT_EQ(epilogue(true, Activation::kNone), CUBLASLT_EPILOGUE_BIAS);
  EXPECT_EQ(epilogue(false, Activation::kRelu), CUBLASLT_EPILOGUE_RELU);
  EXPECT_EQ(epilogue(true, Activation::kRelu), CUBLASLT_EPILOGUE_RELU_BIAS);
}

TEST(MatmulDescriptors, ExistForEveryProductOfTheModels) {
  EXPECT_TRUE(std::ranges::any_of(Models().matmuls, [](const auto& matmul) { return matmul.spec.a_sums; }));
  for (const auto& [model, f32] : Models().matmuls) {
    MatmulSpec spec = f32;
    ExpectTheProduct(spec, MatmulProblem(spec, FloatMath::kTF32));
    spec.ab = DType::kBF16;
    if (!spec.a_sums) spec.d = DType::kBF16;
    ExpectTheProduct(spec, MatmulProblem(spec, FloatMath::kF32));
    fmt::print("{:<9} {}\n", model, spec.ToString());
  }
}

TEST(MatmulDescriptors, RoundFloatsToTf32OnlyWhereAsked) {
  const auto compute_type = [](DType type, FloatMath math) {
    const MatmulProblem problem({.m = 8, .n = 8, .k = 8, .ab = type, .d = type}, math);
    return static_cast<cublasComputeType_t>(AttributeOf<int32_t>(problem, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE));
  };
  EXPECT_EQ(compute_type(DType::kF32, FloatMath::kF32), CUBLAS_COMPUTE_32F);
  EXPECT_EQ(compute_type(DType::kF32, FloatMath::kTF32), CUBLAS_COMPUTE_32F_FAST_TF32);
  EXPECT_EQ(compute_type(DType::kBF16, FloatMath::kF32), CUBLAS_COMPUTE_32F);
  EXPECT_EQ(compute_type(DType::kBF16, FloatMath::kTF32), CUBLAS_COMPUTE_32F);
}

}  // namespace
}  // namespace lockstep::cuda
