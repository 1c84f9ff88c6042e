#include "launch/estimate/reference_recipes.h"

namespace lockstep::launch {
namespace {

// Sizes are powers of two and near ones, so that whatever a user has lies between two of them; none is an example's.
constexpr const char* kRecipes[] = {
    // Products: from those that fit the first-level cache to those that read their weights from memory.
    R"(model { mlp { hidden: [64, 32] } } data { train { synthetic { samples: 64 features: 100 classes: 10 } } }
       train { global_batch: 16 })",
    R"(model { mlp { hidden: [256, 256] activation: TANH dropout: 0.1 } }
       data { train { synthetic { samples: 512 features: 512 classes: 16 } } } train { global_batch: 128 })",
    R"(model { mlp { hidden: [1024, 512] activation: GELU } }
       data { train { synthetic { samples: 1024 features: 1024 classes: 100 } } } train { global_batch: 512 })",
    R"(model { mlp { hidden: [2048] activation: SIGMOID } }
       data { train { synthetic { samples: 64 features: 3000 classes: 1000 } } } train { global_batch: 64 })",
    // Convolutions with pooling.
    R"(model { convnet { stages { channels: 16 kernel: 3 pool: 2 } stages { channels: 32 kernel: 3 pool: 2 } hidden: 64 } }
       data { train { synthetic { samples: 128 image { height: 8 width: 8 channels: 1 } } } } train { global_batch: 64 })",
    R"(model { convnet { stages { channels: 16 kernel: 5 pool: 2 } stages { channels: 32 kernel: 5 pool: 2 } hidden: 256 } }
       data { train { synthetic { samples: 128 image { height: 32 width: 32 channels: 1 } } } } train { global_batch: 64 })",
    R"(model { convnet { stages { channels: 32 kernel: 3 batch_norm: true } stages { channels: 64 kernel: 3 pool: 2 batch_norm: true }
                         stages { channels: 128 kernel: 3 pool: 2 } hidden: 128 dropout: 0.3 } }
       data { train { synthetic { samples: 64 image { height: 32 width: 32 channels: 3 } } } } train { global_batch: 64 })",
    R"(model { convnet { stages { channels: 48 kernel: 5 pool: 2 } stages { channels: 96 kernel: 5 pool: 2 } hidden: 512 } }
       data { train { synthetic { samples: 256 image { height: 24 width: 24 channels: 3 } } } } train { global_batch: 256 })",
    // Residual networks.
    R"(model { resnet { depth: 18 stem: CIFAR } }
       data { train { synthetic { samples: 16 image { height: 28 width: 28 channels: 3 } } } } train { global_batch: 16 })",
    R"(model { resnet { depth: 20 stem: CIFAR } }
       data { train { synthetic { samples: 64 image { height: 32 width: 32 channels: 3 } } } } train { global_batch: 64 })",
    R"(model { resnet { depth: 50 } }
       data { train { synthetic { samples: 2 image { height: 160 width: 160 channels: 3 } } } } train { global_batch: 2 })",
    // Transformers.
    R"(model { gpt { layers: 1 heads: 4 width: 128 } }
       data { train { synthetic { samples: 32 tokens: 64 classes: 80 } } } train { global_batch: 16 })",
    R"(model { gpt { layers: 1 heads: 4 width: 256 dropout: 0.1 feed_forward: SWIGLU norm: RMS positions: ROTARY } }
       data { train { synthetic { samples: 16 tokens: 128 classes: 512 } } } train { global_batch: 16 })",
    R"(model { gpt { layers: 1 heads: 8 width: 512 } }
       data { train { synthetic { samples: 8 tokens: 256 classes: 100 } } } train { global_batch: 4 })",
    R"(model { gpt { layers: 1 heads: 16 width: 1024 } }
       data { train { synthetic { samples: 8 tokens: 128 classes: 32000 } } } train { global_batch: 4 })",
    // Recurrent cells, forward and backward in time.
    R"(model { recurrent { layers: 1 hidden: 128 } }
       data { train { synthetic { samples: 32 classes: 29 speech { frames: 60 values: 40 letters: 10 } } } }
       train { global_batch: 16 })",
    R"(model { recurrent { layers: 2 hidden: 192 cell: GRU bidirectional: true } }
       data { train { synthetic { samples: 64 classes: 29 speech { frames: 80 values: 64 letters: 16 } } } }
       train { global_batch: 64 })",
    R"(model { recurrent { layers: 1 hidden: 384 } }
       data { train { synthetic { samples: 32 classes: 40 speech { frames: 120 values: 80 letters: 24 } } } }
       train { global_batch: 32 })",
};

}  // namespace

std::span<const char* const> ReferenceRecipes() { return kRecipes; }

}  // namespace lockstep::launch
