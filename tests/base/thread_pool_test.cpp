#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>

namespace hearth {
namespace {

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

TEST(ThreadPool, WakesAfterSleeping) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> ran{0};
    pool.on_all([&](int) { ++ran; });
    EXPECT_EQ(ran, 3);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than workers stay awake
  }
}

TEST(ThreadPool, SectionsDoNotOverlap) {
  ThreadPool pool(4);
  uint64_t total = 0;  // plain: ThreadSanitizer tells if two sections touch it at once
  std::vector<uint64_t> parts(4);
  for (uint64_t round = 0; round < 2000; ++round) {
    pool.on_all([&](int thread) { parts[static_cast<size_t>(thread)] += round; });
    for (uint64_t& part : parts) total += std::exchange(part, 0);
  }
  EXPECT_EQ(total, 4u * (1999u * 2000u / 2));
}

TEST(ThreadPool, WhatAThreadThrowsReachesTheCallerWhenAllAreDone) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (int thrower = 0; thrower < threads; ++thrower) {
      std::atomic<int> others{0};
      const auto section = [&](int thread) {
        if (thread == thrower) throw std::bad_alloc();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++others;
      };
      EXPECT_THROW(pool.on_all(section), std::bad_alloc);
      EXPECT_EQ(others, threads - 1);
    }
    std::atomic<int> ran{0};
    pool.on_all([&](int) { ++ran; });
    EXPECT_EQ(ran, threads) << "it goes on";
  }
}

}  // namespace
}  // namespace hearth
