#include "data/table/read_parts.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/machine/cores.h"
#include "base/threads.h"

namespace lockstep::data {
namespace {

constexpr size_t kBlock = size_t{512} << 10;
/// The first block, where lines are so long that too few are in a usual one to find the heading by.
constexpr size_t kLargeBlock = size_t{8} << 20;
constexpr ptrdiff_t kFewLines = 128;

std::string_view LettersOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A text is none that can be read in parts.
class Unfit : public std::exception {};

/// About how many rows a text has, by the first of its blocks: rather more than fewer.
uint64_t ExpectRows(uint64_t size, std::string_view block) {
  const auto lines = static_cast<uint64_t>(std::count(block.begin(), block.end(), '\n'));
  return lines == 0 ? 0 : size / (block.size() / lines) * 33 / 32 + 1;
}

class PartReader {
 public:
  PartReader(uint64_t size, const ReadText& read, const Csv& config, const Origin& origin,
             const ReadTableOptions& options)
      : size_(size),
        read_(read),
        config_(config),
        origin_(origin),
        options_(options),
        separator_(SeparatorOf(config, origin)) {}

  std::optional<RawTable> Read() {
    const std::vector<uint64_t> cuts = CutAtLines(static_cast<size_t>(std::clamp(QueryCores().usable, 1, 8)));
    if (cuts.size() < 2) return std::nullopt;
    parts_.resize(cuts.size() - 1);
    for (size_t i = 0; i < parts_.size(); ++i) parts_[i] = {.begin = cuts[i], .end = cuts[i + 1]};
    Begin();
    std::vector<std::thread> threads;
    for (size_t i = 1; i < parts_.size(); ++i)
      threads.push_back(StartThread("table", [this, i] { ReadPart(parts_[i]); }));
    ReadPart(parts_.front());
    for (std::thread& thread : threads) thread.join();
    if (failed_) return std::nullopt;
    RawTable table = std::move(parts_.front().table);
    uint64_t lines = parts_.front().lines;
    for (size_t i = 1; i < parts_.size(); ++i) {
      Append(parts_[i].table, lines, table);
      lines += parts_[i].lines;
      parts_[i].table = {};
    }
    return table;
  }

 private:
  struct Part {
    uint64_t begin = 0, end = 0;
    uint64_t lines = 0;  ///< that were read
    RawTable table = {};
  };

  /// Where parts begin, each at a line's beginning; the last is the text's end.
  std::vector<uint64_t> CutAtLines(size_t parts) const {
    std::vector<uint64_t> cuts = {0};
    std::vector<std::byte> buffer;
    for (size_t i = 1; i < parts; ++i) {
      const uint64_t begin = size_ / parts * i;
      const size_t line_end = LettersOf(read_(begin, std::min<uint64_t>(kBlock, size_ - begin), buffer)).find('\n');
      if (line_end == std::string_view::npos) throw Unfit();
      if (begin + line_end + 1 > cuts.back()) cuts.push_back(begin + line_end + 1);
    }
    if (cuts.back() < size_) cuts.push_back(size_);
    return cuts;
  }

  /// Whole lines from `begin` on, of a part that ends at `end`: at most `most` bytes.
  std::string_view ReadLines(uint64_t begin, uint64_t end, size_t most, std::vector<std::byte>& buffer) const {
    std::string_view block = LettersOf(read_(begin, std::min<uint64_t>(most, end - begin), buffer));
    if (begin + block.size() < end) block = block.substr(0, block.rfind('\n') + 1);
    const bool lines_unknown = begin == 0 && block.find('\n') == block.npos;
    if (block.empty() || lines_unknown || block.find('"') != block.npos) throw Unfit();
    return block;
  }

  /// Reads the first block.
  void Begin() {
    std::vector<std::byte> buffer;
    Part& part = parts_.front();
    std::string_view block = ReadLines(part.begin, part.end, kBlock, buffer);
    if (std::count(block.begin(), block.end(), '\n') < kFewLines)
      block = ReadLines(part.begin, part.end, kLargeBlock, buffer);
    first_.emplace(config_, origin_, options_);
    CsvRows rows(std::as_bytes(std::span(block)), separator_, config_.header_lines(), origin_);
    try {
      first_->Begin(rows);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kData) throw Unfit();  // rows may begin in a later block
      throw;
    }
    if (!first_->saw_enough() && block.size() < size_) throw Unfit();
    roles_ = first_->roles();
    expected_ = ExpectRows(size_, block);
    first_->Expect(expected_);  // the other parts will be added to it
    first_->ReadRows(rows);
    part.begin += block.size();
    part.lines = rows.line();
  }

  void ReadPart(Part& part) noexcept {
    try {
      TableReader reader(config_, origin_, options_);
      const bool first = &part == &parts_.front();
      if (!first) reader.Begin(roles_);
      if (!first) reader.Expect(expected_ / parts_.size());
      ReadBlocks(part, first ? *first_ : reader);
    } catch (const std::exception&) {
      failed_ = true;
    }
  }

  void ReadBlocks(Part& part, TableReader& reader) {
    std::vector<std::byte> buffer;
    for (uint64_t at = part.begin; at < part.end && !failed_;) {
      const std::string_view block = ReadLines(at, part.end, kBlock, buffer);
      CsvRows rows(block, separator_, origin_, roles_.columns, part.lines);
      reader.ReadRows(rows);
      part.lines = rows.line();
      at += block.size();
    }
    part.table = reader.Finish();
  }

  const uint64_t size_;
  const ReadText& read_;
  const Csv& config_;
  const Origin& origin_;
  const ReadTableOptions& options_;
  const char separator_;
  std::vector<Part> parts_;
  std::optional<TableReader> first_;
  TableRoles roles_;  ///< of all parts: a copy, since the first part's reader gives its own away
  uint64_t expected_ = 0;
  std::atomic<bool> failed_ = false;
};

}  // namespace

std::optional<RawTable> ReadInParts(uint64_t size, const ReadText& read, const Csv& config, const Origin& origin,
                                    const ReadTableOptions& options) {
  try {
    return PartReader(size, read, config, origin, options).Read();
  } catch (const Unfit&) {
    return std::nullopt;
  }
}

}  // namespace lockstep::data
