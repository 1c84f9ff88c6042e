#include "launch/job/init_from.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "launch/job/read_weights.h"

namespace lockstep::launch {
namespace {

uint64_t HashOf(const std::map<std::string, NamedWeights>& weights) {
  Hasher hasher;
  for (const auto& [name, tensor] : weights) {
    hasher.Add(name);
    hasher.Add(std::as_bytes(std::span(tensor.data)));
  }
  return hasher.Digest();
}

/// Fills a parameter arena with what was read.
class Filling {
 public:
  Filling(NamedWeightsOfPath weights, const Recipe& recipe)
      : weights_(std::move(weights)),
        where_("train.init_from: " + recipe.train().init_from()),
        except_(recipe.train().init_except().begin(), recipe.train().init_except().end()) {}

  /// Copies into the arena what `layout` has. The prefix that makes all names fit is found at the first call.
  void operator()(const engine::ParameterLayout& layout, float* arena) {
    TakeOffPrefix(layout);
    // First, since of another program's GPT-2 it says most: which field of the recipe is to be set.
    if (weights_.foreign_gpt) CheckNothingIsLost(layout);
    for (const engine::ArenaEntry& entry : layout.entries()) {
      if (IsExcepted(entry.name)) continue;
      const NamedWeights* found = Find(entry.name);
      if (found == nullptr) ThrowMissing(entry.name);
      if (found->shape != entry.shape) ThrowOtherShape(entry, found->shape);
      std::copy(found->data.begin(), found->data.end(), arena + entry.offset);
    }
    CheckNothingIsLost(layout);
  }

