# One library per folder, with the flags that the bits depend on.

add_library(lockstep_flags INTERFACE)
target_include_directories(lockstep_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/proto)
# No contraction, no fast-math, no -march: arithmetic is pinned. errno and traps decide no bits, and vectorisation needs
# them off.
target_compile_options(lockstep_flags INTERFACE
  -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Werror
  # GCC 12 sees overflows in fmt and overlaps in std::string (its bug 105651) that are not there.
  "$<$<CXX_COMPILER_ID:GNU>:-Wno-psabi;-Wno-stringop-overflow;-Wno-restrict>"
  "$<$<CXX_COMPILER_ID:Clang>:-Wno-psabi;-Wno-unknown-pragmas;-Wthread-safety>")
if(LOCKSTEP_SANITIZE)
  target_compile_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
endif()
if(LOCKSTEP_FUZZERS)
  target_compile_options(lockstep_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -g1)
  target_link_options(lockstep_flags INTERFACE -fsanitize=address,undefined)
endif()

# lockstep_headers(NAME FROM OPENMP): the target starts teams of threads; or it is compiled with the headers that FROM
# has precompiled (LockstepPrecompiled.cmake), which only fit without OpenMP's flag.
function(lockstep_headers name from openmp)
  if(openmp)
    target_link_libraries(${name} PRIVATE OpenMP::OpenMP_CXX)
  elseif(LOCKSTEP_PRECOMPILED_HEADERS)
    target_precompile_headers(${name} REUSE_FROM ${from})
    # Without the first ccache refuses; with precompiled headers GCC 12 sees overflows in std::string that are
    # not there.
    target_compile_options(${name} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess;-Wno-array-bounds>")
  endif()
endfunction()

# lockstep_library(NAME [OPENMP] [HEADERS FROM] SOURCES ... PROTOS ... DEPS ...): the library of one folder. PROTOS lie
# beside the code that reads them. FROM: who precompiles its headers.
function(lockstep_library name)
  cmake_parse_arguments(ARG "OPENMP" "HEADERS" "SOURCES;PROTOS;DEPS" ${ARGN})
  if(NOT ARG_HEADERS)
    set(ARG_HEADERS lockstep_precompiled)
  endif()
  set(generated)
  foreach(proto ${ARG_PROTOS})
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${proto})
    string(REGEX REPLACE "\\.proto$" ".pb" stem ${PROJECT_BINARY_DIR}/proto/${path})
    add_custom_command(
      OUTPUT ${stem}.h ${stem}.cc
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/proto
      COMMAND protobuf::protoc -I ${PROJECT_SOURCE_DIR} --cpp_out=${PROJECT_BINARY_DIR}/proto
              ${PROJECT_SOURCE_DIR}/${path}
      DEPENDS ${PROJECT_SOURCE_DIR}/${path}
      VERBATIM)
    list(APPEND generated ${stem}.h ${stem}.cc)
    set_source_files_properties(${stem}.cc PROPERTIES COMPILE_OPTIONS "${LOCKSTEP_OPTIMIZE_LITTLE};-w")
  endforeach()
  add_library(${name} STATIC ${ARG_SOURCES} ${generated})
  lockstep_headers(${name} ${ARG_HEADERS} ${ARG_OPENMP})
  target_link_libraries(${name} PUBLIC lockstep_flags ${ARG_DEPS})
  if(ARG_PROTOS)
    target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
  endif()
endfunction()

# lockstep_test(NAME [OPENMP] SOURCES ... DEPS ... [LABELS ...] [TIMEOUT s]): a GoogleTest program, and a test of its
# name.
function(lockstep_test name)
  cmake_parse_arguments(ARG "OPENMP" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  # Half the time to compile; what is tested has its own flags.
  target_compile_options(${name} PRIVATE -O0)
  lockstep_headers(${name} lockstep_precompiled_tests ${ARG_OPENMP})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest_main GTest::gmock)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
