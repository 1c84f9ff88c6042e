#include "trainer/kernels/cuda/dense/cublaslt.h"

#include <algorithm>
#include <array>

#include "base/cuda/cuda_device.h"
#include "base/error.h"
#include "base/memory.h"

namespace lockstep::cuda {
namespace {

cudaDataType_t DataType(DType type) {
  CHECK(type == DType::kF32 || type == DType::kBF16, "no matrix products of {}", Name(type));
  return type == DType::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
}

cublasLtEpilogue_t EpilogueOf(const MatmulSpec& spec) {
  using graph::Activation;
  CHECK(spec.activation == Activation::kNone || spec.activation == Activation::kRelu, "{}", spec.ToString());
  if (spec.a_sums) {
    CHECK(spec.d == DType::kF32 && !spec.bias && spec.activation == Activation::kNone, "{}", spec.ToString());
    return CUBLASLT_EPILOGUE_BGRADB;  // the spec's a is cuBLASLt's second operand
  }
  if (spec.activation == Activation::kRelu) return spec.bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  return spec.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

/// Whether there is a bias to read or its gradient to write: both go by the description's bias pointer.
bool HasVector(const MatmulSpec& spec) { return spec.bias || spec.a_sums; }

bool IsTf32(const MatmulSpec& spec, FloatMath math) { return spec.ab == DType::kF32 && math == FloatMath::kTF32; }

template <typename T>
void SetAttribute(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t name, const T& value) {
  CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(description, name, &value, sizeof value));
}

using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, CublasFree<cublasLtMatmulPreferenceDestroy>>;

template <typename T>
void SetAttribute(const Preference& preference, cublasLtMatmulPreferenceAttributes_t name, const T& value) {
  CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.get(), name, &value, sizeof value));
}

/// Schemes by which parts of a split sum may be added: in one order.
uint32_t AllowedSchemes(const MatmulSpec& spec) {
  if (spec.a_sums) return CUBLASLT_REDUCTION_SCHEME_NONE;
  return CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
}

Preference MakePreference(const MatmulSpec& spec) {
  cublasLtMatmulPreference_t made = nullptr;
  CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&made));
  Preference preference(made);
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kMatmulWorkspaceLimit});
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, AllowedSchemes(spec));
  // The default promises 256 bytes, more than values have.
  for (const auto name : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    SetAttribute(preference, name, uint32_t{kValueAlignment});
  }
  return preference;
}

/// Whether `algorithm` splits sums in a way that is not allowed all the same.
bool SplitsSums(const cublasLtMatmulAlgo_t& algorithm, const MatmulSpec& spec) {
  int32_t parts = 1;
  uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
  CUBLAS_CHECK(
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, nullptr));
  CUBLAS_CHECK(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme,
                                                    sizeof scheme, nullptr));
  if (parts <= 1) return scheme != CUBLASLT_REDUCTION_SCHEME_NONE && (scheme & AllowedSchemes(spec)) == 0;
  return (scheme & AllowedSchemes(spec)) == 0;
}

bool IsSplit(const cublasLtMatmulAlgo_t& algorithm) {
  int32_t parts = 1;
  CUBLAS_CHECK(
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, nullptr));
  return parts != 1;
}

class MatmulKernel final : public engine::Kernel {
 public:
  MatmulKernel(cublasLtHandle_t handle, MatmulProblem problem, const cublasLtMatmulAlgo_t& algorithm,
               size_t workspace_bytes, const MatmulSpec& spec, const MatmulOperands& operands, cudaStream_t stream)
      : handle_(handle),
        problem_(std::move(problem)),
        algorithm_(algorithm),
        workspace_bytes_(workspace_bytes),
        alpha_(spec.scale),
        beta_(spec.adds ? 1.0f : 0.0f),
        operands_(operands),
        stream_(stream) {}

  /// d = alpha * sum + beta * d in one epilogue, in float: products by 1 are exact, so with beta 1 the sum that beta 0
  /// would have stored and d are added, and rounded once. d lies where it is written, in the same layout, which
  /// cublasLtMatmul allows.
  void Run() override {
    CUBLAS_CHECK(cublasLtMatmul(handle_, problem_.description(), &alpha_, operands_.b, problem_.first(), operands_.a,
                                problem_.second(), &beta_, operands_.d, problem_.result(), operands_.d,
                                problem_.result(), &algorithm_, operands_.workspace, workspace_bytes_, stream_));
  }

 private:
  cublasLtHandle_t handle_;
  MatmulProblem problem_;
  cublasLtMatmulAlgo_t algorithm_;
  size_t workspace_bytes_;
  float alpha_, beta_;
  MatmulOperands operands_;
  cudaStream_t stream_;
};

}  // namespace

void CheckCublas(cublasStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string text =
      fmt::format("{} failed: {} ({})", expression, cublasLtGetStatusString(status), cublasLtGetStatusName(status));
  const std::string where = fmt::format("{}:{}", file, line);
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED:
      throw Error(ErrorKind::kMemory, text, where, "the device or the host has too little memory for it");
    case CUBLAS_STATUS_NOT_INITIALIZED:
    case CUBLAS_STATUS_EXECUTION_FAILED:
    case CUBLAS_STATUS_MAPPING_ERROR:
      throw Error(ErrorKind::kPeer, text, where,
                  "the device or its driver failed: start again, elsewhere if it happens again");
    default:
      throw Error(ErrorKind::kInternal, text, where);
  }
}

