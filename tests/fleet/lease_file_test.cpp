// Programs that agree on a card's memory by locks.
#include "fleet/lease_file.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/support.h"

namespace hearth::fleet {
namespace {

constexpr uint64_t kTotal_mib = 16384;

class LeaseFileTest : public testing::Test {
 protected:
  LeaseFile open() const {
    auto file = LeaseFile::open((folder_ / "leases").string(), "GPU-8e3d", true);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return std::move(*file);
  }
  const test::TemporaryFolder folder_;
};

TEST_F(LeaseFileTest, ClaimsDoNotOverlapAndEndWithTheirHolder) {
  const LeaseFile looks = open();
  EXPECT_EQ(looks.claimed_mib(kTotal_mib), 0u);
  LeaseFile small = open();
  ASSERT_TRUE(small.claim(4096, kTotal_mib));
  {
    LeaseFile large = open();
    EXPECT_TRUE(large.claim(10000, kTotal_mib));
    EXPECT_EQ(looks.claimed_mib(kTotal_mib), 14096u);
    EXPECT_EQ(large.claimed_mib(kTotal_mib), 4096u) << "of others";
    LeaseFile late = open();
    const Status refused = late.claim(4096, kTotal_mib);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kBusy);
    EXPECT_EQ(refused.error().message,
              "others have been promised 14096 of the card's 16384 MiB, and 4096 MiB in one piece are not left");
    EXPECT_TRUE(late.claim(2000, kTotal_mib)) << "which is left";
  }
  EXPECT_EQ(looks.claimed_mib(kTotal_mib), 4096u);
}

TEST_F(LeaseFileTest, AKilledHolderHoldsNothing) {
  const LeaseFile looks = open();
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    LeaseFile file = open();
    const bool held = file.claim(6000, kTotal_mib).ok();
    (void)!::write(pipe[1], held ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char held = 0;
  ASSERT_EQ(::read(pipe[0], &held, 1), 1);
  EXPECT_EQ(held, 'y');
  EXPECT_EQ(looks.claimed_mib(kTotal_mib), 6000u);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(looks.claimed_mib(kTotal_mib), 0u);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(LeaseFileTest, OnlyCardsHaveFiles) {
  for (const char* name : {"", "../passwd", "GPU-1/2", "a b"})
    EXPECT_EQ(LeaseFile::open(folder_.path().string(), name, true).error().kind, ErrorKind::kUsage) << name;
  EXPECT_EQ(LeaseFile::open(folder_.path().string(), "GPU-1", false).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(LeaseFile::open((folder_ / "a/b").string(), "GPU-1", true).error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace hearth::fleet
