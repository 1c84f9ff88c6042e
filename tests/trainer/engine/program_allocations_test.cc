#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/trainer/engine/fake_backend.h"
#include "tests/trainer/engine/small_model.h"
#include "trainer/engine/compile.h"

namespace {
std::atomic<int64_t> allocations{0};
}

void* operator new(size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace lockstep::engine {
namespace {

/// A backend whose kernels count their runs.
class CountingBackend final : public Backend {
 public:
  std::string_view name() const override { return "counting"; }
  bool Supports(graph::OpKind) const override { return true; }
  size_t WorkspaceBytes(const graph::Graph&, const graph::Op&) override { return 64; }
  size_t PackedBytes(const graph::Graph&, const graph::Op&, int, int) override { return 64; }
  std::unique_ptr<Kernel> PreparePack(const graph::Graph&, const graph::Op&, int, const void*, void*) override {
    return std::make_unique<Counter>(&runs);
  }
  std::unique_ptr<Kernel> Prepare(const graph::Graph&, const graph::Op&, const Operands&) override {
    return std::make_unique<Counter>(&runs);
  }

  int runs = 0;

 private:
  class Counter final : public Kernel {
   public:
    explicit Counter(int* runs) : runs_(runs) {}
    void Run() override { ++*runs_; }

   private:
    int* runs_;
  };
};

TEST(Program, AllocatesNothingDuringAStep) {
  CountingBackend backend;
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  const ParameterLayout layout(model);
  const CompileOptions options{.mode = graph::Mode::kTrain, .buckets = {{0, 4096}, {4096, layout.elements()}}};
  auto plan = std::make_shared<ProgramPlan>(Compile(model, layout, backend, options));
  const Memory memory(*plan, layout);
  PackedWeights packed(*plan, layout, backend, memory.parameters.As<float>().data());
  Program program(plan, layout, backend, memory.Bind(&packed));
  profile::EventLog log(1000);
  int buckets = 0;
  double loss = 0;
  const std::function<void(int)> on_bucket = [&](int) { ++buckets; };

  const int64_t before = allocations;
  for (int step = 0; step < 3; ++step) {
    program.step_block().step = static_cast<uint64_t>(step);
    packed.Pack();
    log.Enter(static_cast<uint64_t>(step));
    program.Run(on_bucket, &log);
    loss += program.loss(0) + static_cast<double>(program.counter(0));
  }
  EXPECT_EQ(allocations - before, 0);
  EXPECT_GT(before, 0) << "the counter counts";
  EXPECT_EQ(buckets, 6);
  EXPECT_GT(log.events().size(), 3 * plan->graph.ops.size()) << "ops, folds and passes";
  EXPECT_EQ(backend.runs, 3 * static_cast<int>(packed.copies().size() + plan->graph.ops.size()));
  EXPECT_EQ(loss, 0);
}

}  // namespace
}  // namespace lockstep::engine
