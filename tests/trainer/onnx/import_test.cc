#include "trainer/onnx/import.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "base/error.h"

namespace lockstep::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A model of the standard's operators from text, through its bytes as a file has them.
ModelProto Model(const std::string& graph, int opset = 20) {
  ModelProto model;
  const std::string text = fmt::format(
      "ir_version: 10 producer_name: \"pytorch\" opset_import {{ domain: \"\" version: {} }} graph {{ {} }}", opset,
      graph);
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &model), "{}", text);
  const std::string bytes = model.SerializeAsString();
  return ParseModel(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

/// An input or output: "?" is the batch.
std::string Io(const std::string& kind, const std::string& name, const std::vector<std::string>& dims, int type = 1) {
  std::string text = fmt::format("{} {{ name: \"{}\" type {{ tensor_type {{ elem_type: {} shape {{", kind, name, type);
  for (const std::string& dim : dims)
    text += std::isdigit(static_cast<unsigned char>(dim[0])) != 0
                ? fmt::format(" dim {{ dim_value: {} }}", dim)
                : fmt::format(" dim {{ dim_param: \"{}\" }}", dim == "?" ? "batch" : dim);
  return text + " } } } } ";
}

/// A weight with values 0, 1, 2, ...
std::string Weight(const std::string& name, const Dims& dims) {
  std::string text = fmt::format("initializer {{ name: \"{}\" data_type: 1", name);
  for (const int64_t dim : dims) text += fmt::format(" dims: {}", dim);
  for (int64_t i = 0; i < ElementsOf(dims); ++i) text += fmt::format(" float_data: {}", i);
  return text + " } ";
}

std::string Ints(const std::string& name, const Dims& values) {
  std::string text = fmt::format("initializer {{ name: \"{}\" data_type: 7 dims: {}", name, values.size());
  for (const int64_t value : values) text += fmt::format(" int64_data: {}", value);
  return text + " } ";
}

std::string Node(const std::string& op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                 const std::string& attributes = "", const std::string& name = "") {
  std::string text = fmt::format("node {{ op_type: \"{}\" name: \"{}\"", op, name);
  for (const std::string& input : inputs) text += fmt::format(" input: \"{}\"", input);
  for (const std::string& output : outputs) text += fmt::format(" output: \"{}\"", output);
  return text + " " + attributes + " } ";
}

std::string IntAttribute(const std::string& name, int64_t value) {
  return fmt::format("attribute {{ name: \"{}\" type: INT i: {} }} ", name, value);
}

std::string IntsAttribute(const std::string& name, const Dims& values) {
  std::string text = fmt::format("attribute {{ name: \"{}\" type: INTS", name);
  for (const int64_t value : values) text += fmt::format(" ints: {}", value);
  return text + " } ";
}

ImportResult Imported(const ModelProto& model, ImportOptions options = {}) { return Import(model, options, nullptr); }

std::vector<std::string> NodesOf(const ImportResult& result) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::vector<std::string> nodes;
  for (const models::Node& node : result.graph.node()) {
    printer.PrintToString(node, &nodes.emplace_back());
    while (nodes.back().ends_with(' ')) nodes.back().pop_back();
  }
  return nodes;
}

const ImportedTensor& TensorOf(const ImportResult& result, const std::string& name) {
  for (const ImportedTensor& tensor : result.tensors)
    if (tensor.name == name) return tensor;
  throw std::out_of_range(name);
}

