// Cases of windows over places.
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

struct WindowsGeometry {
  std::string name;
  Shape x;
  int kernel, stride = 1, padding = 0;
};
const std::vector<WindowsGeometry> kWindows = {
    {"one tap", {2, 5, 3}, 1},
    {"three taps", {2, 7, 4}, 3},
    {"padded", {3, 6, 5}, 3, 1, 1},
    {"stride 2, padded", {2, 9, 16}, 5, 2, 2},
    {"a place that no window sees", {2, 8, 3}, 3, 4},
    {"stride above the kernel", {1, 11, 2}, 2, 3, 1},
    {"wider than the sequence", {2, 2, 6}, 7, 1, 3},
    {"one window", {4, 3, 8}, 3},
    {"padding alone at both ends", {1, 3, 5}, 2, 1, 2},
    {"many places", {5, 131, 40}, 11, 2, 5},
};
graph::WindowsAttributes Attributes(const WindowsGeometry& g) { return {g.kernel, g.stride, g.padding, {}}; }
OpCase WindowsCase(const WindowsGeometry& g) { return {g.name, {F(g.x)}, Attributes(g)}; }
OpCase WindowsGradCase(const WindowsGeometry& g) {
  graph::WindowsAttributes attributes = Attributes(g);
  attributes.result = g.x;
  const int64_t windows = (g.x[1] + 2 * g.padding - g.kernel) / g.stride + 1;
  return {g.name, {F({g.x[0], windows, g.x[2] * g.kernel})}, attributes};
}

}  // namespace

std::vector<OpCase> WindowsCases() { return Map(kWindows, WindowsCase); }
std::vector<OpCase> WindowsGradCases() { return Map(kWindows, WindowsGradCase); }

}  // namespace lockstep::conformance
