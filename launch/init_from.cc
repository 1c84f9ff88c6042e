#include "launch/init_from.h"

#include <fnmatch.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"

namespace lockstep::launch {
namespace {

struct NamedWeights {
  Shape shape;
  std::vector<float> data;
};
using WeightMap = std::map<std::string, NamedWeights>;

WeightMap ReadSafetensors(const std::string& path) {
  WeightMap weights;
  checkpoint::SafetensorsFile file(FileSystem::Real(), path);
  for (const auto& entry : file.entries()) {
    NamedWeights& tensor = weights[entry.name];
    tensor.shape = entry.shape;
    tensor.data.resize(static_cast<size_t>(entry.shape.size()));
    file.Read(entry, tensor.data);
  }
  return weights;
}

WeightMap ReadCheckpoint(const std::string& path) {
  WeightMap weights;
  const auto reader = checkpoint::OpenPath(FileSystem::Real(), path);
  const int array = reader->EvaluatedArray();
  for (const checkpoint::Tensor& entry : reader->manifest().tensors()) {
    NamedWeights& tensor = weights[entry.name()];
    tensor.shape = Shape(std::span<const int64_t>(entry.shape().data(), static_cast<size_t>(entry.shape_size())));
    tensor.data.resize(static_cast<size_t>(tensor.shape.size()));
    reader->Read(array, entry.offset(), tensor.data);
  }
  return weights;
}

uint64_t HashOf(const WeightMap& weights) {
  Hasher hasher;
  for (const auto& [name, tensor] : weights) {
    hasher.Add(name);
    hasher.Add(std::as_bytes(std::span(tensor.data)));
  }
  return hasher.Digest();
}

}  // namespace

loop::InitialWeights ResolveInitFrom(Recipe& recipe) {
  const std::string path = recipe.train().init_from();
  if (path.empty()) return nullptr;
  if (!FileSystem::Real().Exists(path))
    throw Error(ErrorKind::kUsage, "does not exist", "train.init_from: " + path, "give a checkpoint, a run's folder or a .safetensors file");
  auto weights = std::make_shared<WeightMap>(path.ends_with(".safetensors") ? ReadSafetensors(path) : ReadCheckpoint(path));
  const std::string hash = HashText(HashOf(*weights));
  if (!recipe.train().init_from_hash().empty() && recipe.train().init_from_hash() != hash)
    throw Error(ErrorKind::kUsage, fmt::format("holds other weights ({}) than the recipe was resolved with ({})", hash, recipe.train().init_from_hash()),
                "train.init_from: " + path, "use another --out, or --fresh");
  recipe.mutable_train()->set_init_from_hash(hash);
  const std::vector<std::string> except(recipe.train().init_except().begin(), recipe.train().init_except().end());
  return [weights, path, except](const engine::ParameterLayout& layout, float* arena) {
    const auto is_excepted = [&](const std::string& name) {
      return std::any_of(except.begin(), except.end(), [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
    };
    for (const engine::ArenaEntry& entry : layout.entries()) {
      if (is_excepted(entry.name)) continue;
      const auto found = weights->find(entry.name);
      if (found == weights->end())
        throw Error(ErrorKind::kUsage, fmt::format("has no tensor \"{}\" that the model needs", entry.name), "train.init_from: " + path,
                    "lockstep inspect shows the tensors of a checkpoint; train.init_except: PATTERN leaves parameters at random");
      if (found->second.shape != entry.shape)
        throw Error(ErrorKind::kUsage, fmt::format("its \"{}\" is {}, the model's {}", entry.name, found->second.shape.ToString(), entry.shape.ToString()),
                    "train.init_from: " + path, "give the model the same shape, or leave this parameter at random: train.init_except: \"" + entry.name + "\"");
      std::copy(found->second.data.begin(), found->second.data.end(), arena + entry.offset);
    }
  };
}

}  // namespace lockstep::launch
