// What there is of memory and processors, on made-up machines.
#include <filesystem>
#include <fstream>

#include "base/memory.h"
#include "base/processors.h"
#include "support/support.h"

namespace hearth {
namespace {

using test::TemporaryFolder;

// A made-up /proc and /sys.
class Machine {
 public:
  void file(const std::string& path, const std::string& text) {
    const std::filesystem::path full = folder_.path().string() + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  std::string root() const { return folder_.path().string(); }
  AvailableMemory available() const { return available_memory(root()); }

 private:
  TemporaryFolder folder_;
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

TEST(Processors, WithoutAQuotaThereIsNone) {
  Machine machine;
  EXPECT_EQ(processor_quota(machine.root()), std::nullopt);
  machine.file("/proc/self/cgroup", "0::/a\n");
  machine.file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(processor_quota(machine.root()), std::nullopt);
}

TEST(Processors, APartOfOneCountsWhole) {
  Machine machine;
  machine.file("/proc/self/cgroup", "0::/a\n");
  for (const auto& [quota, processors] : {std::pair("50000", 1), {"100000", 1}, {"100001", 2}, {"250000", 3}}) {
    machine.file("/sys/fs/cgroup/a/cpu.max", std::string(quota) + " 100000\n");
    EXPECT_EQ(processor_quota(machine.root()), processors) << quota;
  }
}

TEST(Processors, TheTightestQuotaOfTheControlGroupsAboveUsCounts) {
  Machine machine;
  machine.file("/proc/self/cgroup", "0::/a/b\n");
  machine.file("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  machine.file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  EXPECT_EQ(processor_quota(machine.root()), 3);
  machine.file("/sys/fs/cgroup/cpu.max", "200000 100000\n");  // the mount point's, as in a container
  EXPECT_EQ(processor_quota(machine.root()), 2);
}

TEST(Processors, KnowControlGroupsOfVersionOneUnderEitherName) {
  for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
    Machine machine;
    machine.file("/proc/self/cgroup", "12:cpu,cpuacct:/x\n9:cpuset:/y\n0::/\n");
    machine.file(mount + std::string("/x/cpu.cfs_quota_us"), "150000\n");
    machine.file(mount + std::string("/x/cpu.cfs_period_us"), "50000\n");
    machine.file("/sys/fs/cgroup/cpuset/y/cpu.cfs_quota_us", "50000\n");  // another controller's
    machine.file("/sys/fs/cgroup/cpuset/y/cpu.cfs_period_us", "50000\n");
    EXPECT_EQ(processor_quota(machine.root()), 3) << mount;
    machine.file(mount + std::string("/x/cpu.cfs_quota_us"), "-1\n");
    EXPECT_EQ(processor_quota(machine.root()), std::nullopt) << mount;
  }
}

}  // namespace
}  // namespace hearth
