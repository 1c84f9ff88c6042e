// Linear layers as oneDNN matrix products over weights [out, in], plain or in the library's layout, with equal bits.
//
// Measured on Intel Sapphire Rapids, one thread, f32, GFLOP/s with plain and with packed weights, caches cold:
//   384 to 1536, 64 rows: forward 106, 157; input gradient 103, 160;  512 rows: 146, 164; 140, 163
//   128 to 512,  64 rows: forward 130, 169; input gradient 147, 171;  512 rows: 129, 146; 154, 164
// Packing costs what some 100 to 150 rows gain. Weight gradients gain where x is packed for one product alone, if it is
// large: of 384 to 1536 and 512 rows 141, 152; below that they lose.
#include <algorithm>
#include <memory>
#include <optional>

#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/elementwise_loops.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/product.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::OpKind;

// Forward: y [rows, out] = x [rows, in] weight^T.

/// Whether `runs` products of `rows` rows gain more from packed weights than packing costs.
bool PackingPays(int64_t rows, int runs) {
  constexpr int64_t kLeastRows = 256;
  return runs > 1 && rows * runs >= kLeastRows;
}

Product ForwardProduct(const OpContext& context, bool packed) {
  const Shape& x = context.InputShape(0);
  const Shape& weight = context.InputShape(1);
  const bool relu = context.Attributes<graph::LinearAttributes>().activation == Activation::kRelu;
  return Product({.m = Rows(x),
                  .k = weight.dim(1),
                  .n = weight.dim(0),
                  .b_transposed = true,
                  .bias = context.HasInput(2),
                  .relu = relu,
                  .b_packed = packed});
}

size_t ForwardWorkspace(const OpContext& context) {
  return std::max(ForwardProduct(context, false).ScratchpadBytes(), ForwardProduct(context, true).ScratchpadBytes());
}

size_t ForwardPackedBytes(const OpContext& context, int input, int runs) {
  if (input != 1 || !PackingPays(Rows(context.InputShape(0)), runs)) return 0;
  return ForwardProduct(context, true).PackedBytes();
}

std::unique_ptr<Kernel> PrepareForwardPack(const OpContext& context, int /*input*/, const void* plain, void* packed) {
  return MakeKernel([reorder = ForwardProduct(context, true).PreparePack(plain, packed)]() mutable { reorder.Run(); });
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const void* packed = context.Packed(1);
  const Product product = ForwardProduct(context, packed != nullptr);
  const void* weight = packed != nullptr ? packed : context.Input(1);
  const Activation activation = context.Attributes<graph::LinearAttributes>().activation;
  float* y = context.Output(0);
  const int64_t size = context.OutputShape(0).size();
  auto primitive = product.Prepare(context.Input(0), weight, context.Input(2), y, context.operands.workspace);
  const Activation rest = activation == Activation::kRelu ? Activation::kNone : activation;
  return MakeKernel([=, threads = context.threads]() mutable {
    primitive.Run();
    if (rest != Activation::kNone) ActivateAll(threads, rest, y, y, size);
  });
}

// dx [rows, in] = dy [rows, out] weight.

Product InputGradProduct(const OpContext& context, bool packed) {
  const Shape& dy = context.InputShape(0);
  const Shape& weight = context.InputShape(1);
  return Product({.m = Rows(dy), .k = weight.dim(0), .n = weight.dim(1), .b_packed = packed});
}

size_t InputGradWorkspace(const OpContext& context) {
  return std::max(InputGradProduct(context, false).ScratchpadBytes(),
                  InputGradProduct(context, true).ScratchpadBytes());
}

size_t InputGradPackedBytes(const OpContext& context, int input, int runs) {
  if (input != 1 || !PackingPays(Rows(context.InputShape(0)), runs)) return 0;
  return InputGradProduct(context, true).PackedBytes();
}

std::unique_ptr<Kernel> PrepareInputGradPack(const OpContext& context, int /*input*/, const void* plain, void* packed) {
  return MakeKernel(
      [reorder = InputGradProduct(context, true).PreparePack(plain, packed)]() mutable { reorder.Run(); });
}

std::unique_ptr<Kernel> PrepareInputGrad(const KernelContext& context) {
  const void* packed = context.Packed(1);
  const void* weight = packed != nullptr ? packed : context.Input(1);
  auto primitive = InputGradProduct(context, packed != nullptr)
                       .Prepare(context.Input(0), weight, nullptr, context.Output(0), context.operands.workspace);
  return MakeKernel([primitive]() mutable { primitive.Run(); });
}

// dweight [out, in] = dy^T x; dbias = the column sums of dy.

Product WeightGradProduct(const OpContext& context) {
  constexpr int64_t kLeastRows = 256, kLeastWidth = 384;
  const int64_t rows = Rows(context.InputShape(0));
  const int64_t out = context.InputShape(0).dim(-1), in = context.InputShape(1).dim(-1);
  const bool large = rows >= kLeastRows && std::min(out, in) >= kLeastWidth;
  return Product({.m = out, .k = rows, .n = in, .a_transposed = true, .b_packed = large});
}

/// What lies in the workspace: the product's scratchpad, the totals of dbias, x packed.
struct WeightGradWorkspace {
  size_t totals, packed, bytes;

  WeightGradWorkspace(const OpContext& context, const Product& product)
      : totals(AlignUp(product.ScratchpadBytes(), kValueAlignment)),
        packed(AlignUp(totals + static_cast<size_t>(context.InputShape(0).dim(-1)) * sizeof(double), kValueAlignment)),
        bytes(packed + product.PackedBytes()) {}
};

size_t WeightGradWorkspaceBytes(const OpContext& context) {
  return WeightGradWorkspace(context, WeightGradProduct(context)).bytes;
}

std::unique_ptr<Kernel> PrepareWeightGrad(const KernelContext& context) {
  const Product product = WeightGradProduct(context);
  const float* dy = context.Input(0);
  float* dbias = context.Output(1);
  const int64_t rows = Rows(context.InputShape(0)), out = context.InputShape(0).dim(-1);
  std::byte* workspace = context.operands.workspace;
  const WeightGradWorkspace layout(context, product);
  auto* totals = reinterpret_cast<double*>(workspace + layout.totals);
  if (context.Output(0) == nullptr) return MakeKernel([=] { ColumnSums(dy, rows, out, totals, dbias); });
  const void* x = context.Input(1);
  std::optional<PreparedPrimitive> pack;
  if (product.PackedBytes() > 0) pack = product.PreparePack(x, workspace + layout.packed);
  auto primitive = product.Prepare(dy, pack ? workspace + layout.packed : x, nullptr, context.Output(0), workspace);
  return MakeKernel([=]() mutable {
    if (pack) pack->Run();
    primitive.Run();
    if (dbias != nullptr) ColumnSums(dy, rows, out, totals, dbias);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLinear,
     .prepare = PrepareForward,
     .workspace_bytes = ForwardWorkspace,
     .packed_bytes = ForwardPackedBytes,
     .prepare_pack = PrepareForwardPack,
     .packed_layout = kForwardLayout},
    {.kind = OpKind::kLinearInputGrad,
     .prepare = PrepareInputGrad,
     .workspace_bytes = InputGradWorkspace,
     .packed_bytes = InputGradPackedBytes,
     .prepare_pack = PrepareInputGradPack,
     .packed_layout = kInputGradLayout},
    {.kind = OpKind::kLinearWeightGrad, .prepare = PrepareWeightGrad, .workspace_bytes = WeightGradWorkspaceBytes},
};

}  // namespace

std::span<const KernelRow> LinearRows() { return kRows; }

}  // namespace lockstep::onednn
