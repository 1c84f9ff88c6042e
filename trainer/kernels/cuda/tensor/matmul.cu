// Products of matrices from the graph: the library's. An operand in float that meets one in bf16 is rounded before: a
// parameter once a step, as a packed copy, anything else in the workspace.
#include <vector>

#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/matmul.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::BatchedProduct;

BatchedProduct ProductOf(const OpContext& context) {
  return BatchedProduct(context.InputShape(0), context.InputShape(1), context.Attributes<graph::MatMulAttributes>());
}

DType OperandType(const OpContext& context) {
  const bool half = context.InputType(0) == DType::kBF16 || context.InputType(1) == DType::kBF16;
  return half ? DType::kBF16 : DType::kF32;
}

/// The library's product over the innermost batch dimension.
MatmulSpec SpecOf(const OpContext& context, const BatchedProduct& p) {
  MatmulSpec spec = {.m = p.m,
                     .n = p.n,
                     .k = p.k,
                     .transpose_a = p.transpose_a,
                     .transpose_b = p.transpose_b,
                     .scale = p.scale,
                     .ab = OperandType(context),
                     .d = context.OutputType(0)};
  if (p.batches == 0) return spec;
  const BatchedProduct::Batch& inner = p.batch[p.batches - 1];
  spec.batch = inner.size;
  spec.a_batch = inner.of_a ? p.m * p.k : 0;
  spec.b_batch = inner.of_b ? p.k * p.n : 0;
  return spec;
}

size_t BytesOf(const OpContext& context, size_t input) {
  return static_cast<size_t>(context.InputShape(input).size()) * sizeof(BFloat16);
}

bool IsRounded(const OpContext& context, size_t input) {
  return OperandType(context) == DType::kBF16 && context.InputType(input) == DType::kF32;
}

size_t PackedBytes(const OpContext& context, int input) {
  const auto i = static_cast<size_t>(input);
  return IsRounded(context, i) ? BytesOf(context, i) : 0;
}

std::unique_ptr<Kernel> PreparePack(const OpContext& context, int input, const void* plain, void* packed,
                                    DeviceStream& stream) {
  return PrepareConversion(DType::kF32, plain, DType::kBF16, packed,
                           context.InputShape(static_cast<size_t>(input)).size(), stream);
}

/// The product's workspace, and operands that are rounded each time.
struct WorkspaceLayout {
  size_t operand[2] = {}, bytes = 0;

  explicit WorkspaceLayout(const OpContext& context) {
    constexpr size_t kAlignment = 256;
    const auto place = [&](size_t size) {
      const size_t at = bytes;
      bytes += (size + kAlignment - 1) / kAlignment * kAlignment;
      return at;
    };
    place(context.library.WorkspaceBytes(SpecOf(context, ProductOf(context))));
    for (const size_t i : {size_t{0}, size_t{1}}) operand[i] = IsRounded(context, i) ? place(BytesOf(context, i)) : 0;
  }
};

size_t Workspace(const OpContext& context) { return WorkspaceLayout(context).bytes; }

std::unique_ptr<Kernel> PrepareMatMul(const KernelContext& context) {
  const BatchedProduct p = ProductOf(context);
  const MatmulSpec spec = SpecOf(context, p);
  const WorkspaceLayout layout(context);
  std::byte* const workspace = context.operands.workspace;
  std::vector<std::unique_ptr<Kernel>> kernels;
  const std::byte* operands[2];
  for (const size_t i : {size_t{0}, size_t{1}}) {
    operands[i] = context.Input<std::byte>(i);
    if (!IsRounded(context, i)) continue;
    if (context.Packed(i) != nullptr) {
      operands[i] = static_cast<const std::byte*>(context.Packed(i));
      continue;
    }
    kernels.push_back(PrepareConversion(DType::kF32, operands[i], DType::kBF16, workspace + layout.operand[i],
                                        context.InputShape(i).size(), context.stream));
    operands[i] = workspace + layout.operand[i];
  }
  const int64_t bytes = SizeOf(spec.ab), y_bytes = SizeOf(spec.d), products = p.matrices() / spec.batch;
  for (int64_t i = 0; i < products; ++i) {
    // Which of the operands' matrices the i-th of the outer batch begins with.
    int64_t rest = i, a = 0, b = 0, a_stride = spec.a_batch > 0 ? spec.batch : 1,
            b_stride = spec.b_batch > 0 ? spec.batch : 1;
    for (int d = p.batches - 2; d >= 0; --d) {
      const int64_t place = rest % p.batch[d].size;
      rest /= p.batch[d].size;
      if (p.batch[d].of_a) a += place * a_stride, a_stride *= p.batch[d].size;
      if (p.batch[d].of_b) b += place * b_stride, b_stride *= p.batch[d].size;
    }
    kernels.push_back(context.library.Prepare(spec,
                                              {.a = operands[0] + a * p.m * p.k * bytes,
                                               .b = operands[1] + b * p.k * p.n * bytes,
                                               .d = context.Output<std::byte>(0) + i * spec.batch * p.m * p.n * y_bytes,
                                               .workspace = workspace},
                                              context.stream));
  }
  return MakeKernel([kernels = std::move(kernels)] {
    for (const auto& kernel : kernels) kernel->Run();
  });
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

}  // namespace lockstep::cuda
