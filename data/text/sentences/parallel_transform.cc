#include "data/text/sentences/parallel_transform.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"

namespace lockstep::data {
namespace {

class ParallelTransform final : public Transform {
 public:
  std::span<const Field> fields() const override { return fields_; }

  int64_t SequenceLength(std::span<const int64_t> lengths, uint64_t, uint64_t, bool) const override {
    return LongestSequence(lengths);
  }
  int64_t LongestSequence(std::span<const int64_t> lengths) const override { return std::max(lengths[0], lengths[1]); }

  void Apply(const Sample& sample, uint64_t, uint64_t, bool, int64_t length,
             std::span<std::byte* const> rows) const override {
    CHECK(sample.tensors.size() == 2 && rows.size() == fields_.size());
    const auto source = sample.tensors[0].As<int32_t>(), target = sample.tensors[1].As<int32_t>();
    CHECK(target.size() >= 2, "a target has a begin and an end");
    Put(source, length, rows[0], 0);
    *reinterpret_cast<int32_t*>(rows[1]) = static_cast<int32_t>(source.size());
    Put(target.first(target.size() - 1), length, rows[2], 0);
    Put(target.subspan(1), length, rows[3], -1);
  }

 private:
  static void Put(std::span<const int32_t> ids, int64_t length, std::byte* row, int32_t padding) {
    CHECK(static_cast<int64_t>(ids.size()) <= length, "{} positions for {} tokens", length, ids.size());
    int32_t* const to = reinterpret_cast<int32_t*>(row);
    std::fill(std::copy(ids.begin(), ids.end(), to), to + length, padding);
  }

  const std::array<Field, 4> fields_{
      {Field{"source", DType::kI32, Shape{-1}}, Field{"source_length", DType::kI32, Shape{}},
       Field{"tokens", DType::kI32, Shape{-1}}, Field{"label", DType::kI32, Shape{-1}, /*padding=*/-1}}};
};

}  // namespace

std::unique_ptr<Transform> MakeParallelTransform(std::span<const Field> fields, const DataConfig& config) {
  CHECK(fields.size() == 2 && fields[0].name == "source" && fields[1].name == "target");
  if (config.has_normalize())
    throw Error(ErrorKind::kUsage, "tokens can't be normalised", "data.normalize", "remove it");
  if (config.has_augment()) {
    throw Error(ErrorKind::kUsage, "only images and recordings can be changed at random", "data.augment", "remove it");
  }
  return std::make_unique<ParallelTransform>();
}

}  // namespace lockstep::data
