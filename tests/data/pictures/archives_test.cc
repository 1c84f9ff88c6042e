#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>

#include "base/files/memory_file.h"
#include "data/open/open_dataset.h"
#include "data/pictures/archive_index.h"
#include "data/pictures/pack_pictures.h"
#include "data/pictures/tar_members.h"
#include "tests/data/pictures/picture_test_files.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

std::string Member(const std::string& name, const std::string& content) {
  return TarHeader(name, content.size()) + content + std::string((512 - content.size() % 512) % 512, '\0');
}
const std::string kEnd(1024, '\0');

class Archives : public testing::Test {
 protected:
  Archives() { setenv("XDG_CACHE_HOME", folder_.Path("cache").c_str(), 1); }

  std::unique_ptr<Dataset> Open(const std::string& text, OpenOptions options = {}) {
    Source source;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &source)) << text;
    return OpenDataset(source, "data.train", 1, Verify::AUTO, options);
  }
  std::unique_ptr<Dataset> OpenTar(const std::string& bytes) {
    return Open(fmt::format("packed {{ files: '{}' }}", folder_.Write("x.tar", bytes)));
  }
  static std::string Bytes(const Dataset& dataset, uint64_t id) {
    Sample sample;
    dataset.Read(0, id, sample);
    const auto bytes = sample.tensors[0].As<char>();
    return {bytes.begin(), bytes.end()};
  }
  void FillFolder(int pictures) {
    for (int i = 0; i < pictures; ++i) {
      const std::string name = fmt::format("d/{}/{:03}.png", i % 3 == 0 ? "cat" : "dog", i);
      std::filesystem::create_directories(std::filesystem::path(folder_.Path(name)).parent_path());
      folder_.Write(name, Png(PatternImage(5, 7, static_cast<unsigned>(i))));
    }
  }

  TempFolder folder_;
};

TEST_F(Archives, HoldWhatTheFolderHolds) {
  FillFolder(20);
  const PackedResult packed = PackPictures({folder_.Path("d"), folder_.Path("out.tar"), 0, nullptr});
  EXPECT_EQ(packed.pictures, 20u);
  EXPECT_EQ(packed.archives, std::vector<std::string>{folder_.Path("out.tar")});
  const auto files = Open(fmt::format("folder {{ path: '{}' }}", folder_.Path("d")));
  const auto archive = Open(fmt::format("packed {{ files: '{}' }}", packed.archives[0]));
  ASSERT_EQ(archive->size(), 20u);
  EXPECT_EQ(archive->traits().class_names, (std::vector<std::string>{"cat", "dog"}));
  for (uint64_t id = 0; id < 20; ++id) {
    EXPECT_EQ(Bytes(*archive, id), Bytes(*files, id));
    EXPECT_EQ(archive->Describe(0, id).label, files->Describe(0, id).label);
  }
  EXPECT_EQ(archive->Describe(0, 7).name, "00000007.png");
}

TEST_F(Archives, AreReadWithoutTheirIndexAndByOthers) {
  FillFolder(6);
  const PackedResult packed = PackPictures({folder_.Path("d"), folder_.Path("out.tar"), 0, nullptr});
  ASSERT_EQ(std::system(fmt::format("tar -tf {0} > {0}.txt", packed.archives[0]).c_str()), 0);
  std::ifstream names(packed.archives[0] + ".txt");
  EXPECT_EQ((std::string(std::istreambuf_iterator<char>(names), {})).substr(0, 26), "00000000.png\n00000000.cls\n");
  std::filesystem::remove(packed.archives[0] + ".index");
  const auto archive = Open(fmt::format("packed {{ files: '{}' }}", packed.archives[0]));
  EXPECT_EQ(archive->size(), 6u);
  EXPECT_EQ(archive->traits().class_names, (std::vector<std::string>{"0", "1"})) << "the numbers are left";
}

