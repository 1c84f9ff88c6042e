// Ops on operands of given shapes, and what their rows of the table make of them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/step_block.h"

namespace lockstep::graph {

/// A graph of bare operands, to which one op is appended.
class Operands {
 public:
  ValueId Add(const Shape& shape, DType dtype = DType::kF32) {
    graph_.values.push_back({.name = "v", .shape = shape, .dtype = dtype, .role = Role::kInput});
    return static_cast<ValueId>(graph_.values.size() - 1);
  }
  ValueId StepBlock() { return EnsureStepBlock(graph_); }

  /// "f32 [2, 3], u8 [4]": what the op's outputs are; or the error's text.
  std::string Infer(OpKind kind, std::vector<ValueId> inputs, Attributes attributes) {
    const size_t values = graph_.values.size();
    try {
      std::string text;
      for (ValueId id : AppendOp(graph_, kind, std::move(inputs), std::move(attributes), "op")) {
        if (!text.empty()) text += ", ";
        text += fmt::format("{} {}", Name(graph_.value(id).dtype), graph_.value(id).shape.ToString());
      }
      return text;
    } catch (const Error& error) {
      EXPECT_EQ(graph_.values.size(), values) << "a rejected op leaves the graph as it was";
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
      return error.what();
    }
  }

  const Graph& graph() const { return graph_; }

 private:
  Graph graph_;
};

inline void ExpectMentions(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in: " << text;
}

}  // namespace lockstep::graph
