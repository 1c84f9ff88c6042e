#include "launch/job/gpu.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "base/build_info.h"
#include "base/error.h"
#include "launch/job/module_file.h"

namespace lockstep::launch {
namespace {

constexpr char kLibraryVariable[] = "LOCKSTEP_CUDA_LIBRARY";
constexpr ModuleFile kFile = {.file = "liblockstep_cuda.so",
                              .variable = kLibraryVariable,
                              .entry = kCudaModuleEntry,
                              .what = "the GPU backend",
                              .option = "LOCKSTEP_CUDA=ON",
                              .global = false};

/// The library's module, or why there is none.
const CudaModule* Load(std::string& why) {
  const auto entry = reinterpret_cast<CudaModuleEntry>(OpenModule(kFile, why));
  if (entry == nullptr) return nullptr;
  if (entry().build_hash == BuildHash()) return &entry();
  why = "the library with the GPU backend is of another build than this program: build both together";
  return nullptr;
}

GpuView Look() {
  GpuView view;
  view.module = Load(view.why_none);
  if (view.module == nullptr) return view;
  try {
    view.devices = view.module->list();
    if (view.devices.empty())
      view.why_none = "the driver shows no GPU: is CUDA_VISIBLE_DEVICES empty, or the job without one?";
  } catch (const Error& error) {
    view.why_none = error.message();
  }
  return view;
}

}  // namespace

const GpuView& ViewGpus() {
  static const GpuView view = Look();
  return view;
}

GpuFacts FactsOfGpus(const Recipe& recipe) {
  GpuFacts facts;
  if (recipe.train().device() == plan::Device::CPU) return facts;
  if (std::getenv(kLibraryVariable) == nullptr && dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == nullptr) {
    facts.why_none = "this machine has no NVIDIA driver (libcuda.so.1)";
    return facts;
  }
  const GpuView& view = ViewGpus();
  facts.any = !view.devices.empty();
  facts.bf16 = facts.any;
  for (const DeviceInfo& device : view.devices) facts.bf16 &= device.bf16;
  facts.why_none = view.why_none;
  return facts;
}

std::unique_ptr<step::DeviceKit> OpenGpu(const comm::Topology& topology, bool tf32) {
  const GpuView& view = ViewGpus();
  if (view.devices.empty()) {
    throw Error(ErrorKind::kUsage, fmt::format("there is no GPU here: {}", view.why_none), "train.device",
                "ask the job for a GPU, or train on the CPU with --set train.device=CPU");
  }
  const int ordinal = topology.local_rank() % static_cast<int>(view.devices.size());
  std::unique_ptr<step::DeviceKit> kit = view.module->open(ordinal, tf32);
  kit->visible = static_cast<int>(view.devices.size());
  return kit;
}

std::unique_ptr<step::DeviceKit> PlanGpu(size_t memory) {
  const GpuView& view = ViewGpus();
  if (view.module == nullptr)
    throw Error(ErrorKind::kUsage, fmt::format("nothing can be planned for GPUs here: {}", view.why_none),
                "--gpu-memory");
  return view.module->plan(memory);
}

}  // namespace lockstep::launch
