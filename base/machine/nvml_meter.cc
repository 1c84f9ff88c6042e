#include "base/machine/nvml_meter.h"

#include <dlfcn.h>

namespace lockstep {
namespace {

// What is used of NVML's interface (nvml.h), which comes with drivers and not with toolkits.
using NvmlDevice = struct nvmlDevice_st*;
constexpr int kSuccess = 0;

class NvmlMeter final : public EnergyMeter {
 public:
  explicit NvmlMeter(const std::string& library) : library_(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {}
  ~NvmlMeter() override {
    if (started_) shutdown_();
    if (library_ != nullptr) dlclose(library_);
  }

  bool Open(const std::string& uuid) {
    if (library_ == nullptr) return false;
    const auto init = Find<int (*)()>("nvmlInit_v2");
    const auto by_uuid = Find<int (*)(const char*, NvmlDevice*)>("nvmlDeviceGetHandleByUUID");
    shutdown_ = Find<int (*)()>("nvmlShutdown");
    energy_ = Find<int (*)(NvmlDevice, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
    if (!init || !by_uuid || !shutdown_ || !energy_ || init() != kSuccess) return false;
    started_ = true;
    return by_uuid(uuid.c_str(), &device_) == kSuccess && Joules().has_value();
  }

  std::optional<double> Joules() override {
    unsigned long long millijoules = 0;  // since the driver was loaded
    if (energy_(device_, &millijoules) != kSuccess) return std::nullopt;
    return static_cast<double>(millijoules) * 1e-3;
  }

 private:
  template <typename F>
  F Find(const char* name) {
    return reinterpret_cast<F>(dlsym(library_, name));
  }

  void* library_;
  bool started_ = false;
  NvmlDevice device_ = nullptr;
  int (*shutdown_)() = nullptr;
  int (*energy_)(NvmlDevice, unsigned long long*) = nullptr;
};

}  // namespace

std::unique_ptr<EnergyMeter> MakeNvmlMeter(const std::string& uuid, const std::string& library) {
  auto meter = std::make_unique<NvmlMeter>(library);
  if (!meter->Open(uuid)) return nullptr;
  return meter;
}

}  // namespace lockstep
