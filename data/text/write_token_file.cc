#include "data/text/write_token_file.h"

#include <array>
#include <filesystem>
#include <future>
#include <limits>

#include "base/error.h"
#include "base/files/file.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {
namespace {

using Header = std::array<int32_t, 256>;  // llm.c's

/// The file while it is written: under another name, which goes away where it is not finished.
class Draft {
 public:
  Draft(std::string path, int width) : path_(std::move(path)), name_(path_ + ".unfinished"), width_(width) {
    file_ = FileSystem::Real().Create(name_);
    const Header room{};
    if (width_ == 4) file_->Append(std::as_bytes(std::span(room)));
  }
  ~Draft() {
    if (finished_) return;
    std::error_code ignored;
    std::filesystem::remove(name_, ignored);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void Append(const std::vector<int32_t>& ids) {
    count_ += ids.size();
    if (width_ == 4) {
      RequireCountFits();
      return file_->Append(std::as_bytes(std::span(ids)));
    }
    narrow_.assign(ids.begin(), ids.end());
    file_->Append(std::as_bytes(std::span(narrow_)));
  }

  void Finish() {
    FileSystem& files = FileSystem::Real();
    file_->Sync();
    file_->Close();
    if (width_ == 4) {
      const Header header{20240801, 7, static_cast<int32_t>(count_)};
      const auto begin = files.OpenAt(name_, 0);
      begin->Append(std::as_bytes(std::span(header)));
      begin->Sync();
      begin->Close();
    }
    files.Rename(name_, path_);
    finished_ = true;
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    files.SyncFolder(folder.empty() ? "." : folder);
  }

  uint64_t count() const { return count_; }

 private:
  void RequireCountFits() const {
    if (count_ <= static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) return;
    throw Error(ErrorKind::kData, "these are more than 2,147,483,647 tokens, which the header of 32-bit ids can't say",
                path_, "write several files, and name them all in the recipe");
  }

  const std::string path_, name_;
  const int width_;
  std::unique_ptr<WritableFile> file_;
  std::vector<uint16_t> narrow_;
  uint64_t count_ = 0;
  bool finished_ = false;
};

std::vector<int32_t> Encode(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<int32_t> ids;
  tokenizer.Encode(text, ids);
  return ids;
}

}  // namespace

WrittenTokens WriteTokenFile(const std::vector<std::string>& texts, const Tokenizer& tokenizer, const std::string& path,
                             const WriteTokenOptions& options) {
  constexpr int32_t kMostNarrow = 1 << 16;
  WrittenTokens written{.width = tokenizer.size() > kMostNarrow ? 4 : 2};
  Draft draft(path, written.width);
  uint64_t bytes_before = 0;  // of the files in front of the present one
  for (const std::string& text : texts) {
    TextParts parts(text, tokenizer, options.parts);
    for (bool more = true; more;) {
      // As many parts side by side as there are threads; written in their order.
      std::vector<std::string> round;
      std::string part;
      while (static_cast<int>(round.size()) < options.threads && (more = parts.Next(part))) round.push_back(part);
      std::vector<std::future<std::vector<int32_t>>> encoded;
      for (const std::string& one : round)
        encoded.push_back(std::async(std::launch::async, [&] { return Encode(tokenizer, one); }));
      for (size_t i = 0; i < round.size(); ++i) {
        written.bytes += round[i].size();
        const std::vector<int32_t> ids = encoded[i].get();
        written.unknown += CountUnknown(ids, tokenizer);
        draft.Append(ids);
      }
      if (options.on_progress) options.on_progress(bytes_before + parts.position(), draft.count());
    }
    bytes_before += parts.position();
  }
  if (draft.count() == 0) {
    throw Error(ErrorKind::kData, "the text has no tokens: there are blanks alone", texts.front(),
                "name a file that has text");
  }
  draft.Finish();
  written.tokens = draft.count();
  return written;
}

}  // namespace lockstep::data
