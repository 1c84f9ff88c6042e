#include "data/table/read_table.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/files/file.h"
#include "data/file_kind.h"
#include "data/source_file.h"
#include "data/table/read_parts.h"
#include "data/unpack.h"

namespace lockstep::data {
namespace {

RawTable ReadInOrder(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                     const ReadTableOptions& options) {
  TableReader reader(config, origin, options);
  CsvRows rows(text, SeparatorOf(config, origin), config.header_lines(), origin);
  reader.Begin(rows);
  reader.ReadRows(rows);
  return reader.Finish();
}

/// The file's rows, where it is large and its bytes are its text.
std::optional<RawTable> ReadFileInParts(const Csv& config, const Origin& origin, const ReadTableOptions& options) {
  if (options.on_broken || !FileSystem::Real().Exists(config.file())) return std::nullopt;
  try {
    const std::unique_ptr<ReadableFile> file = FileSystem::Real().Open(config.file());
    if (file->size() < kWorthParts) return std::nullopt;
    std::vector<std::byte> beginning(4096);
    file->ReadAt(0, beginning);
    if (IsPacked(beginning) || KindOf(beginning) != nullptr) return std::nullopt;
    const auto read = [&](uint64_t begin, size_t bytes, std::vector<std::byte>& buffer) {
      buffer.resize(bytes);
      file->ReadAt(begin, buffer);
      return std::span<const std::byte>(buffer);
    };
    return ReadInParts(file->size(), read, config, origin, options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kUsage) throw;
    return std::nullopt;  // read as a whole, it says what is wrong
  }
}

}  // namespace

RawTable ReadTable(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                   const ReadTableOptions& options) {
  const auto read = [&](uint64_t begin, size_t bytes, std::vector<std::byte>&) { return text.subspan(begin, bytes); };
  if (text.size() >= kWorthParts && !options.on_broken)
    if (std::optional<RawTable> table = ReadInParts(text.size(), read, config, origin, options))
      return std::move(*table);
  return ReadInOrder(text, config, origin, options);
}

RawTable ReadTableFile(const Csv& config, const Origin& origin, const ReadTableOptions& options) {
  if (std::optional<RawTable> table = ReadFileInParts(config, origin, options)) return std::move(*table);
  return ReadTable(LoadSourceFile({config.file(), origin.field + ".file"}), config, origin, options);
}

}  // namespace lockstep::data
