#include "base/cuda/cuda_device.h"

#include <cstring>

#include "base/cuda/check.h"
#include "base/error.h"

namespace lockstep {
namespace {

/// Destructors report nothing: what failed shows at the next call.
void Ignored(cudaError_t) {}

std::string UuidText(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (size_t i = 0; i < sizeof(uuid.bytes); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

DeviceInfo InfoOf(int ordinal) {
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, ordinal));
  DeviceInfo info;
  info.name = properties.name;
  info.uuid = UuidText(properties.uuid);
  info.ordinal = ordinal;
  info.major = properties.major;
  info.minor = properties.minor;
  info.processors = properties.multiProcessorCount;
  info.memory = properties.totalGlobalMem;
  info.bf16 = properties.major >= 8;
  return info;
}

class CudaMemory final : public DeviceMemory {
 public:
  CudaMemory(void* data, size_t size) : DeviceMemory(static_cast<std::byte*>(data), size) {}
  ~CudaMemory() override { Ignored(cudaFree(data())); }
};

class PinnedMemory final : public DeviceMemory {
 public:
  PinnedMemory(void* data, size_t size) : DeviceMemory(static_cast<std::byte*>(data), size) {}
  ~PinnedMemory() override { Ignored(cudaFreeHost(data())); }
};

class CudaEvent final : public DeviceEvent {
 public:
  CudaEvent() { CUDA_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~CudaEvent() override { Ignored(cudaEventDestroy(event_)); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  bool Done() override {
    const cudaError_t state = cudaEventQuery(event_);
    if (state == cudaErrorNotReady) {
      (void)cudaGetLastError();  // else a launch, which asks for the last error, may take it for its own
      return false;
    }
    CUDA_CHECK(state);
    return true;
  }
  cudaEvent_t native() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

cudaEvent_t Native(DeviceEvent& event) { return static_cast<CudaEvent&>(event).native(); }

class CudaGraph final : public DeviceGraph {
 public:
  /// Takes over `graph`.
  explicit CudaGraph(cudaGraph_t graph) {
    const cudaError_t made = cudaGraphInstantiate(&run_, graph, 0);
    Ignored(cudaGraphDestroy(graph));
    CUDA_CHECK(made);
  }
  ~CudaGraph() override { Ignored(cudaGraphExecDestroy(run_)); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  cudaGraphExec_t run() const { return run_; }

 private:
  cudaGraphExec_t run_ = nullptr;
};

class CudaStream final : public DeviceStream {
 public:
  CudaStream() { CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~CudaStream() override { Ignored(cudaStreamDestroy(stream_)); }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  void Copy(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_));
  }
  void Clear(void* to, size_t bytes) override {
    if (bytes > 0) CUDA_CHECK(cudaMemsetAsync(to, 0, bytes, stream_));
  }
  void Record(DeviceEvent& event) override {
    // An event of captured work is a node of the graph, which streams outside of it may wait for.
    CUDA_CHECK(cudaEventRecordWithFlags(Native(event), stream_,
                                        capturing_ ? cudaEventRecordExternal : cudaEventRecordDefault));
  }
  void Wait(DeviceEvent& event) override { CUDA_CHECK(cudaStreamWaitEvent(stream_, Native(event), 0)); }

  void BeginCapture() override {
    // Other threads may allocate and copy meanwhile.
    CUDA_CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    capturing_ = true;
  }
  std::unique_ptr<DeviceGraph> EndCapture() override {
    capturing_ = false;
    cudaGraph_t graph = nullptr;
    CUDA_CHECK(cudaStreamEndCapture(stream_, &graph));
    return std::make_unique<CudaGraph>(graph);
  }
  void Run(DeviceGraph& graph) override { CUDA_CHECK(cudaGraphLaunch(static_cast<CudaGraph&>(graph).run(), stream_)); }
  void Synchronize() override { CUDA_CHECK(cudaStreamSynchronize(stream_)); }

  cudaStream_t native() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
  bool capturing_ = false;
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int ordinal) : info_(InfoOf(ordinal)) {
    // Waiting threads sleep instead of spinning: cores belong to loaders too.
    CUDA_CHECK(cudaInitDevice(ordinal, cudaDeviceScheduleBlockingSync, cudaInitDeviceFlagsAreValid));
    UseOnThisThread();
  }

  const DeviceInfo& info() const override { return info_; }
  size_t free_memory() const override {
    size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  }

  std::unique_ptr<DeviceMemory> Allocate(size_t bytes, const std::string& what) override {
    if (bytes == 0) return std::make_unique<CudaMemory>(nullptr, 0);
    void* data = nullptr;
    const cudaError_t error = cudaMalloc(&data, bytes);
    if (error == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();  // else the next call reports it again
      throw Error(ErrorKind::kMemory,
                  fmt::format("{}: {:.1f} MiB of device memory are needed and {:.1f} of {:.1f} MiB are free", what,
                              Mebibytes(bytes), Mebibytes(free_memory()), Mebibytes(info_.memory)),
                  info_.name,
                  "use more GPUs, a smaller train.global_batch or more train.lanes; lockstep plan shows the needs");
    }
    CUDA_CHECK(error);
    auto memory = std::make_unique<CudaMemory>(data, bytes);
    CUDA_CHECK(cudaMemset(data, 0, bytes));
    CUDA_CHECK(cudaDeviceSynchronize());  // streams that don't wait for the default one may use it at once
    return memory;
  }

  std::unique_ptr<DeviceMemory> AllocatePinned(size_t bytes) override {
    if (bytes == 0) return std::make_unique<PinnedMemory>(nullptr, 0);
    void* data = nullptr;
    CUDA_CHECK(cudaHostAlloc(&data, bytes, cudaHostAllocDefault));
    std::memset(data, 0, bytes);
    return std::make_unique<PinnedMemory>(data, bytes);
  }

  std::unique_ptr<DeviceStream> MakeStream() override { return std::make_unique<CudaStream>(); }
  std::unique_ptr<DeviceEvent> MakeEvent() override { return std::make_unique<CudaEvent>(); }
  void UseOnThisThread() override { CUDA_CHECK(cudaSetDevice(info_.ordinal)); }

 private:
  static double Mebibytes(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

  const DeviceInfo info_;
};

}  // namespace

void CudaFailed(cudaError_t error, const char* expression, const char* file, int line) {
  const std::string text =
      fmt::format("{} failed: {} ({})", expression, cudaGetErrorString(error), cudaGetErrorName(error));
  const std::string where = fmt::format("{}:{}", file, line);
  switch (error) {
    case cudaErrorMemoryAllocation:
      throw Error(ErrorKind::kMemory, text, where, "the device or the host has too little memory for it");
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorDevicesUnavailable:
      throw Error(ErrorKind::kUsage, text, where, "see lockstep doctor, or train on the CPU with train.device=CPU");
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidResourceHandle:
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
      throw Error(ErrorKind::kInternal, text, where);
    default:
      throw Error(ErrorKind::kPeer, text, where,
                  "the device or its driver failed: start again, elsewhere if it happens again");
  }
}

namespace {

std::string VersionText(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

/// The driver, before anything else of the runtime speaks of it in riddles.
void CheckDriver() {
  int driver = 0, runtime = 0;
  CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    throw Error(ErrorKind::kUsage, "this machine has no NVIDIA driver (libcuda.so.1)");
  if (driver / 1000 >= runtime / 1000) return;  // one major version is compatible in itself
  throw Error(ErrorKind::kUsage,
              fmt::format("the NVIDIA driver is for CUDA {} and this build needs {}: a newer driver is needed",
                          VersionText(driver), VersionText(runtime)));
}

}  // namespace

std::string CudaVersion() { return "CUDA " + VersionText(CUDART_VERSION); }

std::vector<DeviceInfo> ListCudaDevices() {
  CheckDriver();
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) return {};
  CUDA_CHECK(error);
  std::vector<DeviceInfo> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) devices.push_back(InfoOf(ordinal));
  return devices;
}

std::unique_ptr<Device> OpenCudaDevice(int ordinal) { return std::make_unique<CudaDevice>(ordinal); }

cudaStream_t NativeStream(DeviceStream& stream) { return static_cast<CudaStream&>(stream).native(); }

}  // namespace lockstep
