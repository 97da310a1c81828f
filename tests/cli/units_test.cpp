// Small parts of the command line that need no model.
#include "cli/units.h"

#include <fstream>

#include "base/memory.h"
#include "cli/input.h"
#include "support/support.h"

namespace hearth::cli {
namespace {

using std::chrono::nanoseconds;

TEST(Units, BytesAreDecimal) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 kB");
  EXPECT_EQ(format_bytes(4'680'000'000), "4.7 GB");
  EXPECT_EQ(format_bytes(9'960'000), "10 MB");
  EXPECT_EQ(format_bytes(999'999'999), "1.0 GB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "18 EB");
}

TEST(Units, DurationsAreGos) {
  EXPECT_EQ(format_duration(nanoseconds(0)), "0s");
  EXPECT_EQ(format_duration(nanoseconds(17)), "17ns");
  EXPECT_EQ(format_duration(nanoseconds(1'500)), "1.5µs");
  EXPECT_EQ(format_duration(nanoseconds(325'900'000)), "325.9ms");
  EXPECT_EQ(format_duration(nanoseconds(1'234'567'000)), "1.234567s");
  EXPECT_EQ(format_duration(nanoseconds(2'000'000'000)), "2s");
  EXPECT_EQ(format_duration(nanoseconds(62'500'000'000)), "1m2.5s");
  EXPECT_EQ(format_duration(nanoseconds(3'600'000'000'000)), "1h0m0s");
  EXPECT_EQ(format_duration(nanoseconds(-1'500)), "-1.5µs");
}

TEST(Input, TokenIdsComeInAnyListForm) {
  const std::vector<int32_t> expected = {1, 2, 30000};
  for (const char* text : {"1 2 30000", "1,2,30000\n", "[1, 2, 30000]", "\n1\n2\r\n30000\n"}) {
    const auto ids = parse_token_ids(text, "f");
    ASSERT_TRUE(ids) << text;
    EXPECT_EQ(*ids, expected) << text;
  }
  for (const char* text : {"", " \n", "[]", "1 x", "1.5", "99999999999", "1;2", "{\"a\":1}"}) {
    const auto ids = parse_token_ids(text, "f");
    ASSERT_FALSE(ids) << text;
    EXPECT_EQ(ids.error().message.find("f "), 0u) << ids.error().message;
  }
}

TEST(Input, Utf8IsCheckedAndTheBadByteNamed) {
  EXPECT_TRUE(check_utf8("", "it"));
  EXPECT_TRUE(check_utf8("größer 😀 \x01", "it"));
  const Status bad = check_utf8("gr\xf6\xdf", "the prompt");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message.find("the prompt is not valid UTF-8: byte 0xf6 at offset 2"), 0u)
      << bad.error().message;
  for (const char* text : {"\xc3", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\xc0\xaf", "\x80"})
    EXPECT_FALSE(check_utf8(text, "it"));
}

// A made-up /proc and /sys.
class Machine {
 public:
  void file(const std::string& path, const std::string& text) {
    const std::filesystem::path full = folder_.path().string() + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  AvailableMemory available() const { return available_memory(folder_.path().string()); }

 private:
  test::TemporaryFolder folder_;
};

TEST(Memory, IsWhatTheKernelSaysWithoutControlGroups) {
  Machine machine;
  machine.file("/proc/meminfo", "MemTotal:  2000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n");
  EXPECT_EQ(machine.available().bytes, 1024000u);
  EXPECT_EQ(machine.available().limited_by, "this machine");
  EXPECT_EQ(Machine().available().bytes, UINT64_MAX);
}

TEST(Memory, IsTheLeastRoomOfTheControlGroupsAboveUs) {
  Machine machine;
  machine.file("/proc/meminfo", "MemAvailable:   1000 kB\n");
  machine.file("/proc/self/cgroup", "0::/a/b\n");
  machine.file("/sys/fs/cgroup/a/b/memory.max", "max\n");
  machine.file("/sys/fs/cgroup/a/b/memory.current", "5\n");
  EXPECT_EQ(machine.available().bytes, 1024000u);
  machine.file("/sys/fs/cgroup/a/memory.max", "500000\n");
  machine.file("/sys/fs/cgroup/a/memory.current", "400000\n");
  machine.file("/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 150000\nactive_file 50000\n");  // can be dropped
  EXPECT_EQ(machine.available().bytes, 300000u);
  EXPECT_EQ(machine.available().limited_by, "the control group /a");
}

TEST(Memory, InsideAContainerTheMountPointIsOurGroup) {
  Machine machine;
  machine.file("/proc/meminfo", "MemAvailable:   1000 kB\n");
  machine.file("/proc/self/cgroup", "0::/docker/0123\n");
  machine.file("/sys/fs/cgroup/memory.max", "600000\n");
  machine.file("/sys/fs/cgroup/memory.current", "700000\n");
  EXPECT_EQ(machine.available().bytes, 0u);
}

TEST(Memory, KnowsControlGroupsOfVersionOne) {
  Machine machine;
  machine.file("/proc/meminfo", "MemAvailable:   1000 kB\n");
  machine.file("/proc/self/cgroup", "12:cpu,cpuacct:/x\n9:memory:/y\n0::/\n");
  machine.file("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "300000\n");
  machine.file("/sys/fs/cgroup/memory/y/memory.usage_in_bytes", "100000\n");
  machine.file("/sys/fs/cgroup/memory/y/memory.stat", "total_inactive_file 10000\ntotal_active_file 0\n");
  EXPECT_EQ(machine.available().bytes, 210000u);
}

TEST(Memory, TheResidentSetIsThatOfThisProcess) {
  const uint64_t before = resident_bytes();
  EXPECT_GT(before, 1u << 20);
  const std::vector<char> held(64 << 20, 'x');
  EXPECT_GE(resident_bytes(), before + (60 << 20)) << held.back();
}

}  // namespace
}  // namespace hearth::cli
