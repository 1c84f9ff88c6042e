// cuBLASLt and cuDNN behind DenseLibrary. Each is loaded into the device when something first needs it: a model with
// neither convolutions nor attention in bf16 pays nothing for cuDNN. One thread at a time uses a library and the
// kernels that it prepared.
#include <cublasLt.h>
#include <cudnn.h>
#include <dlfcn.h>

#include <optional>

#include "base/error.h"
#include "trainer/kernels/cuda/dense/cublaslt.h"
#include "trainer/kernels/cuda/dense/cudnn_attention.h"
#include "trainer/kernels/cuda/dense/cudnn_convolution.h"
#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {
namespace {

/// cuDNN loads parts of itself when they are first needed, and ends the process where one is missing: so they are
/// looked for before.
bool CudnnIsWhole() {
  for (const char* part : {"libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9", "libcudnn_heuristic.so.9",
                           "libcudnn_engines_precompiled.so.9", "libcudnn_engines_runtime_compiled.so.9"}) {
    if (dlopen(part, RTLD_LAZY | RTLD_LOCAL) == nullptr) return false;
  }
  return true;
}

std::string CudnnVersionText(size_t version) {
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::string CublasLtVersionText() {
  const size_t version = cublasLtGetVersion();
  return fmt::format("cuBLASLt {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

class VendorLibrary final : public DenseLibrary {
 public:
  VendorLibrary(const DeviceInfo& device, FloatMath math) : processors_(device.processors), math_(math) {}

  int processors() const override { return processors_; }
  AttentionLibrary* attention() override {
    if (!attention_) attention_.emplace(WholeCudnn());
    return &*attention_;
  }
  bool Supports(const MatmulSpec& spec) override { return matmuls().Supports(spec); }
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

  std::string version() const override {
    return CublasLtVersionText() + ", " + (CudnnIsWhole() ? CudnnVersionText(cudnnGetVersion()) : "cuDNN incomplete");
  }

 private:
  CublasLtMatmuls& matmuls() {
    if (!matmuls_) matmuls_.emplace(math_);
    return *matmuls_;
  }
  CudnnConvolutions& convolutions() {
    if (!convolutions_) convolutions_.emplace(WholeCudnn(), math_);
    return *convolutions_;
  }
  static CudnnDevice WholeCudnn() {
    if (!CudnnIsWhole())
      throw Error(ErrorKind::kUsage, "cuDNN is incomplete here: some of its libraries can't be loaded",
                  "libcudnn_*.so.9", "install all of cuDNN, of one version, where the loader finds it");
    return CudnnDevice();
  }

  const int processors_;
  const FloatMath math_;
  std::optional<CublasLtMatmuls> matmuls_;
  std::optional<CudnnConvolutions> convolutions_;
  std::optional<CudnnAttention> attention_;
};

}  // namespace

std::string VendorVersions() { return CublasLtVersionText() + ", " + CudnnVersionText(CUDNN_VERSION); }

std::unique_ptr<DenseLibrary> MakeVendorLibrary(const DeviceInfo& device, FloatMath math) {
  return std::make_unique<VendorLibrary>(device, math);
}

}  // namespace lockstep::cuda
