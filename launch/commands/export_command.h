// `lockstep export PATH TARGET`: the parameters and running statistics of a checkpoint, for other programs.
#pragma once

#include <string>

#include "launch/export/export_onnx.h"

namespace lockstep::launch {

struct ExportOptions {
  std::string path;    ///< a run folder, a checkpoint folder or what `lockstep import` has written
  std::string target;  ///< a file where it ends in ".safetensors" or ".onnx", else a folder
  /// "raw" (the weights as trained), "ema", or any array's name; empty: what evaluation uses, "ema" where the run has
  /// one.
  std::string weights;
  bool force = false;    ///< a folder that is there already is moved aside
  OnnxExport onnx = {};  ///< of files that end in ".onnx"
};

/// Writes the file, or leaves an older one as it was; or the folder (export_hugging_face.h). Prints a line and returns
/// 0. Throws Error(kCheckpoint), or Error(kUsage) where the checkpoint has no such weights.
int ExportCommand(const ExportOptions& options);

}  // namespace lockstep::launch
