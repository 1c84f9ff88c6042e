#include "tests/trainer/kernels/op_runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/bfloat16.h"
#include "base/error.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

constexpr std::byte kGuard{0xFF};
/// Numbers below 2^-126 may be flushed to zero, also before they are multiplied: by x = -88 in x sigmoid(x), and then
/// by dy.
constexpr double kFloor = 1e-35;

size_t BytesOf(const graph::Value& value) { return static_cast<size_t>(value.shape.size() * SizeOf(value.dtype)); }

template <typename T>
void EncodeAs(const std::vector<double>& values, std::byte* bytes) {
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    if constexpr (std::is_same_v<T, BFloat16>) {
      value = BFloat16::From(static_cast<float>(values[i]));
    } else {
      value = static_cast<T>(values[i]);
    }
    std::memcpy(bytes + i * sizeof(T), &value, sizeof(T));
  }
}

template <typename T>
std::vector<double> DecodeAs(std::span<const std::byte> bytes) {
  std::vector<double> values;
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    if constexpr (std::is_same_v<T, BFloat16>) {
      values.push_back(static_cast<double>(value.Float()));
    } else {
      values.push_back(static_cast<double>(value));
    }
  }
  return values;
}

}  // namespace

void Encode(const reference::Tensor& tensor, DType dtype, std::byte* bytes) {
  if (dtype == DType::kF32) return EncodeAs<float>(tensor.data, bytes);
  if (dtype == DType::kBF16) return EncodeAs<BFloat16>(tensor.data, bytes);
  if (dtype == DType::kF64) return EncodeAs<double>(tensor.data, bytes);
  if (dtype == DType::kI32) return EncodeAs<int32_t>(tensor.data, bytes);
  if (dtype == DType::kI64) return EncodeAs<int64_t>(tensor.data, bytes);
  if (dtype == DType::kU8) return EncodeAs<uint8_t>(tensor.data, bytes);
  CHECK(false, "{} operands are not encoded yet", Name(dtype));
}

std::vector<double> Decode(DType dtype, std::span<const std::byte> bytes) {
  if (dtype == DType::kF32) return DecodeAs<float>(bytes);
  if (dtype == DType::kBF16) return DecodeAs<BFloat16>(bytes);
  if (dtype == DType::kF64) return DecodeAs<double>(bytes);
  if (dtype == DType::kI32) return DecodeAs<int32_t>(bytes);
  if (dtype == DType::kI64) return DecodeAs<int64_t>(bytes);
  if (dtype == DType::kU8) return DecodeAs<uint8_t>(bytes);
  CHECK(false, "{} results are not decoded yet", Name(dtype));
  return {};
}

GuardedBuffer::GuardedBuffer(size_t size, size_t offset)
    : memory_(kBufferAlignment + offset + size + kBufferAlignment), start_(kBufferAlignment + offset), size_(size) {
  std::ranges::fill(memory_.As<std::byte>(), kGuard);
}

bool GuardsIntact(std::span<const std::byte> guard) {
  return std::ranges::all_of(guard, [](std::byte byte) { return byte == kGuard; });
}

bool GuardedBuffer::GuardsIntact() const {
  const std::span<const std::byte> all = memory_.As<std::byte>();
  return conformance::GuardsIntact(all.first(start_)) && conformance::GuardsIntact(all.subspan(start_ + size_));
}

OpRunner::OpRunner(engine::Backend& backend, const Instance& instance, const Placement& placement)
    : backend_(backend), instance_(instance), placement_(placement) {
  const graph::Graph& graph = instance.graph;
  const graph::Op& op = instance.op();
  if (placement.in_place) in_place_input_ = graph::Row(op.kind).in_place;
  for (const graph::ValueId id : op.inputs) {
    inputs_.emplace_back(id == graph::kNoValue ? 0 : BytesOf(graph.value(id)), placement.offset);
    operands_.inputs.push_back(id == graph::kNoValue ? nullptr : inputs_.back().data());
  }
  for (const graph::ValueId id : op.outputs) {
    outputs_.emplace_back(id == graph::kNoValue ? 0 : BytesOf(graph.value(id)), placement.offset);
    operands_.outputs.push_back(id == graph::kNoValue ? nullptr : outputs_.back().data());
  }
  if (in_place_input_ >= 0) operands_.outputs[0] = inputs_[static_cast<size_t>(in_place_input_)].data();
  PlaceInputs();
  PackParameters();
  workspace_ = GuardedBuffer(backend.WorkspaceBytes(graph, op), 0);
  operands_.workspace = workspace_.data();
  kernel_ = backend.Prepare(graph, op, operands_);
}

