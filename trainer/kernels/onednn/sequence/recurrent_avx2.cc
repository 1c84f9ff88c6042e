// The loops of recurrent layers for AVX2.
#include "trainer/kernels/onednn/sequence/recurrent.h"

#ifdef LOCKSTEP_FUSED_X86
#include <immintrin.h>

// Whatever loops stands behind this line.
#pragma GCC target("arch=x86-64-v3")
#include "trainer/kernels/onednn/sequence/recurrent_grad_tiles.h"
#include "trainer/kernels/onednn/sequence/recurrent_tiles.h"

namespace lockstep::onednn {
namespace {

struct Avx2 {
  using V = F8;
  static constexpr int kRows = 4, kPanels = 1, kStateRows = 3;
  LOCKSTEP_HD static V Fma(V a, V b, V c) { return __builtin_ia32_vfmaddps256(a, b, c); }
};

}  // namespace

const RecurrentKernels kRecurrentAvx2 = {RunForward<Avx2, kernels::LstmUnit>, RunForward<Avx2, kernels::GruUnit>,
                                         RunBackward<Avx2, kernels::LstmUnit>, RunBackward<Avx2, kernels::GruUnit>};

}  // namespace lockstep::onednn
#endif
