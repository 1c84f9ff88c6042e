// Any bytes as a checkpoint of one shard: its state, or Error(kCheckpoint), and nothing else.
//
// The input is the length of the manifest (two bytes, little-endian), the manifest without its hash, and the file of
// the shard, which is there under the name of a shared file too. The hash is put behind the manifest here, else no
// changed manifest would get further than it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/shard_format.h"
#include "trainer/checkpoint/weights_hash.h"

namespace {

using lockstep::checkpoint::MemoryFileSystem;
using lockstep::checkpoint::Reader;

constexpr char kFolder[] = "checkpoints/step-00000005";

void Put(MemoryFileSystem& files, const std::string& name, std::string bytes) {
  files.Create(std::string(kFolder) + "/" + name);
  files.Bytes(std::string(kFolder) + "/" + name) = std::move(bytes);
}

template <typename Action>
void Try(Action&& action) {
  try {
    action();
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kCheckpoint) throw;
  }
}

void ReadEverything(const Reader& reader) {
  Try([&] { reader.Verify(); });
  std::vector<float> values(static_cast<size_t>(std::min<int64_t>(reader.manifest().arena_elements(), 1 << 16)));
  for (int array = 0; array < reader.manifest().arrays_size(); ++array) {
    Try([&] { reader.Read(array, 0, values); });
    Try([&] { reader.Read(array, reader.manifest().arena_elements() - 1, std::span(values).first(1)); });
    Try([&] { lockstep::checkpoint::WeightsHash(reader, array); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t split = std::min<size_t>(data[0] | data[1] << 8, bytes.size());
  std::string manifest = bytes.substr(0, split);
  const uint64_t hash = lockstep::Hash64(manifest);
  manifest += 0x79;
  for (int i = 0; i < 8; ++i) manifest.push_back(static_cast<char>(hash >> (8 * i)));

  MemoryFileSystem files;
  files.CreateFolders(kFolder);
  Put(files, lockstep::checkpoint::kManifestName, std::move(manifest));
  Put(files, lockstep::checkpoint::ShardName(0, 1), bytes.substr(split));
  Put(files, lockstep::checkpoint::ShardFileName{0, 1, 1}.ToString(), bytes.substr(split));
  Try([&] { ReadEverything(*Reader::Open(files, kFolder)); });
  return 0;
}
