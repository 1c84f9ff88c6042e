// cuBLASLt and cuDNN behind DenseLibrary. Each is loaded into the device when something first needs it: a model without
// convolutions pays nothing for cuDNN. One thread at a time uses a library and the kernels that it prepared.
#include <cublasLt.h>
#include <cudnn.h>

#include <optional>

#include "base/error.h"
#include "trainer/kernels/cuda/cublaslt.h"
#include "trainer/kernels/cuda/cudnn_convolution.h"
#include "trainer/kernels/cuda/dense_library.h"

namespace lockstep::cuda {
namespace {

class VendorLibrary final : public DenseLibrary {
 public:
  explicit VendorLibrary(FloatMath math) : math_(math) {}

  size_t WorkspaceBytes(const MatmulSpec& spec) override { return matmuls().WorkspaceBytes(spec); }
  size_t WorkspaceBytes(const ConvolutionSpec& spec) override { return convolutions().WorkspaceBytes(spec); }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const MatmulOperands& operands,
                                          DeviceStream& stream) override {
    return matmuls().Prepare(spec, operands, stream);
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec& spec, const ConvolutionOperands& operands,
                                          DeviceStream& stream) override {
    return convolutions().Prepare(spec, operands, stream);
  }

  std::string version() const override { return VendorVersions(); }

 private:
  CublasLtMatmuls& matmuls() {
    if (!matmuls_) matmuls_.emplace(math_);
    return *matmuls_;
  }
  CudnnConvolutions& convolutions() {
    if (!convolutions_) convolutions_.emplace(CudnnDevice(), math_);
    return *convolutions_;
  }

  const FloatMath math_;
  std::optional<CublasLtMatmuls> matmuls_;
  std::optional<CudnnConvolutions> convolutions_;
};

}  // namespace

std::string VendorVersions() {
  const size_t lt = cublasLtGetVersion(), dnn = cudnnGetVersion();
  return fmt::format("cuBLASLt {}.{}.{}, cuDNN {}.{}.{}", lt / 10000, lt / 100 % 100, lt % 100, dnn / 10000,
                     dnn / 100 % 100, dnn % 100);
}

std::unique_ptr<DenseLibrary> MakeVendorLibrary(const DeviceInfo&, FloatMath math) {
  return std::make_unique<VendorLibrary>(math);
}

}  // namespace lockstep::cuda
