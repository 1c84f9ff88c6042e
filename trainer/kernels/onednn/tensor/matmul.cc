// Products of matrices from the graph as oneDNN primitives: one product of all rows where b is one matrix, which, where
// it is a parameter, may come packed as a linear layer's weight does; else a batch of products.
#include <optional>

#include "trainer/kernels/matmul.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/product.h"

namespace lockstep::onednn {
namespace {

using dnnl::memory;
using engine::Kernel;
using graph::OpKind;
using kernels::BatchedProduct;

BatchedProduct ProductOf(const OpContext& context) {
  return BatchedProduct(context.InputShape(0), context.InputShape(1), context.Attributes<graph::MatMulAttributes>());
}

Product SingleProduct(const BatchedProduct& p, bool packed) {
  return Product({.m = p.m,
                  .k = p.k,
                  .n = p.n,
                  .a_transposed = p.transpose_a,
                  .b_transposed = p.transpose_b,
                  .b_packed = packed,
                  .scale = p.scale});
}

/// A batch of matrices [rows, columns] without gaps. `has`: which of the batch dimensions it has.
memory::desc Matrices(const BatchedProduct& p, bool BatchedProduct::Batch::*has, int64_t rows, int64_t columns,
                      bool transposed) {
  memory::dims dims, strides(static_cast<size_t>(p.batches));
  for (int i = 0; i < p.batches; ++i) dims.push_back(has == nullptr || p.batch[i].*has ? p.batch[i].size : 1);
  int64_t stride = rows * columns;
  for (size_t i = dims.size(); i-- > 0; stride *= dims[i]) strides[i] = stride;
  dims.insert(dims.end(), {rows, columns});
  strides.push_back(transposed ? 1 : columns);
  strides.push_back(transposed ? rows : 1);
  return {dims, memory::data_type::f32, strides};
}

struct Batched {
  memory::desc a, b, y;
  dnnl::matmul::primitive_desc description;

  explicit Batched(const BatchedProduct& p)
      : a(Matrices(p, &BatchedProduct::Batch::of_a, p.m, p.k, p.transpose_a)),
        b(Matrices(p, &BatchedProduct::Batch::of_b, p.k, p.n, p.transpose_b)),
        y(Matrices(p, nullptr, p.m, p.n, false)) {
    dnnl::primitive_attr attributes = UserScratchpad();
    dnnl::post_ops after;
    if (p.scale != 1) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, p.scale, 0.0f);
    attributes.set_post_ops(after);
    description = dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, y), attributes, CpuEngine());
  }
};

/// Whether `runs` products of `rows` rows gain more from a packed b than packing costs (linear.cc).
bool PackingPays(int64_t rows, int runs) {
  constexpr int64_t kLeastRows = 256;
  return runs > 1 && rows * runs >= kLeastRows;
}

size_t PackedBytes(const OpContext& context, int input, int runs) {
  const BatchedProduct p = ProductOf(context);
  if (input != 1 || p.batches > 0 || !PackingPays(p.m, runs)) return 0;
  return SingleProduct(p, true).PackedBytes();
}

std::unique_ptr<Kernel> PreparePack(const OpContext& context, int /*input*/, const void* plain, void* packed) {
  return MakeKernel(
      [reorder = SingleProduct(ProductOf(context), true).PreparePack(plain, packed)]() mutable { reorder.Run(); });
}

size_t Workspace(const OpContext& context) {
  const BatchedProduct p = ProductOf(context);
  if (p.batches > 0) return Batched(p).description.scratchpad_desc().get_size();
  return std::max(SingleProduct(p, false).ScratchpadBytes(), SingleProduct(p, true).ScratchpadBytes());
}

std::unique_ptr<Kernel> PrepareMatMul(const KernelContext& context) {
  const BatchedProduct p = ProductOf(context);
  std::byte* workspace = context.operands.workspace;
  if (p.batches == 0) {
    const void* packed = context.Packed(1);
    const void* b = packed != nullptr ? packed : context.Input(1);
    auto primitive =
        SingleProduct(p, packed != nullptr).Prepare(context.Input(0), b, nullptr, context.Output(0), workspace);
    return MakeKernel([primitive]() mutable { primitive.Run(); });
  }
  const Batched batched(p);
  PreparedPrimitive primitive(dnnl::matmul(batched.description),
                              {{DNNL_ARG_SRC, MemoryAt(batched.a, context.Input(0))},
                               {DNNL_ARG_WEIGHTS, MemoryAt(batched.b, context.Input(1))},
                               {DNNL_ARG_DST, MemoryAt(batched.y, context.Output(0))},
                               {DNNL_ARG_SCRATCHPAD, MemoryAt(batched.description.scratchpad_desc(), workspace)}});
  return MakeKernel([primitive]() mutable { primitive.Run(); });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kMatMul,
     .prepare = PrepareMatMul,
     .workspace_bytes = Workspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack},
};

}  // namespace

std::span<const KernelRow> MatMulRows() { return kRows; }

}  // namespace lockstep::onednn
