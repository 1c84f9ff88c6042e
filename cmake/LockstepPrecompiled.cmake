# The large headers of others, parsed once: a third of a build's time. The presets turn this on; a build without it, the
# default, shows that each file includes what it uses.
option(LOCKSTEP_PRECOMPILED_HEADERS "Precompile the headers of libraries" OFF)
if(NOT LOCKSTEP_PRECOMPILED_HEADERS)
  return()
endif()

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cc CONTENT "int main() {}\n")
set(headers <algorithm> <chrono> <filesystem> <functional> <map> <memory> <string> <vector> <fmt/format.h>
    <google/protobuf/message.h>)
add_library(lockstep_precompiled STATIC ${PROJECT_BINARY_DIR}/precompiled.cc)
target_link_libraries(lockstep_precompiled PRIVATE lockstep_flags fmt::fmt protobuf::libprotobuf)
target_precompile_headers(lockstep_precompiled PRIVATE ${headers})
# Of commands: with the parser of command lines, and JSON.
add_library(lockstep_precompiled_commands STATIC ${PROJECT_BINARY_DIR}/precompiled.cc)
target_compile_options(lockstep_precompiled_commands PRIVATE ${LOCKSTEP_OPTIMIZE_LITTLE})
target_link_libraries(lockstep_precompiled_commands PRIVATE
  lockstep_flags fmt::fmt protobuf::libprotobuf CLI11::CLI11 nlohmann_json::nlohmann_json)
target_precompile_headers(lockstep_precompiled_commands PRIVATE ${headers} <CLI/CLI.hpp> <nlohmann/json.hpp>)
if(LOCKSTEP_TESTS)  # a program: it is compiled as one
  add_executable(lockstep_precompiled_tests ${PROJECT_BINARY_DIR}/precompiled.cc)
  target_compile_options(lockstep_precompiled_tests PRIVATE -O0)
  target_link_libraries(lockstep_precompiled_tests PRIVATE lockstep_flags fmt::fmt protobuf::libprotobuf GTest::gmock)
  target_precompile_headers(lockstep_precompiled_tests PRIVATE ${headers} <gmock/gmock.h> <gtest/gtest.h>)
endif()
