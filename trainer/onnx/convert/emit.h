// Nodes that several families of conversions emit.
#pragma once

#include <string>
#include <vector>

#include "trainer/onnx/convert/conversion.h"

namespace lockstep::onnx {

/// A node that reads `inputs`.
models::Node NodeReading(const std::vector<std::string>& inputs);

/// Emits a reshape to `shape` (-1: the batch), unless `from` is that already; what the result is called.
std::string Reshaped(Conversion& to, const std::string& x, const Dims& from, const Dims& shape,
                     const std::string& name);
/// Emits a transpose, unless `order` leaves all as it is.
std::string Transposed(Conversion& to, const std::string& x, const Dims& order, const std::string& name);
/// Emits an expansion of x from shape `from` to `shape`; both as OpenShape has them.
std::string Expanded(Conversion& to, const std::string& x, Dims from, const Dims& shape, const std::string& name);
/// Emits the places begin, begin + step, ... of an axis, unless they are all of them.
std::string Sliced(Conversion& to, const std::string& x, const Dims& from, int axis, int64_t begin, int64_t step,
                   int64_t count, const std::string& name);
/// Emits a padding, unless it is none.
std::string Padded(Conversion& to, const std::string& x, const Dims& before, const Dims& after, double value,
                   const std::string& name);
/// Emits `x OPERATION number`: a function of Node that gives the operand, as &models::Node::mutable_add.
using OperandOf = models::Operand* (models::Node::*)();
std::string WithNumber(Conversion& to, const std::string& x, OperandOf operation, double number,
                       const std::string& name);
std::string WithOther(Conversion& to, const std::string& x, OperandOf operation, const std::string& y,
                      const std::string& name);
std::string Functioned(Conversion& to, const std::string& x, models::Function::Kind kind, const std::string& name);
std::string ReducedTo(Conversion& to, const std::string& x, models::Reduce::Kind kind, const std::vector<size_t>& axes,
                      bool keep, const std::string& name);

}  // namespace lockstep::onnx