template <typename Function>
std::string ErrorOf(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ImportTest, ALinearLayerKeepsItsWeightAndName) {
  const std::string ends = Io("input", "x", {"?", "4", "3"}) + Io("output", "y", {"?", "4", "2"});
  const std::string weights = Weight("head.weight", {2, 3}) + Weight("head.bias", {2});
  const ImportResult result =
      Imported(Model(ends + weights + Node("Transpose", {"head.weight"}, {"t"}, IntsAttribute("perm", {1, 0})) +
                     Node("MatMul", {"x", "t"}, {"p"}) + Node("Add", {"p", "head.bias"}, {"y"})));
  EXPECT_THAT(NodesOf(result), ElementsAre("name: \"head\" input: \"x\" linear { features: 2 }"));
  EXPECT_THAT(TensorOf(result, "head.weight").values, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(TensorOf(result, "head.bias").dims, ElementsAre(2));
}

TEST(ImportTest, AWeightWithoutANameIsTurnedAndCalledAfterItsModule) {
  const std::string ends = Io("input", "x", {"?", "4", "3"}) + Io("output", "y", {"?", "4", "2"});
  const ImportResult result = Imported(Model(ends + Weight("onnx::MatMul_7", {3, 2}) +
                                             Node("MatMul", {"x", "onnx::MatMul_7"}, {"y"}, "", "/net/head/MatMul")));
  EXPECT_THAT(NodesOf(result), ElementsAre("name: \"net.head\" input: \"x\" linear { features: 2 bias: false }"));
  EXPECT_THAT(TensorOf(result, "net.head.weight").values, ElementsAre(0, 2, 4, 1, 3, 5));
  EXPECT_EQ(result.counts.renamed, 1);
  EXPECT_EQ(result.counts.transposed, 1);
}

TEST(ImportTest, TiedWeightsStayTied) {
  const std::string ends = Io("input", "ids", {"?", "5"}, 7) + Io("output", "y", {"?", "5", "4"});
  const ImportResult result = Imported(Model(
      ends + Weight("embed.weight", {4, 3}) + Node("Gather", {"embed.weight", "ids"}, {"e"}) +
      Node("Transpose", {"embed.weight"}, {"t"}, IntsAttribute("perm", {1, 0})) + Node("MatMul", {"e", "t"}, {"y"})));
  EXPECT_EQ(result.tensors.size(), 1u);
  EXPECT_THAT(NodesOf(result)[1], HasSubstr("parameters: \"embed\" linear"));
}

TEST(ImportTest, ShapeArithmeticIsFoldedAndTheBatchStaysOpen) {
  const std::string ends = Io("input", "x", {"?", "4", "6"}) + Io("output", "y", {"?", "2", "4", "3"});
  const ImportResult result = Imported(Model(
      ends + Ints("zero", {0}) + Ints("rest", {4, 2, 3}) + Node("Shape", {"x"}, {"s"}) +
      Node("Gather", {"s", "zero"}, {"n"}) + Node("Concat", {"n", "rest"}, {"shape"}, IntAttribute("axis", 0)) +
      Node("Reshape", {"x", "shape"}, {"r"}) + Node("Transpose", {"r"}, {"y"}, IntsAttribute("perm", {0, 2, 1, 3}))));
  EXPECT_THAT(NodesOf(result),
              ElementsAre("name: \"reshape\" input: \"x\" reshape { shape: -1 shape: 4 shape: 2 shape: 3 }",
                          "name: \"transpose\" input: \"reshape\" transpose { order: 0 order: 2 order: 1 order: 3 }"));
}

TEST(ImportTest, ABatchThatIsWrittenOutIsTakenForAny) {
  const std::string ends = Io("input", "x", {"2", "4", "6"}) + Io("output", "y", {"2", "24"});
  const ImportResult result = Imported(Model(ends + Ints("shape", {2, 24}) + Node("Reshape", {"x", "shape"}, {"y"})));
  EXPECT_THAT(NodesOf(result), ElementsAre("name: \"reshape\" input: \"x\" reshape { shape: -1 shape: 24 }"));
  EXPECT_THAT(result.warnings, testing::Contains(HasSubstr("dynamic_shapes={\"x\"")));
}

TEST(ImportTest, OtherOpenDimensionsAreAskedFor) {
  const ModelProto model =
      Model(Io("input", "x", {"?", "time"}) + Io("output", "y", {"?", "time"}) + Node("Relu", {"x"}, {"y"}));
  EXPECT_THAT(ErrorOf([&] { Imported(model); }), HasSubstr("say --dim time=SIZE"));
  EXPECT_THAT(Imported(model, {.dims = {{"time", 7}}}).graph.input(0).shape(), ElementsAre(7));
}

TEST(ImportTest, BatchNormHasItsMeaningInTraining) {
  const std::string ends = Io("input", "x", {"?", "2", "5", "5"}) + Io("output", "y", {"?", "2", "5", "5"});
  std::string weights;
  for (const char* name : {"weight", "bias", "running_mean", "running_var"})
    weights += Weight(std::string("bn.") + name, {2});
  const ImportResult result = Imported(Model(
      ends + weights +
      Node(
          "BatchNormalization", {"x", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}, {"y"},
          "attribute { name: \"momentum\" type: FLOAT f: 0.8 } attribute { name: \"epsilon\" type: FLOAT f: 0.001 }")));
  EXPECT_THAT(NodesOf(result), ElementsAre("name: \"bn\" input: \"x\" batch_norm { epsilon: 0.001 momentum: 0.2 }"));
  EXPECT_EQ(result.counts.batch_norms, 1);
  EXPECT_EQ(result.counts.parameters, 2);
  EXPECT_EQ(result.counts.buffers, 2);
}

TEST(ImportTest, DropoutOfRandomNumbersIsDropout) {
  const std::string ends = Io("input", "x", {"?", "6"}) + Io("output", "y", {"?", "6"});
  const std::string keep = "initializer { name: \"val_1\" data_type: 1 float_data: 0.75 } ";
  const ImportResult result =
      Imported(Model(ends + keep + Node("RandomUniformLike", {"x"}, {"u"}) + Node("Less", {"u", "val_1"}, {"m"}) +
                     Node("Cast", {"m"}, {"f"}, IntAttribute("to", 1)) + Node("Div", {"f", "val_1"}, {"d"}) +
                     Node("Mul", {"x", "d"}, {"y"})));
  EXPECT_THAT(NodesOf(result), ElementsAre("name: \"dropout\" input: \"x\" dropout: 0.25"));
}

TEST(ImportTest, AnEvenGatherNdIsASliceAndAnExpansion) {
  // mask[batch_index, place] of [batch, 3], as transformers write it: [batch, 2, 3].
  const std::string ends = Io("input", "mask", {"?", "3"}) + Io("output", "y", {"?", "2", "3"});
  const ImportResult result = Imported(Model(
      ends + Ints("rest", {2, 3}) + Ints("zero", {0}) + Ints("column", {3}) + Ints("one", {1}) +
      Ints("axes_of_batch", {1, 2, 3}) + Ints("axes_of_place", {0, 1, 3}) +
      "initializer { name: \"start\" data_type: 7 int64_data: 0 } initializer { name: \"step\" data_type: 7 "
      "int64_data: 1 } "
      "initializer { name: \"three\" data_type: 7 int64_data: 3 } " +
      Node("Shape", {"mask"}, {"s"}) + Node("Gather", {"s", "zero"}, {"n"}) + Node("Squeeze", {"n"}, {"count"}) +
      Node("Range", {"start", "count", "step"}, {"batches"}) + Node("Range", {"start", "three", "step"}, {"places"}) +
      Node("Unsqueeze", {"batches", "axes_of_batch"}, {"b4"}) + Node("Unsqueeze", {"places", "axes_of_place"}, {"p4"}) +
      Node("Concat", {"n", "rest", "one"}, {"full"}, IntAttribute("axis", 0)) + Node("Expand", {"b4", "full"}, {"be"}) +
      Node("Expand", {"p4", "full"}, {"pe"}) + Node("Concat", {"be", "pe"}, {"index"}, IntAttribute("axis", 3)) +
      Node("GatherND", {"mask", "index"}, {"y"})));
  EXPECT_THAT(NodesOf(result),
              ElementsAre("name: \"gather.shape\" input: \"mask\" reshape { shape: -1 shape: 1 shape: 3 }",
                          "name: \"gather.expand\" input: \"gather.shape\" expand { shape: -1 shape: 2 shape: 3 }"));
}

TEST(ImportTest, GatesOfAnLstmAreStoredInPyTorchsOrder) {
  const std::string ends = Io("input", "x", {"?", "5", "2"}) + Io("output", "last", {"1", "?", "1"});
  // Of one unit the rows are gates: PyTorch's i, f, g, o; the standard's i, o, f, c.
  const auto gates = [](const std::string& from, const std::string& to) {
    std::string text;
    for (int gate = 0; gate < 4; ++gate)
      text += Node("Slice", {from, fmt::format("n{}", gate), fmt::format("n{}", gate + 1), "n0"},
                   {fmt::format("{}_{}", to, gate)});
    return text + Node("Concat", {to + "_0", to + "_3", to + "_1", to + "_2"}, {to + "_all"}, IntAttribute("axis", 0));
  };
  std::string numbers;
  for (int i = 0; i <= 4; ++i) numbers += Ints(fmt::format("n{}", i), {i});
  std::string weights = Weight("rnn.weight_ih_l0", {4, 2}) + Weight("rnn.weight_hh_l0", {4, 1}) +
                        Weight("rnn.bias_ih_l0", {4}) + Weight("rnn.bias_hh_l0", {4});
  const ImportResult result = Imported(
      Model(ends + numbers + weights + gates("rnn.weight_ih_l0", "w") + gates("rnn.weight_hh_l0", "r") +
            gates("rnn.bias_ih_l0", "wb") + gates("rnn.bias_hh_l0", "rb") +
            Node("Concat", {"wb_all", "rb_all"}, {"b"}, IntAttribute("axis", 0)) +
            Node("Unsqueeze", {"w_all", "n0"}, {"W"}) + Node("Unsqueeze", {"r_all", "n0"}, {"R"}) +
            Node("Unsqueeze", {"b", "n0"}, {"B"}) + Node("Transpose", {"x"}, {"xt"}, IntsAttribute("perm", {1, 0, 2})) +
            Node("LSTM", {"xt", "W", "R", "B"}, {"", "last"}, IntAttribute("hidden_size", 1))));
  EXPECT_THAT(NodesOf(result)[0], "name: \"rnn\" input: \"x\" lstm { hidden: 1 }");
  EXPECT_THAT(TensorOf(result, "rnn.weight_ih_l0").values, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(TensorOf(result, "rnn.bias_hh_l0").values, ElementsAre(0, 1, 2, 3));
}

TEST(ImportTest, AllThatIsNotSupportedIsToldAtOnce) {
  const std::string ends = Io("input", "x", {"?", "6"}) + Io("output", "y", {"?", "6"}) +
                           Io("output", "z", {"?", "6"}) + Io("output", "c", {"?", "6"});
  const std::string error = ErrorOf([&] {
    Imported(Model(ends + Node("Bogus", {"x"}, {"a"}, "", "/net/first/Bogus") + Node("Relu", {"a"}, {"y"}) +
                   Node("Bogus", {"x"}, {"b"}, "", "/net/second/Bogus") +
                   Node("Loop", {"b"}, {"c"}, "", "/net/loop/Loop") + Node("If", {"x"}, {"z"}, "", "/net/if/If")));
  });
  EXPECT_THAT(error, HasSubstr("Bogus: this operator, 2 nodes (in net.first, net.second)"));
  EXPECT_THAT(error, HasSubstr("If: this operator, 1 node (in net.if)"));
  EXPECT_THAT(error, testing::Not(HasSubstr("Relu")));
}

TEST(ImportTest, OtherVersionsAndDomainsAreRefused) {
  const std::string chain = Io("input", "x", {"?"}) + Io("output", "y", {"?"}) + Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(ErrorOf([&] { Model(chain, 12); }), HasSubstr("13 to 24"));
  EXPECT_THAT(ErrorOf([&] { Model(chain, 25); }), HasSubstr("13 to 24"));
  EXPECT_EQ(ErrorOf([&] { Model(chain, 13); }), "");
  EXPECT_THAT(ErrorOf([] { ParseModel({}); }), HasSubstr("no ONNX model"));
}

TEST(ImportTest, NodesOutOfOrderAreDamage) {
  const std::string ends = Io("input", "x", {"?"}) + Io("output", "y", {"?"});
  EXPECT_THAT(ErrorOf([&] { Imported(Model(ends + Node("Relu", {"a"}, {"y"}) + Node("Relu", {"x"}, {"a"}))); }),
              HasSubstr("which no node before it makes"));
}

TEST(ImportTest, WeightsOutsideTheFolderAreRefused) {
  const ReadExternal read = ExternalFilesOf(FileSystem::Real(), "/tmp/model.onnx");
  for (const char* location : {"../secret", "/etc/passwd", "a/../../b", ""})
    EXPECT_THAT(ErrorOf([&] { read(location, 0, 1); }), HasSubstr("outside its folder")) << location;
}

}  // namespace
}  // namespace lockstep::onnx
