#include "launch/job/gpu.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "base/build_info.h"
#include "base/error.h"

namespace lockstep::launch {
namespace {

constexpr char kLibrary[] = "liblockstep_cuda.so";
constexpr char kLibraryVariable[] = "LOCKSTEP_CUDA_LIBRARY";

std::vector<std::string> Places() {
  if (const char* given = std::getenv(kLibraryVariable)) return {given};
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {(folder / kLibrary).string(), (folder / "../lib/lockstep" / kLibrary).lexically_normal().string()};
}

/// The library's module, or why there is none.
const CudaModule* Load(std::string& why) {
  void* library = nullptr;
  for (const std::string& place : Places()) {
    if (!std::filesystem::exists(place)) {
      why = fmt::format("the library with the GPU backend, {}, is missing: build with LOCKSTEP_CUDA=ON", place);
      continue;
    }
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    why = fmt::format("the library with the GPU backend can't be loaded: {}", dlerror());
    return nullptr;
  }
  if (library == nullptr) return nullptr;
  const auto entry = reinterpret_cast<CudaModuleEntry>(dlsym(library, kCudaModuleEntry));
  if (entry == nullptr || entry().build_hash != BuildHash()) {
    why = "the library with the GPU backend is of another build than this program: build both together";
    return nullptr;
  }
  return &entry();
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
