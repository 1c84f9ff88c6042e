#include "trainer/onnx/export/graph_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lockstep::onnx {
namespace {

/// Every half in double precision, by IEEE 754's definition.
double HalfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

TEST(HalfBits, EveryHalfIsItself) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits >> 10 & 31) == 31) continue;
    EXPECT_EQ(HalfBits(static_cast<float>(HalfValue(static_cast<uint16_t>(bits)))), bits);
  }
}

TEST(HalfBits, BetweenTwoHalvesTheNearestAndOfTwoTheEvenOne) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const double low = HalfValue(static_cast<uint16_t>(bits)), high = HalfValue(static_cast<uint16_t>(bits + 1));
    EXPECT_EQ(HalfBits(static_cast<float>(low + 0.25 * (high - low))), bits);
    EXPECT_EQ(HalfBits(static_cast<float>(low + 0.75 * (high - low))), bits + 1);
    EXPECT_EQ(HalfBits(static_cast<float>(low + 0.5 * (high - low))), bits % 2 == 0 ? bits : bits + 1);
  }
}

TEST(HalfBits, WhatIsTooLargeIsInfiniteAndNotANumberStays) {
  EXPECT_EQ(HalfBits(65519), 0x7bff);
  EXPECT_EQ(HalfBits(65520), 0x7c00);
  EXPECT_EQ(HalfBits(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(HalfBits(std::nanf("")) & 0x7e00, 0x7e00);
}

TEST(GraphWriter, EqualConstantsAreOne) {
  GraphWriter writer(false);
  EXPECT_EQ(writer.Integers({1, 2}), writer.Integers({1, 2}));
  EXPECT_NE(writer.Integers({1}), writer.Integer(1));
  EXPECT_NE(writer.Float(0), writer.Float(-0.0f));
}

TEST(GraphWriter, WhatLeadsToNoOutputIsLeftOut) {
  GraphWriter writer(false);
  const std::vector<OpenDimension> shape{{.size = 2}};
  writer.Input("x", ValueInfo("x", TensorProto::FLOAT, shape));
  writer.Name("op");
  const std::string y = writer.Node("Relu", {"x"});
  writer.Node("Add", {y, writer.Float(3)});
  writer.Output(y, ValueInfo("y", TensorProto::FLOAT, shape));
  const GraphProto graph = writer.Finish();
  ASSERT_EQ(graph.node_size(), 2);
  EXPECT_EQ(graph.node(0).op_type(), "Relu");
  EXPECT_EQ(graph.node(1).output(0), "y");
  EXPECT_EQ(graph.initializer_size(), 0);
}

}  // namespace
}  // namespace lockstep::onnx
