#include "data/formats/arrays.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log.h"
#include "data/table/broken_rows.h"
#include "data/table/table_labels.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

std::string ShapeText(const NpyHeader& header) { return fmt::format("({})", fmt::join(header.shape, ", ")); }

float FromHalf(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const auto fraction = static_cast<float>(half & 1023);
  const float size = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                     : exponent == 0 ? std::ldexp(fraction, -24)
                                     : std::ldexp(fraction + 1024, exponent - 25);
  return (half & 0x8000) != 0 ? -size : size;
}

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// The integer or boolean at `from`; those of u8 that i64 does not hold are negative.
int64_t LoadInteger(const std::byte* from, const NpyHeader& header) {
  const bool is_signed = header.kind == 'i';
  switch (header.width) {
    case 1:
      if (header.kind == 'b') return Load<uint8_t>(from) != 0;
      return is_signed ? Load<int8_t>(from) : Load<uint8_t>(from);
    case 2:
      return is_signed ? Load<int16_t>(from) : Load<uint16_t>(from);
    case 4:
      return is_signed ? int64_t{Load<int32_t>(from)} : int64_t{Load<uint32_t>(from)};
    default:
      return Load<int64_t>(from);
  }
}

float LoadNumber(const std::byte* from, const NpyHeader& header) {
  if (header.kind == 'f') {
    if (header.width == 8) return static_cast<float>(Load<double>(from));
    return header.width == 4 ? Load<float>(from) : FromHalf(Load<uint16_t>(from));
  }
  if (header.kind == 'u' && header.width == 8) return static_cast<float>(Load<uint64_t>(from));
  return static_cast<float>(LoadInteger(from, header));
}

/// The element as Python prints it, for messages.
std::string NumberText(const std::byte* from, const NpyHeader& header) {
  if (header.kind == 'f' && header.width == 8) return fmt::format("{}", Load<double>(from));
  return header.kind == 'f' ? fmt::format("{}", LoadNumber(from, header))
                            : fmt::format("{}", LoadInteger(from, header));
}

bool IsNumber(const NpyHeader& header) { return header.kind != 'U' && header.kind != 'S'; }

class ArrayReader {
 public:
  ArrayReader(NamedArray inputs, const NamedArray* labels, const NamedArray* targets, const ArrayOptions& options)
      : inputs_(std::move(inputs)), labels_(labels), targets_(targets), options_(options) {}

  Records Read() {
    CheckInputs();
    kept_.assign(static_cast<size_t>(samples_), 1);
    std::vector<Column> columns = {ReadInputs()};
    Records records{.format = "arrays 1"};
    if (targets_ != nullptr) columns.push_back(ReadTargets());
    if (labels_ != nullptr) columns.push_back(ReadLabels(records));
    broken_.ThrowIfAny();
    records.size = static_cast<uint64_t>(std::count(kept_.begin(), kept_.end(), 1));
    if (records.size == 0) throw inputs_.origin.Bad("there are no samples in it");
    for (Column& column : columns) records.columns.push_back(Keep(std::move(column)));
    return records;
  }

 private:
  const NpyHeader& header() const { return inputs_.array.header; }

  void CheckInputs() {
    const std::vector<int64_t>& shape = header().shape;
    const Origin& origin = inputs_.origin;
    if (shape.size() < 2 || shape.size() > 4)
      throw origin.Bad(fmt::format("inputs have shape {}", ShapeText(header())),
                       "samples are rows: [n, features], [n, height, width] or [n, height, width, channels]; reshape "
                       "it before it is saved");
    if (!IsNumber(header()))
      throw origin.Bad("inputs are words, and no numbers", "write a table of them as CSV: columns may be categorical");
    if (std::any_of(shape.begin(), shape.end(), [](int64_t dim) { return dim == 0; }))
      throw origin.Bad(fmt::format("there is nothing in it: its shape is {}", ShapeText(header())));
    if (std::any_of(shape.begin() + 1, shape.end(), [](int64_t dim) { return dim > (1 << 24); }))
      throw origin.Bad(fmt::format("its shape is {}, and no sample is so large", ShapeText(header())));
    if (shape.size() == 4 && (shape[1] == 1 || shape[1] == 3) && shape[3] > 4)
      LogWarning(
          "{}: its shape {} looks like channels first, but images are read as [n, height, width, channels]: "
          "array.transpose(0, 2, 3, 1)",
          origin.path, ShapeText(header()));
    samples_ = shape[0];
  }

