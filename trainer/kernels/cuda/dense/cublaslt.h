// Matrix products by cuBLASLt, with bias, relu and the gradient of a bias in the same kernel (its "epilogues").
//
// cuBLASLt thinks in columns, and a row-major matrix is the transpose of a column-major one: d = a b is asked for as
// d^T = b^T a^T, so that nothing is moved, every kernel is at hand, and the bias runs along its rows.
//
// The heuristic is asked once for a spec; it answers from the spec, the device and cuBLASLt's version. Where a sum is
// split (the gradient of a weight sums over all samples, and has few results to fill a card with), its parts are added
// in the workspace, in their order, and not by atomics as they come (CUBLASLT_REDUCTION_SCHEME_INPLACE is left out). It
// needs a device: without one, cuBLASLt makes no handle, only MatmulProblem works.
//
// The gradient of a bias (BGRADB) is a sum, and sums must have one order. cuBLAS promises the same bits at every run of
// one version on one architecture with one number of multiprocessors, for all routines, and for cublasLtMatmul with a
// workspace of the caller's beside other streams too ("Results Reproducibility" in its guide). No epilogue is excepted,
// and with it sums are not split: k, along which this sums, is not divided. Where the heuristic has no algorithm with
// it, Supports says so and the sum is a kernel of ours; also where sums in parts are worth that (split_sums.h). As TF32
// it never has: products of floats may be rounded there, sums not, and cuBLAS doesn't say what it does to these. Bias
// and relu of a product for which it has no algorithm with them are a kernel of ours too.
//
// What stays out:
// - GELU (GELU_BIAS). It is the tanh form, as PyTorch and TensorRT-LLM use it, and not the erf form: these are up to
//   4.7e-4 apart, at x = -2.7: 5% of the result, in bf16 almost 8 units in the last place. Nor is it known to be our
//   tanh form: 1 + tanh cancels below x = -3, in float nothing is left near -5, and how precise cuBLASLt's tanh is, is
//   not said (the hardware's has 11 bits). Conformance looks at these tails. Only inference could use it: training
//   reads what is before GELU.
// - GELU with what is before it (GELU_AUX_BIAS), and gradients of activations (DGELU, DRELU). The first writes two
//   results of the graph's, the others come behind the product that gives dy: each is two ops. And DRELU reads a bit
//   mask that the forward product has to write (RELU_AUX), not the result.
// - the bias's gradient with those (DRELU_BGRAD, DGELU_BGRAD): it sums over what many blocks compute.
//
// One thread at a time uses an object and the kernels that it prepared.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {

/// Throws for a status other than CUBLAS_STATUS_SUCCESS: Error(kUsage) where memory ran out, Error(kPeer) where the
/// device failed, else Error(kInternal).
void CheckCublas(cublasStatus_t status, const char* expression, const char* file, int line);

#define CUBLAS_CHECK(expression) ::lockstep::cuda::CheckCublas((expression), #expression, __FILE__, __LINE__)

/// Makes a unique_ptr's deleter of a function that frees.
template <auto kFree>
struct CublasFree {
  template <typename T>
  void operator()(T* handle) const {
    (void)kFree(handle);
  }
};
using CublasLtHandle = std::unique_ptr<cublasLtContext, CublasFree<cublasLtDestroy>>;

/// A spec in cuBLASLt's words.
class MatmulProblem {
 public:
  MatmulProblem(const MatmulSpec& spec, FloatMath math);

  /// Where the bias of a spec that has one lies, or where a_sums go. The heuristic looks at the address's alignment
  /// alone.
  void SetVector(const void* vector);

  cublasLtMatmulDesc_t description() const { return description_.get(); }
  /// cuBLASLt's first operand: the spec's b.
  cublasLtMatrixLayout_t first() const { return first_.get(); }
  /// cuBLASLt's second operand: the spec's a.
  cublasLtMatrixLayout_t second() const { return second_.get(); }
  cublasLtMatrixLayout_t result() const { return result_.get(); }

 private:
  using Description = std::unique_ptr<cublasLtMatmulDescOpaque_t, CublasFree<cublasLtMatmulDescDestroy>>;
  using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, CublasFree<cublasLtMatrixLayoutDestroy>>;

  /// Rows begin `step` elements apart.
  static Layout MakeLayout(DType type, int64_t rows, int64_t columns, int64_t step);
  /// Matrices begin `step` elements apart.
  static void SetBatch(const Layout& layout, int64_t count, int64_t step);

  Description description_;
  Layout first_, second_, result_;
};

class CublasLtMatmuls {
 public:
  explicit CublasLtMatmuls(FloatMath math);

  bool Supports(const MatmulSpec& spec) {
    const Answer& answer = AnswerFor(spec);
    return answer.algorithm && !(spec.adds && answer.algorithm->splits);
  }
  size_t WorkspaceBytes(const MatmulSpec& spec) { return ChosenFor(spec).workspace_bytes; }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const MatmulOperands& operands, DeviceStream& stream);

 private:
  struct Chosen {
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace_bytes;
    bool splits;  ///< sums parts and then the parts
  };
  struct Answer {
    MatmulSpec spec;
    std::optional<Chosen> algorithm;
  };

  /// Asks once for each spec, as if it did not add: what is added has no part in the choice.
  const Answer& AnswerFor(const MatmulSpec& spec);
  std::optional<Chosen> Ask(const MatmulSpec& spec) const;
  /// Throws Error(kInternal) naming the spec where there is no algorithm for it.
  const Chosen& ChosenFor(const MatmulSpec& spec);

  FloatMath math_;
  CublasLtHandle handle_;
  std::vector<Answer> answers_;  ///< dozens at most
};

}  // namespace lockstep::cuda
