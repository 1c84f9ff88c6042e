// An ONNX model as a file. Protobuf ends at 2 GiB, so that weights of large models stand in a second file beside it.
#pragma once

#include <cstdint>
#include <string>

#include "base/files/file.h"
#include "trainer/onnx/onnx.pb.h"

namespace lockstep::onnx {

inline constexpr int64_t kLargestFile = int64_t{3} << 29;  // 1.5 GiB

/// Writes `model` to `path`, which an older file keeps until the new one is whole. Where its tensors have more than
/// `most` bytes in all, those of more than 1 KiB go to "PATH.data", which the model then names ("external data",
/// docs/ExternalData.md). Returns the second file's path, or "".
std::string WriteModel(FileSystem& files, const std::string& path, ModelProto model, int64_t most = kLargestFile);

}  // namespace lockstep::onnx