  void RequireSamples(const NamedArray& array, const char* what, size_t most_rank) const {
    const std::vector<int64_t>& shape = array.array.header.shape;
    if (shape.empty() || shape.size() > most_rank || (most_rank == 2 && shape.size() == 2 && shape[1] == 0))
      throw array.origin.Bad(
          fmt::format("{} have shape {}", what, ShapeText(array.array.header)),
          most_rank == 1 ? "one for each sample: [n]" : "a row for each sample: [n] or [n, targets]");
    if (shape[0] != samples_)
      throw array.origin.Bad(
          fmt::format("there are {} {} for {} samples of {}", shape[0], what, samples_, inputs_.origin.path));
  }

  void Tell(size_t sample, const Error& error) {
    kept_[sample] = 0;
    broken_.Tell(error);
  }

  /// "row 7, column 3", "row 7, at [5, 2, 0]": from 0.
  static std::string PlaceOf(const NpyHeader& header, size_t sample, size_t element) {
    if (header.shape.size() <= 2) return fmt::format("row {}, column {} (from 0)", sample, element);
    std::vector<size_t> index;
    for (size_t i = header.shape.size(); i-- > 1;) {
      index.insert(index.begin(), element % static_cast<size_t>(header.shape[i]));
      element /= static_cast<size_t>(header.shape[i]);
    }
    return fmt::format("row {}, at [{}] (from 0)", sample, fmt::join(index, ", "));
  }

  /// All elements as floats, of `columns` a sample.
  Column ReadFloats(const NamedArray& array, size_t columns) {
    const NpyHeader& type = array.array.header;
    const std::span<const std::byte> elements = array.array.elements();
    Column column;
    column.bytes.resize(elements.size() / type.width * sizeof(float));
    auto* output = reinterpret_cast<float*>(column.bytes.data());
    for (size_t sample = 0; sample < kept_.size(); ++sample) {
      const std::byte* const row = elements.data() + sample * columns * type.width;
      for (size_t i = 0; i < columns; ++i) {
        const float value = LoadNumber(row + i * type.width, type);
        output[sample * columns + i] = value;
        if (std::isfinite(value) || kept_[sample] == 0) continue;
        Tell(sample, array.origin.Bad(fmt::format("{}: {} is no finite 32-bit float", PlaceOf(type, sample, i),
                                                  NumberText(row + i * type.width, type)),
                                      "fill it (numpy.nan_to_num), or leave the row out of all arrays"));
      }
    }
    return column;
  }

  Column ReadInputs() {
    const std::vector<int64_t>& shape = header().shape;
    if (shape.size() == 2) {
      Column column = ReadFloats(inputs_, static_cast<size_t>(shape[1]));
      column.field = {"features", DType::kF32, Shape{shape[1]}};
      return column;
    }
    const Shape image{shape[1], shape[2], shape.size() == 4 ? shape[3] : 1};
    if (header().kind == 'u' && header().width == 1)
      return {{"image", DType::kU8, image}, std::move(inputs_.array.bytes), inputs_.array.offset};
    Column column = ReadFloats(inputs_, static_cast<size_t>(image.size()));
    column.field = {"image", DType::kF32, image};
    return column;
  }

  Column ReadTargets() {
    const NpyHeader& type = targets_->array.header;
    RequireSamples(*targets_, "targets", 2);
    if (!IsNumber(type)) throw targets_->origin.Bad("targets are words, and no numbers", "name them as labels");
    const int64_t columns = type.shape.size() == 2 ? type.shape[1] : 1;
    Column column = ReadFloats(*targets_, static_cast<size_t>(columns));
    column.field = {"target", DType::kF32, Shape{columns}};
    return column;
  }

