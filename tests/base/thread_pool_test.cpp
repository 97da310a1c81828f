#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "support/support.h"

namespace hearth {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Signals that keep the thread that gets them from going on, as a scheduler does that gives its processor to another.
std::atomic<bool> held{false}, arrived{false};
std::atomic<int> short_turns_us{0};

class Preemption {
 public:
  Preemption() {
    struct sigaction action {};
    action.sa_handler = [](int signal) {
      if (signal == SIGUSR1) {
        arrived = true;
        while (held) std::this_thread::sleep_for(microseconds(50));
      } else {
        std::this_thread::sleep_for(microseconds(short_turns_us));
      }
    };
    sigaction(SIGUSR1, &action, &old_[0]);
    sigaction(SIGUSR2, &action, &old_[1]);
  }
  ~Preemption() {
    held = false;
    sigaction(SIGUSR1, &old_[0], nullptr);
    sigaction(SIGUSR2, &old_[1], nullptr);
  }

 private:
  struct sigaction old_[2];
};

void spend(microseconds time) {
  for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
  }
}

// The pool's workers, learned from items that they run; the pool must be new or idle.
std::vector<pthread_t> workers_of(ThreadPool& pool) {
  std::vector<pthread_t> threads(static_cast<size_t>(pool.threads()));
  std::vector<std::atomic<bool>> known(threads.size());
  const auto all_known = [&] { return std::ranges::all_of(known, [](const auto& one) { return one.load(); }); };
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
       !all_known() && std::chrono::steady_clock::now() < end;) {
    pool.for_each(64, [&](uint32_t, int thread) {
      threads[static_cast<size_t>(thread)] = pthread_self();
      known[static_cast<size_t>(thread)] = true;
      std::this_thread::sleep_for(microseconds(20));
    });
  }
  EXPECT_TRUE(all_known()) << "a worker never joined";
  return {threads.begin() + 1, threads.end()};
}

TEST(ThreadPool, RunsEveryItemOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const uint32_t items : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<std::atomic<int>> runs(items);
      pool.for_each(items, [&](uint32_t item, int thread) {
        ASSERT_TRUE(thread >= 0 && thread < threads);
        ++runs[item];
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1) << threads << " threads, " << items << " items";
    }
  }
}

TEST(ThreadPool, WorkersJoinAlsoAfterSleeping) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(workers_of(pool).size(), 2u);
    std::this_thread::sleep_for(milliseconds(5));  // longer than workers stay awake
  }
}

TEST(ThreadPool, SectionsDoNotOverlap) {
  ThreadPool pool(4);
  uint64_t total = 0;  // plain: ThreadSanitizer tells if two sections touch it at once
  std::vector<uint64_t> parts(40);
  for (uint64_t round = 0; round < 2000; ++round) {
    pool.for_each(40, [&](uint32_t item, int) {
      spend(microseconds(2));
      parts[item] += round;
    });
    for (uint64_t& part : parts) total += std::exchange(part, 0);
  }
  EXPECT_EQ(total, 40u * (1999u * 2000u / 2));
}

TEST(ThreadPool, AWorkerThatDoesNotComeIsNotWaitedFor) {
  const Preemption preemption;
  ThreadPool pool(2);
  const pthread_t worker = workers_of(pool).at(0);
  held = true;
  arrived = false;
  ASSERT_EQ(pthread_kill(worker, SIGUSR1), 0);
  while (!arrived) std::this_thread::yield();
  std::thread rescue([] {  // so that a pool that waits fails, instead of hanging
    for (int i = 0; i < 1000 && held; ++i) std::this_thread::sleep_for(milliseconds(10));
    held = false;
  });
  std::atomic<int> ran{0};
  for (int section = 0; section < 50; ++section) pool.for_each(20, [&](uint32_t, int) { ++ran; });
  EXPECT_TRUE(held) << "the sections ended only with the worker";
  EXPECT_EQ(ran, 50 * 20);
  held = false;
  rescue.join();
  EXPECT_EQ(workers_of(pool).size(), 1u) << "it joins again";
}

TEST(ThreadPool, AnItemThatIsHeldIsWaitedFor) {
  for (int round = 0; round < 20; ++round) {
    ThreadPool pool(3);
    std::vector<int> done(3);  // plain: what the items did is to be seen
    pool.for_each(3, [&](uint32_t item, int) {
      std::this_thread::sleep_for(milliseconds(item));
      done[item] = 1;
    });
    EXPECT_EQ(done, (std::vector<int>{1, 1, 1}));
  }
}

