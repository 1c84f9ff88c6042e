#include "data/open/open_arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "data/formats/load_array.h"

namespace lockstep::data {
namespace {

using Role = FieldArray::Role;

/// Names that fields of batches have already, of whatever format.
constexpr std::string_view kTaken[] = {"label",    "target", "weight", "other_label",  "other_weight", "mask",
                                       "filled",   "inside", "tokens", "source",       "categories",   "encoded",
                                       "pictures", "audio",  "length", "label_length", "source_length"};

bool IsInput(const std::string& name) { return name == "image" || name == "features"; }

Error BadUse(std::string message, std::string field, std::string hint) {
  return {ErrorKind::kUsage, std::move(message), std::move(field), std::move(hint)};
}

void CheckName(const std::string& name, const std::string& path, std::set<std::string>& names) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  if (name.empty()) throw BadUse("is missing", path + ".name", "name it as the model does");
  if (!std::all_of(name.begin(), name.end(), is_letter))
    throw BadUse(fmt::format("\"{}\" is no name", name), path + ".name", "letters, digits, \"_\", \".\" and \"-\"");
  if (std::ranges::find(kTaken, name) != std::end(kTaken))
    throw BadUse(fmt::format("\"{}\" is the name of something else", name), path + ".name", "give it another name");
  if (!names.insert(name).second)
    throw BadUse(fmt::format("\"{}\" is there twice", name), path + ".name", "give each its own name");
}

class ArrayOpener {
 public:
  ArrayOpener(const Arrays& config, std::string field) : config_(config), field_(std::move(field)) {}

  ArraySet Open() {
    if (!config_.labels().empty() && !config_.targets().empty())
      throw BadUse("there are targets as well", field_ + ".labels", "samples have labels or targets: remove one");
    if (config_.inputs().empty() && config_.field_size() == 0)
      throw BadUse("the file is not named", field_ + ".inputs", "set it in the recipe, or field");
    if (!config_.inputs().empty()) set_.inputs = loader_.Load({config_.inputs(), field_ + ".inputs"});
    for (int i = 0; i < config_.field_size(); ++i) AddField(config_.field(i), Path("field", i));
    if (!config_.labels().empty()) set_.labels = loader_.Load({config_.labels(), field_ + ".labels"});
    if (!config_.targets().empty()) set_.targets = loader_.Load({config_.targets(), field_ + ".targets"});
    for (int i = 0; i < config_.target_size(); ++i) {
      const ArrayTarget& target = config_.target(i);
      Add(target, Role::kTarget, Path("target", i)).scale = ScaleOf(target, Path("target", i));
    }
    for (int i = 0; i < config_.label_size(); ++i)
      Add(config_.label(i), Role::kLabel, Path("label", i)).classes = static_cast<int>(config_.label(i).classes());
    return std::move(set_);
  }

 private:
  std::string Path(const char* kind, int i) const { return fmt::format("{}.{}[{}]", field_, kind, i); }

  template <typename Message>
  static float ScaleOf(const Message& message, const std::string& path) {
    if (!message.has_scale()) return 1;
    if (std::isfinite(message.scale()) && message.scale() != 0) return message.scale();
    throw BadUse(fmt::format("{} would leave nothing of the numbers", message.scale()), path + ".scale",
                 "a number that is not 0");
  }

  /// FILE, or FILE.npz with `array`.
  template <typename Message>
  NamedArray Load(const Message& message, const std::string& path) {
    if (message.file().empty()) throw BadUse("the file is not named", path + ".file", "set it in the recipe");
    if (message.array().empty()) return loader_.Load({message.file(), path + ".file"});
    if (!message.file().ends_with(".npz"))
      throw BadUse(fmt::format("{} is no .npz, which alone has several arrays", message.file()), path + ".array",
                   "remove it, or name an .npz");
    return loader_.Load({message.file() + ":" + message.array(), path + ".file"});
  }

  template <typename Message>
  FieldArray& Add(const Message& message, Role role, const std::string& path) {
    if (IsInput(message.name()))
      throw BadUse(fmt::format("\"{}\" is the name of an input", message.name()), path + ".name",
                   "give it another name");
    CheckName(message.name(), path, names_);
    return set_.fields.emplace_back(FieldArray{.name = message.name(), .role = role, .array = Load(message, path)});
  }

  void AddField(const ArrayField& field, const std::string& path) {
    if (IsInput(field.name())) return AddInput(field, path);
    if (field.ids() && field.has_scale())
      throw BadUse("ids are looked up, and not multiplied", path + ".scale", "remove it, or ids");
    if (!field.ids() && field.classes() > 0)
      throw BadUse("it says how many ids there are, and these are numbers", path + ".classes", "remove it, or set ids");
    FieldArray& added = Add(field, field.ids() ? Role::kIds : Role::kNumbers, path);
    added.scale = ScaleOf(field, path);
    added.classes = static_cast<int>(field.classes());
  }

  /// What `inputs` would be.
  void AddInput(const ArrayField& field, const std::string& path) {
    if (set_.inputs)
      throw BadUse(
          fmt::format("there is an input beside it, \"{}\" as well as {}", field.name(), set_.inputs->origin.field),
          path, "remove one, or give this one another name");
    if (field.has_scale() || field.ids() || field.classes() > 0)
      throw BadUse(fmt::format("\"{}\" is normalised, not scaled or looked up", field.name()), path,
                   "set data.normalize, or give it another name");
    CheckName(field.name(), path, names_);
    set_.inputs = Load(field, path);
    const size_t rank = set_.inputs->array.header.shape.size();
    const bool image = field.name() == "image";
    if (image ? rank == 3 || rank == 4 : rank == 2) return;
    throw set_.inputs->origin.Bad(
        fmt::format("\"{}\" has shape {}", field.name(), ShapeText(set_.inputs->array.header)),
        fmt::format("it is {}; other arrays need another name",
                    image ? "[n, height, width] or [n, height, width, channels]" : "[n, features]"));
  }

  const Arrays& config_;
  const std::string field_;
  ArrayLoader loader_;
  std::set<std::string> names_;
  ArraySet set_;
};

}  // namespace

Records OpenArrays(const Arrays& config, const std::string& field, const ArrayOptions& options) {
  return ReadArrays(ArrayOpener(config, field).Open(), options);
}

}  // namespace lockstep::data
