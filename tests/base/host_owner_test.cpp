// What all models share of the host: turns, threads, and promises of memory.
#include "base/host_owner.h"

#include <sys/mman.h>

#include <cstring>
#include <set>
#include <thread>

#include "support/support.h"

namespace hearth {
namespace {

using std::chrono::seconds;

constexpr uint64_t kMiB = 1 << 20;

void wait_for_waiting(const FifoGate& gate, uint64_t count) {
  while (gate.waiting() < count) std::this_thread::yield();
}

TEST(FifoGate, LetsThemInInTheOrderOfComing) {
  FifoGate gate;
  EXPECT_FALSE(gate.enter()) << "nobody was there";
  std::vector<int> order;  // plain: only who is inside touches it
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_TRUE(gate.enter());
      order.push_back(i);
      gate.leave();
    });
    wait_for_waiting(gate, static_cast<uint64_t>(i) + 1);
  }
  EXPECT_FALSE(gate.try_enter());
  gate.leave();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_TRUE(gate.try_enter());
  EXPECT_FALSE(gate.try_enter());
  gate.leave();
}

AvailableMemory fixed(uint64_t bytes) {
  return {.bytes = bytes, .limited_by = "this machine"};
}

TEST(MemoryLedger, WhatIsPromisedIsNotPromisedAgain) {
  MemoryLedger ledger([] { return fixed(100 * kMiB); });
  auto first = ledger.promise(60 * kMiB);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ledger.available().bytes, 40 * kMiB);
  const auto second = ledger.promise(41 * kMiB);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kNoMemory);
  EXPECT_EQ(second.error().message,
            "41 MiB of memory needed, but this machine has 40 MiB available (and 60 MiB more that are promised to "
            "models that are loaded)");
  EXPECT_TRUE(ledger.promise(40 * kMiB).ok());
  first = Error{ErrorKind::kIo, "given back"};
  EXPECT_EQ(ledger.available().bytes, 100 * kMiB);
}

// The system's count falls as memory is touched, and what is promised with it.
TEST(MemoryLedger, CountsWhatIsMappedUntilItIsTouched) {
  uint64_t system = 100 * kMiB;
  MemoryLedger ledger([&] { return fixed(system); });
  auto data = ledger.map(40 * kMiB);
  ASSERT_TRUE(data.ok());
  ::madvise(*data, 40 * kMiB, MADV_NOHUGEPAGE);  // else the kernel takes more than is touched
  EXPECT_EQ(ledger.available().bytes, 60 * kMiB);
  std::memset(*data, 1, 10 * kMiB);
  system -= 10 * kMiB;
  EXPECT_EQ(ledger.available().bytes, 60 * kMiB);
  EXPECT_EQ(ledger.available().promised_bytes, 30 * kMiB);
  std::memset(*data, 1, 40 * kMiB);
  system -= 30 * kMiB;
  EXPECT_EQ(ledger.available().bytes, 60 * kMiB);
  EXPECT_EQ(ledger.available().promised_bytes, 0u);
  EXPECT_FALSE(ledger.map(61 * kMiB).ok());
  ledger.unmap(*data);
  system += 40 * kMiB;
  EXPECT_EQ(ledger.available().bytes, 100 * kMiB);
}

TEST(MemoryLedger, APromiseIsKeptForWhatIsMappedOutOfIt) {
  MemoryLedger ledger([] { return fixed(10 * kMiB); });
  auto promise = ledger.promise(8 * kMiB);
  ASSERT_TRUE(promise.ok());
  EXPECT_FALSE(ledger.map(3 * kMiB).ok());
  const auto kept = ledger.map(8 * kMiB, &*promise);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(promise->bytes(), 0u);
  EXPECT_EQ(ledger.available().bytes, 2 * kMiB);
  const auto more = ledger.map(kMiB, &*promise);
  ASSERT_TRUE(more.ok()) << "there is room beyond the promise";
  ledger.unmap(*kept);
  ledger.unmap(*more);
}

