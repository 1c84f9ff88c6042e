# Whether this build has the GPU backend. The main program needs none of it: what does lies in a library of its own,
# lockstep_cuda, which it loads when a GPU is wanted.
#
# Sets LOCKSTEP_HAS_CUDA, and defines lockstep_cuda_flags (for sources that nvcc compiles) and lockstep_cuda_headers.

set(LOCKSTEP_CUDA AUTO CACHE STRING "The GPU backend: AUTO (where nvcc, cuBLASLt, cuDNN and NCCL are found), ON or OFF")
set(architectures "80-real;90-real;100-real;100-virtual")
if(DEFINED ENV{LOCKSTEP_CUDA_ARCHITECTURES})
  set(architectures "$ENV{LOCKSTEP_CUDA_ARCHITECTURES}")
endif()
set(LOCKSTEP_CUDA_ARCHITECTURES "${architectures}" CACHE STRING
    "GPU architectures to build for; -virtual adds PTX, which newer drivers compile for newer GPUs")
set(LOCKSTEP_HAS_CUDA OFF)

function(lockstep_find_cuda missing)
  set(lacks)
  find_program(LOCKSTEP_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(NOT LOCKSTEP_NVCC)
    set(${missing} "nvcc" PARENT_SCOPE)
    return()
  endif()
  get_filename_component(toolkit ${LOCKSTEP_NVCC} REALPATH)
  get_filename_component(toolkit ${toolkit} DIRECTORY)
  get_filename_component(toolkit ${toolkit} DIRECTORY)
  foreach(part "cublasLt;cublasLt.h" "cudnn;cudnn.h" "nccl;nccl.h")
    list(GET part 0 name)
    list(GET part 1 header)
    string(TOUPPER ${name} upper)
    find_library(LOCKSTEP_${upper}_LIBRARY NAMES ${name} HINTS ${toolkit} PATH_SUFFIXES lib lib64)
    find_path(LOCKSTEP_${upper}_INCLUDE ${header} HINTS ${toolkit} PATH_SUFFIXES include)
    mark_as_advanced(LOCKSTEP_${upper}_LIBRARY LOCKSTEP_${upper}_INCLUDE)
    if(NOT LOCKSTEP_${upper}_LIBRARY OR NOT LOCKSTEP_${upper}_INCLUDE)
      list(APPEND lacks ${name})
    endif()
  endforeach()
  set(${missing} "${lacks}" PARENT_SCOPE)
endfunction()

if(LOCKSTEP_CUDA STREQUAL "OFF")
  message(STATUS "GPU backend: no, LOCKSTEP_CUDA is OFF")
else()
  lockstep_find_cuda(lockstep_cuda_lacks)
  if(lockstep_cuda_lacks)
    string(REPLACE ";" ", " text "${lockstep_cuda_lacks}")
    if(LOCKSTEP_CUDA STREQUAL "ON")
      message(FATAL_ERROR "LOCKSTEP_CUDA is ON, but this is missing: ${text}")
    endif()
    message(STATUS "GPU backend: no, this is missing: ${text}")
  else()
    set(LOCKSTEP_HAS_CUDA ON)
  endif()
endif()

if(LOCKSTEP_HAS_CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${LOCKSTEP_NVCC})
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${LOCKSTEP_CUDA_ARCHITECTURES})
  if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 doesn't know that nvcc has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit REQUIRED)
  string(REPLACE ";" ", " text "${LOCKSTEP_CUDA_ARCHITECTURES}")
  message(STATUS "GPU backend: yes, CUDA ${CUDAToolkit_VERSION} for ${text}")

  add_library(lockstep_cuda_headers INTERFACE)
  target_include_directories(lockstep_cuda_headers SYSTEM INTERFACE
    ${CUDAToolkit_INCLUDE_DIRS} ${LOCKSTEP_CUBLASLT_INCLUDE} ${LOCKSTEP_CUDNN_INCLUDE} ${LOCKSTEP_NCCL_INCLUDE})

  # The arithmetic of our kernels is the CPU's: no contraction to fma, denormals flushed to zero. Registers that spill
  # to memory are an error.
  set(spills_are_errors "-Xptxas -warn-spills,-Werror")
  add_library(lockstep_cuda_flags INTERFACE)
  target_include_directories(lockstep_cuda_flags INTERFACE ${PROJECT_SOURCE_DIR})
  target_compile_options(lockstep_cuda_flags INTERFACE
    -fmad=false -ftz=true "SHELL:-Werror all-warnings" "SHELL:-Xcompiler -Wall,-Wextra,-ffp-contract=off"
    "SHELL:${spills_are_errors}")
  string(REPLACE " " ";" LOCKSTEP_SPILLS_ARE_ERRORS "${spills_are_errors}")
endif()