  /// Label `sample` as text.
  std::string LabelText(size_t sample) {
    const NpyHeader& type = labels_->array.header;
    const std::byte* const from = labels_->array.elements().data() + sample * type.width;
    std::string text;
    if (IsNumber(type)) return std::to_string(LoadInteger(from, type));
    if (type.kind == 'S') {
      text.assign(reinterpret_cast<const char*>(from), type.width);
      text.erase(text.find_last_not_of('\0') + 1);
      if (ValidPrefix(text) == text.size()) return text;
    } else {
      bool valid = true;
      size_t end = type.width;  // zeros fill the rest
      while (end > 0 && Load<uint32_t>(from + end - 4) == 0) end -= 4;
      for (size_t at = 0; at < end; at += 4) {
        const auto letter = Load<uint32_t>(from + at);
        valid &= letter <= 0x10FFFF && (letter < 0xD800 || letter > 0xDFFF);
        AppendCharacter(valid ? letter : 0xFFFD, text);
      }
      if (valid) return text;
    }
    throw labels_->origin.Bad(fmt::format("label {} (from 0) is no text", sample), "save the words again");
  }

  /// As those of a table's column are settled.
  Column ReadLabels(Records& records) {
    const NpyHeader& type = labels_->array.header;
    RequireSamples(*labels_, "labels", 1);
    if (type.kind == 'f')
      throw labels_->origin.Bad(fmt::format("labels are floats ({}), and no classes", type.descr),
                                "save them with array.astype(numpy.int64), or name them as targets");
    RawTable table;
    table.rows = kept_.size();
    table.roles.label = 0;
    for (size_t sample = 0; sample < kept_.size(); ++sample) {
      const std::string text = LabelText(sample);
      if (text.empty())
        Tell(sample, labels_->origin.Bad(fmt::format("label {} (from 0) is an empty word", sample),
                                         "fill it, or leave the row out of all arrays"));
      table.label.words.push_back(text.empty() ? -1 : table.label.list.Add(text));
      table.lines.push_back(sample);
    }
    // An empty one is told already: it counts as the first.
    if (table.label.list.words().empty()) throw labels_->origin.Bad("all labels are empty words", "fill them");
    for (int32_t& word : table.label.words) word = std::max(word, 0);
    const TableLabels labels = SettleLabels(table,
                                            {.classes = options_.classes,
                                             .class_names = options_.class_names,
                                             .on_broken = options_.on_broken,
                                             .named = "row",
                                             .hint = fmt::format("the array is named by {}", labels_->origin.field)},
                                            labels_->origin);
    for (size_t sample = 0; sample < kept_.size(); ++sample)
      if (labels.values[sample] < 0) kept_[sample] = 0;
    records.classes = labels.classes;
    records.class_names = labels.names;
    return LabelColumn(labels.values);
  }

  /// Without the samples that can't be read.
  Column Keep(Column column) const {
    if (std::find(kept_.begin(), kept_.end(), 0) == kept_.end()) return column;
    const auto bytes = static_cast<size_t>(column.field.shape.size() * SizeOf(column.field.dtype));
    Column kept{column.field, {}};
    for (size_t sample = 0; sample < kept_.size(); ++sample) {
      const auto row = column.values().subspan(sample * bytes, bytes);
      if (kept_[sample] != 0) kept.bytes.insert(kept.bytes.end(), row.begin(), row.end());
    }
    return kept;
  }

  NamedArray inputs_;
  const NamedArray* const labels_;
  const NamedArray* const targets_;
  const ArrayOptions& options_;
  int64_t samples_ = 0;
  std::vector<uint8_t> kept_;  ///< by sample: 1 where nothing is wrong with it
  BrokenRows broken_{options_.on_broken};
};

}  // namespace

Records ReadArrays(NamedArray inputs, const NamedArray* labels, const NamedArray* targets,
                   const ArrayOptions& options) {
  return ArrayReader(std::move(inputs), labels, targets, options).Read();
}

}  // namespace lockstep::data
