// What the flight recorder costs: nanoseconds per event, per bump of the progress counter, and per heartbeat's status,
// on one thread and on several at once. Prints a table.
//
//   flight_bench [EVENTS]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "comm/flight_file.h"
#include "comm/flight_recorder.h"

namespace {

using namespace lockstep::comm;

template <typename Work>
void Measure(const char* name, int threads, int64_t calls, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread)
    running.emplace_back([&, thread] {
      for (int64_t i = 0; i < calls; ++i) work(thread, i);
    });
  for (std::thread& thread : running) thread.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-34s %8d %12.1f\n", name, threads, seconds / static_cast<double>(calls) * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t calls = argc > 1 ? std::atoll(argv[1]) : 2'000'000;
  FlightRecorder recorder(0, 1, "h");
  std::printf("%-34s %8s %12s\n", "", "threads", "ns per call");
  for (const int threads : {1, 2}) {
    Measure("progress", threads, calls, [&](int, int64_t) { recorder.Progress(); });
    Measure("event of an executor", threads, calls,
            [&](int thread, int64_t) { recorder.EnterExecutorPhase(thread, Phase::COMPUTING); });
  }
  Measure("collective, entered and left", 1, calls, [&](int, int64_t step) {
    recorder.LeaveCollective(
        recorder.EnterCollective(CollectiveKind::ALL_GATHER, 64, "control records of a step", step));
  });
  Measure("heartbeat, encoded", 1, calls / 100, [&](int, int64_t) {
    Heartbeat heartbeat;
    heartbeat.set_world_size(1);
    *heartbeat.mutable_status() = recorder.status();
    Encode(std::move(heartbeat));
  });
  Measure("record of 1,000 events, encoded", 1, calls / 10'000, [&](int, int64_t) { Encode(recorder.Record("end")); });
}
