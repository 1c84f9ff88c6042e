#include "launch/answers/array_inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "data/formats/load_array.h"
#include "data/open/open_arrays.h"

namespace lockstep::launch {
namespace {

/// What a model that was imported, and has met no data, declares of its inputs.
data::Arrays DeclaredInputs(const models::DataShape& shape) {
  data::Arrays arrays;
  if (std::ranges::find(shape.fields, shape.input, &models::DataField::name) == shape.fields.end())
    arrays.add_field()->set_name(shape.input);
  for (const models::DataField& field : shape.fields) {
    data::ArrayField& added = *arrays.add_field();
    added.set_name(field.name);
    added.set_ids(field.dtype == DType::kI32);
    added.set_classes(static_cast<uint32_t>(field.classes));
  }
  return arrays;
}

/// The inputs' part of what the run was trained on, without files.
data::Arrays InputsOf(const TrainedRun& run) {
  if (!run.recipe.data().has_train()) return DeclaredInputs(run.shape);
  data::Arrays arrays = run.recipe.data().train().arrays();
  arrays.clear_labels();
  arrays.clear_targets();
  arrays.clear_label();
  arrays.clear_target();
  for (data::ArrayField& field : *arrays.mutable_field()) field.clear_array();
  return arrays;
}

/// In the recipe's order.
std::vector<std::string> NamesOf(const TrainedRun& run, const data::Arrays& arrays) {
  std::vector<std::string> names;
  if (!arrays.inputs().empty()) names.push_back(run.shape.input);
  for (const data::ArrayField& field : arrays.field()) names.push_back(field.name());
  return names;
}

void SetFile(const std::string& name, const std::string& path, data::Arrays& arrays) {
  for (data::ArrayField& field : *arrays.mutable_field())
    if (field.name() == name) return field.set_file(path);
  arrays.set_inputs(path);
}

std::string FieldText(const std::string& name, const Shape& shape, bool bytes) {
  return fmt::format("{} {}{}", name, shape.ToString(), bytes ? " of bytes" : "");
}

/// Throws where the samples are no such as the run was trained on.
void RequireForm(const TrainedRun& run, const data::Dataset& rows, const std::string& path) {
  const bool bytes = run.recipe.data().sample().bytes();
  for (const data::Field& field : rows.fields()) {
    const bool named = field.use != data::Field::Use::kFormats, of_bytes = field.dtype == DType::kU8;
    // Families' inputs are called by their shape, and a file may have another one.
    const models::DataField known = run.shape.Find(named ? field.name : run.shape.input).value();
    if (known.classes > 0 && field.classes > known.classes)
      throw Error(ErrorKind::kData,
                  fmt::format("its \"{}\" goes up to {}, that of the training data up to {}", field.name,
                              field.classes - 1, known.classes - 1),
                  path, "give arrays as they were trained on");
    if (field.name == known.name && field.shape == known.shape && (named || of_bytes == bytes)) continue;
    throw Error(ErrorKind::kData,
                fmt::format("its samples are {}, those of the training data are {}",
                            FieldText(field.name, field.shape, of_bytes && !named),
                            FieldText(known.name, known.shape, bytes && !named)),
                path, "give arrays as they were trained on");
  }
}

std::unique_ptr<const data::MemoryDataset> Open(const TrainedRun& run, const data::Arrays& arrays,
                                                const std::string& path) {
  auto rows =
      std::make_unique<const data::MemoryDataset>(data::OpenArrays(arrays, "INPUT", {}), data::FingerprintOptions{});
  RequireForm(run, *rows, path);
  return rows;
}

/// The file of each input, where all inputs are NAME=FILE; else nothing.
std::map<std::string, std::string> NamedFiles(std::span<const std::string> inputs,
                                              const std::vector<std::string>& names) {
  std::map<std::string, std::string> files;
  for (const std::string& input : inputs) {
    const size_t end = input.find('=');
    if (end == input.npos || std::ranges::find(names, input.substr(0, end)) == names.end()) continue;
    if (!files.emplace(input.substr(0, end), input.substr(end + 1)).second)
      throw Error(ErrorKind::kUsage, fmt::format("\"{}\" is given twice", input.substr(0, end)), input,
                  "give each input once");
  }
  return files;
}

}  // namespace

bool IsArrayPath(const std::string& path) {
  return path.ends_with(".npy") || path.ends_with(".npz") || data::ArrayNameBegin(path) != path.npos;
}

std::vector<std::unique_ptr<const data::MemoryDataset>> OpenArrayInputs(const TrainedRun& run,
                                                                        std::span<const std::string> inputs) {
  data::Arrays arrays = InputsOf(run);
  const std::vector<std::string> names = NamesOf(run, arrays);
  const std::map<std::string, std::string> files = NamedFiles(inputs, names);
  std::vector<std::unique_ptr<const data::MemoryDataset>> samples;
  if (files.empty() && names.size() == 1) {
    for (const std::string& path : inputs) {
      SetFile(names.front(), path, arrays);
      samples.push_back(Open(run, arrays, path));
    }
    return samples;
  }
  if (files.size() != names.size() || files.size() != inputs.size()) {
    std::string usage;
    for (const std::string& name : names) usage += fmt::format(" {}=FILE", name);
    throw Error(ErrorKind::kUsage, fmt::format("the model's inputs are {}", fmt::join(names, ", ")), "INPUT",
                "give" + usage);
  }
  for (const auto& [name, path] : files) SetFile(name, path, arrays);
  samples.push_back(Open(run, arrays, fmt::format("{}", fmt::join(inputs, " "))));
  return samples;
}

}  // namespace lockstep::launch
