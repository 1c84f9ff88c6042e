// The families of ops: each has its rows in a file of its own (ops_*.cc).
#pragma once

#include <span>

#include "trainer/graph/op_row.h"

namespace lockstep::graph {

std::span<const OpRow> LinearRows();
std::span<const OpRow> ConvolutionRows();
std::span<const OpRow> PoolingRows();
std::span<const OpRow> NormRows();
std::span<const OpRow> ElementwiseRows();
std::span<const OpRow> TensorElementwiseRows();
std::span<const OpRow> FusedElementwiseRows();
std::span<const OpRow> LayoutRows();
std::span<const OpRow> ResizeRows();
std::span<const OpRow> SequenceRows();
std::span<const OpRow> RecurrentRows();
std::span<const OpRow> LossRows();
std::span<const OpRow> CtcRows();
std::span<const OpRow> DetectionRows();
std::span<const OpRow> ReduceRows();
std::span<const OpRow> StridedRows();
std::span<const OpRow> MatMulRows();

}  // namespace lockstep::graph
