#include "launch/job/module_file.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace lockstep::launch {
namespace {

/// Where the library is; its name alone where it is in none of its places. Then the loader looks where the program was
/// built, so that a copy of it finds the library too.
std::string PlaceOf(const ModuleFile& file) {
  if (file.variable != nullptr)
    if (const char* given = std::getenv(file.variable)) return given;
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const std::filesystem::path& place : {folder / file.file, folder / "../lib/lockstep" / file.file})
    if (std::filesystem::exists(place, ignored)) return place.lexically_normal().string();
  return file.file;
}

}  // namespace

void* OpenModule(const ModuleFile& file, std::string& why) {
  const std::string place = PlaceOf(file);
  void* const library = dlopen(place.c_str(), RTLD_NOW | (file.global ? RTLD_GLOBAL : RTLD_LOCAL));
  void* const entry = library == nullptr ? nullptr : dlsym(library, file.entry);
  if (entry != nullptr) return entry;
  why = fmt::format("the library with {} can't be loaded: {}", file.what, dlerror());
  std::error_code ignored;
  if (library == nullptr && !std::filesystem::exists(place, ignored))
    why =
        fmt::format("the library with {}, {}, is missing{}: {}", file.what, place,
                    place == file.file ? " beside the program and in ../lib/lockstep" : "",
                    file.option == nullptr ? "install it with the program" : fmt::format("build with {}", file.option));
  return nullptr;
}

}  // namespace lockstep::launch
