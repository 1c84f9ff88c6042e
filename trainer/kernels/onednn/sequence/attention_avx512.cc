// Attention's loops for AVX-512.
#include "trainer/kernels/onednn/sequence/attention.h"

#ifdef LOCKSTEP_FUSED_X86
#include <immintrin.h>

// Whatever loops stands behind this line.
#pragma GCC target("arch=x86-64-v4")
#include "trainer/kernels/onednn/sequence/attention_grad_tiles.h"
#include "trainer/kernels/onednn/sequence/attention_tiles.h"

namespace lockstep::onednn {
namespace {

struct Avx512 {
  using V = F16;
  static constexpr int kRows = 8, kPanels = 2;
  LOCKSTEP_HD static V Fma(V a, V b, V c) {
    return __builtin_ia32_vfmaddps512_mask(a, b, c, static_cast<__mmask16>(-1), _MM_FROUND_CUR_DIRECTION);
  }
};

}  // namespace

const AttentionKernels kAttentionAvx512 = {AttendPair<Avx512>, AttendPairGrad<Avx512>};

}  // namespace lockstep::onednn
#endif