// Workers lose their processor at any point: between sections, while they take an item, in the middle of one.
TEST(ThreadPool, EveryItemRunsOnceWhereverWorkersAreStopped) {
  const Preemption preemption;
  ThreadPool pool(4);
  const std::vector<pthread_t> workers = workers_of(pool);
  std::atomic<bool> over{false};
  std::thread scheduler([&, random = std::mt19937(hearth::test::seed())]() mutable {
    while (!over) {
      short_turns_us = static_cast<int>(random() % 200);
      pthread_kill(workers[random() % workers.size()], SIGUSR2);
      std::this_thread::sleep_for(microseconds(random() % 100));
    }
  });
  std::mt19937 random(hearth::test::seed());
  std::vector<uint32_t> runs(40);
  std::vector<int> threads(40);
  int joined = 0;  // sections with a worker; there must be many, and stops make the pool work alone at times
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (uint32_t section = 1; joined < 300 && std::chrono::steady_clock::now() < end; ++section) {
    const uint32_t items = 2 + static_cast<uint32_t>(random() % 38);
    std::fill(runs.begin(), runs.end(), 0u);
    std::fill(threads.begin(), threads.end(), 0);
    pool.for_each(items, [&](uint32_t item, int thread) {
      spend(microseconds(item % 20));
      runs[item] += section;
      threads[item] = thread;
    });
    for (uint32_t item = 0; item < runs.size(); ++item) EXPECT_EQ(runs[item], item < items ? section : 0u);
    joined += std::ranges::max(threads) > 0 ? 1 : 0;
  }
  EXPECT_EQ(joined, 300);
  over = true;
  scheduler.join();
}

TEST(ThreadPool, WorksAloneWhereWorkersOnlyHoldItUp) {
  ThreadPool pool(2);
  int joined = 0;
  for (int section = 0; section < 400; ++section) {
    std::atomic<bool> together{false};
    pool.for_each(8, [&](uint32_t, int thread) {
      if (thread == 0) return spend(microseconds(5));
      together = true;
      std::this_thread::sleep_for(milliseconds(3));
    });
    joined += together ? 1 : 0;
  }
  EXPECT_LT(joined, 20) << "of 400 sections";
}

TEST(ThreadPool, WhatAnItemThrowsReachesTheCallerWhenAllAreDone) {
  for (uint32_t thrower = 0; thrower < 6; ++thrower) {
    ThreadPool pool(3);
    std::atomic<int> others{0};
    const auto section = [&](uint32_t item, int) {
      if (item == thrower) throw std::bad_alloc();
      std::this_thread::sleep_for(milliseconds(1));
      ++others;
    };
    EXPECT_THROW(pool.for_each(6, section), std::bad_alloc);
    EXPECT_EQ(others, 5);
    std::atomic<int> ran{0};
    pool.for_each(6, [&](uint32_t, int) { ++ran; });
    EXPECT_EQ(ran, 6) << "it goes on";
  }
  ThreadPool one(1);
  EXPECT_THROW(one.for_each(2, [](uint32_t, int) { throw std::bad_alloc(); }), std::bad_alloc);
}

constexpr int64_t kShort_ns = 10'000;

TEST(TeamGauge, KeepsATeamThatPays) {
  TeamGauge gauge;
  for (int64_t now = 0; now < 1000 * kShort_ns; now += kShort_ns) {
    EXPECT_TRUE(gauge.wants_team(now));
    gauge.add(kShort_ns, kShort_ns / 2, now);
  }
}

TEST(TeamGauge, AStallThatWasEarnedBeforeDoesNotEndTheTeam) {
  TeamGauge gauge;
  for (uint32_t i = 1; i < TeamGauge::kSections; ++i) gauge.add(100'000, 0, 0);
  gauge.add(0, 3'000'000, 0);
  EXPECT_TRUE(gauge.wants_team(0));
}

TEST(TeamGauge, IsAloneLongerTheMoreOftenTheTeamFails) {
  TeamGauge gauge;
  int64_t now = 0, last = 0;
  for (int round = 0; round < 10; ++round) {
    gauge.add(0, TeamGauge::kMostLoss_ns, now);
    int64_t alone = 0;
    while (!gauge.wants_team(now + alone)) alone += 1'000'000;
    EXPECT_EQ(alone, std::min(TeamGauge::kMostAlone_ns, round == 0 ? TeamGauge::kFirstAlone_ns : 2 * last));
    now += last = alone;
  }
  for (uint32_t i = 0; i < TeamGauge::kSections; ++i) gauge.add(kShort_ns, 0, now);
  gauge.add(0, TeamGauge::kMostLoss_ns, now);
  EXPECT_FALSE(gauge.wants_team(now + TeamGauge::kFirstAlone_ns - 1));
  EXPECT_TRUE(gauge.wants_team(now + TeamGauge::kFirstAlone_ns)) << "a success in between counts";
}

TEST(TeamGauge, SmallLossesCountInTheEnd) {
  TeamGauge gauge;
  for (uint32_t i = 1; i < TeamGauge::kSections; ++i) {
    gauge.add(100, 200, 0);
    EXPECT_TRUE(gauge.wants_team(0));
  }
  gauge.add(100, 200, 0);
  EXPECT_FALSE(gauge.wants_team(0));
}

}  // namespace
}  // namespace hearth
