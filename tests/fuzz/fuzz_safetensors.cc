// Any bytes as a safetensors file: its tensors, or Error(kCheckpoint), and nothing else.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "trainer/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lockstep::checkpoint::MemoryFileSystem files;
  files.CreateFolders("folder");
  files.Create("folder/m.safetensors");
  files.Bytes("folder/m.safetensors").assign(reinterpret_cast<const char*>(data), size);
  try {
    const lockstep::checkpoint::SafetensorsFile file(files, "folder/m.safetensors");
    for (const auto& entry : file.entries()) {
      // A type of unknown width may have any shape: its size says nothing about the file's.
      if (entry.shape.size() > int64_t{1} << 20) continue;
      std::vector<float> values(static_cast<size_t>(entry.shape.size()));
      file.Read(entry, values);
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kCheckpoint) throw;
  }
  return 0;
}
