// One card and several devices on it: what they share, what each holds, and how all of them get over a loss. On the
// machine's GPU or a simulated one, each test in a process of its own: the context is everybody's.
#include "cuda/gpu_owner.h"

#include <filesystem>
#include <future>
#include <thread>

#include "base/host_owner.h"
#include "cuda/device_impl.h"
#include "ops/rig.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

using cuda::GpuOwner;
using namespace std::chrono_literals;

void check(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::_Exit(1);
}

GpuOwner& owner() {
  return GpuOwner::of(**driver::Cuda::open(), 0);
}

std::unique_ptr<cuda::CudaDevice> make(const std::string& holder) {
  auto device = cuda::CudaDevice::create({.ordinal = 0, .holder = holder});
  check(device.ok(), device.ok() ? "" : device.error().message);
  return std::move(*device);
}

uint64_t held_by(const std::string& holder) {
  uint64_t bytes = 0;
  for (const GpuOwner::Holding& holding : owner().holdings())
    if (holding.holder == holder) bytes += holding.bytes;
  return bytes;
}

Status reserve(device::Device& device) {
  device::StepShape most;
  most.rows = most.sequences = 1;
  most.context = 32;
  return device.reserve(most);
}

Status step(device::Device& device) {
  PlainBatch plain(1);
  device.begin(plain.batch);
  return device.finish();
}

Status bad_step(device::Device& device) {
  PlainBatch plain(1);
  device.begin(plain.batch);
  device.soft_cap(reinterpret_cast<float*>(uintptr_t{1} << 46), 1, 1, 30);  // nobody's memory
  return device.finish();
}

bool is_lost(device::Device& device) {
  const Status status = device.upload({}, nullptr);
  return !status.ok() && status.error().kind == ErrorKind::kDeviceLost;
}

class CudaDeviceOwnerDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    if (gpus().empty()) GTEST_SKIP() << "no GPU, and none is simulated";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

void share_the_card() {
  const auto a = make("a");
  const uint64_t free = a->free_bytes();
  const auto b = make("b");
  check(a->generation_number() == 1 && b->generation_number() == 1, "they are not of one generation");
  check(free - b->free_bytes() < 16 << 20, "the second one has loaded the kernels, or opened a context, once more");
  check(owner().holdings().size() == 2, "the ledger has not two holders");
  {
    const auto buffer = b->alloc(8 << 20);
    check(buffer.ok(), "cannot allocate");
    check(held_by("b") == b->allocated_bytes() && held_by("b") >= 8 << 20, "the ledger does not know what b holds");
    check(held_by("a") == a->allocated_bytes(), "the ledger does not know what a holds");
  }
  check(held_by("b") < 8 << 20, "the ledger does not know that b gave memory back");
  check(reserve(*a).ok(), "cannot reserve");
  check(held_by("a") == a->allocated_bytes() && held_by("a") > 0, "the ledger does not know a's scratch memory");
  std::_Exit(0);
}

TEST_F(CudaDeviceOwnerDeathTest, DevicesShareContextAndKernelsAndEachHasItsEntry) {
  EXPECT_EXIT(share_the_card(), testing::ExitedWithCode(0), "");
}

size_t threads_of_this_process() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

void copy_with_the_hosts_threads() {
  const std::vector<std::byte> bytes(16 << 20, std::byte{7});
  const auto upload = [&](cuda::CudaDevice& device) {
    const auto buffer = device.alloc(bytes.size());
    check(buffer.ok() && device.upload(bytes, buffer->data()).ok(), "cannot upload");
    std::vector<std::byte> back(bytes.size());
    check(device.download(buffer->data(), back).ok() && back == bytes, "other bytes came back");
  };
  const auto a = make("a");
  upload(*a);
  const size_t threads = threads_of_this_process();
  const auto b = make("b");
  upload(*b);
  check(threads_of_this_process() == threads, "the second one has started threads of its own");
  // Whoever computes on the host meanwhile is not waited for.
  const auto computing = HostOwner::of_process()->join(2);
  computing->begin_step();
  upload(*a);
  computing->end_step();
  std::_Exit(0);
}

