// The standard's own tests of single operators, as Debian's package libonnx-testdata has them.
#pragma once

#include <string>
#include <vector>

#include "trainer/engine/backend.h"

namespace lockstep::onnx {

/// /usr/share/libonnx-testdata/data/node, or what $LOCKSTEP_ONNX_TESTS says; empty where it isn't there.
std::string FolderOfStandardTests();

struct StandardOutcome {
  std::string test;    ///< "test_add_bcast"
  std::string op;      ///< of its last node
  std::string reason;  ///< why it doesn't pass; empty: it does
};

/// Imports the test's model and compares its answers, as the standard's runner does: to 1e-3 of each value, and 1e-7.
/// What the file has as inputs of the model becomes constants where the operator wants them, such as shapes.
StandardOutcome RunStandardTest(const std::string& folder, const std::string& test, engine::Backend& backend);

/// Names of all tests in order.
std::vector<std::string> StandardTests(const std::string& folder);

}  // namespace lockstep::onnx
