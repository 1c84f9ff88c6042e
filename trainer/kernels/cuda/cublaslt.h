// Matrix products by cuBLASLt, with bias and relu in the same kernel.
//
// cuBLASLt thinks in columns, and a row-major matrix is the transpose of a column-major one: d = a b is asked for as
// d^T = b^T a^T, so that nothing is moved, every kernel is at hand, and the bias runs along its rows.
//
// The heuristic is asked once for a spec, for algorithms that don't split sums; it answers from the spec, the device
// and cuBLASLt's version. It needs a device: without one, cuBLASLt makes no handle, only MatmulProblem works.
//
// One thread at a time uses an object and the kernels that it prepared.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "trainer/kernels/cuda/dense_library.h"

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

  /// Of a spec with bias. The heuristic looks at the address's alignment alone.
  void SetBias(const void* bias);

  cublasLtMatmulDesc_t description() const { return description_.get(); }
  /// cuBLASLt's first operand: the spec's b.
  cublasLtMatrixLayout_t first() const { return first_.get(); }
  /// cuBLASLt's second operand: the spec's a.
  cublasLtMatrixLayout_t second() const { return second_.get(); }
  cublasLtMatrixLayout_t result() const { return result_.get(); }

 private:
  using Description = std::unique_ptr<cublasLtMatmulDescOpaque_t, CublasFree<cublasLtMatmulDescDestroy>>;
  using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, CublasFree<cublasLtMatrixLayoutDestroy>>;

  static Layout MakeLayout(DType type, int64_t rows, int64_t columns);

  Description description_;
  Layout first_, second_, result_;
};

class CublasLtMatmuls {
 public:
  explicit CublasLtMatmuls(FloatMath math);

  size_t WorkspaceBytes(const MatmulSpec& spec) { return ChosenFor(spec).workspace_bytes; }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const MatmulOperands& operands, DeviceStream& stream);

 private:
  struct Chosen {
    MatmulSpec spec;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace_bytes;
  };

  /// Throws Error(kInternal) naming the spec where there is no algorithm for it.
  const Chosen& ChosenFor(const MatmulSpec& spec);

  FloatMath math_;
  CublasLtHandle handle_;
  std::vector<Chosen> chosen_;  ///< dozens at most
};

}  // namespace lockstep::cuda
