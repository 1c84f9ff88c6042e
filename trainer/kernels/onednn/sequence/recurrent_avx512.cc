// The loops of recurrent layers for AVX-512.
#include "trainer/kernels/onednn/sequence/recurrent.h"

#ifdef LOCKSTEP_FUSED_X86
#include <immintrin.h>

// Whatever loops stands behind this line.
#pragma GCC target("arch=x86-64-v4")
#include "trainer/kernels/onednn/sequence/recurrent_grad_tiles.h"
#include "trainer/kernels/onednn/sequence/recurrent_tiles.h"

namespace lockstep::onednn {
namespace {

struct Avx512 {
  using V = F16;
  static constexpr int kRows = 8, kPanels = 2, kStateRows = 6;
  LOCKSTEP_HD static V Fma(V a, V b, V c) {
    return __builtin_ia32_vfmaddps512_mask(a, b, c, static_cast<__mmask16>(-1), _MM_FROUND_CUR_DIRECTION);
  }
};

}  // namespace

const RecurrentKernels kRecurrentAvx512 = {RunForward<Avx512, kernels::LstmUnit>, RunForward<Avx512, kernels::GruUnit>,
                                           RunBackward<Avx512, kernels::LstmUnit>,
                                           RunBackward<Avx512, kernels::GruUnit>};

}  // namespace lockstep::onednn
#endif
