// ONNX files of any bytes: refused with an Error, or imported.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "trainer/onnx/import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  try {
    const onnx::ModelProto model = onnx::ParseModel(std::as_bytes(std::span(data, size)));
    onnx::Import(model, {.dims = {{"time", 4}}}, nullptr);
  } catch (const Error&) {
  }
  return 0;
}
