// Memory is planned in blocks. A block is the place of one value, and of those that take it over:
//   results of kReshape and alike  lie where their input lies, however long either lives
//   results of ops in place        where the op table allows it and all that the block held dies in that op
// Blocks whose lifetimes overlap get disjoint places: each, in a fixed order, takes the smallest gap that it fits.
#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/memory.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::kNoValue;
using graph::ValueId;

constexpr int kNoBlock = -1;

struct Block {
  int64_t bytes = 0;
  int first = 0, last = 0;
  int64_t offset = 0;
};

int64_t BytesOf(const graph::Value& value) {
  return static_cast<int64_t>(AlignUp(static_cast<size_t>(value.bytes()), kValueAlignment));
}

struct Blocks {
  std::vector<Block> blocks;
  std::vector<int> of_value;  ///< kNoBlock: not in the arena
};

/// The block of `op`'s input that its result may take over; kNoBlock where there is none.
int Takeover(const graph::Graph& graph, const graph::Op& op, int op_index, const Blocks& blocks) {
  const int input = graph::Row(op.kind).in_place;
  if (input < 0 || op.outputs[0] == kNoValue) return kNoBlock;
  const ValueId from = op.inputs[static_cast<size_t>(input)];
  if (from == kNoValue) return kNoBlock;
  const int block = blocks.of_value[static_cast<size_t>(from)];
  if (block == kNoBlock || blocks.blocks[static_cast<size_t>(block)].last != op_index) return kNoBlock;
  const graph::Value& x = graph.value(from);
  const graph::Value& y = graph.value(op.outputs[0]);
  if (x.dtype != y.dtype || x.shape.size() != y.shape.size() || x.pitch != y.pitch) return kNoBlock;
  // Another operand in the same block may be read after the result is written.
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const ValueId id = op.inputs[i];
    if (static_cast<int>(i) != input && id != kNoValue && blocks.of_value[static_cast<size_t>(id)] == block)
      return kNoBlock;
  }
  return block;
}

Blocks MakeBlocks(const graph::Graph& graph, const std::vector<Lifetime>& lifetimes, const std::set<ValueId>& outside) {
  Blocks result{.blocks = {}, .of_value = std::vector<int>(graph.values.size(), kNoBlock)};
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const graph::Op& op = graph.ops[i];
    for (size_t output = 0; output < op.outputs.size(); ++output) {
      const ValueId id = op.outputs[output];
      if (id == kNoValue || outside.contains(id)) continue;
      const Lifetime& lifetime = lifetimes[static_cast<size_t>(id)];
      int& block = result.of_value[static_cast<size_t>(id)];
      if (graph::SharesMemory(op.kind)) {
        block = result.of_value[static_cast<size_t>(op.inputs[0])];
        if (block == kNoBlock) continue;
      } else if (output == 0) {
        block = Takeover(graph, op, static_cast<int>(i), result);
      }
      if (block == kNoBlock) {
        block = static_cast<int>(result.blocks.size());
        result.blocks.push_back({.bytes = BytesOf(graph.value(id)), .first = lifetime.first, .last = lifetime.last});
      } else {
        // A later reshape of a member reads it, and so has already prolonged the block by its own lifetime's start.
        int& last = result.blocks[static_cast<size_t>(block)].last;
        last = std::max(last, lifetime.last);
      }
    }
  }
  return result;
}

/// Places blocks in `order`, and returns the bytes that they take together.
int64_t Place(std::vector<Block>& blocks, const std::vector<size_t>& order) {
  std::vector<const Block*> placed;  // by ascending offset
  int64_t total = 0;
  for (size_t index : order) {
    Block& block = blocks[index];
    int64_t end = 0;  // of what lies before the gap
    int64_t best = -1, best_gap = std::numeric_limits<int64_t>::max();
    for (const Block* other : placed) {
      if (other->last < block.first || block.last < other->first) continue;
      const int64_t gap = other->offset - end;
      if (gap >= block.bytes && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
      end = std::max(end, other->offset + other->bytes);
    }
    block.offset = best >= 0 ? best : end;
    total = std::max(total, block.offset + block.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &block,
                                   [](const Block* a, const Block* b) { return a->offset < b->offset; }),
                  &block);
  }
  return total;
}

}  // namespace

MemoryPlan PlanMemory(const graph::Graph& graph, const std::vector<Lifetime>& lifetimes,
                      const std::set<ValueId>& outside) {
  Blocks blocks = MakeBlocks(graph, lifetimes, outside);

  // Neither order is always better; both are quick.
  std::vector<size_t> order(blocks.blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<Block> in_time = blocks.blocks;
  const int64_t bytes_in_time = Place(in_time, order);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return blocks.blocks[a].bytes > blocks.blocks[b].bytes; });
  const int64_t bytes_by_size = Place(blocks.blocks, order);
  if (bytes_in_time < bytes_by_size) blocks.blocks = in_time;

  MemoryPlan plan;
  plan.bytes = std::min(bytes_in_time, bytes_by_size);
  plan.offset.resize(graph.values.size(), -1);
  for (size_t id = 0; id < plan.offset.size(); ++id) {
    const int block = blocks.of_value[id];
    if (block != kNoBlock) plan.offset[id] = blocks.blocks[static_cast<size_t>(block)].offset;
  }
  return plan;
}

}  // namespace lockstep::passes
