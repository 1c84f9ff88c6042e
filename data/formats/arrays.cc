#include "data/formats/arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "data/table/table_labels.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// The array that says how many samples there are.
const NamedArray& First(const ArraySet& arrays) {
  CHECK(arrays.inputs || !arrays.fields.empty(), "samples of no array");
  return arrays.inputs ? *arrays.inputs : arrays.fields.front().array;
}

size_t SamplesOf(const NamedArray& array) {
  const std::vector<int64_t>& shape = array.array.header.shape;
  if (shape.empty()) throw array.origin.Bad("it is one number, and no row for each sample");
  return static_cast<size_t>(shape[0]);
}

/// The letters behind which only zeros stand.
std::string TextOfWord(const NpyHeader& type, const std::byte* from, bool& valid) {
  std::string text;
  if (type.kind == 'S') {
    text.assign(reinterpret_cast<const char*>(from), type.width);
    text.erase(text.find_last_not_of('\0') + 1);
    valid = ValidPrefix(text) == text.size();
    return text;
  }
  const auto letter_at = [&](size_t at) {
    uint32_t letter = 0;
    std::memcpy(&letter, from + at, sizeof letter);
    return letter;
  };
  size_t end = type.width;  // zeros fill the rest
  while (end > 0 && letter_at(end - 4) == 0) end -= 4;
  valid = true;
  for (size_t at = 0; at < end; at += 4) {
    const uint32_t letter = letter_at(at);
    const bool known = letter <= 0x10FFFF && (letter < 0xD800 || letter > 0xDFFF);
    AppendCharacter(known ? letter : 0xFFFD, text);
    valid &= known;
  }
  return text;
}

class ArrayReader {
 public:
  ArrayReader(ArraySet arrays, const ArrayOptions& options)
      : arrays_(std::move(arrays)),
        options_(options),
        first_(First(arrays_).origin),
        kept_(SamplesOf(First(arrays_)), options.on_broken) {}

  Records Read() {
    std::vector<Column> columns;
    if (arrays_.inputs) columns.push_back(ReadInputs());
    const auto is_answer = [](const FieldArray& field) {
      return field.role == FieldArray::Role::kTarget || field.role == FieldArray::Role::kLabel;
    };
    const auto read_fields = [&](bool answers) {
      for (FieldArray& field : arrays_.fields)
        if (is_answer(field) == answers) columns.push_back(ReadFieldArray(std::move(field), first_, kept_));
    };
    read_fields(false);
    Records records{.format = "arrays 1"};
    if (arrays_.targets) columns.push_back(ReadTargets());
    if (arrays_.labels) columns.push_back(ReadLabels(records));
    read_fields(true);
    kept_.ThrowIfAny();
    records.size = kept_.Count();
    if (records.size == 0) throw first_.Bad("there are no samples in it");
    for (Column& column : columns) records.columns.push_back(kept_.Keep(std::move(column)));
    return records;
  }

 private:
  static void CheckInputs(const NamedArray& inputs) {
    const NpyHeader& header = inputs.array.header;
    const std::vector<int64_t>& shape = header.shape;
    const Origin& origin = inputs.origin;
    if (shape.size() < 2 || shape.size() > 4)
      throw origin.Bad(fmt::format("inputs have shape {}", ShapeText(header)),
                       "samples are rows: [n, features], [n, height, width] or [n, height, width, channels]; reshape "
                       "it before it is saved");
    if (!IsNumber(header))
      throw origin.Bad("inputs are words, and no numbers", "write a table of them as CSV: columns may be categorical");
    if (std::any_of(shape.begin(), shape.end(), [](int64_t dim) { return dim == 0; }))
      throw origin.Bad(fmt::format("there is nothing in it: its shape is {}", ShapeText(header)));
    if (std::any_of(shape.begin() + 1, shape.end(), [](int64_t dim) { return dim > (1 << 24); }))
      throw origin.Bad(fmt::format("its shape is {}, and no sample is so large", ShapeText(header)));
    if (shape.size() == 4 && (shape[1] == 1 || shape[1] == 3) && shape[3] > 4)
      LogWarning(
          "{}: its shape {} looks like channels first, but images are read as [n, height, width, channels]: "
          "array.transpose(0, 2, 3, 1)",
          origin.path, ShapeText(header));
  }

