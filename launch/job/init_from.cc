#include "launch/job/init_from.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "launch/job/read_weights.h"
#include "trainer/models/head.h"

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

/// "a", "b", "c" and 5 more: of many, the first few.
std::string Listed(std::vector<std::string> names) {
  constexpr size_t kNamed = 8;
  const size_t all = names.size();
  names.resize(std::min(all, kNamed));
  return fmt::format("{}{}", fmt::join(names, ", "), all > kNamed ? fmt::format(" and {} more", all - kNamed) : "");
}

/// The pattern that names all of them: "fc.*" of "fc.weight" and "fc.bias", or of several layers one each.
std::string PatternsOf(const std::vector<std::string>& names) {
  std::set<std::string> patterns;
  for (const std::string& name : names) {
    const size_t end = name.rfind('.');
    patterns.insert(end == name.npos ? name : name.substr(0, end) + ".*");
  }
  constexpr size_t kMost = 3;
  if (patterns.size() == 1) return fmt::format("init_except: \"{}\"", *patterns.begin());
  if (patterns.size() > kMost) return "init_except: PATTERN";
  return fmt::format("init_except: [\"{}\"]", fmt::join(patterns, "\", \""));
}

/// Fills a parameter arena with what was read.
class Filling {
 public:
  Filling(NamedWeightsOfPath weights, const Recipe& recipe)
      : weights_(std::move(weights)),
        where_("train.init_from: " + recipe.train().init_from()),
        except_(recipe.train().init_except().begin(), recipe.train().init_except().end()),
        new_head_(recipe.train().new_head()) {}

  /// Copies into the arena what `layout` has. The prefix that makes all names fit is found at the first call.
  void operator()(const graph::Graph& model, const engine::ParameterLayout& layout, float* arena) {
    head_ = models::FindHead(model);
    if (new_head_) RequireHead();
    TakeOffPrefix(layout);
    // First, since of another program's GPT-2 it says most: which field of the recipe is to be set.
    if (weights_.foreign_gpt) CheckNothingIsLost(layout);
    CheckAllIsThere(layout);
    for (const engine::ArenaEntry& entry : layout.entries()) {
      if (IsExcepted(entry.name)) continue;
      const NamedWeights& found = *Find(entry.name);
      std::copy(found.data.begin(), found.data.end(), arena + entry.offset);
    }
    CheckNothingIsLost(layout);
    if (new_head_)
      LogNote("{}: the last layer begins with random numbers: {}", where_, fmt::join(head_.parameters, ", "));
  }

 private:
  [[noreturn]] void Fail(const std::string& message, const std::string& hint) const {
    throw Error(ErrorKind::kUsage, message, where_, hint);
  }

  void RequireHead() const {
    if (head_.parameters.empty())
      throw Error(ErrorKind::kUsage, "the model's graph doesn't say which layer makes its answers", "train.new_head",
                  "name the layer's parameters instead: train.init_except");
    if (head_.shared)
      throw Error(ErrorKind::kUsage,
                  fmt::format("another layer shares the last one's parameters: {}", fmt::join(head_.parameters, ", ")),
                  "train.new_head", "let them be two (model.gpt.tied: false), or set train.init_except");
  }

  bool IsExcepted(const std::string& name) const {
    if (new_head_ && head_.parameters.contains(name)) return true;
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
    for (const std::string prefix : {"model.", "module.", "backbone.", "transformer.", "_orig_mod."}) {
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
      if (weights_.foreign_gpt && name == "lm_head.weight") {
        const NamedWeights* table = Find("wte.weight");
        if (table == nullptr || table->shape != tensor.shape || table->data != tensor.data)
          Fail("its \"lm_head.weight\" is another matrix than its \"wte.weight\"", "set model.gpt.tied: false");
      } else if (weights_.foreign_gpt && name.ends_with(".bias") &&
                 layout.Find(name.substr(0, name.size() - 4) + "weight") != nullptr) {
        if (std::any_of(tensor.data.begin(), tensor.data.end(), [](float value) { return value != 0; }))
          Fail(fmt::format("its \"{}\" is not zero, and the model has no biases", name), "set model.gpt.bias: true");
      } else {
        foreign.push_back(name);
      }
    }
    if (!foreign.empty()) ThrowForeign(foreign);
  }

  [[noreturn]] void ThrowForeign(const std::vector<std::string>& names) const {
    std::vector<std::string> tensors;
    for (const std::string& name : names)
      tensors.push_back(fmt::format("\"{}\" {}", name, Find(name)->shape.ToString()));
    Fail(fmt::format("the model has nothing for its {}", Listed(std::move(tensors))),
         fmt::format("give the model the same layers, or say what to leave out: train {{ {} }}", PatternsOf(names)));
  }

