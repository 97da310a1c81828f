#include "disk/new_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/sha256.h"
#include "disk/findings.h"
#include "support/faults.h"
#include "support/support.h"

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

using test::Fault;

class NewFiles : public testing::Test {
 protected:
  NewFiles() { set_policy({0}); }
  ~NewFiles() override { set_policy({}); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Status write(const std::string& name, uint64_t expected) const {
    ASSIGN_OR_RETURN(NewFile file, NewFile::create(path(name), expected, "test"));
    for (int i = 0; i < 5; ++i) TRY(file.write(piece_.data(), piece_.size()));
    return file.commit();
  }
  size_t entries() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_.path()), {})); }

  const std::string piece_ = std::string(700'000, 'x');
  test::TemporaryFolder folder_;
};

TEST_F(NewFiles, AreAsLongAsWasWrittenWhateverWasExpected) {
  for (const uint64_t expected : {0ull, 1'000ull, 3'500'000ull, 100'000'000ull}) {
    const Status done = write("a", expected);
    ASSERT_TRUE(done) << done.error().message;
    struct stat info {};
    ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
    EXPECT_EQ(info.st_size, 3'500'000);
    EXPECT_LT(info.st_blocks * 512, 5'000'000) << "what was taken for nothing went back, of " << expected;
    EXPECT_TRUE(promises(path("")).empty());
  }
}

TEST_F(NewFiles, AreRefusedBeforeTheFirstByte) {
  const auto file = NewFile::create(path("a"), uint64_t{1} << 50, "create huge");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::kNoSpace);
  EXPECT_EQ(entries(), 0u);
}

TEST_F(NewFiles, EveryCallFailsOnceAndNothingStays) {
  struct Kind {
    const char* call;
    std::vector<int> codes;
  };
  const Kind kinds[] = {{"open", {ENOSPC, EIO}},
                        {"write", {ENOSPC, EDQUOT, EIO}},
                        {"fsync", {ENOSPC, EIO}},
                        {"rename", {ENOSPC, EIO}},
                        {"fallocate", {ENOSPC, EDQUOT, EIO}}};
  for (const Kind& kind : kinds) {
    for (const int code : kind.codes) {
      int failures = 0;
      for (int nth = 1; nth < 20; ++nth) {
        Fault fault(kind.call, nth, code);
        const Status done = write("a", 3'500'000);
        if (!fault.happened()) break;
        ++failures;
        ASSERT_FALSE(done) << kind.call << " " << nth;
        EXPECT_EQ(done.error().kind, code == EIO ? ErrorKind::kIo : ErrorKind::kNoSpace) << done.error().message;
        EXPECT_TRUE(promises(path("")).empty());
        fs::remove(path("a"));  // the folder's fsync fails when the file has its name
        EXPECT_EQ(entries(), 0u) << kind.call << " " << nth;
      }
      EXPECT_GT(failures, 0) << kind.call;
    }
  }
  Fault fault("write", 1, 0);
  ASSERT_TRUE(write("a", 3'500'000)) << "a short write is continued";
  EXPECT_EQ(fs::file_size(path("a")), 3'500'000u);
}

TEST_F(NewFiles, DoWithoutAllocationWhereThereIsNone) {
  for (const int code : {EOPNOTSUPP, ENOSYS}) {
    Fault fault("fallocate", 1, code);
    ASSERT_TRUE(write("a", 3'500'000));
    EXPECT_EQ(fault.calls(), 1) << "and do not ask again";
  }
}

TEST_F(NewFiles, BecomeBlobsOnOtherFileSystems) {
  if (facts_of("/dev/shm")->device == facts_of(path(""))->device) GTEST_SKIP() << "/dev/shm is no other file system";
  const std::string other = fmt::format("/dev/shm/hearth-test-{}", ::getpid());
  {
    auto file = NewFile::create(path("staged"), piece_.size(), "test");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(piece_.data(), piece_.size()));
    const Status done = file->commit_as(other + "/blobs/a");
    ASSERT_TRUE(done) << done.error().message;
  }
  EXPECT_EQ(*read_file(other + "/blobs/a"), piece_);
  EXPECT_EQ(entries(), 0u) << "the staged one has gone";
  fs::remove_all(other);
}

TEST_F(NewFiles, CopiesTellTheirHash) {
  ASSERT_TRUE(write("a", 0));
  const auto hash = copy_file(path("a"), path("b"), "move");
  ASSERT_TRUE(hash) << hash.error().message;
  EXPECT_EQ(*hash, sha256_hex(*read_file(path("b"))));
  EXPECT_EQ(fs::file_size(path("b")), 3'500'000u);
}

TEST_F(NewFiles, AFailureAtFsyncTellsOfAThinPool) {
  if (facts_of("/dev/shm")->device == facts_of(path(""))->device) GTEST_SKIP() << "/dev/shm is no other file system";
  const std::string other = fmt::format("/dev/shm/hearth-test-{}-thin", ::getpid());  // where nothing has failed yet
  fs::create_directory(other);
  const auto thin = [&] {
    for (const Finding& finding : findings_of(other))
      if (finding.cause.id == "disk-thin-pool") return true;
    return false;
  };
  EXPECT_FALSE(thin());
  {
    Fault fault("fsync", 1, ENOSPC);
    auto file = NewFile::create(other + "/a", 1'000, "test");
    ASSERT_TRUE(file);
    ASSERT_FALSE(file->commit());
  }
  EXPECT_TRUE(thin());
  fs::remove_all(other);
}

}  // namespace
}  // namespace hearth::disk
