#include "data/audio/recordings.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/files/file.h"
#include "base/files/memory_file.h"
#include "base/hash.h"
#include "base/philox.h"
#include "data/audio/resample.h"

namespace lockstep::data {
namespace {

std::unique_ptr<ReadableFile> OpenFile(const Recording& recording) {
  if (recording.archive) return std::make_unique<MemoryFile>(recording.member);
  return FileSystem::Real().Open(recording.path);
}

/// What to do about a recording; `where` is its line of a manifest, if it stands in one.
std::string Hint(std::string remedy, const std::string& where) {
  return where.empty() ? remedy : remedy + ", or take this line out of the manifest";
}

/// Errors that know nothing of the manifest become ones that do.
template <typename F>
auto NamingLine(const std::string& path, const std::string& where, F&& action) {
  try {
    return action();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) throw;
    const std::string hint = Hint("copy or make the file again", where);
    if (where.empty()) throw Error(ErrorKind::kData, error.message(), path, hint);
    throw Error(ErrorKind::kData, fmt::format("{}: {}", path, error.message()), where, hint);
  }
}

}  // namespace

void RequireRate(const AudioHeader& header, int sample_rate) {
  constexpr int64_t kMostRatio = 256;  // libsamplerate's
  const int64_t least = std::min(header.rate, sample_rate), most = std::max(header.rate, sample_rate);
  if (most > kMostRatio * least ||
      ResampledLength(header.frames, header.rate, sample_rate) > std::numeric_limits<int32_t>::max()) {
    throw Error(ErrorKind::kData, fmt::format("{} samples at {} Hz can't be resampled to {} Hz", header.frames,
                                              header.rate, sample_rate));
  }
}

std::shared_ptr<const Archive> ArchiveCache::Open(const std::string& path, const std::string& field) {
  const auto [entry, added] = archives_.try_emplace(path);
  if (added) {
    const Origin origin{path, field};
    entry->second = std::make_shared<const Archive>(LoadSourceFile(origin, Kinds::kAny), origin);
  }
  return entry->second;
}

std::optional<Recording> OpenRecording(const ManifestEntry& entry, const RecordingOptions& options,
                                       ArchiveCache& archives) {
  Recording recording;
  if (!options.manifest.path.empty()) recording.where = fmt::format("{}:{}", options.manifest.path, entry.line);
  const std::string folder = std::filesystem::path(options.manifest.path).parent_path().string();
  recording.path = ResolveDataPath(entry.path, folder, recording.where);
  if (const size_t begin = MemberBegin(recording.path); begin != std::string::npos) {
    recording.archive =
        archives.Open(recording.path.substr(0, begin - 1), recording.where.empty() ? "INPUT" : recording.where);
    if (!recording.archive) return std::nullopt;
    const auto member = recording.archive->Find(recording.path.substr(begin));
    if (!member) {
      throw Error(
          ErrorKind::kData,
          fmt::format("{}: there is no such member among the archive's {}", recording.path, recording.archive->size()),
          recording.where,
          recording.archive->size() == 0
              ? "the archive holds no files"
              : fmt::format("names are as tar -t prints them, the first is {}", recording.archive->first_name()));
    }
    recording.member = *member;
  } else if (!FileSystem::Real().Exists(recording.path)) {
    throw Error(ErrorKind::kData, fmt::format("there is no file {}", recording.path), recording.where,
                Hint("get the file", recording.where));
  }
  NamingLine(recording.path, recording.where, [&] {
    const auto file = OpenFile(recording);
    recording.bytes = file->size();
    recording.header = ReadAudioHeader(*file);
    RequireRate(recording.header, options.sample_rate);
  });
  recording.length = ResampledLength(recording.header.frames, recording.header.rate, options.sample_rate);
  return recording;
}

void ReadRecording(const Recording& recording, int sample_rate, std::vector<float>& samples) {
  NamingLine(recording.path, recording.where, [&] { DecodeAudio(*OpenFile(recording), recording.header, samples); });
  if (recording.header.rate != sample_rate) samples = Resample(samples, recording.header.rate, sample_rate);
}

uint64_t FingerprintOf(std::span<const Recording> recordings, const FingerprintOptions& options) {
  constexpr uint64_t kBlocks = 4096, kBlockBytes = uint64_t{64} << 10;
  Hasher hasher;
  std::vector<uint64_t> ends;  // where each file ends in the bytes of all
  uint64_t all = 0;
  for (const Recording& recording : recordings) {
    hasher.AddInteger(recording.bytes);
    ends.push_back(all += recording.bytes);
  }
  std::vector<std::byte> buffer(kBlockBytes);
  const auto add = [&](const Recording& recording, uint64_t first, uint64_t most) {
    NamingLine(recording.path, recording.where, [&] {
      const auto file = OpenFile(recording);
      for (const uint64_t end = first + std::min(most, recording.bytes - first); first < end;) {
        const std::span<std::byte> part(buffer.data(), std::min(kBlockBytes, end - first));
        file->ReadAt(first, part);
        hasher.Add(part);
        first += part.size();
      }
    });
  };
  if (options.verify == Verify::FULL || all <= options.whole_up_to) {
    for (const Recording& recording : recordings) add(recording, 0, recording.bytes);
    return hasher.Digest();
  }
  for (uint64_t i = 0; i < kBlocks; ++i) {
    const uint64_t at = Mix64(Mix64(options.seed) + i) % all;
    const auto file = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin());
    add(recordings[file], at - (ends[file] - recordings[file].bytes), kBlockBytes);
  }
  return hasher.Digest();
}

}  // namespace lockstep::data