  /// Throws where the model needs what is not there, or has it in another shape: of either kind, all at once.
  void CheckAllIsThere(const engine::ParameterLayout& layout) const {
    std::vector<std::string> missing;
    std::vector<const engine::ArenaEntry*> others;
    for (const engine::ArenaEntry& entry : layout.entries()) {
      if (IsExcepted(entry.name)) continue;
      const NamedWeights* const found = Find(entry.name);
      if (found == nullptr) {
        missing.push_back(entry.name);
      } else if (found->shape != entry.shape) {
        others.push_back(&entry);
      }
    }
    if (!missing.empty()) ThrowMissing(missing);
    if (!others.empty()) ThrowOtherShapes(others);
  }

  /// Whether all of them are the last layer's, which can begin anew.
  bool AreHead(const std::vector<std::string>& names) const {
    return !head_.shared &&
           std::ranges::all_of(names, [&](const std::string& name) { return head_.parameters.contains(name); });
  }

  /// What the first of `names` is called where all are there with the same in front of them; empty: they are not.
  std::string FirstUnderOnePrefix(const std::vector<std::string>& names) const {
    for (const auto& [theirs, tensor] : weights_.tensors) {
      if (!theirs.ends_with("." + names.front())) continue;
      const std::string prefix = theirs.substr(0, theirs.size() - names.front().size());
      if (std::ranges::all_of(names, [&](const std::string& name) { return Find(prefix + name) != nullptr; }))
        return theirs;
    }
    return "";
  }

  [[noreturn]] void ThrowMissing(const std::vector<std::string>& names) const {
    std::string hint =
        fmt::format("lockstep inspect shows the tensors of a checkpoint; train {{ {} }} leaves them at random",
                    AreHead(names) ? "new_head: true" : PatternsOf(names));
    std::vector<std::string> quoted;
    for (const std::string& name : names) {
      quoted.push_back(fmt::format("\"{}\"", name));
      if (weights_.foreign_gpt && name == "lm_head.weight") hint = "set model.gpt.tied: true";
      if (weights_.foreign_gpt && name.ends_with(".bias")) hint = "set model.gpt.bias: false";
      if (const auto other = weights_.others.find(name); other != weights_.others.end())
        Fail(fmt::format("its \"{}\" is of type {}; Lockstep reads F32, F16, BF16 and F64", name, other->second),
             "write the weights as floats");
    }
    if (const std::string theirs = FirstUnderOnePrefix(names); !theirs.empty())
      hint = fmt::format("it has \"{}\": names must be the model's", theirs);
    Fail(fmt::format("has no tensor{} {} that the model needs", names.size() > 1 ? "s" : "", Listed(std::move(quoted))),
         hint);
  }

  [[noreturn]] void ThrowOtherShapes(const std::vector<const engine::ArenaEntry*>& entries) const {
    std::vector<std::string> names, shapes;
    for (const engine::ArenaEntry* entry : entries) {
      const Shape& theirs = Find(entry->name)->shape;
      if (entry->name == "wpe.weight" && theirs.rank() == 2 && theirs.dim(1) == entry->shape.dim(1))
        Fail(fmt::format("its \"wpe.weight\" knows {} positions, the model {}", theirs.dim(0), entry->shape.dim(0)),
             fmt::format("set model.gpt.context: {0}, and data.block to at most {0}", theirs.dim(0)));
      names.push_back(entry->name);
      shapes.push_back(
          fmt::format("\"{}\" is {}, the model's {}", entry->name, theirs.ToString(), entry->shape.ToString()));
    }
    std::string hint = fmt::format("give the model the same shape, or leave these at random: train {{ {} }}",
                                   AreHead(names) ? "new_head: true" : PatternsOf(names));
    if (std::ranges::find(names, "wte.weight") != names.end())
      hint = "use the tokenizer that the weights were trained with, or " + hint;
    Fail("its " + Listed(std::move(shapes)), hint);
  }

  NamedWeightsOfPath weights_;
  std::string where_;
  std::vector<std::string> except_;
  bool new_head_;
  models::Head head_;
};

}  // namespace

plan::InitialWeights ResolveInitFrom(Recipe& recipe) {
  const std::string path = recipe.train().init_from();
  if (path.empty() && recipe.train().new_head())
    throw Error(ErrorKind::kUsage, "there are no weights that the other layers begin with", "train.new_head",
                "set train.init_from, or remove it");
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
  return [filling](const graph::Graph& model, const engine::ParameterLayout& layout, float* arena) {
    (*filling)(model, layout, arena);
  };
}

}  // namespace lockstep::launch