TEST_F(CudaDeviceOwnerDeathTest, UploadsUseTheHostsThreadsIfNobodyComputesWithThem) {
  EXPECT_EXIT(copy_with_the_hosts_threads(), testing::ExitedWithCode(0), "");
}

void lose_all() {
  auto a = make("a"), b = make("b"), c = make("c");
  for (cuda::CudaDevice* device : {a.get(), b.get(), c.get()}) check(reserve(*device).ok(), "cannot reserve");
  const Status lost = bad_step(*a);
  check(!lost.ok() && lost.error().kind == ErrorKind::kDeviceLost, "an illegal address was not noticed");
  check(is_lost(*a) && is_lost(*b) && is_lost(*c), "not all that are on the card are lost");
  check(step(*b).error().message == lost.error().message, "another one's loss is told in other words");

  const auto early = owner().join("impatient", 20ms);
  check(!early.ok() && early.error().kind == ErrorKind::kDeviceLost, "the next generation began before the last ended");
  check(early.error().message.find("while a and b and c still hold") != std::string::npos, early.error().message);

  // Each gives up what it had and asks for another, at its own time.
  const auto renew = [](std::unique_ptr<cuda::CudaDevice>& device, const char* holder,
                        std::chrono::milliseconds after) {
    return std::async(std::launch::async, [&device, holder, after] {
      std::this_thread::sleep_for(after);
      device.reset();
      device = make(holder);
    });
  };
  {
    const auto first = renew(a, "a", 0ms);
    check(first.wait_for(100ms) == std::future_status::timeout, "a new one was made beside those that were lost");
    const auto second = renew(b, "b", 0ms), third = renew(c, "c", 50ms);
  }
  for (cuda::CudaDevice* device : {a.get(), b.get(), c.get()}) {
    check(device->generation_number() == 2, "there was more than one reset");
    check(reserve(*device).ok() && step(*device).ok(), "a new one does not work");
  }
  check(owner().generations() == 2, "there was more than one reset");
  std::_Exit(0);
}

TEST_F(CudaDeviceOwnerDeathTest, ALossIsEverybodysAndIsMendedOnce) {
  EXPECT_EXIT(lose_all(), testing::ExitedWithCode(0), "");
}

// Steps of several devices at once, while one is made and one breaks the card, again and again.
void work_beside_each_other() {
  constexpr int kDevices = 3, kLosses = 3;
  std::atomic<int> losses = 0;
  const auto work = [&](int index) {
    const std::string holder(1, static_cast<char>('a' + index));
    uint64_t generation = 0;
    while (losses < kLosses || generation < kLosses + 1) {
      auto device = cuda::CudaDevice::create({.ordinal = 0, .holder = holder});
      if (!device.ok()) {  // broken by another one while it was made
        check(device.error().kind == ErrorKind::kDeviceLost, device.error().message);
        continue;
      }
      check((*device)->generation_number() > generation, "lost twice in one generation");
      generation = (*device)->generation_number();
      Status status = reserve(**device);
      for (int i = 0;; ++i) {
        const bool breaks = i == 20 && static_cast<int>(generation) % kDevices == index && losses < kLosses;
        if (status) status = breaks ? bad_step(**device) : step(**device);
        if (!status.ok()) {
          check(status.error().kind == ErrorKind::kDeviceLost, status.error().message);
          losses += breaks ? 1 : 0;
          break;
        }
        if (generation == kLosses + 1 && i == 30) break;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kDevices; ++i) threads.emplace_back(work, i);
  }
  check(owner().generations() == kLosses + 1, "not one reset for each loss");
  check(owner().holdings().empty(), "somebody holds something");
  std::_Exit(0);
}

TEST_F(CudaDeviceOwnerDeathTest, ThreeWorkBesideEachOtherAndGetOverEveryLoss) {
  EXPECT_EXIT(work_beside_each_other(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hearth::test
