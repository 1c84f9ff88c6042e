// ONNX files as bytes: the message, checked as far as reading anything else of it relies on, and files beside it.
#pragma once

#include <span>
#include <string>

#include "base/files/file.h"
#include "trainer/onnx/onnx.pb.h"
#include "trainer/onnx/tensor.h"

namespace lockstep::onnx {

/// Versions of the standard's operators ("opset") that are imported.
inline constexpr int kOldestOpset = 13;
inline constexpr int kNewestOpset = 24;

/// Throws Error(kData) for bytes that are no model, and Error(kUsage) for models of other opsets than 13 to 24, with
/// operators of other domains, functions of their own, or sparse weights.
ModelProto ParseModel(std::span<const std::byte> bytes);
/// The standard's operator set that the model uses. `model` comes from ParseModel.
int OpsetOf(const ModelProto& model);

/// What reads weights that lie in files beside the model at `model_path`. They must stay inside its folder: the result
/// throws Error(kData) for locations that don't.
ReadExternal ExternalFilesOf(FileSystem& files, const std::string& model_path);

}  // namespace lockstep::onnx
