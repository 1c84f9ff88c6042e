#include "base/first_error.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>

namespace lockstep {
namespace {

void KeepErrorOf(FirstError& error, const std::string& text) {
  try {
    throw std::runtime_error(text);
  } catch (...) {
    error.Keep();
  }
}

TEST(FirstError, OfSeveralThreadsIsThrownAgain) {
  FirstError error;
  error.Rethrow();  // there is none yet
  std::thread([&] { KeepErrorOf(error, "first"); }).join();
  std::thread([&] { KeepErrorOf(error, "second"); }).join();
  try {
    error.Rethrow();
    FAIL() << "nothing is thrown";
  } catch (const std::runtime_error& thrown) {
    EXPECT_EQ(std::string(thrown.what()), "first");
  }
}

}  // namespace
}  // namespace lockstep
