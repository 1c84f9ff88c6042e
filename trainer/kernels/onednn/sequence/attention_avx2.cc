// Attention's loops for AVX2.
#include "trainer/kernels/onednn/sequence/attention.h"

#ifdef LOCKSTEP_FUSED_X86
#include <immintrin.h>

// Whatever loops stands behind this line.
#pragma GCC target("arch=x86-64-v3")
#include "trainer/kernels/onednn/sequence/attention_grad_tiles.h"
#include "trainer/kernels/onednn/sequence/attention_tiles.h"

namespace lockstep::onednn {
namespace {

struct Avx2 {
  using V = F8;
  static constexpr int kRows = 4, kPanels = 1;
  LOCKSTEP_HD static V Fma(V a, V b, V c) { return __builtin_ia32_vfmaddps256(a, b, c); }
};

}  // namespace

const AttentionKernels kAttentionAvx2 = {AttendPair<Avx2>, AttendPairGrad<Avx2>};

}  // namespace lockstep::onednn
#endif
