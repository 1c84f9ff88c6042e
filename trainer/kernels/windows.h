// Where windows lie over time steps [batch, time, channels] (graph.h, kWindows), for all backends.
#pragma once

#include <cstdint>

#include "trainer/engine/op_view.h"

namespace lockstep::kernels {

struct WindowsGeometry {
  int64_t rows, time_steps, channels, windows, kernel, stride, padding;

  /// `x`: the shape of what windows are taken from; `y`: of the windows.
  WindowsGeometry(const engine::OpView& op, const Shape& x, const Shape& y)
      : rows(x.dim(0)), time_steps(x.dim(1)), channels(x.dim(2)), windows(y.dim(1)) {
    const auto& attributes = op.Attributes<graph::WindowsAttributes>();
    kernel = attributes.kernel, stride = attributes.stride, padding = attributes.padding;
  }
};

}  // namespace lockstep::kernels
