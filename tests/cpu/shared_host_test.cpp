// Several models on one host: whoever loads lets the others compute, and memory is promised once.
#include <future>
#include <thread>

#include "cpu/cpu_device.h"
#include "support/support.h"

namespace hearth::cpu {
namespace {

constexpr size_t kSlice_bytes = 4 << 20;

std::unique_ptr<device::Device> device_on(const std::shared_ptr<HostOwner>& owner) {
  auto device = create_device({.host = owner->join(2)});
  EXPECT_TRUE(device.ok());
  return std::move(*device);
}

// Counted in slices: however long each takes, between two steps of another model there is one of them.
TEST(SharedHost, LoadingLetsAStepOfAnotherModelGoBetweenAnyTwoSlices) {
  const auto owner = std::make_shared<HostOwner>(2);
  const auto loading = device_on(owner);
  auto computing = device_on(owner), next = device_on(owner);
  const quant::Format& format = *quant::find_name("Q4_K");
  constexpr size_t kSlices = 6;
  const uint32_t cols = 4096, rows = static_cast<uint32_t>(kSlices * kSlice_bytes / format.bytes(cols));
  std::vector<uint8_t> weights(rows * format.bytes(cols), 0x5A);
  auto buffer = loading->alloc(weights.size());
  ASSERT_TRUE(buffer.ok());
  const auto copied = [&] {
    return std::count_if(buffer->data(), buffer->data() + buffer->bytes(),
                         [](std::byte b) { return b != std::byte{}; });
  };
  const std::vector<int32_t> tokens{1};
  device::Batch batch;
  batch.tokens = tokens;
  std::atomic<bool> ended{false};
  computing->begin(batch);
  std::thread loader([&] {
    EXPECT_TRUE(loading->upload_matrix({&format, weights.data(), rows, cols}, 1, buffer->data()).ok());
    ended = true;
  });
  std::ptrdiff_t before = 0;
  size_t slices = 0;
  while (true) {
    while (owner->waiting() == 0 && !ended) std::this_thread::yield();
    if (ended) break;
    EXPECT_EQ(copied(), before) << "a slice ran within a step";
    // The next step asks while the slice waits: it comes behind that one, and before any other.
    auto begun = std::async(std::launch::async, [&] { next->begin(batch); });
    while (owner->waiting() < 2) std::this_thread::yield();
    EXPECT_TRUE(computing->finish().ok());
    begun.get();
    std::swap(computing, next);
    const std::ptrdiff_t now = copied();
    EXPECT_LE(now - before, static_cast<std::ptrdiff_t>(kSlice_bytes)) << "more than a slice between two steps";
    before = now;
    ++slices;
  }
  loader.join();
  EXPECT_TRUE(computing->finish().ok());
  EXPECT_EQ(copied(), static_cast<std::ptrdiff_t>(weights.size()));
  EXPECT_GE(slices, kSlices);
}

TEST(SharedHost, ASmallUploadAndOneWithinAStepNeedNoTurn) {
  const auto owner = std::make_shared<HostOwner>(1);
  const auto one = device_on(owner), other = device_on(owner);
  auto buffer = one->alloc(3 * kSlice_bytes);
  ASSERT_TRUE(buffer.ok());
  const std::vector<std::byte> bytes(3 * kSlice_bytes, std::byte{7});
  const std::vector<int32_t> tokens{1};
  device::Batch batch;
  batch.tokens = tokens;
  other->begin(batch);
  EXPECT_TRUE(one->upload(std::span(bytes).first(1000), buffer->data()).ok());
  EXPECT_TRUE(other->finish().ok());
  one->begin(batch);
  EXPECT_TRUE(one->upload(bytes, buffer->data()).ok());
  EXPECT_TRUE(one->finish().ok());
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), buffer->data()));
}

TEST(SharedHost, ADeviceThatGoesInTheMiddleOfAStepLeavesTheTurnToOthers) {
  const auto owner = std::make_shared<HostOwner>(1);
  const std::vector<int32_t> tokens{1};
  device::Batch batch;
  batch.tokens = tokens;
  device_on(owner)->begin(batch);
  const auto other = device_on(owner);
  other->begin(batch);
  EXPECT_TRUE(other->finish().ok());
}

TEST(SharedHost, TwoModelsDoNotBothCountOnTheSameFreeMemory) {
  constexpr uint64_t kMiB = 1 << 20;
  const auto owner =
      std::make_shared<HostOwner>(1, [] { return AvailableMemory{.bytes = 100 * kMiB, .limited_by = "this machine"}; });
  const auto one = device_on(owner), other = device_on(owner);
  ASSERT_TRUE(one->promise(70 * kMiB).ok());
  EXPECT_EQ(other->free_bytes(), 30 * kMiB);
  const Status refused = other->promise(40 * kMiB);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kNoMemory);
  EXPECT_FALSE(other->alloc(40 * kMiB).ok());
  const auto kept = one->alloc(70 * kMiB);
  EXPECT_TRUE(kept.ok());
  EXPECT_EQ(other->free_bytes(), 30 * kMiB) << "not touched yet";
  EXPECT_TRUE(one->promise(0).ok());
  EXPECT_EQ(other->free_bytes(), 30 * kMiB);
}

}  // namespace
}  // namespace hearth::cpu
