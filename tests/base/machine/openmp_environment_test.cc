#include "base/machine/openmp_environment.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "base/machine/cores.h"

namespace lockstep {
namespace {

/// What openmp_environment_program prints when it starts with these settings.
std::string Output(const std::string& settings) {
  FILE* pipe = popen(("env " + settings + " " + LOCKSTEP_OPENMP_PROGRAM).c_str(), "r");
  std::array<char, 4096> text;
  const size_t length = fread(text.data(), 1, text.size(), pipe);
  EXPECT_EQ(pclose(pipe), 0);
  return {text.data(), length};
}

std::string Expected(const std::string& ignored) {
  return std::to_string(QueryCores().allowed.size()) + " cores allowed, a team of 4\n" + ignored;
}

TEST(OpenMpEnvironment, WhatTiesThreadsOrLimitsTeamsIsNotFollowed) {
  EXPECT_EQ(Output("KEPT=1"), Expected(""));
  for (const char* setting : {"OMP_PROC_BIND=true", "OMP_PROC_BIND=close", "OMP_PLACES=cores", "GOMP_CPU_AFFINITY=0",
                              "KMP_AFFINITY=compact", "OMP_THREAD_LIMIT=1", "OMP_MAX_ACTIVE_LEVELS=0"})
    EXPECT_EQ(Output(setting), Expected(std::string(setting) + "\n"));
}

TEST(OpenMpEnvironment, EveryVariableIsNamedAndOthersStay) {
  EXPECT_EQ(Output("-i OMP_PLACES=threads KEPT=1 OMP_PROC_BIND=spread OMP_PLACE=2"),
            Expected("OMP_PLACES=threads\nOMP_PROC_BIND=spread\nKEPT=1\nOMP_PLACE=2\n"));
}

TEST(OpenMpEnvironment, AMaskThatALauncherSetIsKept) {
  EXPECT_EQ(Output("OMP_PROC_BIND=true taskset -c " + std::to_string(QueryCores().allowed.back())),
            "1 cores allowed, a team of 4\nOMP_PROC_BIND=true\n");
}

}  // namespace
}  // namespace lockstep
