#include "tests/trainer/checkpoint/small_run.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "base/hash.h"

namespace lockstep::checkpoint {

SmallRun::SmallRun(int array_count, int64_t size, uint64_t from) : elements(size), seed(from) {
  for (int array = 0; array < array_count; ++array) {
    std::vector<float>& values = arrays.emplace_back(static_cast<size_t>(size));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i) + 0.25f * static_cast<float>(array) + static_cast<float>(seed) * 0x1p20f;
  }
}

std::vector<std::vector<OwnedRange>> SmallRun::Cut(int ranks, int64_t grain) const {
  std::vector<std::vector<OwnedRange>> owned(static_cast<size_t>(ranks));
  std::mt19937_64 random(seed + static_cast<uint64_t>(ranks));
  std::set<int64_t> edges = {0, elements};
  for (int i = 0; i < 3 * ranks; ++i) {
    const int64_t edge = static_cast<int64_t>(random() % static_cast<uint64_t>(elements / grain + 1)) * grain;
    edges.insert(std::min(edge, elements));
  }
  for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
    const size_t rank = random() % static_cast<uint64_t>(ranks);
    const auto begin = static_cast<size_t>(*edge), size = static_cast<size_t>(*std::next(edge) - *edge);
    for (size_t array = 0; array < arrays.size(); ++array)
      owned[rank].push_back({static_cast<uint32_t>(array), *edge, std::span(arrays[array]).subspan(begin, size)});
  }
  return owned;
}

Manifest SmallRun::Describe(uint64_t step, uint32_t attempt, uint32_t ranks) const {
  Manifest manifest;
  manifest.set_step(step);
  manifest.set_attempt(attempt);
  manifest.set_world_size(ranks);
  manifest.set_lockstep_version("0.1.0");
  manifest.set_arena_elements(elements);
  for (size_t array = 0; array < arrays.size(); ++array)
    manifest.add_arrays(array == 0 ? "weights" : "state" + std::to_string(array));
  const auto add = [&](const char* name, std::vector<int64_t> shape, int64_t offset, int64_t size, bool statistic) {
    if (offset + size > elements) return;
    Tensor* tensor = manifest.add_tensors();
    tensor->set_name(name);
    for (const int64_t dim : shape) tensor->add_shape(dim);
    tensor->set_offset(offset);
    tensor->set_statistic(statistic);
  };
  add("a.weight", {2, 2}, 0, 4, false);
  add("b.weight", {4}, 4, 4, false);
  add("b.mean", {2}, 8, 2, true);
  LoopState* loop = manifest.mutable_loop();
  loop->set_updates_applied(step);
  loop->set_ledger("ledger of " + std::to_string(step));
  Evaluation* evaluation = loop->add_evaluations();
  evaluation->set_split("test");
  evaluation->set_step(step);
  evaluation->set_loss(0.5);
  (*evaluation->mutable_metrics())["accuracy"] = 0.75;
  (*evaluation->mutable_metrics())["top5"] = 0.875;
  return manifest;
}

std::string SmallRun::Write(FileSystem& files, const std::string& checkpoints, uint64_t step, uint32_t attempt,
                            int ranks, int64_t grain, uint32_t shared) const {
  const std::string folder = checkpoints + "/" + FolderName(step);
  Manifest manifest = Describe(step, attempt, static_cast<uint32_t>(ranks));
  const auto owned = Cut(ranks, grain);
  std::vector<uint64_t> bytes;
  for (const auto& ranges : owned) {
    std::vector<int64_t> sizes;
    for (const OwnedRange& range : ranges) sizes.push_back(static_cast<int64_t>(range.data.size()));
    bytes.push_back(ShardBytes(sizes));
  }
  const std::vector<ShardPlace> places = PlaceShards(bytes, shared);
  std::vector<ShardFile> written(owned.size());
  for (size_t i = 0; i < owned.size(); ++i) {
    // Shared files may be written in any order: from their end.
    const size_t rank = shared == 0 ? i : owned.size() - 1 - i;
    written[rank] = WriteShard(files, folder, static_cast<uint32_t>(rank), attempt, "host" + std::to_string(rank),
                               owned[rank], places[rank]);
  }
  for (const ShardFile& file : written)
    if (shared == 0 || file.chunks_size() > 0) *manifest.add_files() = file;
  CommitManifest(files, folder, manifest);
  return folder;
}

std::string ScratchFolder(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("lockstep-" + name + "-" + std::to_string(getpid()))).string();
}

std::vector<float> ReadArray(const Reader& reader, int array) {
  std::vector<float> values(static_cast<size_t>(reader.manifest().arena_elements()));
  reader.Read(array, 0, values);
  return values;
}

std::string Seal(Manifest manifest) {
  manifest.clear_self_hash();
  const uint64_t hash = Hash64(manifest.SerializeAsString());
  manifest.set_self_hash(hash);
  return manifest.SerializeAsString();
}

}  // namespace lockstep::checkpoint
