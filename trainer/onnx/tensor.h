// Tensors of ONNX files on the host: what constant folding works on, and weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/onnx/onnx.pb.h"

namespace lockstep::onnx {

using Dims = std::vector<int64_t>;

/// Product of dimensions. Throws Error(kData) where one is negative or the product leaves int64's range.
int64_t ElementsOf(const Dims& dims);
/// "[3, 224, 224]".
std::string ToString(const Dims& dims);

/// Constants, of whatever type: doubles hold floats and integers up to 2^53 exactly, and larger integers (ends of
/// slices that mean "to the end") nearly.
struct Tensor {
  int type = TensorProto::UNDEFINED;  ///< TensorProto::DataType
  Dims dims;
  std::vector<double> values;  ///< row-major; as many as dims say
};

bool IsFloatType(int type);
bool IsIntegerType(int type);
/// "FLOAT", "INT64".
std::string TypeName(int type);
/// `value` as a tensor of `type` holds it: floats rounded to their precision, integers truncated, truth values 0 or 1.
double RoundTo(int type, double value);
/// The shortest decimal number that is `value` as a float, where it is one: 0.1 for 0.100000001490116.
double Decimal(double value);
/// The integer nearest to `value`, within int64.
int64_t ToInt64(double value);

/// Bytes of files beside the model: (location, offset, length) -> bytes; a length of 0 is the rest of the file.
using ReadExternal = std::function<std::string(const std::string& location, uint64_t offset, uint64_t length)>;

/// Checks that the tensor holds as many values as its dimensions say. Throws Error(kData) that names it where it does
/// not, or is of strings or complex numbers.
Tensor ReadTensor(const TensorProto& proto, const ReadExternal& external);
/// The same for weights: as floats.
std::vector<float> ReadFloats(const TensorProto& proto, const ReadExternal& external);

}  // namespace lockstep::onnx
