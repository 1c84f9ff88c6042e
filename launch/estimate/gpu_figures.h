// Cards that steps can be estimated for, which need not be here.
#pragma once

#include <string>

namespace lockstep::launch {

/// What a card does in a second, as kernels attain it and not as a data sheet says.
struct GpuFigures {
  const char* name;                              ///< as `plan --gpu` takes it
  const char* title;                             ///< "NVIDIA H200"
  double memory_bytes;                           ///< that a process gets
  double bytes_per_s;                            ///< of its memory, read and written
  double product_flops;                          ///< of large bf16 products whose rows begin at multiples of 16 bytes
  double odd_product_flops;                      ///< of others
  double float_product_flops;                    ///< of float32 products
  double attention_flops, attention_grad_flops;  ///< in bf16
  double instructions_per_s;                     ///< of threads
  double launch_seconds;                         ///< from the end of a kernel of a graph to the next one's work
  double upload_bytes_per_s;                     ///< from pinned memory
  double processors;                             ///< streaming multiprocessors
};
/// Null where it is not known.
const GpuFigures* FindGpu(const std::string& name);
/// "h200, ...".
std::string KnownGpus();

}  // namespace lockstep::launch
