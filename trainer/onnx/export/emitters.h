// The table of emitters: what each op kind is in ONNX (opset 17). A kind without a row can't be exported.
#pragma once

#include <span>

#include "trainer/onnx/export/emission.h"

namespace lockstep::onnx {

struct EmitterRow {
  graph::OpKind kind;
  /// Writes the op's nodes and says what holds its results.
  void (*emit)(Emission& emission);
};

/// nullptr where the kind has none.
const EmitterRow* FindEmitter(graph::OpKind kind);

// By family, each in a file of its own.
std::span<const EmitterRow> LayerEmitters();
std::span<const EmitterRow> NormEmitters();
std::span<const EmitterRow> ElementwiseEmitters();
std::span<const EmitterRow> ArithmeticEmitters();
std::span<const EmitterRow> ReductionEmitters();
std::span<const EmitterRow> MovementEmitters();
std::span<const EmitterRow> ViewEmitters();
std::span<const EmitterRow> SequenceEmitters();
std::span<const EmitterRow> RecurrentEmitters();

}  // namespace lockstep::onnx