TEST_F(Archives, CanBeSeveral) {
  FillFolder(30);
  const PackedResult packed = PackPictures({folder_.Path("d"), folder_.Path("out.tar"), 12'000, nullptr});
  ASSERT_GT(packed.archives.size(), 2u);
  EXPECT_EQ(packed.archives[1], folder_.Path("out-00001.tar"));
  std::string text = "packed {";
  for (const std::string& path : packed.archives) {
    EXPECT_LE(std::filesystem::file_size(path), 12'000u);
    text += fmt::format(" files: '{}'", path);
  }
  const auto archives = Open(text + " }");
  const auto files = Open(fmt::format("folder {{ path: '{}' }}", folder_.Path("d")));
  ASSERT_EQ(archives->size(), 30u);
  for (uint64_t id = 0; id < 30; ++id) EXPECT_EQ(Bytes(*archives, id), Bytes(*files, id));
}

TEST_F(Archives, TakeWebDatasetsNumbersAsLabels) {
  const std::string tar = Member("a/x.1.cls", "10\n") + Member("a/x.1.jpg", "one") + Member("./b.png", "two") +
                          Member("b.cls", "2") + Member("b.json", "{}") + kEnd;
  // WebDataset's key ends at the first dot: "a/x".
  const auto dataset = OpenTar(tar);
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_EQ(dataset->classes(), 11);
  EXPECT_EQ(dataset->Describe(0, 0).label, 10);
  EXPECT_EQ(dataset->Describe(0, 1).label, 2);
  EXPECT_EQ(Bytes(*dataset, 1), "two");
  const auto words =
      OpenTar(Member("x.jpg", "one") + Member("x.cls", "dog") + Member("y.jpg", "two") + Member("y.cls", "ant") + kEnd);
  EXPECT_EQ(words->traits().class_names, (std::vector<std::string>{"ant", "dog"}));
  EXPECT_EQ(words->Describe(0, 0).label, 1);
}

TEST_F(Archives, KeepNoIndexOfAnotherArchive) {
  const std::string first = Member("x.jpg", "one") + Member("x.cls", "0") + kEnd;
  EXPECT_EQ(Bytes(*OpenTar(first), 0), "one");
  const std::string second = Member("x.jpg", "two") + Member("x.cls", "1") + kEnd;
  std::filesystem::remove(folder_.Path("x.tar"));
  const auto dataset = OpenTar(second);  // of the same size
  EXPECT_EQ(Bytes(*dataset, 0), "two");
  EXPECT_EQ(dataset->Describe(0, 0).label, 1);
}

TEST_F(Archives, NameAnIndexThatIsOfAnotherArchive) {
  FillFolder(6);
  const PackedResult packed = PackPictures({folder_.Path("d"), folder_.Path("out.tar"), 0, nullptr});
  const auto size = std::filesystem::file_size(packed.archives[0]);
  folder_.Write("out.tar", std::string(size, 'x'));
  ExpectError(ErrorKind::kData, {"out.tar", "begins where none does", "remove"},
              [&] { Open(fmt::format("packed {{ files: '{}' }}", packed.archives[0])); });
}

TEST_F(Archives, SayWhatIsWrongWithThem) {
  const std::string good = Member("x.jpg", "one") + Member("x.cls", "0");
  ExpectError(ErrorKind::kData, {"x.tar", "y.jpg has no class"},
              [&] { OpenTar(good + Member("y.jpg", "two") + kEnd); });
  ExpectError(ErrorKind::kData, {"there is no picture in the archive"}, [&] { OpenTar(Member("a.txt", "x") + kEnd); });
  ExpectError(ErrorKind::kData, {"no header where one must be"}, [&] { OpenTar(good + std::string(512, 'x')); });
  ExpectError(ErrorKind::kData, {"cut off"}, [&] { OpenTar(good + TarHeader("z.jpg", 5000) + "abc"); });
  ExpectError(ErrorKind::kData, {"cut off"}, [&] { OpenTar("short"); });
  ExpectError(ErrorKind::kData, {"there is no file"}, [&] { Open("packed { files: '/nowhere/x.tar' }"); });
}

TEST(VisitTar, KnowsLongNamesOfBothKinds) {
  const std::string name(150, 'n');
  const std::string pax_record = fmt::format("{} path={}\n", 150 + 10, name);
  std::string pax = Member("PaxHeaders/x", pax_record), gnu = Member("././@LongLink", name + '\0');
  const auto set_type = [](std::string& member, char type) {
    member[156] = type;
    uint64_t sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(member[i]);
    member.replace(148, 6, fmt::format("{:06o}", sum));
  };
  set_type(pax, 'x');
  set_type(gnu, 'L');
  const std::string tar = pax + Member("short", "1") + gnu + Member("short", "22") + Member("after", "333") + kEnd;
  std::vector<std::string> found;
  const MemoryFile file(std::as_bytes(std::span(tar)));
  VisitTar(file, {"x.tar", "field"}, [&](const TarMember& member) {
    found.push_back(fmt::format("{} {}", member.name, tar.substr(member.offset, member.size)));
  });
  EXPECT_EQ(found, (std::vector<std::string>{name + " 1", name + " 22", "after 333"}));
}

}  // namespace
}  // namespace lockstep::data
