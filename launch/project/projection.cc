#include "launch/project/projection.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/philox.h"
#include "launch/scale/link_use.h"
#include "trainer/step/control_record.h"

namespace lockstep::launch {
namespace {

constexpr double kMostMessages = 2e7;  // of all simulated steps: a minute or so
constexpr int kFewestSteps = 3;

double PhaseOr(const PhaseTimes& phases, const char* name) {
  const auto found = phases.mean.find(name);
  return found == phases.mean.end() ? 0 : found->second;
}

/// Points of the recipe itself that have been measured, by ranks.
std::vector<const PointSummary*> MeasuredPoints(const StudyFacts& facts, const StudySummary& summary) {
  std::vector<const PointSummary*> points;
  for (const PointSummary& point : summary.points)
    if (point.point->role == StudyPoint::Role::kPoint && point.point->variant == facts.points.front().variant &&
        !point.phases.mean.empty())
      points.push_back(&point);
  std::ranges::stable_sort(points, {}, [](const PointSummary* point) { return point->point->ranks; });
  return points;
}

/// Of `ranks` that all get `bytes` from each other one (MPI_Allgather): rounds, and what comes in over a host's link.
double AllGatherSeconds(const comm::Topology& topology, const Network& network, double bytes) {
  const int ranks = topology.world_size, hosts = static_cast<int>(topology.hosts.size());
  const int rounds = std::bit_width(static_cast<unsigned>(ranks - 1));
  const double local = static_cast<double>(topology.hosts.front().size());
  const double incoming = hosts > 1 ? local * (ranks - local) * bytes : 0;
  return rounds * ((hosts > 1 ? network.latency_us : 0) + network.message_us) * 1e-6 +
         incoming * 8 / network.gbit / 1e9;
}

/// How long one rank's lanes take in one step, over the median.
double Factor(const ProjectionRequest& request, const MeasuredRank& measured, int step, int rank) {
  const RandomStream stream{request.seed, static_cast<uint64_t>(step), 0, static_cast<uint64_t>(rank)};
  const Philox4 bits = stream.Group(0);
  if (request.network.straggle >= 0) return std::exp(request.network.straggle * NormalFromBits(bits.x[0], bits.x[1]));
  return measured.factors.empty() ? 1 : measured.factors[bits.x[0] % measured.factors.size()];
}

StepLoad LoadOf(int step, const ProjectionRequest& request, const ProjectedJob& job, const MeasuredRank& measured,
                const comm::LanePlan& plan) {
  StepLoad load{.ready = job.ready,
                .share_at_once = job.share_at_once,
                .update_seconds = measured.update,
                .update_floats = 2 + 2 * job.state_arrays};
  const RandomStream stream{request.seed, static_cast<uint64_t>(step), 1, 0};
  const double lanes = measured.lanes[stream.Bits(0) % measured.lanes.size()] / measured.lanes_per_rank;
  const double backward = measured.backward / measured.lanes_per_rank;
  for (size_t rank = 0; rank < plan.size(); ++rank) {
    const double factor = Factor(request, measured, step, static_cast<int>(rank));
    load.lanes.push_back(factor * lanes * plan[rank].front().size());
    load.backward.push_back(std::min(load.lanes.back(), factor * backward));
  }
  return load;
}

/// What most of a step goes to; of an exchange what keeps its busiest part longest.
std::string BoundOf(const ProjectedPoint& point) {
  const SimulatedStep& step = point.median;
  const double most = std::max({point.lanes, point.waiting, point.exposed, point.records, point.fixed});
  if (most == point.lanes) return "lanes";
  if (most == point.waiting) return "the slowest rank";
  if (most == point.records) return "control records";
  if (most == point.fixed) return "work of every rank";
  const double busiest = std::max({step.link_busy, step.message_busy, step.memory_busy});
  if (busiest < 0.5 * step.exposed()) return "latency";
  return busiest == step.link_busy ? "links" : busiest == step.message_busy ? "number of messages" : "sums in memory";
}

void SetRates(const ProjectionRequest& request, const MeasuredRank& measured, const StudySummary& summary,
              ProjectedPoint& point) {
  point.rate = static_cast<double>(point.global_batch) / point.step_seconds;
  point.speedup = measured.base_rate > 0 ? point.rate / measured.base_rate : 0;
  point.efficiency = point.speedup * measured.base_ranks / point.ranks;
  if (!summary.cost) return;
  // The model of a weak study is of a step over its ranks (summary.cc).
  Interval model = summary.cost->At(point.ranks);
  const double grown = request.mode == StudyMode::kWeak ? point.ranks : 1;
  point.model = Interval{model.low * grown, model.high * grown, model.coverage};
}

struct Simulated {
  std::vector<SimulatedStep> steps = {};
  ValueCheck values = {};
};

Simulated Simulate(const ExchangeSimulator& simulator, const comm::LanePlan& plan, const ProjectionRequest& request,
                   const ProjectedJob& job, const MeasuredRank& measured, double norm_seconds) {
  Simulated simulated;
  ExchangeValues values(simulator.exchange(), simulator.topology());
  int steps = request.steps;
  for (int step = 0; step < steps; ++step) {
    StepLoad load = LoadOf(step, request, job, measured, plan);
    load.norm_seconds = norm_seconds;
    simulated.steps.push_back(simulator.Run(load, step == 0 ? &values : nullptr));
    const double messages = static_cast<double>(std::max<int64_t>(1, simulated.steps.front().messages));
    steps = std::min(steps, std::max(kFewestSteps, static_cast<int>(std::min(1e6, kMostMessages / messages))));
  }
  simulated.values = values.Check();
  std::ranges::stable_sort(simulated.steps, {}, &SimulatedStep::seconds);
  return simulated;
}

}  // namespace

Network MeasuredNetwork(const StudyFacts& facts) {
  Network network;
  std::vector<double> rates, latencies;
  for (const LinkLimit& link : facts.hosts.BetweenHosts()) {
    rates.push_back(link.gbit);
    latencies.push_back(link.latency_us);
  }
  if (rates.empty()) return network;
  network.gbit = Median(rates);
  network.latency_us = std::max(0.0, Median(latencies) - 2 * network.message_us);
  return network;
}

MeasuredRank MeasureRank(const StudyFacts& facts, const std::vector<RunResult>& results, const StudySummary& summary,
                         const ProjectedJob& job) {
  const std::vector<const PointSummary*> points = MeasuredPoints(facts, summary);
  if (points.empty() || summary.base == nullptr)
    throw Error(ErrorKind::kUsage, "no point of the study says where its ranks' time goes", facts.name,
                "project from a study of `lockstep scale` whose runs have ended well");
  const PointSummary& most = *points.back();
  const PointSummary& fewest = *points.front();
  MeasuredRank measured{
      .ranks = most.point->ranks, .base_rate = summary.base->rate, .base_ranks = summary.base->point->ranks};
  const double lanes = facts.request.mode == StudyMode::kWeak ? double{1} * job.lanes * measured.ranks : job.lanes;
  measured.lanes_per_rank = lanes / measured.ranks;
  for (const RunResult& result : results) {
    if (result.point != most.point->name || !result.good() || result.ranks.empty()) continue;
    double seconds = 0;
    for (const records::RankTimes& rank : result.ranks) seconds += rank.lanes;
    measured.lanes.push_back(seconds / static_cast<double>(result.ranks.size()) /
                             static_cast<double>(std::max<uint64_t>(1, result.steps)));
  }
  if (measured.lanes.empty()) throw Error(ErrorKind::kUsage, "its rows have no times of ranks", facts.name);
  measured.backward = PhaseOr(most.phases, "backward");
  if (measured.backward <= 0)
    throw Error(ErrorKind::kUsage, "its ranks computed on GPUs, whose exchange is another one", facts.name,
                "project from a study with --set train.device=CPU");
  if (!job.buckets.empty())
    measured.update = PhaseOr(most.phases, "update") * measured.ranks / static_cast<double>(job.buckets.back().end);
  const double own = PhaseOr(fewest.phases, "data") + PhaseOr(fewest.phases, "forward") +
                     PhaseOr(fewest.phases, "backward") + PhaseOr(fewest.phases, "update") +
                     PhaseOr(fewest.phases, "exchange");
  measured.fixed = std::max(PhaseOr(most.phases, "prepare"), fewest.step_seconds - own);
  return measured;
}

std::vector<CheckedPoint> CheckPoints(const StudyFacts& facts, const std::vector<RunResult>& results,
                                      const ProjectionRequest& request, const ProjectedJob& job,
                                      const MeasuredRank& measured, const StudySummary& summary) {
  std::vector<CheckedPoint> checked;
  for (const PointSummary* point : MeasuredPoints(facts, summary)) {
    std::set<std::string> hosts;
    for (const RunResult& result : results)
      if (result.point == point->point->name)
        for (const records::RankTimes& rank : result.ranks) hosts.insert(rank.host);
    const int ranks = point->point->ranks, count = std::max(1, static_cast<int>(hosts.size()));
    ProjectionRequest own = request;
    own.network.ranks_per_host = (ranks + count - 1) / count;
    const ProjectedPoint projected = ProjectPoint(ranks, own, job, measured, summary);
    checked.push_back({ranks, count, projected.step_seconds, point->step_seconds});
  }
  return checked;
}

ProjectedPoint ProjectPoint(int ranks, const ProjectionRequest& request, const ProjectedJob& job,
                            const MeasuredRank& measured, const StudySummary& summary) {
  const bool weak = request.mode == StudyMode::kWeak;
  const int lanes = weak ? job.lanes * ranks : job.lanes;
  if (ranks > lanes)
    throw Error(ErrorKind::kUsage, fmt::format("{} ranks are more than the recipe's {} lanes", ranks, lanes), "--ranks",
                fmt::format("measure a study with --set train.lanes={} or more (and a train.global_batch that they "
                            "divide; both change the bits), or project with --mode weak, where lanes and batch grow "
                            "with the ranks",
                            ranks));
  const comm::Topology topology = TopologyOf(ranks, request.network);
  const comm::LanePlan lane_plan = LanesOf(lanes, ranks);
  const comm::ExchangePlan plan({lanes, lane_plan, job.buckets, job.wire}, topology);
  const ExchangeSimulator simulator(plan, topology, request.network);
  const double chunks = std::ceil(static_cast<double>(ChunkCount(plan.elements())) / ranks);
  const Simulated simulated =
      Simulate(simulator, lane_plan, request, job, measured, AllGatherSeconds(topology, request.network, 8 * chunks));

  ProjectedPoint point{.ranks = ranks,
                       .hosts = static_cast<int>(topology.hosts.size()),
                       .steps = static_cast<int>(simulated.steps.size()),
                       .global_batch = job.global_batch * static_cast<uint64_t>(weak ? ranks : 1),
                       .median = simulated.steps[simulated.steps.size() / 2],
                       .fixed = measured.fixed,
                       .values = simulated.values};
  point.lanes = point.median.lanes_mean;
  point.waiting = point.median.lanes_most - point.median.lanes_mean;
  point.exposed = point.median.exposed();
  const double record = sizeof(step::RankRecord) + std::ceil(double{1} * lanes / ranks) * sizeof(step::LaneRecord);
  point.records = AllGatherSeconds(topology, request.network, record);
  const double beside = point.fixed + point.records;
  point.step_seconds = point.median.seconds + beside;
  const size_t cut = simulated.steps.size() / 20;
  point.step_interval = {simulated.steps[cut].seconds + beside,
                         simulated.steps[simulated.steps.size() - 1 - cut].seconds + beside, 0.9};
  point.host_bytes = point.median.host_bytes;
  point.least_host_bytes = LeastHostBytes(job.MeanBytes() * static_cast<double>(plan.elements()), point.hosts);
  SetRates(request, measured, summary, point);
  point.bound = BoundOf(point);
  return point;
}

}  // namespace lockstep::launch
