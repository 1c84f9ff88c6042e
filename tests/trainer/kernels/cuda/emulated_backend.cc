#include "tests/trainer/kernels/cuda/emulated_backend.h"

#include <utility>

#include "base/emulated_device.h"
#include "tests/trainer/engine/forwarding_backend.h"
#include "tests/trainer/kernels/cuda/loop_library.h"
#include "trainer/engine/op_view.h"
#include "trainer/kernels/cuda/cuda_backend.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::Graph;
using graph::Op;

class EmulatedBackend final : public engine::ForwardingBackend {
 public:
  explicit EmulatedBackend(std::unique_ptr<DenseLibrary> library) : library_(std::move(library)) {}

  std::string_view name() const override { return "cuda_emulated"; }
  std::unique_ptr<Kernel> PreparePack(const Graph& graph, const Op& op, int input, const void* plain,
                                      void* packed) override {
    return Synchronized(backend_->PreparePack(graph, op, input, plain, packed));
  }
  std::unique_ptr<Kernel> Prepare(const Graph& graph, const Op& op, const engine::Operands& operands) override {
    return Synchronized(backend_->Prepare(graph, op, operands));
  }

 private:
  engine::Backend& inner() const override { return *backend_; }
  std::unique_ptr<Kernel> Synchronized(std::unique_ptr<Kernel> kernel) {
    return engine::MakeKernel([kernel = std::move(kernel), stream = stream_.get()] {
      kernel->Run();
      stream->Synchronize();
    });
  }

  std::unique_ptr<Device> device_ = MakeEmulatedDevice();
  std::unique_ptr<DeviceStream> stream_ = device_->MakeStream();
  std::unique_ptr<DenseLibrary> library_;
  std::unique_ptr<engine::Backend> backend_ = MakeCudaBackend(*library_, *stream_);
};

}  // namespace

std::unique_ptr<engine::Backend> MakeEmulatedBackend() { return MakeEmulatedBackend(MakeLoopLibrary()); }

std::unique_ptr<engine::Backend> MakeEmulatedBackend(std::unique_ptr<DenseLibrary> library) {
  return std::make_unique<EmulatedBackend>(std::move(library));
}

}  // namespace lockstep::cuda
