// The standard's tests of operators: what passes must go on to pass.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "tests/trainer/kernels/reference_backend.h"
#include "tests/trainer/onnx/standard_tests.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::onnx {
namespace {

struct Counts {
  int passed = 0, all = 0;
  std::map<std::string, int> reasons;
};

std::map<std::string, Counts> RunAll(engine::Backend& backend) {
  std::map<std::string, Counts> table;
  const std::string folder = FolderOfStandardTests();
  for (const std::string& test : StandardTests(folder)) {
    const StandardOutcome outcome = RunStandardTest(folder, test, backend);
    Counts& counts = table[outcome.op];
    ++counts.all;
    if (outcome.reason.empty())
      ++counts.passed;
    else
      ++counts.reasons[outcome.reason];
    if (!outcome.reason.empty() && std::getenv("LOCKSTEP_ONNX_VERBOSE") != nullptr)
      fmt::print("{}: {}\n", test, outcome.reason);
  }
  return table;
}

void Print(const std::map<std::string, Counts>& table) {
  int passed = 0, all = 0;
  for (const auto& [op, counts] : table) {
    std::string why;
    for (const auto& [reason, times] : counts.reasons)
      why += fmt::format("{}{} {}", why.empty() ? "" : "; ", times, reason);
    fmt::print("{:28} {:3} of {:3}  {}\n", op, counts.passed, counts.all, why);
    passed += counts.passed;
    all += counts.all;
  }
  fmt::print("{:28} {:3} of {:3}\n", "all", passed, all);
}

/// "Add 5" on each line: how many passed when it was written (LOCKSTEP_ONNX_WRITE=FILE writes it anew).
std::map<std::string, int> Committed() {
  std::map<std::string, int> passed;
  std::ifstream file(std::string(LOCKSTEP_SOURCE_DIR) + "/tests/trainer/onnx/standard_tests_passed.txt");
  std::string op;
  for (int count = 0; file >> op >> count;) passed[op] = count;
  return passed;
}

void ExpectNoFewer(engine::Backend& backend) {
  if (FolderOfStandardTests().empty())
    GTEST_SKIP() << "no tests of the standard here: install libonnx-testdata, or set LOCKSTEP_ONNX_TESTS";
  std::map<std::string, Counts> table = RunAll(backend);
  Print(table);
  if (const char* path = std::getenv("LOCKSTEP_ONNX_WRITE")) {
    std::ofstream file(path);
    for (const auto& [op, counts] : table)
      if (counts.passed > 0) file << op << " " << counts.passed << "\n";
  }
  const std::map<std::string, int> committed = Committed();
  EXPECT_FALSE(committed.empty());
  for (const auto& [op, passed] : committed) EXPECT_GE(table[op].passed, passed) << op;
}

TEST(StandardTests, PassOnTheReference) { ExpectNoFewer(*conformance::MakeReferenceBackend()); }
TEST(StandardTests, PassOnCpus) { ExpectNoFewer(*MakeOneDnnBackend({1, DetectIsa()})); }

}  // namespace
}  // namespace lockstep::onnx
