#include "trainer/onnx/export/emitters.h"

#include "trainer/graph/rows_by_kind.h"

namespace lockstep::onnx {

const EmitterRow* FindEmitter(graph::OpKind kind) {
  static const auto rows = graph::CollectRows<EmitterRow>(
      "ONNX export", {LayerEmitters(), NormEmitters(), ElementwiseEmitters(), ArithmeticEmitters(), ReductionEmitters(),
                      MovementEmitters(), ViewEmitters(), SequenceEmitters(), RecurrentEmitters()});
  return rows.Find(kind);
}

}  // namespace lockstep::onnx