  static void CheckRank(const NamedArray& array, const char* what, size_t most_rank) {
    const std::vector<int64_t>& shape = array.array.header.shape;
    if (shape.empty() || shape.size() > most_rank || (most_rank == 2 && shape.size() == 2 && shape[1] == 0))
      throw array.origin.Bad(
          fmt::format("{} have shape {}", what, ShapeText(array.array.header)),
          most_rank == 1 ? "one for each sample: [n]" : "a row for each sample: [n] or [n, targets]");
  }

  Column ReadInputs() {
    NamedArray& inputs = *arrays_.inputs;
    CheckInputs(inputs);
    const NpyHeader& header = inputs.array.header;
    const std::vector<int64_t>& shape = header.shape;
    Column column;
    if (shape.size() == 2) {
      column.field = {"features", DType::kF32, Shape{shape[1]}};
    } else {
      column.field = {"image", DType::kF32, Shape{shape[1], shape[2], shape.size() == 4 ? shape[3] : 1}};
      if (header.kind == 'u' && header.width == 1) {
        column.field.dtype = DType::kU8;
        column.bytes = std::move(inputs.array.bytes);
        column.offset = inputs.array.offset;
        return column;
      }
    }
    column.bytes = ReadFloats(inputs, kept_);
    return column;
  }

  Column ReadTargets() {
    const NpyHeader& type = arrays_.targets->array.header;
    CheckRank(*arrays_.targets, "targets", 2);
    RequireSamples(*arrays_.targets, "targets", kept_, first_);
    if (!IsNumber(type)) throw arrays_.targets->origin.Bad("targets are words, and no numbers", "name them as labels");
    Column column;
    column.field = {"target", DType::kF32, Shape{type.shape.size() == 2 ? type.shape[1] : 1}};
    column.bytes = ReadFloats(*arrays_.targets, kept_);
    return column;
  }

  /// Label `sample` as text.
  std::string LabelText(size_t sample) const {
    const NpyHeader& type = arrays_.labels->array.header;
    const std::byte* const from = arrays_.labels->array.elements().data() + sample * type.width;
    if (IsNumber(type)) return std::to_string(LoadInteger(from, type));
    bool valid = true;
    std::string text = TextOfWord(type, from, valid);
    if (valid) return text;
    throw arrays_.labels->origin.Bad(fmt::format("label {} (from 0) is no text", sample), "save the words again");
  }

  /// As those of a table's column are settled.
  Column ReadLabels(Records& records) {
    const Origin& origin = arrays_.labels->origin;
    const NpyHeader& type = arrays_.labels->array.header;
    CheckRank(*arrays_.labels, "labels", 1);
    RequireSamples(*arrays_.labels, "labels", kept_, first_);
    if (type.kind == 'f')
      throw origin.Bad(fmt::format("labels are floats ({}), and no classes", type.descr),
                       "save them with array.astype(numpy.int64), or name them as targets");
    RawTable table;
    table.rows = kept_.samples();
    table.roles.label = 0;
    for (size_t sample = 0; sample < kept_.samples(); ++sample) {
      const std::string text = LabelText(sample);
      if (text.empty())
        kept_.Drop(sample, origin.Bad(fmt::format("label {} (from 0) is an empty word", sample),
                                      "fill it, or leave the row out of all arrays"));
      table.label.words.push_back(text.empty() ? -1 : table.label.list.Add(text));
      table.lines.push_back(sample);
    }
    // An empty one is told already: it counts as the first.
    if (table.label.list.words().empty()) throw origin.Bad("all labels are empty words", "fill them");
    for (int32_t& word : table.label.words) word = std::max(word, 0);
    const TableLabels labels = SettleLabels(table,
                                            {.classes = options_.classes,
                                             .class_names = options_.class_names,
                                             .on_broken = options_.on_broken,
                                             .named = "row",
                                             .hint = fmt::format("the array is named by {}", origin.field)},
                                            origin);
    for (size_t sample = 0; sample < kept_.samples(); ++sample)
      if (labels.values[sample] < 0) kept_.Drop(sample);
    records.classes = labels.classes;
    records.class_names = labels.names;
    return LabelColumn(labels.values);
  }

  ArraySet arrays_;
  const ArrayOptions& options_;
  const Origin first_;
  KeptSamples kept_;
};

}  // namespace

Records ReadArrays(ArraySet arrays, const ArrayOptions& options) {
  return ArrayReader(std::move(arrays), options).Read();
}

}  // namespace lockstep::data
