// What `lockstep import` writes: a recipe that a person may go on with, and a report of what became of the file.
#pragma once

#include <string>

#include "trainer/onnx/import_result.h"

namespace lockstep::launch {

/// What is known of the file beside what was imported of it.
struct ImportedFile {
  std::string path;  ///< of the model
  std::string name;  ///< of the run
  std::string producer;
  int opset = 0;
};

/// The recipe's text. `data`: the section data, as text; empty: a hint stands in its place.
std::string ImportedRecipe(const ImportedFile& file, const onnx::ImportResult& result, const std::string& data);

/// Lines for the terminal and for import.txt.
std::string ImportReport(const ImportedFile& file, const onnx::ImportResult& result);

}  // namespace lockstep::launch
