#include "data/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "data/source_file.h"
#include "tests/base/error_of.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

using testing::HasSubstr;

/// `text` as the program of that name packs it.
std::string Pack(const std::string& text, int (*add_filter)(archive*)) {
  const std::unique_ptr<archive, decltype(&archive_write_free)> handle(archive_write_new(), &archive_write_free);
  add_filter(handle.get());
  archive_write_set_format_raw(handle.get());
  archive_write_set_bytes_in_last_block(handle.get(), 1);
  std::string packed(text.size() + 10000, '\0');
  size_t used = 0;
  archive_write_open_memory(handle.get(), packed.data(), packed.size(), &used);
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(), &archive_entry_free);
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_pathname(entry.get(), "x");
  archive_write_header(handle.get(), entry.get());
  archive_write_data(handle.get(), text.data(), text.size());
  archive_write_close(handle.get());
  packed.resize(used);
  return packed;
}

std::string Load(const std::string& bytes) {
  const TempFolder folder;
  const std::vector<std::byte> loaded = LoadSourceFile({folder.Write("x", bytes), "data.train.csv.file"});
  return {reinterpret_cast<const char*>(loaded.data()), loaded.size()};
}

TEST(UnpackFile, UnpacksWhatPeoplePackWith) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * i) + ",1\n";
  for (const auto& [name, filter] : {std::pair<const char*, int (*)(archive*)>{"xz", archive_write_add_filter_xz},
                                     {"zstd", archive_write_add_filter_zstd},
                                     {"bzip2", archive_write_add_filter_bzip2},
                                     {"gzip", archive_write_add_filter_gzip}}) {
    const std::string packed = Pack(text, filter);
    EXPECT_LT(packed.size(), text.size());
    EXPECT_EQ(Load(packed), text) << name;
    const Error cut = ErrorOf([&] { Load(packed.substr(0, packed.size() / 2)); });
    EXPECT_EQ(cut.kind(), ErrorKind::kData) << name;
    EXPECT_THAT(cut.message(), HasSubstr("cut off")) << name;
    EXPECT_THAT(cut.hint(), HasSubstr("data.train.csv.file")) << name;
  }
}

TEST(LoadSourceFile, NamesWhatIsSomethingElse) {
  for (const auto& [bytes, name] :
       {std::pair<std::string, const char*>{std::string("PK\3\4", 4) + "...", "zip archive"},
        {"\x93NUMPY\x01", "NumPy array"},
        {"PAR1....", "Parquet"},
        {"SQLite format 3", "SQLite"},
        {"%PDF-1.7", "PDF"}}) {
    const Error error = ErrorOf([&] { Load(bytes); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.message(), HasSubstr(name));
    EXPECT_FALSE(error.hint().empty());
  }
}

}  // namespace
}  // namespace lockstep::data
