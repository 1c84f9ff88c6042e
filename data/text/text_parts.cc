#include "data/text/text_parts.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files/file.h"
#include "data/file_kind.h"
#include "data/text/tokenizers/token_errors.h"
#include "data/unpack.h"

namespace lockstep::data {
namespace {

bool ContinuesCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The start of the character that byte `at` of `text` is in.
size_t CharacterStart(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && ContinuesCharacter(text[at])) --at;
  return at;
}

bool CutsNoToken(std::string_view text, size_t at, const Tokenizer& tokenizer, size_t context) {
  const size_t begin = CharacterStart(text, at - std::min(at, context)),
               end = CharacterStart(text, std::min(at + context, text.size()));
  std::vector<int32_t> parts, whole;
  tokenizer.Encode(text.substr(begin, at - begin), parts);
  tokenizer.Encode(text.substr(at, end - at), parts);
  tokenizer.Encode(text.substr(begin, end - begin), whole);
  return parts == whole;
}

/// Throws where nothing can be read at `path`, or, unless any bytes will do, what is there is of a kind that is no
/// text.
void RequireText(const std::string& path, bool any_bytes) {
  try {
    const auto file = FileSystem::Real().Open(path);
    std::array<std::byte, 16> beginning{};
    const auto bytes = std::span(beginning).first(std::min<size_t>(beginning.size(), file->size()));
    file->ReadAt(0, bytes);
    const FileKind* const kind = any_bytes || IsGzip(bytes) ? nullptr : KindOf(bytes);
    if (kind != nullptr) throw WrongKind(*kind, path);
  } catch (const Error& error) {
    throw error.As(ErrorKind::kData);
  }
}

}  // namespace

size_t FindCut(std::string_view text, const Tokenizer& tokenizer, size_t context) {
  if (text.size() <= context) return 0;
  const size_t last = text.size() - context;
  constexpr int kLines = 64, kCharacters = 1024;
  size_t at = last;
  for (int tries = 0; tries < kLines && at > 0; ++tries) {
    const size_t line_end = text.rfind('\n', at - 1);
    if (line_end == std::string_view::npos) break;
    if (CutsNoToken(text, line_end + 1, tokenizer, context)) return line_end + 1;
    // Some patterns keep a line's end together with what follows.
    if (line_end > 0 && CutsNoToken(text, line_end, tokenizer, context)) return line_end;
    at = line_end;
  }
  at = CharacterStart(text, last);
  for (int tries = 0; tries < kCharacters && at > 0; ++tries) {
    if (CutsNoToken(text, at, tokenizer, context)) return at;
    at = CharacterStart(text, at - 1);
  }
  return 0;
}

/// zlib's reader of files that may be gzipped.
class TextParts::File {
 public:
  explicit File(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (file_ == nullptr) throw DamagedFile(path, fmt::format("can't be opened: {}", std::strerror(errno)));
    constexpr unsigned kBuffer = 1u << 18;
    gzbuffer(file_, kBuffer);
  }
  ~File() { gzclose(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// Appends up to `bytes`; returns whether the file goes on.
  bool Read(size_t bytes, std::string& to) {
    constexpr size_t kAtOnce = size_t{1} << 30;
    while (bytes > 0) {
      const size_t before = to.size(), want = std::min(bytes, kAtOnce);
      to.resize(before + want);
      const int got = gzread(file_, to.data() + before, static_cast<unsigned>(want));
      to.resize(before + static_cast<size_t>(std::max(got, 0)));
      int code = Z_OK;
      const char* reason = gzerror(file_, &code);
      if (code == Z_BUF_ERROR) throw DamagedFile(path_, "the gzip data is cut off");
      if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
        throw DamagedFile(path_, code == Z_ERRNO ? std::strerror(errno) : reason);
      if (static_cast<size_t>(got) < want) return false;
      bytes -= want;
    }
    return true;
  }

  uint64_t position() const { return static_cast<uint64_t>(std::max<z_off_t>(gzoffset(file_), 0)); }

 private:
  const std::string path_;
  const gzFile file_;
};

TextParts::TextParts(const std::string& path, const Tokenizer& tokenizer, const TextPartsOptions& options)
    : path_(path), tokenizer_(tokenizer), options_(options) {
  if (!FileSystem::Real().Exists(path))
    throw Error(ErrorKind::kData, "there is no such file", path, "get the file, or name another");
  RequireText(path, tokenizer.takes_bytes());
  file_ = std::make_unique<File>(path);
}

TextParts::~TextParts() = default;

uint64_t TextParts::position() const { return file_->position(); }

void TextParts::Fill(size_t bytes) {
  if (!ended_ && buffer_.size() < bytes) ended_ = !file_->Read(bytes - buffer_.size(), buffer_);
}

bool TextParts::Next(std::string& part) {
  for (size_t size = options_.part;; size *= 2) {
    Fill(size + options_.context);
    const size_t cut = ended_ ? buffer_.size() : FindCut(buffer_, tokenizer_, options_.context);
    if (cut == 0 && !ended_ && size < options_.most) continue;
    if (cut == 0 && !ended_) {
      throw Error(ErrorKind::kData, fmt::format("no place to cut the text at in {} bytes", buffer_.size()),
                  fmt::format("{}:{}", path_, line_), "break its lines, or turn parts of it into tokens one by one");
    }
    part.assign(buffer_, 0, cut);
    buffer_.erase(0, cut);
    break;
  }
  if (!any_ && part.empty()) throw Error(ErrorKind::kData, "the file is empty", path_, "name a file that has text");
  any_ = true;
  if (!options_.any_bytes) RequireUtf8(part, path_, line_);
  line_ += static_cast<uint64_t>(std::count(part.begin(), part.end(), '\n'));
  return !part.empty();
}

}  // namespace lockstep::data
