// check_onnx FOLDER: checks every FOLDER/*/model.onnx with ONNX's own library, types and shapes too. Nothing of
// Lockstep is linked: its declarations of ONNX's messages and the library's lie in programs of their own.
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "check_onnx FOLDER\n", 2;
  int checked = 0, bad = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    const std::string path = entry.path().string() + "/model.onnx";
    std::ifstream file(path, std::ios::binary);
    if (!file) continue;
    ++checked;
    try {
      onnx::ModelProto model;
      if (!model.ParseFromIstream(&file)) throw std::runtime_error("no ONNX model");
      onnx::checker::check_model(model);
      // Strict: a shape that contradicts what is known is an error.
      onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), {true, 1, true});
    } catch (const std::exception& error) {
      ++bad;
      std::cerr << path << ": " << error.what() << "\n";
    }
  }
  std::cout << checked << " models, " << bad << " bad\n";
  return bad == 0 && checked > 0 ? 0 : 1;
}
