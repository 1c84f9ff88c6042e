// What an op's emitter sees: the op, its operands as tensors of the ONNX graph, and the writer. Emitters are rows of a
// table (emitters.h).
//
// Images are [batch, height, width, channels] here and [batch, channels, height, width] in ONNX. Every value is kept in
// the orders in which it has been made, and a Transpose is written only where an op asks for an order that there is
// not. Truth values are floats here and bools there; they too are kept in both forms, as far as somebody asks.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/onnx/export/graph_writer.h"
#include "trainer/onnx/export/model_sizes.h"

namespace lockstep::onnx {

/// Of the dimensions of a value of rank 4.
enum class Order : uint8_t { kOurs, kChannelsFirst };

/// A dimension's place in the other order: dimension i of ours is this one of channels first.
inline constexpr std::array<int, 4> kPlaceChannelsFirst = {0, 2, 3, 1};
/// Dimension i of channels first is this one of ours.
inline constexpr std::array<int, 4> kOrderChannelsFirst = {0, 3, 1, 2};

/// Dimension `axis` (negative: from the end) of a value of that rank, in the order in which it is held.
inline int64_t AxisIn(Order order, int axis, int rank) {
  if (axis < 0) axis += rank;
  return order == Order::kOurs ? axis : kPlaceChannelsFirst[static_cast<size_t>(axis)];
}

/// The values of a parameter or statistic, by name.
using WeightsByName = std::function<std::span<const float>(const std::string& name)>;

/// The ONNX graph in the making: which tensors hold which values.
class Emission {
 public:
  /// All outlive this.
  Emission(const ModelSizes& model, const WeightsByName& weights, GraphWriter& writer);

  GraphWriter& writer() { return writer_; }
  const SizeTable& sizes() const { return sizes_; }
  const graph::Graph& graph() const { return graph_; }

  // The op that is emitted.
  void Begin(size_t op);
  size_t index() const { return index_; }
  const graph::Op& op() const { return graph_.ops[index_]; }
  bool Has(size_t input) const;
  const Shape& InputShape(size_t input) const { return graph_.value(op().inputs[input]).shape; }
  const Shape& ResultShape(size_t result = 0) const { return graph_.value(op().outputs[result]).shape; }
  std::vector<Size> ResultSizes() const { return sizes_.Of(op().outputs[0]); }
  /// Throws Error(kUsage) that names the op.
  [[noreturn]] void Fail(const std::string& message, const std::string& hint = "") const;

  /// The tensor of an input; "" where it is absent.
  std::string Input(size_t input, Order order = Order::kOurs);
  std::string Truth(size_t input, Order order = Order::kOurs);
  /// That of an input whose result has more dimensions than it, as it broadcasts there.
  std::string Operand(size_t input, Order order, bool truth = false);
  /// Channels first where an operand of rank 4 is there in that order alone.
  Order CommonOrder() const;
  bool HasInOrder(size_t input, Order order) const;
  /// Says which tensor holds result `result`.
  void Result(std::string tensor, Order order = Order::kOurs, size_t result = 0);
  void TruthResult(std::string tensor, Order order);

  // Values of the graph.
  std::string Tensor(graph::ValueId value, Order order = Order::kOurs, bool truth = false);
  void Hold(graph::ValueId value, std::string tensor, Order order, bool truth = false);
  bool Holds(graph::ValueId value, Order order) const;
  /// The op that makes it, or nullptr.
  const graph::Op* Maker(graph::ValueId value) const;
  /// Ops that read it.
  std::vector<const graph::Op*> Readers(graph::ValueId value) const;
  /// Writes a parameter in another shape than its own. REQUIRES: nothing has read it.
  void WriteWeight(graph::ValueId parameter, const Shape& shape);

  // Nodes.
  std::string Node(const std::string& type, std::vector<std::string> inputs,
                   std::vector<AttributeProto> attributes = {}) {
    return writer_.Node(type, std::move(inputs), std::move(attributes));
  }
  /// In 32 bits, and back: the tensor itself where floats have 32 anyway.
  std::string Wide(const std::string& tensor);
  std::string Narrow(const std::string& tensor);
  std::string Transpose(const std::string& tensor, std::span<const int> order);
  /// 0: as the tensor's; -1: the rest.
  std::string Reshape(const std::string& tensor, std::initializer_list<int64_t> shape);
  std::string Reshape(const std::string& tensor, std::span<const Size> from, std::span<const Size> to);
  std::string Slice(const std::string& tensor, int64_t axis, int64_t begin, int64_t end);
  std::string Squeeze(const std::string& tensor, int64_t axis);
  std::string Unsqueeze(const std::string& tensor, std::initializer_list<int64_t> axes);
  /// A tensor [1] of int64 that holds the dimension.
  std::string SizeTensor(const Size& size);
  /// One-dimensional, of int64: 1 where `shape` has none.
  std::string SizesTensor(std::span<const Size> shape);
  /// 0, 1, .. below the dimension, int64.
  std::string Range(const Size& size);

 private:
  struct Forms {
    std::array<std::array<std::string, 2>, 2> tensors;  ///< by order and truth
    std::string& at(Order order, bool truth) { return tensors[static_cast<size_t>(order)][truth ? 1 : 0]; }
    const std::string& at(Order order, bool truth) const { return tensors[static_cast<size_t>(order)][truth ? 1 : 0]; }
  };
  void LoadWeight(graph::ValueId value);

  const graph::Graph& graph_;
  const SizeTable sizes_;
  const WeightsByName& weights_;
  GraphWriter& writer_;
  std::vector<Forms> forms_;  ///< by value
  size_t index_ = 0;
  std::map<Size, std::string> size_tensors_, ranges_;
};

}  // namespace lockstep::onnx
