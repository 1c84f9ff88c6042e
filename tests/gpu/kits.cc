#include "tests/gpu/kits.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "launch/job/gpu.h"

namespace lockstep::gpu {

std::string WhyNoDevice() {
  const launch::GpuView& view = launch::ViewGpus();
  // Not for want of a device: what no machine could make good.
  for (const char* ours : {"undefined symbol: _ZN8lockstep", "of another build"})
    CHECK(view.why_none.find(ours) == std::string::npos, "{}", view.why_none);
  return view.devices.empty() ? view.why_none : "";
}

std::string Describe() {
  const launch::GpuView& view = launch::ViewGpus();
  const DeviceInfo& info = view.devices.front();
  return fmt::format("{}, {} processors, {:.1f} GiB; {}", info.name, info.processors,
                     static_cast<double>(info.memory) / (1 << 30), view.module->versions);
}

step::DeviceKit& Kit(bool tf32) {
  // Never freed: drivers may be gone when static objects are destroyed.
  static std::array<step::DeviceKit*, 2> kits = {};
  step::DeviceKit*& kit = kits[tf32 ? 1 : 0];
  if (kit == nullptr) kit = launch::ViewGpus().module->open(launch::ViewGpus().devices.front().ordinal, tf32).release();
  return *kit;
}

std::unique_ptr<step::DeviceKit> OpenEmulatedKit() {
  const char* given = std::getenv("LOCKSTEP_EMULATED_LIBRARY");
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::string path = given ? given : (program.parent_path() / "liblockstep_cuda_emulated.so").string();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Error(ErrorKind::kUsage, dlerror(), path, "build lockstep_cuda_emulated");
  const auto entry = reinterpret_cast<launch::CudaModuleEntry>(dlsym(library, launch::kCudaModuleEntry));
  CHECK(entry != nullptr);
  return entry().open(0, /*tf32=*/false);
}

}  // namespace lockstep::gpu
