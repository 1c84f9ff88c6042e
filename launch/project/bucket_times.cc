#include "launch/project/bucket_times.h"

#include "base/error.h"
#include "launch/estimate/op_work.h"

namespace lockstep::launch {

std::vector<double> ReadyShares(const engine::ProgramPlan& plan, int buckets, double flops_per_byte) {
  CHECK(flops_per_byte > 0);
  std::vector<double> shares(static_cast<size_t>(buckets), 0);
  double gone = 0;
  for (size_t i = plan.forward_ops; i < plan.graph.ops.size(); ++i) {
    const OpWork work = WorkOf(plan.graph, plan.graph.ops[i]);
    gone += work.flops + work.bytes * flops_per_byte;
    for (const int bucket : plan.buckets_after[i]) shares[static_cast<size_t>(bucket)] = gone;
  }
  for (double& share : shares) share = gone > 0 ? share / gone : 1;
  return shares;
}

}  // namespace lockstep::launch
