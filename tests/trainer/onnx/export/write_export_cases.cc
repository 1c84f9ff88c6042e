// write_export_cases FOLDER: exports the cases of export_cases.h as ONNX's own tests lie in folders, for programs that
// check them.
#include <cstdio>

#include "base/error.h"
#include "tests/trainer/onnx/export/export_cases.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("write_export_cases FOLDER\n", stderr), 2;
  try {
    lockstep::onnx::WriteCases(argv[1]);
  } catch (const lockstep::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.where().c_str(), error.message().c_str());
    return 1;
  }
  return 0;
}
