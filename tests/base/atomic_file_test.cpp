#include "base/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/file.h"
#include "support/support.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

// Notes what AtomicFile asks of the system, and lets one of these calls fail.
class Recorder {
 public:
  Recorder() {
    self = this;
    FileOperations& system = file_operations();
    real = system;
    system.write = [](int fd, const void* data, size_t size) {
      return self->fails("write", ENOSPC) ? ssize_t{-1} : self->real.write(fd, data, size);
    };
    system.fsync = [](int fd) {
      struct stat info {};
      ::fstat(fd, &info);
      const char* what = S_ISDIR(info.st_mode) ? "fsync of the folder" : "fsync";
      return self->fails(what, EIO) ? -1 : self->real.fsync(fd);
    };
    system.rename = [](const char* from, const char* to) {
      return self->fails("rename", EACCES) ? -1 : self->real.rename(from, to);
    };
  }
  ~Recorder() { file_operations() = real; }

  std::string failing;  // of which call
  std::vector<std::string> calls;

 private:
  bool fails(const char* call, int code) {
    calls.push_back(call);
    errno = code;
    return call == failing;
  }
  static inline Recorder* self = nullptr;
  FileOperations real{};
};

class AtomicFiles : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  Status write(const std::string& name, const std::string& content) const {
    ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path(name)));
    TRY(file.write(content.data(), content.size()));
    return file.commit();
  }
  void leave(const std::string& name) const { std::ofstream(path(name)) << "unfinished"; }

  test::TemporaryFolder folder_;
};

using Names = std::vector<std::string>;

TEST_F(AtomicFiles, AppearWholeOrNotAtAll) {
  {
    auto file = AtomicFile::create(path("a"));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->write("abc", 3));
    EXPECT_FALSE(fs::exists(path("a")));
  }
  EXPECT_EQ(names(), Names{}) << "what was not committed leaves nothing behind";
  ASSERT_TRUE(write("a", "abc"));
  EXPECT_EQ(*read_file(path("a")), "abc");
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(AtomicFiles, OnlyRegularFilesAreReplaced) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0700), 0);
  for (const char* name : {"pipe", "folder", "folder/", "absent/", "absent/file"}) {
    const auto file = AtomicFile::create(path(name));
    ASSERT_FALSE(file.ok()) << name;
    EXPECT_NE(file.error().message.find(path(name)), std::string::npos);
  }
  EXPECT_FALSE(AtomicFile::create("").ok());
  EXPECT_EQ(names(), (Names{"folder", "pipe"}));
}

TEST_F(AtomicFiles, AreOnTheDiskBeforeTheyHaveTheirNameAndTheNameThereafter) {
  const Recorder recorder;
  ASSERT_TRUE(write("a", "abc"));
  EXPECT_EQ(recorder.calls, (Names{"write", "fsync", "rename", "fsync of the folder"}));
}

TEST_F(AtomicFiles, WhateverFailsIsToldAndLeavesTheOldFile) {
  ASSERT_TRUE(write("a", "old"));
  for (const char* call : {"write", "fsync", "rename"}) {
    Recorder recorder;
    recorder.failing = call;
    const Status status = write("a", "new");
    ASSERT_FALSE(status.ok()) << call;
    EXPECT_NE(status.error().message.find(path("a")), std::string::npos) << status.error().message;
    EXPECT_EQ(*read_file(path("a")), "old") << call;
    EXPECT_EQ(names(), Names{"a"}) << call;
  }
  Recorder recorder;
  recorder.failing = "fsync of the folder";
  EXPECT_FALSE(write("a", "new").ok()) << "it is there, but a loss of power could take it away";
}

TEST_F(AtomicFiles, HaveTheModeOfNewFiles) {
  const mode_t mask = ::umask(027);
  const Status written = write("a", "x");
  ::umask(mask);
  ASSERT_TRUE(written.ok());
  struct stat info {};
  ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST_F(AtomicFiles, ALinkStaysAndWhatItPointsToIsReplaced) {
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0700), 0);
  ASSERT_TRUE(write("folder/a", "old"));
  fs::create_symlink("folder/a", path("link"));
  ASSERT_TRUE(write("link", "new"));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(*read_file(path("folder/a")), "new");
}

TEST_F(AtomicFiles, LeftoversOfDeadWritersAreRemovedWhenTheSameFileIsWrittenAgain) {
  leave("a.partial-aZ09xy");
  auto live = AtomicFile::create(path("a"));
  ASSERT_TRUE(live.ok());
  const Names only_live = names();
  EXPECT_EQ(only_live.size(), 1u) << "the leftover is gone";
  for (const char* other :
       {"b.partial-abcdef", "a.partial-abc", "a.partial-abcdefg", "a.partial-ab.def", "xa.partial-abcdef"})
    leave(other);
  ASSERT_TRUE(write("a", "second"));
  EXPECT_EQ(names().size(), 1 + 1 + 5u) << "a writer that lives keeps its file, and so do all others";
  ASSERT_TRUE(live->commit());
  EXPECT_EQ(*read_file(path("a")), "") << "the last to finish wins";
}

TEST_F(AtomicFiles, ALeftoverThatIsALinkIsLeftAlone) {
  ASSERT_TRUE(write("precious", "x"));
  fs::create_symlink("precious", path("a.partial-abcdef"));
  ASSERT_TRUE(write("a", "x"));
  EXPECT_TRUE(fs::exists(path("precious")));
}

}  // namespace
}  // namespace hearth