MatmulProblem::Layout MatmulProblem::MakeLayout(DType type, int64_t rows, int64_t columns, int64_t step) {
  cublasLtMatrixLayout_t made = nullptr;
  // Column-major: what is one of our rows is one of cuBLASLt's columns.
  CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&made, DataType(type), static_cast<uint64_t>(columns),
                                          static_cast<uint64_t>(rows), step));
  return Layout(made);
}

void MatmulProblem::SetBatch(const Layout& layout, int64_t count, int64_t step) {
  const auto matrices = static_cast<int32_t>(count);
  CUBLAS_CHECK(
      cublasLtMatrixLayoutSetAttribute(layout.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &matrices, sizeof matrices));
  CUBLAS_CHECK(
      cublasLtMatrixLayoutSetAttribute(layout.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step));
}

MatmulProblem::MatmulProblem(const MatmulSpec& spec, FloatMath math) {
  CHECK(spec.m > 0 && spec.n > 0 && spec.k > 0, "{}", spec.ToString());
  CHECK(spec.d == spec.ab || spec.ab == DType::kBF16, "{}", spec.ToString());
  const bool tf32 = IsTf32(spec, math);
  cublasLtMatmulDesc_t made = nullptr;
  CUBLAS_CHECK(cublasLtMatmulDescCreate(&made, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
  description_.reset(made);
  SetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSA, int32_t{spec.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N});
  SetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSB, int32_t{spec.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N});
  SetAttribute(made, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{EpilogueOf(spec)});
  if (HasVector(spec)) SetAttribute(made, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t{DataType(spec.d)});
  first_ = spec.transpose_b ? MakeLayout(spec.ab, spec.n, spec.k, spec.k) : MakeLayout(spec.ab, spec.k, spec.n, spec.n);
  second_ = MakeLayout(spec.ab, spec.transpose_a ? spec.k : spec.m, spec.a_columns(), spec.a_step());
  result_ = MakeLayout(spec.d, spec.m, spec.n, spec.d_step());
  if (spec.batch == 1) return;
  CHECK(!HasVector(spec) && !spec.adds, "{}", spec.ToString());
  SetBatch(first_, spec.batch, spec.b_batch);
  SetBatch(second_, spec.batch, spec.a_batch);
  SetBatch(result_, spec.batch, spec.m * spec.d_step());
}

void MatmulProblem::SetVector(const void* vector) {
  SetAttribute(description(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
}

CublasLtMatmuls::CublasLtMatmuls(FloatMath math) : math_(math) {
  cublasLtHandle_t made = nullptr;
  CUBLAS_CHECK(cublasLtCreate(&made));
  handle_.reset(made);
}

std::optional<CublasLtMatmuls::Chosen> CublasLtMatmuls::Ask(const MatmulSpec& spec) const {
  if (spec.a_sums && IsTf32(spec, math_)) return {};
  MatmulProblem problem(spec, math_);
  // As aligned as any, and never read.
  if (HasVector(spec)) problem.SetVector(reinterpret_cast<const void*>(kValueAlignment));
  const Preference preference = MakePreference(spec);
  std::array<cublasLtMatmulHeuristicResult_t, 8> results{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_.get(), problem.description(), problem.first(), problem.second(), problem.result(), problem.result(),
      preference.get(), static_cast<int>(results.size()), results.data(), &count);
  // "An impossible configuration" is what it may also call an epilogue that it doesn't have for a shape.
  const bool has_epilogue = EpilogueOf(spec) != CUBLASLT_EPILOGUE_DEFAULT;
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (has_epilogue && status == CUBLAS_STATUS_INVALID_VALUE)) return {};
  CUBLAS_CHECK(status);
  for (const auto& result : std::span(results).first(static_cast<size_t>(count))) {
    if (result.state != CUBLAS_STATUS_SUCCESS || result.workspaceSize > kMatmulWorkspaceLimit ||
        SplitsSums(result.algo, spec))
      continue;
    return Chosen{result.algo, result.workspaceSize, IsSplit(result.algo)};
  }
  return {};
}

const CublasLtMatmuls::Answer& CublasLtMatmuls::AnswerFor(const MatmulSpec& whole) {
  MatmulSpec spec = whole;
  spec.adds = false;
  const auto found = std::ranges::find(answers_, spec, &Answer::spec);
  if (found != answers_.end()) return *found;
  answers_.push_back({spec, Ask(spec)});
  return answers_.back();
}

const CublasLtMatmuls::Chosen& CublasLtMatmuls::ChosenFor(const MatmulSpec& spec) {
  const Answer& answer = AnswerFor(spec);
  if (!answer.algorithm)
    throw Error(ErrorKind::kInternal, fmt::format("cuBLASLt has no algorithm for {}", spec.ToString()));
  return *answer.algorithm;
}

std::unique_ptr<engine::Kernel> CublasLtMatmuls::Prepare(const MatmulSpec& spec, const MatmulOperands& operands,
                                                         DeviceStream& stream) {
  const Chosen& chosen = ChosenFor(spec);
  // In which order the kernel behind the parts adds them and d is written nowhere.
  CHECK(!(spec.adds && chosen.splits), "{}", spec.ToString());
  MatmulProblem problem(spec, math_);
  if (HasVector(spec)) problem.SetVector(spec.bias ? operands.bias : operands.a_sums);
  return std::make_unique<MatmulKernel>(handle_.get(), std::move(problem), chosen.algorithm, chosen.workspace_bytes,
                                        spec, operands, NativeStream(stream));
}

}  // namespace lockstep::cuda