 private:
  bool IsExcepted(const std::string& name) const {
    return std::any_of(except_.begin(), except_.end(),
                       [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
  }

  const NamedWeights* Find(const std::string& name) const {
    const auto found = weights_.tensors.find(name);
    return found == weights_.tensors.end() ? nullptr : &found->second;
  }

  bool HasAll(const engine::ParameterLayout& layout) const {
    return std::all_of(layout.entries().begin(), layout.entries().end(), [&](const engine::ArenaEntry& entry) {
      return IsExcepted(entry.name) || Find(entry.name) != nullptr;
    });
  }

  /// What trainers put in front of a model's names goes where the model then finds all that it needs.
  void TakeOffPrefix(const engine::ParameterLayout& layout) {
    if (HasAll(layout)) return;
    for (const std::string prefix : {"model.", "module.", "transformer.", "_orig_mod."}) {
      const auto without = [&](const std::string& name) {
        return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
      };
      std::set<std::string> names;
      for (const auto& [name, tensor] : weights_.tensors) names.insert(without(name));
      const bool fits = std::all_of(layout.entries().begin(), layout.entries().end(), [&](const auto& entry) {
        return IsExcepted(entry.name) || names.contains(entry.name);
      });
      if (!fits || names.size() < weights_.tensors.size()) continue;  // of two with one name one would be lost
      std::map<std::string, NamedWeights> renamed;
      for (auto& [name, tensor] : weights_.tensors) renamed.emplace(without(name), std::move(tensor));
      weights_.tensors = std::move(renamed);
      LogNote("{}: \"{}\" in front of names is taken off", where_, prefix);
      return;
    }
  }

  void CheckNothingIsLost(const engine::ParameterLayout& layout) const {
    std::vector<std::string> foreign;
    for (const auto& [name, tensor] : weights_.tensors) {
      if (layout.Find(name) != nullptr || IsExcepted(name)) continue;
      const auto fail = [&](const std::string& message, const std::string& hint) {
        throw Error(ErrorKind::kUsage, message, where_, hint);
      };
      if (weights_.foreign_gpt && name == "lm_head.weight") {
        const NamedWeights* table = Find("wte.weight");
        if (table == nullptr || table->shape != tensor.shape || table->data != tensor.data)
          fail("its \"lm_head.weight\" is another matrix than its \"wte.weight\"", "set model.gpt.tied: false");
      } else if (weights_.foreign_gpt && name.ends_with(".bias") &&
                 layout.Find(name.substr(0, name.size() - 4) + "weight") != nullptr) {
        if (std::any_of(tensor.data.begin(), tensor.data.end(), [](float value) { return value != 0; }))
          fail(fmt::format("its \"{}\" is not zero, and the model has no biases", name), "set model.gpt.bias: true");
      } else {
        foreign.push_back(fmt::format("\"{}\" {}", name, tensor.shape.ToString()));
      }
    }
    if (!foreign.empty()) ThrowForeign(foreign);
  }

  [[noreturn]] void ThrowForeign(std::vector<std::string> tensors) const {
    constexpr size_t kNamed = 4;
    const size_t all = tensors.size();
    tensors.resize(std::min(all, kNamed));
    throw Error(ErrorKind::kUsage,
                fmt::format("the model has nothing for its {}{}", fmt::join(tensors, ", "),
                            all > kNamed ? fmt::format(" and {} more tensors", all - kNamed) : ""),
                where_,
                "give the model the same layers, or say what to leave out, with a pattern: train.init_except: \"" +
                    tensors.front().substr(1, tensors.front().find('"', 1) - 1) + "\"");
  }

  [[noreturn]] void ThrowMissing(const std::string& name) const {
    std::string hint =
        "lockstep inspect shows the tensors of a checkpoint; train.init_except: PATTERN leaves parameters at random";
    if (weights_.foreign_gpt && name == "lm_head.weight") hint = "set model.gpt.tied: true";
    if (weights_.foreign_gpt && name.ends_with(".bias")) hint = "set model.gpt.bias: false";
    for (const auto& [theirs, tensor] : weights_.tensors)
      if (theirs.ends_with("." + name)) hint = fmt::format("it has \"{}\": names must be the model's", theirs);
    if (const auto other = weights_.others.find(name); other != weights_.others.end())
      throw Error(ErrorKind::kUsage,
                  fmt::format("its \"{}\" is of type {}; Lockstep reads F32, F16, BF16 and F64", name, other->second),
                  where_, "write the weights as floats");
    throw Error(ErrorKind::kUsage, fmt::format("has no tensor \"{}\" that the model needs", name), where_, hint);
  }

  [[noreturn]] void ThrowOtherShape(const engine::ArenaEntry& entry, const Shape& theirs) const {
    if (entry.name == "wpe.weight" && theirs.rank() == 2 && theirs.dim(1) == entry.shape.dim(1)) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("its \"wpe.weight\" knows {} positions, the model {}", theirs.dim(0), entry.shape.dim(0)),
                  where_, fmt::format("set model.gpt.context: {0}, and data.block to at most {0}", theirs.dim(0)));
    }
    std::string hint =
        "give the model the same shape, or leave this parameter at random: train.init_except: \"" + entry.name + "\"";
    if (entry.name == "wte.weight") hint = "use the tokenizer that the weights were trained with, or " + hint;
    throw Error(ErrorKind::kUsage,
                fmt::format("its \"{}\" is {}, the model's {}", entry.name, theirs.ToString(), entry.shape.ToString()),
                where_, hint);
  }

  NamedWeightsOfPath weights_;
  std::string where_;
  std::vector<std::string> except_;
};

}  // namespace

plan::InitialWeights ResolveInitFrom(Recipe& recipe) {
  const std::string path = recipe.train().init_from();
  if (path.empty()) return nullptr;
  if (!FileSystem::Real().Exists(path)) {
    throw Error(ErrorKind::kUsage, "does not exist", "train.init_from: " + path,
                "give a checkpoint, a run's folder, a .safetensors file or a folder with model.safetensors");
  }
  NamedWeightsOfPath weights = ReadWeights(path, recipe.model());
  const std::string hash = HashText(HashOf(weights.tensors));
  if (!recipe.train().init_from_hash().empty() && recipe.train().init_from_hash() != hash) {
    throw Error(ErrorKind::kUsage,
                fmt::format("holds other weights ({}) than the recipe was resolved with ({})", hash,
                            recipe.train().init_from_hash()),
                "train.init_from: " + path, "use another --out, or --fresh");
  }
  recipe.mutable_train()->set_init_from_hash(hash);
  // The weights are shared because a std::function is copied with all that it holds.
  const auto filling = std::make_shared<Filling>(std::move(weights), recipe);
  return [filling](const engine::ParameterLayout& layout, float* arena) { (*filling)(layout, arena); };
}

}  // namespace lockstep::launch
