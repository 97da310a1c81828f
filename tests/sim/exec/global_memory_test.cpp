#include <gtest/gtest.h>

#include <cstring>

#include "sim/exec/memory.h"

namespace hearth::sim::exec {
namespace {

std::vector<std::byte> bytes(std::size_t count, int value) {
  return std::vector<std::byte>(count, static_cast<std::byte>(value));
}

TEST(GlobalMemory, AddressesLookLikeNoHostPointerAndNeverComeBack) {
  GlobalMemory memory;
  const Address first = *memory.allocate(100, 256, kAllDevices, "a");
  EXPECT_GE(first, kDeviceBase);
  EXPECT_EQ(first % 512, 256u) << "aligned to 256, not by chance to more";
  ASSERT_TRUE(memory.free(first).ok());
  const Address second = *memory.allocate(100, 256, kAllDevices, "b");
  EXPECT_NE(first, second);
  const auto fault = memory.write(first, bytes(1, 0));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::kIllegalAddress);
  EXPECT_NE(fault->message().find("freed"), std::string::npos) << fault->message();
}

TEST(GlobalMemory, BoundsAreExactToTheByte) {
  GlobalMemory memory;
  const Address base = *memory.allocate(101, 256, kAllDevices, "a");
  EXPECT_FALSE(memory.write(base, bytes(101, 1)));
  EXPECT_TRUE(memory.write(base, bytes(102, 1)));
  EXPECT_TRUE(memory.write(base + 100, bytes(2, 1)));
  EXPECT_TRUE(memory.write(base - 1, bytes(1, 1)));
  EXPECT_FALSE(memory.write(base + 100, bytes(1, 1)));
}

TEST(GlobalMemory, WrittenBytesAreKnownAndCopiesTakeTheMarksAlong) {
  GlobalMemory memory;
  const Address a = *memory.allocate(300, 256, kAllDevices, "a");
  const Address b = *memory.allocate(300, 256, kAllDevices, "b");
  memory.write(a + 10, bytes(200, 7));
  EXPECT_TRUE(memory.is_written(a + 10, 200));
  EXPECT_FALSE(memory.is_written(a + 9, 1));
  EXPECT_FALSE(memory.is_written(a + 210, 1));
  memory.fill(b, 300, 0, 1);
  ASSERT_FALSE(memory.copy(b + 3, a, 220));
  EXPECT_TRUE(memory.is_written(b, 3));
  EXPECT_FALSE(memory.is_written(b + 3, 1));
  EXPECT_TRUE(memory.is_written(b + 13, 200));
  EXPECT_FALSE(memory.is_written(b + 213, 1));
  EXPECT_TRUE(memory.is_written(b + 223, 77));
  std::byte copied{};
  memory.read(b + 13, std::span(&copied, 1));
  EXPECT_EQ(copied, std::byte{7});
}

TEST(GlobalMemory, PhysicalMemoryIsMappedPieceByPiece) {
  GlobalMemory memory;
  const Address base = memory.reserve(4096, 4096);
  const auto chunk = *Backing::create(4096);
  ASSERT_TRUE(memory.map({base, 2048, chunk, 0, kAllDevices, kAllDevices, "low"}).ok());
  EXPECT_TRUE(memory.write(base + 2047, bytes(2, 1))) << "the second half is not mapped yet";
  ASSERT_TRUE(memory.map({base + 2048, 2048, chunk, 2048, kAllDevices, kAllDevices, "high"}).ok());
  EXPECT_FALSE(memory.write(base + 2047, bytes(2, 9))) << "copies cross from one mapping to the next";
  EXPECT_FALSE(memory.map({base + 100, 10, chunk, 0, kAllDevices, kAllDevices, "twice"}).ok());
  EXPECT_FALSE(memory.unmap(base, 2000).ok()) << "whole mappings only";
  ASSERT_TRUE(memory.unmap(base, 4096).ok());
  EXPECT_EQ(memory.find(base), nullptr);
  const Address elsewhere = memory.reserve(4096, 4096);
  ASSERT_TRUE(memory.map({elsewhere, 4096, chunk, 0, kAllDevices, kAllDevices, "again"}).ok());
  EXPECT_TRUE(memory.is_written(elsewhere + 2047, 2)) << "the memory keeps what it holds";
}

TEST(GlobalMemory, FillsRepeatTheirValue) {
  GlobalMemory memory;
  const Address base = *memory.allocate(64, 256, kAllDevices, "a");
  ASSERT_FALSE(memory.fill(base + 4, 5, 0x01020304, 4));
  std::array<std::uint32_t, 5> words{};
  memory.read(base + 4, std::as_writable_bytes(std::span(words)));
  for (const std::uint32_t word : words) EXPECT_EQ(word, 0x01020304u);
  EXPECT_EQ(memory.fill(base + 2, 1, 0, 4)->kind, FaultKind::kMisaligned);
}

TEST(GlobalMemory, PinnedHostMemoryIsThereAtItsOwnAddress) {
  GlobalMemory memory;
  std::vector<std::byte> host(64);
  const auto address = reinterpret_cast<Address>(host.data());
  ASSERT_TRUE(memory.map({address, 64, Backing::of_host(host.data(), 64), 0, kAllDevices, kAllDevices, "pinned"}).ok());
  memory.write(address + 5, bytes(1, 3));
  EXPECT_EQ(host[5], std::byte{3});
  EXPECT_TRUE(memory.is_written(address, 64)) << "what the host writes is not seen, so all counts as written";
}

}  // namespace
}  // namespace hearth::sim::exec
