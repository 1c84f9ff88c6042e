#include "data/pictures/open_pictures.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/open/open_dataset.h"
#include "tests/data/pictures/picture_test_files.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

/// Folders with pictures.
class Pictures : public testing::Test {
 protected:
  Pictures() { setenv("XDG_CACHE_HOME", folder_.Path("cache").c_str(), 1); }

  void Add(const std::string& name, unsigned start = 0) { Write(name, Png(PatternImage(4, 4, start))); }
  void Write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(folder_.Path(name)).parent_path());
    folder_.Write(name, bytes);
  }
  std::unique_ptr<Dataset> Open(const std::string& text, OpenOptions options = {}, uint64_t seed = 1) {
    Source source;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &source)) << text;
    return OpenDataset(source, "data.train", seed, Verify::AUTO, options);
  }
  std::string Folder(const std::string& name = "d") {
    return fmt::format("folder {{ path: '{}' }}", folder_.Path(name));
  }
  static std::vector<std::string> Names(const Dataset& dataset) {
    std::vector<std::string> names;
    for (uint64_t id = 0; id < dataset.size(); ++id) {
      const SampleText text = dataset.Describe(0, id);
      names.push_back(fmt::format("{} {}", text.label, text.name));
    }
    return names;
  }

  TempFolder folder_;
};

TEST_F(Pictures, AreOfTheClassOfTheirFolder) {
  for (const char* name : {"d/dog/2.png", "d/cat/b.PNG", "d/cat/deep/er/a.jpeg", "d/dog/10.png", "d/Zebra/z.jpg",
                           "d/cat/.hidden.png", "d/cat/notes.txt", "d/dog/Thumbs.db", "d/.git/x.png", "d/labels.csv"})
    Add(name, static_cast<unsigned>(std::string(name).size()));
  const auto dataset = Open(Folder());
  EXPECT_EQ(Names(*dataset), (std::vector<std::string>{"0 Zebra/z.jpg", "1 cat/b.PNG", "1 cat/deep/er/a.jpeg",
                                                       "2 dog/10.png", "2 dog/2.png"}));
  EXPECT_EQ(dataset->classes(), 3);
  EXPECT_EQ(dataset->traits().class_names, (std::vector<std::string>{"Zebra", "cat", "dog"}));
  Sample sample;
  dataset->Read(0, 1, sample);
  const std::string png = Png(PatternImage(4, 4, 11));
  EXPECT_EQ(sample.tensors[0].bytes.size(), png.size());
  EXPECT_EQ(std::memcmp(sample.tensors[0].bytes.data(), png.data(), png.size()), 0);
  EXPECT_EQ(sample.tensors[2].As<int32_t>()[0], 1);
}

TEST_F(Pictures, TakeTheClassesThatAreGiven) {
  for (const char* name : {"d/a/1.png", "d/b/1.png", "d/c/1.png"}) Add(name);
  OpenOptions options;
  options.class_names = {"c", "x", "a", "b"};
  EXPECT_EQ(Names(*Open(Folder(), options)), (std::vector<std::string>{"2 a/1.png", "3 b/1.png", "0 c/1.png"}));
  options.class_names = {"a", "b"};
  ExpectError(ErrorKind::kData, {"data.train.folder", "there is no class \"c\"", "classes are a, b"},
              [&] { Open(Folder(), options); });
  std::vector<std::string> told;
  options.on_broken = [&](const Error& error) { told.push_back(error.what()); };
  EXPECT_EQ(Names(*Open(Folder(), options)), (std::vector<std::string>{"0 a/1.png", "1 b/1.png"}));
  EXPECT_EQ(told.size(), 1u);
  options.class_names.clear();
  options.classes = 5;
  ExpectError(ErrorKind::kUsage, {"data.classes", "5", "3 classes"}, [&] { Open(Folder(), options); });
}