TEST(MemoryLedger, OfManyWhoAskAtOnceNoMoreAreGivenThanThereIsRoomFor) {
  MemoryLedger ledger([] { return fixed(10 * kMiB); });
  std::vector<std::thread> threads;
  std::array<std::optional<Result<MemoryLedger::Promise>>, 8> promises;
  for (auto& promise : promises) threads.emplace_back([&] { promise.emplace(ledger.promise(3 * kMiB)); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::ranges::count_if(promises, [](const auto& promise) { return promise->ok(); }), 3);
}

TEST(HostOwner, MembersHaveTheThreadsTheyAskForOfOneTeam) {
  const auto owner = std::make_shared<HostOwner>(3);
  const auto one = owner->join(1), all = owner->join(7);
  EXPECT_EQ(one->threads(), 1);
  EXPECT_EQ(all->threads(), 3);
  for (int round = 0; round < 200; ++round) {
    one->begin_step();
    one->for_each(20, [&](uint32_t, int thread) { EXPECT_EQ(thread, 0); });
    one->end_step();
    std::vector<std::atomic<int>> runs(20);
    all->begin_step();
    all->for_each(20, [&](uint32_t item, int thread) {
      EXPECT_LT(thread, 3);
      ++runs[item];
    });
    all->end_step();
    for (const auto& count : runs) EXPECT_EQ(count, 1);
  }
}

TEST(HostOwner, StepsOfSeveralModelsDoNotOverlap) {
  const auto owner = std::make_shared<HostOwner>(2);
  std::vector<uint64_t> parts(16);  // plain: ThreadSanitizer tells if two steps touch it at once
  std::vector<std::thread> models;
  for (int m = 0; m < 3; ++m) {
    models.emplace_back([&] {
      const auto member = owner->join(2);
      for (int step = 0; step < 200; ++step) {
        member->begin_step();
        for (int section = 0; section < 3; ++section) member->for_each(16, [&](uint32_t item, int) { ++parts[item]; });
        member->end_step();
      }
    });
  }
  for (std::thread& model : models) model.join();
  EXPECT_EQ(parts, std::vector<uint64_t>(16, 3 * 200 * 3));
}

TEST(HostOwner, WhoComputesIsCountedAndWhoStoppedIsNot) {
  const auto owner = std::make_shared<HostOwner>(1);
  const auto a = owner->join(1), b = owner->join(1), loader = owner->join(1);
  EXPECT_EQ(a->sharers(), 1u);
  b->begin_step();
  EXPECT_EQ(a->sharers(), 2u);
  b->end_step();
  loader->begin_slice();
  loader->end_slice();
  EXPECT_EQ(a->sharers(), 2u);
  EXPECT_EQ(b->sharers(), 1u);
  EXPECT_EQ(a->sharers(HostOwner::Clock::now() + seconds(2)), 1u);
}

TEST(HostOwner, TellsHowLongAStepHasWaitedForOthers) {
  const auto owner = std::make_shared<HostOwner>(1);
  const auto a = owner->join(1), b = owner->join(1);
  a->begin_step();
  a->end_step();
  EXPECT_EQ(a->take_waited().count(), 0);
  a->begin_step();
  std::thread other([&] {
    b->begin_step();
    b->end_step();
  });
  while (owner->waiting() == 0) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  a->end_step();
  other.join();
  EXPECT_GE(b->take_waited(), std::chrono::milliseconds(2));
  EXPECT_EQ(b->take_waited().count(), 0);
}

TEST(HostOwner, WhatIsDoneBesideSomebodysStepIsDoneAlone) {
  const auto owner = std::make_shared<HostOwner>(2);
  const auto a = owner->join(2), b = owner->join(2);
  a->begin_step();
  std::set<std::thread::id> threads;
  int ran = 0;
  b->for_each_if_free(50, [&](uint32_t) {
    threads.insert(std::this_thread::get_id());
    ++ran;
  });
  a->end_step();
  EXPECT_EQ(threads, std::set<std::thread::id>{std::this_thread::get_id()});
  EXPECT_EQ(ran, 50);
  std::atomic<int> both{0};
  b->for_each_if_free(50, [&](uint32_t) { ++both; });
  EXPECT_EQ(both, 50);
  EXPECT_EQ(owner->waiting(), 0u);
  EXPECT_THROW(b->for_each_if_free(2, [](uint32_t) { throw std::bad_alloc(); }), std::bad_alloc);
  a->begin_step();  // the turn was given back
  a->end_step();
}

}  // namespace
}  // namespace hearth
