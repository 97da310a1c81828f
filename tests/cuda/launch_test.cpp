// Lists of launches are equal when they do the same.
#include "cuda/launch.h"

#include <gtest/gtest.h>

namespace hearth::cuda {
namespace {

struct Args {
  const float* from;
  uint32_t count, rows;
};

CUfunction function(uintptr_t number) {
  return reinterpret_cast<CUfunction>(number);
}

LaunchList two_launches(uint32_t count) {
  static const float values[1] = {};
  LaunchList list;
  list.add(function(1), {4}, {128}, 0, Args{values, count, 3});
  list.add(function(2), {2, 3}, {32}, 64, uint32_t{5});
  return list;
}

TEST(LaunchList, KeepsLaunchesAndTheirArguments) {
  const LaunchList list = two_launches(7);
  ASSERT_EQ(list.launches().size(), 2u);
  const Launch& second = list.launches()[1];
  EXPECT_EQ(second.function, function(2));
  EXPECT_EQ(second.grid, (Extent{2, 3, 1}));
  EXPECT_EQ(second.shared_bytes, 64u);
  EXPECT_EQ(second.args_at % 16, 0u);
  uint32_t value = 0;
  std::memcpy(&value, list.arguments_of(second), sizeof value);
  EXPECT_EQ(value, 5u);
}

TEST(LaunchList, EqualListsHaveEqualHashes) {
  EXPECT_EQ(two_launches(7), two_launches(7));
  EXPECT_EQ(two_launches(7).hash(), two_launches(7).hash());
}

TEST(LaunchList, DiffersInArgumentsFunctionGridAndLength) {
  const LaunchList list = two_launches(7);
  LaunchList longer = two_launches(7), other_function, other_grid;
  longer.add(function(1), {1}, {32}, 0, uint32_t{5});
  const Args args{nullptr, 1, 2};
  other_function.add(function(1), {4}, {128}, 0, args);
  other_grid.add(function(1), {5}, {128}, 0, args);
  LaunchList other_order = two_launches(7);
  other_order.beside_last();
  for (const LaunchList& different : {two_launches(8), longer, other_function, other_order, LaunchList()}) {
    EXPECT_NE(list, different);
    EXPECT_NE(list.hash(), different.hash());
  }
  EXPECT_NE(other_function, other_grid);
  EXPECT_NE(other_function.hash(), other_grid.hash());
}

TEST(LaunchList, IsEmptyAfterClear) {
  LaunchList list = two_launches(7);
  list.clear();
  EXPECT_EQ(list, LaunchList());
}

}  // namespace
}  // namespace hearth::cuda
