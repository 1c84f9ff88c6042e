// The matrix products and convolutions that models need: for tests that want every one of them.
#pragma once

#include <string>
#include <vector>

#include "trainer/kernels/cuda/dense/dense_library.h"
#include "trainer/models/models.h"

namespace lockstep::cuda {

template <typename Spec>
struct ModelSpec {
  std::string model;  ///< the first that has it
  Spec spec;          ///< of f32
};

struct ModelSpecs {
  std::vector<ModelSpec<MatmulSpec>> matmuls;
  std::vector<ModelSpec<ConvolutionSpec>> convolutions;
};

/// What the GPU backend asks its library for in a training step and an evaluation of ResNet-50 on images of 224x224 (32
/// per lane), ResNet-18 on images of 32x32 (16 per lane), and every recipe in the folder `examples` that learns from
/// images, or from tokens of GPT-2's vocabulary. No spec twice.
ModelSpecs CollectModelSpecs(const std::string& examples);

/// A recipe's model, what its data look like, and how many samples a lane has.
struct LaneModel {
  models::ModelConfig config;
  models::DataShape data;
  int64_t rows;
};
/// REQUIRES: a recipe of those that CollectModelSpecs reads.
LaneModel ReadLaneModel(const std::string& path);

}  // namespace lockstep::cuda
