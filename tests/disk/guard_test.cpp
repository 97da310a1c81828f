#include "disk/guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "support/support.h"

namespace hearth::disk {
namespace {

namespace fs = std::filesystem;

class Guards : public testing::Test {
 protected:
  Guards() { set_policy({0}); }
  ~Guards() override { set_policy({}); }
  std::string path() const { return folder_.path().string(); }
  uint64_t usable() const { return space_of(path())->usable_bytes; }

  test::TemporaryFolder folder_;
};

TEST_F(Guards, FactsAreOfTheNearestFolderThatExists) {
  const auto facts = facts_of(path() + "/not/there/yet");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->folder, fs::canonical(path()));
  EXPECT_FALSE(facts->type.empty());
  EXPECT_GT(facts->total_bytes, 0u);
  EXPECT_LE(facts->free_bytes, facts->total_bytes);
  EXPECT_EQ(facts_of("/proc/self")->type, "proc") << "another mount than that of /";
}

TEST_F(Guards, WhatIsPromisedIsNotPromisedTwice) {
  const uint64_t before = usable(), half = before / 2 + (64 << 20);
  auto first = reserve(path(), half, "pull one");
  ASSERT_TRUE(first) << first.error().message;
  const auto second = reserve(path(), half, "pull two");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kNoSpace);
  EXPECT_NE(second.error().message.find("pull two needs"), std::string::npos) << second.error().message;
  EXPECT_NE(second.error().message.find("promised to others"), std::string::npos) << second.error().message;
  first->allocated(half);
  EXPECT_EQ(first->bytes(), 0u);
  EXPECT_TRUE(reserve(path(), half, "pull two")) << "what is on the disk is no longer promised";
}

TEST_F(Guards, APromiseEndsWithItsObject) {
  { const auto reservation = reserve(path(), 100 << 20, "pull"); }
  EXPECT_TRUE(promises(path()).empty());
  auto first = reserve(path(), 100 << 20, "pull");
  {
    const Reservation moved = std::move(*first);
    EXPECT_EQ(promises(path()).size(), 1u);
  }
  EXPECT_TRUE(promises(path()).empty());
}

TEST_F(Guards, WhatStaysFreeIsForSmallFilesOnly) {
  const auto facts = facts_of(path());
  set_policy({facts->total_bytes});
  const auto large = reserve(path(), kSmall_bytes + 1, "pull llama");
  ASSERT_FALSE(large);
  EXPECT_NE(large.error().message.find("stay free"), std::string::npos) << large.error().message;
  EXPECT_TRUE(reserve(path(), 10'000, "manifest"));
}

TEST_F(Guards, FivePercentStayFreeAtLeastTwoGibibytes) {
  set_policy({});
  constexpr uint64_t kG = 1 << 30;
  EXPECT_EQ(keep_free_bytes({.total_bytes = 100 * kG}), 5 * kG);
  EXPECT_EQ(keep_free_bytes({.total_bytes = 20 * kG}), 2 * kG);
  EXPECT_EQ(keep_free_bytes({.total_bytes = 4'000 * kG}), 20 * kG);
  EXPECT_EQ(keep_free_bytes({.total_bytes = 4 * kG}), 1 * kG) << "never more than a quarter";
}

// Another process that holds a promise in the same ledger.
class Peer {
 public:
  Peer(const std::string& folder, uint64_t bytes) {
    int pipes[2];
    if (::pipe(pipes) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      auto held = reserve(folder, bytes, "pull of a peer");
      char answer = held ? 'y' : 'n';
      [[maybe_unused]] const ssize_t n = ::write(pipes[1], &answer, 1);
      ::pause();
      ::_exit(0);
    }
    char answer = 0;
    if (::read(pipes[0], &answer, 1) != 1) answer = 'n';
    holds_ = answer == 'y';
    ::close(pipes[0]);
    ::close(pipes[1]);
  }
  ~Peer() { kill(); }
  bool holds() const { return holds_; }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  bool holds_ = false;
};

TEST_F(Guards, ProcessesOfOneLedgerSeeEachOther) {
  add_ledger(path() + "/reservations");
  const uint64_t bytes = usable() / 2 + (64 << 20);
  Peer peer(path(), bytes);
  ASSERT_TRUE(peer.holds());
  const std::vector<Promise> list = promises(path());
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].what, "pull of a peer");
  EXPECT_EQ(list[0].bytes, bytes);
  EXPECT_FALSE(reserve(path(), bytes, "pull"));
  peer.kill();
  EXPECT_TRUE(reserve(path(), bytes, "pull")) << "killed, the peer has given back what it was promised";
  for (const auto& entry : fs::directory_iterator(path() + "/reservations"))
    EXPECT_EQ(entry.path().filename(), "lock") << "the ledger is empty";
}

TEST_F(Guards, TheBallastGoesAtRed) {
  ASSERT_FALSE(tend_ballast(path()));
  if (!fs::exists(path() + "/ballast")) GTEST_SKIP() << "this file system gives no space in advance";
  EXPECT_EQ(fs::file_size(path() + "/ballast"), 64u << 20);
  set_policy({uint64_t{1} << 60});
  EXPECT_TRUE(tend_ballast(path()));
  EXPECT_FALSE(fs::exists(path() + "/ballast"));
  EXPECT_FALSE(tend_ballast(path())) << "and it is not made while there is nothing to spare";
  EXPECT_FALSE(fs::exists(path() + "/ballast"));
}

// Where nobody else writes.
TEST_F(Guards, SmallFilesGetTheBallastsSpace) {
  const std::string folder = fmt::format("/dev/shm/hearth-test-{}-ballast", ::getpid());
  std::error_code failed;
  if (!fs::create_directory(folder, failed)) GTEST_SKIP() << "there is no /dev/shm";
  ASSERT_FALSE(tend_ballast(folder));
  add_ledger(folder + "/reservations");
  const auto all = reserve(folder, space_of(folder)->usable_bytes - kSmall_bytes / 2, "pull");
  ASSERT_TRUE(all) << all.error().message;
  set_policy({uint64_t{1} << 60});
  EXPECT_FALSE(reserve(folder, kSmall_bytes + 1, "pull")) << "no large one does";
  EXPECT_TRUE(fs::exists(folder + "/ballast"));
  const auto small = reserve(folder, kSmall_bytes, "manifest");
  EXPECT_TRUE(small) << small.error().message;
  EXPECT_FALSE(fs::exists(folder + "/ballast"));
  fs::remove_all(folder);
}

TEST(Sizes, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(*parse_size("0"), 0u);
  EXPECT_EQ(*parse_size("500M"), 500ull << 20);
  EXPECT_EQ(*parse_size("1.5GiB"), 3ull << 29);
  EXPECT_EQ(*parse_size("2gb"), 2ull << 30);
  for (const char* wrong : {"", "G", "-1", "nan", "1X", "1GG", "1e30"}) EXPECT_FALSE(parse_size(wrong)) << wrong;
}

}  // namespace
}  // namespace hearth::disk
