// What Slice, Split and Pad say, in one form for all versions of the standard: for inference and for conversion.
#pragma once

#include <vector>

#include "trainer/onnx/fold/step.h"

namespace lockstep::onnx {

/// Of one axis the places begin, begin + step, ...: `count` of them.
struct AxisSlice {
  int axis = 0;
  int64_t begin = 0, step = 1, count = 0;
};
/// Of a Slice; one entry for each axis it names.
std::vector<AxisSlice> SlicesOf(const Step& step);

/// The sizes of pieces along `axis`.
struct SplitPieces {
  int axis = 0;
  Dims sizes;
};
SplitPieces PiecesOf(const Step& step);          ///< of a Split
SplitPieces SequencePiecesOf(const Step& step);  ///< of a SplitToSequence

/// Of each dimension; negative numbers cut.
struct Padding {
  Dims before, after;
};
Padding PaddingOf(const Step& step);  ///< of a Pad

}  // namespace lockstep::onnx
