// Copies of parameters in layouts that kernels like better, made once per step for all executors of a rank.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/memory.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/engine/program_plan.h"

namespace lockstep::engine {

/// A parameter in a layout that kernels like better. Any thread may pack it, before any program that reads it runs.
class PackedCopy {
 public:
  /// `memory`: copy.bytes where the backend's kernels find them; empty: memory of its own.
  PackedCopy(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy, const ParameterLayout& layout,
             Backend& backend, const float* parameters, std::span<std::byte> memory);

  void Pack() { kernel_->Run(); }
  const std::byte* data() const { return data_; }
  /// Whether it serves as `copy` of `plan` too.
  bool Is(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy) const;

 private:
  const std::string parameter_;
  const int layout_;
  Buffer own_;
  std::byte* data_;
  std::unique_ptr<Kernel> kernel_;
};

/// The packed copies that a program reads: shared by a rank's executors, and with programs of other shapes.
class PackedWeights {
 public:
  /// `memory`: at least plan.packed_bytes where the backend's kernels find it; empty: memory of its own. What `others`,
  /// of programs over the same parameters, have in the same layout is not copied again.
  PackedWeights(const ProgramPlan& plan, const ParameterLayout& layout, Backend& backend, const float* parameters,
                std::span<std::byte> memory = {}, std::span<const std::unique_ptr<PackedWeights>> others = {});

  /// As ProgramPlan::copies.
  std::span<const std::shared_ptr<PackedCopy>> copies() const { return copies_; }
  void Pack();

 private:
  std::vector<std::shared_ptr<PackedCopy>> copies_;
};

/// Bytes of the packed copies of programs over the same parameters that share what they can.
size_t PackedBytes(std::span<const std::shared_ptr<const ProgramPlan>> plans);

}  // namespace lockstep::engine
