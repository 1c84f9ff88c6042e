#include "trainer/checkpoint/shard_format.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/hash.h"
#include "trainer/checkpoint/durable_write.h"

namespace lockstep::checkpoint {
namespace {

constexpr std::string_view kHeaderMagic = "LKSTSHRD";
constexpr std::string_view kTrailerMagic = "LKSTTAIL";
constexpr uint64_t kEntryBytes = 32;
constexpr uint64_t kTrailerBytes = 32;

void AppendInteger(std::string* bytes, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) bytes->push_back(static_cast<char>(value >> (8 * i)));
}

/// Takes `prefix` and the digits after it off `text`.
std::optional<uint32_t> TakeNumber(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return std::nullopt;
  text->remove_prefix(prefix.size());
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

}  // namespace

std::string ShardFileName::ToString() const {
  const std::string ranks = shared() ? fmt::format("ranks-{:05}-{:05}", first, last) : fmt::format("rank-{:05}", first);
  return fmt::format("{}.attempt-{:04}.shard", ranks, attempt);
}

std::optional<ShardFileName> ShardFileName::Parse(std::string_view name) {
  std::string_view rest = name;
  const std::optional<uint32_t> only = TakeNumber(&rest, "rank-");
  const std::optional<uint32_t> first = only ? only : TakeNumber(&rest, "ranks-");
  const std::optional<uint32_t> last = only ? only : first ? TakeNumber(&rest, "-") : std::nullopt;
  const std::optional<uint32_t> attempt = last ? TakeNumber(&rest, ".attempt-") : std::nullopt;
  if (!attempt) return std::nullopt;
  const ShardFileName parsed{*first, *last, *attempt};
  return parsed.ToString() == name ? std::optional(parsed) : std::nullopt;
}

std::string ShardName(uint32_t rank, uint32_t attempt) { return ShardFileName{rank, rank, attempt}.ToString(); }

std::optional<uint32_t> AttemptOfShard(std::string_view name) {
  if (const size_t end = name.find(".shard"); end != std::string_view::npos)
    if (const std::string_view final = name.substr(0, end + std::string_view(".shard").size());
        IsTemporaryOf(name, final))
      name = final;
  const std::optional<ShardFileName> parsed = ShardFileName::Parse(name);
  return parsed ? std::optional(parsed->attempt) : std::nullopt;
}

std::string EncodeHeader(const ShardFile& file, uint32_t attempt) {
  std::string bytes(kHeaderMagic);
  AppendInteger(&bytes, kShardVersion, 4);
  AppendInteger(&bytes, file.rank(), 4);
  AppendInteger(&bytes, attempt, 4);
  AppendInteger(&bytes, static_cast<uint64_t>(file.chunks_size()), 4);
  bytes.resize(kShardHeaderBytes);
  return bytes;
}

std::string EncodeIndex(const ShardFile& file, uint32_t attempt) {
  std::string bytes;
  uint64_t offset = kShardHeaderBytes;
  for (const Chunk& chunk : file.chunks()) {
    AppendInteger(&bytes, chunk.array(), 8);
    AppendInteger(&bytes, static_cast<uint64_t>(chunk.begin()), 8);
    AppendInteger(&bytes, static_cast<uint64_t>(chunk.elements()), 8);
    AppendInteger(&bytes, chunk.hash(), 8);
    offset += static_cast<uint64_t>(chunk.elements()) * sizeof(float);
  }
  AppendInteger(&bytes, static_cast<uint64_t>(file.chunks_size()), 8);
  AppendInteger(&bytes, offset, 8);
  Hasher hasher;
  hasher.Add(EncodeHeader(file, attempt));
  hasher.Add(bytes);
  AppendInteger(&bytes, hasher.Digest(), 8);
  bytes += kTrailerMagic;
  return bytes;
}

uint64_t IndexBytes(uint64_t chunks) { return chunks * kEntryBytes + kTrailerBytes; }

}  // namespace lockstep::checkpoint
