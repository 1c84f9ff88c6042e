// What convolutions and pools say of their windows, in one form.
#pragma once

#include <vector>

#include "trainer/onnx/fold/step.h"

namespace lockstep::onnx {

/// Of each spatial dimension.
struct Windows {
  Dims kernel, stride, dilation, before, after;
  Dims output;  ///< places of the window
  /// How far the last windows reach behind the padding: ceil_mode's.
  Dims beyond;
};

/// Of a Conv, MaxPool or AveragePool whose x is [n, c, spatial...]; `kernel` is the attribute kernel_shape, or what the
/// weight says. Throws Unsupported.
Windows WindowsOf(const Step& step, Dims kernel);
/// Of a ConvTranspose: before and after are what is cut from the result; output, its size.
Windows TransposedWindowsOf(const Step& step, Dims kernel);

}  // namespace lockstep::onnx