TEST_F(Pictures, NameWhatIsWrongWithTheirFolder) {
  ExpectError(ErrorKind::kData, {"there is no folder", "data.train.folder.path"}, [&] { Open(Folder()); });
  Add("file.png");
  ExpectError(ErrorKind::kData, {"this is a file"}, [&] { Open(Folder("file.png")); });
  Add("d/1.png");
  ExpectError(ErrorKind::kData, {folder_.Path("d"), "there is no subfolder"}, [&] { Open(Folder()); });
  Write("d/empty/notes.txt", "x");
  ExpectError(ErrorKind::kData, {folder_.Path("d/empty"), "no picture in this class's folder"},
              [&] { Open(Folder()); });
  Add("d/cat/1.png");
  Add("d/cat/2.webp");
  std::vector<std::string> told;
  OpenOptions options;
  options.on_broken = [&](const Error& error) { told.push_back(error.what()); };
  EXPECT_EQ(Open(Folder(), options)->size(), 1u);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[0].find("d/cat/2.webp"), std::string::npos);
  EXPECT_NE(told[1].find("d/empty"), std::string::npos);
  ExpectError(ErrorKind::kUsage, {"set one of path and list"}, [&] { Open("folder {}"); });
}

TEST_F(Pictures, CanBeListed) {
  Add("d/x/1.png", 1);
  Add("d/y/2.png", 2);
  Add("d/1, two.png", 3);
  const auto list = [&](const std::string& text) {
    return fmt::format("folder {{ list: '{}' }}", folder_.Write("d/list.csv", text));
  };
  const std::vector<std::string> expected{"1 y/2.png", "0 x/1.png", "1 1, two.png"};
  EXPECT_EQ(Names(*Open(list("y/2.png,good\nx/1.png,bad\n\"1, two.png\",good\n"))), expected);
  EXPECT_EQ(Names(*Open(list("\xEF\xBB\xBFpath;label\r\ny/2.png;good\r\n\r\nx/1.png;bad\r\n1, two.png;good"))),
            expected);
  EXPECT_EQ(Names(*Open(list("y/2.png\tgood\nx/1.png\tbad\n1, two.png\tgood\n"))), expected);
  const auto dataset = Open(list(fmt::format("{},good\nx/1.png,bad\n", folder_.Path("d/y/2.png"))));
  EXPECT_EQ(Names(*dataset)[0], "1 2.png") << "no absolute path";
  ExpectError(ErrorKind::kData, {"list.csv:2", "1 column"}, [&] { Open(list("x/1.png,a\ny/2.png\n")); });
  ExpectError(ErrorKind::kData, {"list.csv:2", "\"y/2.tsv\" is no picture's name"},
              [&] { Open(list("x/1.png,a\ny/2.tsv,b\n")); });
  ExpectError(ErrorKind::kData, {"list.csv:2", "the class is empty"}, [&] { Open(list("y/2.png,b\nx/1.png,\n")); });
  ExpectError(ErrorKind::kData, {"names no picture"}, [&] { Open(list("path,label\n")); });
  ExpectError(ErrorKind::kData, {folder_.Path("d/no.png")}, [&] { Open(list("no.png,a\n")); });
}

TEST_F(Pictures, AreFingerprintedByNamesLabelsAndBytes) {
  const auto fingerprint = [&](const std::string& name) { return Open(Folder(name))->fingerprint(); };
  for (const char* folder : {"d", "elsewhere"}) {
    Add(std::string(folder) + "/a/1.png", 1);
    Add(std::string(folder) + "/b/1.png", 2);
  }
  const uint64_t before = fingerprint("d");
  EXPECT_EQ(fingerprint("elsewhere"), before) << "wherever they lie";
  Add("d/b/1.png", 3);
  const uint64_t other_bytes = fingerprint("d");
  EXPECT_NE(other_bytes, before);
  Add("d/b/1.png", 2);
  EXPECT_EQ(fingerprint("d"), before);
  std::filesystem::rename(folder_.Path("d/b/1.png"), folder_.Path("d/b/2.png"));
  EXPECT_NE(fingerprint("d"), before);
}

TEST_F(Pictures, NameTheFileThatIsGone) {
  Add("d/a/1.png");
  const auto dataset = Open(Folder());
  std::filesystem::remove(folder_.Path("d/a/1.png"));
  Sample sample;
  ExpectError(ErrorKind::kData, {folder_.Path("d/a/1.png")}, [&] { dataset->Read(0, 0, sample); });
}

}  // namespace
}  // namespace lockstep::data
