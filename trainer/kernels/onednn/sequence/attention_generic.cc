// Attention's loops for machines without AVX2.
#include "trainer/kernels/onednn/sequence/attention.h"
#include "trainer/kernels/onednn/sequence/attention_grad_tiles.h"
#include "trainer/kernels/onednn/sequence/attention_tiles.h"

namespace lockstep::onednn {
namespace {

struct Generic {
  using V = F8;
  static constexpr int kRows = 2, kPanels = 1;
  LOCKSTEP_HD static V Fma(V a, V b, V c) { return a * b + c; }
};

}  // namespace

const AttentionKernels kAttentionGeneric = {AttendPair<Generic>, AttendPairGrad<Generic>};

}  // namespace lockstep::onednn
