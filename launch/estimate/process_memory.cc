#include "launch/estimate/process_memory.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "data/batches/blocks.h"
#include "launch/estimate/op_work.h"
#include "launch/job/job_setup.h"
#include "trainer/checkpoint/shard_format.h"
#include "trainer/evaluate/scorer.h"

namespace lockstep::launch {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr int64_t kThreads = 2 * kMebibyte, kMpi = 8 * kMebibyte;
constexpr int64_t kKernel = 100 << 10;  ///< code that oneDNN writes, and its tables
constexpr int64_t kLargeFile = 4 * kMebibyte, kFileBuffer = 8 * kMebibyte;

/// Those with much arithmetic are oneDNN's.
int64_t DistinctKernels(const plan::JobPlans& plans) {
  std::set<std::pair<std::string, std::array<double, 6>>> kernels;
  // Those of other shapes share most of their code.
  for (const auto& program : {plans.train.back(), plans.evaluate.back()})
    for (const graph::Op& op : program->graph.ops) {
      const OpWork work = WorkOf(program->graph, op);
      if (work.flops > work.bytes)
        kernels.insert(
            {work.kind, {work.flops, work.bytes, work.shape[0], work.shape[1], work.shape[2], work.shape[3]}});
    }
  return static_cast<int64_t>(kernels.size());
}

}  // namespace

int64_t ProcessBytes(const plan::JobPlans& plans, int64_t resident, int64_t held, int ranks, int64_t shard) {
  return std::max<int64_t>(0, resident - held) + kThreads + kKernel * DistinctKernels(plans) + (ranks > 1 ? kMpi : 0) +
         (shard + static_cast<int64_t>(checkpoint::kShardAlignment) > kLargeFile ? kFileBuffer : 0);
}

int64_t AnswerBytes(const Recipe& recipe, const run::Job& job, const plan::JobPlans& plans,
                    const comm::LanePlan& lanes) {
  if (job.model.task != metrics::Task::kTranslation) return 0;
  const infer::DecoderModel model = DecoderModelOf(recipe.model(), DataShapeOf(job.splits));
  const data::Blocks blocks(*job.splits.reported(), *job.splits.transform, plans.evaluation_shapes);
  std::vector<int64_t> of_shape(plans.evaluation_shapes.size());
  data::LaneSamples samples;
  for (int64_t block = 0; block < blocks.count(); ++block) {
    blocks.Read(block, samples);
    ++of_shape[static_cast<size_t>(samples.shape)];
  }
  int64_t executors = 0, bytes = 0;
  for (const auto& rank : lanes) executors += static_cast<int64_t>(rank.size());
  for (size_t shape = 0; shape < of_shape.size(); ++shape)
    bytes += std::min(executors, of_shape[shape]) *
             infer::DecoderBytes(model, plans.layout, *job.place.backend,
                                 evaluate::TranslationDecoder(plans.evaluation_shapes[shape].length));
  return bytes / static_cast<int64_t>(lanes.size());
}

}  // namespace lockstep::launch
