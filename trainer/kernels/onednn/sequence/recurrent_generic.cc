// The loops of recurrent layers for machines without AVX2.
#include "trainer/kernels/onednn/sequence/recurrent.h"
#include "trainer/kernels/onednn/sequence/recurrent_grad_tiles.h"
#include "trainer/kernels/onednn/sequence/recurrent_tiles.h"

namespace lockstep::onednn {
namespace {

struct Generic {
  using V = F8;
  static constexpr int kRows = 2, kPanels = 1, kStateRows = 2;
  LOCKSTEP_HD static V Fma(V a, V b, V c) { return a * b + c; }
};

}  // namespace

const RecurrentKernels kRecurrentGeneric = {
    RunForward<Generic, kernels::LstmUnit>, RunForward<Generic, kernels::GruUnit>,
    RunBackward<Generic, kernels::LstmUnit>, RunBackward<Generic, kernels::GruUnit>};

}  // namespace lockstep::onednn
