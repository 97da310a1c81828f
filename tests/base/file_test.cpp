#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/support.h"

namespace hearth {
namespace {

class Files : public testing::Test {
 protected:
  std::string path(const char* name) const { return folder_ / name; }
  size_t count() const {
    const auto entries = std::filesystem::directory_iterator(folder_ / ".");
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
  }
  test::TemporaryFolder folder_;
};

TEST_F(Files, AppearWholeOrNotAtAll) {
  {
    auto file = AtomicFile::create(path("a"));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->write("abc", 3));
    EXPECT_FALSE(std::filesystem::exists(path("a")));
  }
  EXPECT_EQ(count(), 0u) << "what was not committed leaves nothing behind";
  auto file = AtomicFile::create(path("a"));
  ASSERT_TRUE(file && file->write("abc", 3) && file->commit());
  EXPECT_EQ(*read_file(path("a")), "abc");
  EXPECT_EQ(count(), 1u);
}

TEST_F(Files, OnlyRegularFilesAreReplaced) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0700), 0);
  for (const char* name : {"pipe", "folder"}) {
    const auto file = AtomicFile::create(path(name));
    ASSERT_FALSE(file.ok()) << name;
    EXPECT_EQ(file.error().kind, ErrorKind::kIo);
    EXPECT_NE(file.error().message.find(path(name)), std::string::npos);
  }
  EXPECT_EQ(count(), 2u);
}

TEST_F(Files, MappingAPipeDoesNotWaitForAWriter) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const auto mapped = MappedFile::open(path("pipe"));
  ASSERT_FALSE(mapped.ok());
  EXPECT_NE(mapped.error().message.find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace hearth
