#include "trainer/kernels/onednn/primitives.h"

#include <omp.h>

#include "base/error.h"

namespace lockstep::onednn {

const dnnl::engine& CpuEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

bool HasAvx512() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  return isa != dnnl::cpu_isa::sse41 && isa != dnnl::cpu_isa::avx && isa != dnnl::cpu_isa::avx2 &&
         isa != dnnl::cpu_isa::avx2_vnni;
}

bool HasAvx2() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  return isa != dnnl::cpu_isa::sse41 && isa != dnnl::cpu_isa::avx;
}

dnnl::primitive_attr UserScratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::memory MemoryAt(const dnnl::memory::desc& description, const void* address) {
  return dnnl::memory(description, CpuEngine(), const_cast<void*>(address));
}

PreparedPrimitive::PreparedPrimitive(dnnl::primitive primitive, std::vector<std::pair<int, dnnl::memory>> arguments)
    : primitive_(std::move(primitive)), stream_(CpuEngine()), memories_(std::move(arguments)) {
  for (const auto& [argument, memory] : memories_) arguments_.push_back({argument, memory.get()});
}

void PreparedPrimitive::Run() {
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()), arguments_.data());
  CHECK(status == dnnl_success, "oneDNN could not run a primitive: status {}", static_cast<int>(status));
}

PreparedPrimitive PrepareReorder(const dnnl::memory& from, const dnnl::memory& to) {
  return PreparedPrimitive(dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

ScopedTeam::ScopedTeam(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
ScopedTeam::~ScopedTeam() { omp_set_num_threads(before_); }

}  // namespace lockstep::onednn
