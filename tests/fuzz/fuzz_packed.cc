// Any bytes as a tar archive of pictures, and as an index: what is found lies in it, or Error(kData), and nothing else.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/files/memory_file.h"
#include "data/pictures/archive_index.h"
#include "data/pictures/stored_lists.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const lockstep::MemoryFile file(std::as_bytes(std::span(data, size)));
  try {
    const lockstep::data::ArchiveIndex index = lockstep::data::IndexArchive(file, {"x.tar", "data.train.packed.files"});
    CHECK(index.list.names.size() == index.offsets.size());
    for (size_t i = 0; i < index.offsets.size(); ++i)
      CHECK(index.offsets[i] <= size && index.sizes[i] <= size - index.offsets[i]);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  lockstep::data::StoredArchive stored;
  // The hash would keep all but the seeds out: what is parsed behind it is what is looked at.
  if (stored.ParseFromArray(data, static_cast<int>(size))) lockstep::data::RestoreList(stored.list());
  lockstep::data::ParseStored({reinterpret_cast<const char*>(data), size}, stored);
  return 0;
}