void OpRunner::PlaceInputs() {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const graph::ValueId id = instance_.op().inputs[i];
    if (id == graph::kNoValue) continue;
    const graph::Value& value = instance_.graph.value(id);
    if (value.role == graph::Role::kStepBlock) {
      std::memcpy(inputs_[i].data(), &instance_.step_block, sizeof(instance_.step_block));
    } else {
      Encode(instance_.inputs[i], value.dtype, inputs_[i].data());
    }
  }
}

void OpRunner::PackParameters() {
  const graph::Op& op = instance_.op();
  operands_.packed.assign(op.inputs.size(), nullptr);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const graph::ValueId id = op.inputs[i];
    if (id == graph::kNoValue || instance_.graph.value(id).role != graph::Role::kParameter) continue;
    const auto input = static_cast<int>(i);
    const size_t bytes = backend_.PackedBytes(instance_.graph, op, input, placement_.runs);
    if (bytes == 0) continue;
    packed_.emplace_back(bytes, 0);
    operands_.packed[i] = packed_.back().data();
    packers_.push_back(backend_.PreparePack(instance_.graph, op, input, operands_.inputs[i], packed_.back().data()));
  }
}

void OpRunner::CheckMemory() {
  const auto check = [&](const GuardedBuffer& buffer, const std::string& what) {
    if (!buffer.GuardsIntact()) problems_.push_back("writes outside of " + what);
  };
  for (size_t i = 0; i < inputs_.size(); ++i) {
    check(inputs_[i], fmt::format("input {}", i));
    const graph::ValueId id = instance_.op().inputs[i];
    if (id == graph::kNoValue || static_cast<int>(i) == in_place_input_) continue;
    const graph::Value& value = instance_.graph.value(id);
    if (value.role == graph::Role::kStepBlock) continue;
    std::vector<std::byte> before(BytesOf(value));
    Encode(instance_.inputs[i], value.dtype, before.data());
    if (!std::ranges::equal(before, inputs_[i].bytes())) problems_.push_back(fmt::format("changes input {}", i));
  }
  for (size_t i = 0; i < outputs_.size(); ++i) check(outputs_[i], fmt::format("output {}", i));
  for (const GuardedBuffer& packed : packed_) check(packed, "a packed copy");
  check(workspace_, "the workspace");
}

std::vector<std::vector<std::byte>> OpRunner::Run() {
  for (GuardedBuffer& output : outputs_) std::ranges::fill(output.bytes(), kGuard);
  std::ranges::fill(workspace_.bytes(), kGuard);
  PlaceInputs();
  for (const auto& packer : packers_) packer->Run();
  kernel_->Run();
  CheckMemory();
  std::vector<std::vector<std::byte>> results;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const auto bytes = std::span(static_cast<const std::byte*>(operands_.outputs[i]), outputs_[i].size());
    results.emplace_back(bytes.begin(), bytes.end());
  }
  return results;
}

double Tolerance(const reference::Tensor& expected, size_t i, DType dtype, double unit_roundoff) {
  if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF64) return 0;
  return 4 * std::sqrt(static_cast<double>(expected.terms)) * unit_roundoff * expected.magnitude[i] + kFloor;
}

std::string Compare(const reference::Tensor& expected, DType dtype, const std::vector<double>& actual,
                    double unit_roundoff) {
  if (actual.size() != expected.data.size()) {
    return fmt::format("{} elements instead of {}", actual.size(), expected.data.size());
  }
  std::string worst;
  double worst_excess = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected.data[i]);
    const double tolerance = Tolerance(expected, i, dtype, unit_roundoff);
    if (error <= tolerance) continue;  // false for not-a-number
    const double excess =
        std::isnan(error) || tolerance == 0 ? std::numeric_limits<double>::infinity() : error / tolerance;
    if (!worst.empty() && excess <= worst_excess) continue;
    worst_excess = excess;
    worst = fmt::format("element {} of {} is {} instead of {}: {} tolerances away", i, expected.shape.ToString(),
                        actual[i], expected.data[i], excess);
  }
  return worst;
}

}  // namespace lockstep::conformance
