#include "batch/policy.h"

#include <gtest/gtest.h>

#include <map>

namespace hearth::batch {
namespace {

TEST(Policy, DrainsTheModelThatIsThere) {
  const std::vector<Ready> ready = {{"a", "ann", 3, 100, 0}, {"b", "ann", 9, 1, 0}};
  EXPECT_EQ(choose_model(ready, {.current = "a", .turn_ms = 1'000'000, .load_ms = 1, .now_ms = 1'000'000}, {}), "a");
  EXPECT_EQ(choose_model(ready, {.current = "", .now_ms = 1000}, {}), "b") << "who waits longest";
  const std::vector<Ready> steps = {{"a", "ann", 1, 100, 0, 0}, {"b", "ann", 9, 1, 0, int64_t{1} << 32}};
  EXPECT_EQ(choose_model(steps, {.current = "", .now_ms = 1000}, {}), "a") << "earlier steps, so that b is needed once";
  EXPECT_EQ(choose_model(steps, {.current = "", .now_ms = 60'050}, {}), "b")
      << "but who has waited too long comes first";
  EXPECT_EQ(choose_model({}, {.current = "a"}, {}), "");
  const std::vector<Ready> other = {{"b", "ann", 9, 1, 0}};
  EXPECT_EQ(choose_model(other, {.current = "a", .in_flight = 1}, {}), "a") << "what runs may make more ready";
  EXPECT_EQ(choose_model(other, {.current = "a", .in_flight = 0}, {}), "b");
}

TEST(Policy, AnotherOwnerGetsATurnOnceTheSliceIsOver) {
  const std::vector<Ready> ready = {{"a", "ann", 3, 100, 0}, {"b", "bob", 9, 0, 0}};
  const Bounds bounds{.slice_loads = 20, .least_slice_ms = 0, .most_wait_ms = 1000};
  Situation now{.current = "a", .turn_ms = 1999, .load_ms = 100, .in_flight = 4, .now_ms = 5000};
  EXPECT_EQ(choose_model(ready, now, bounds), "a") << "the slice pays for the load";
  now.turn_ms = 2000;
  EXPECT_EQ(choose_model(ready, now, bounds), "b");
  now.now_ms = 900;
  EXPECT_EQ(choose_model(ready, now, bounds), "a") << "bob has not waited long";
}

TEST(Policy, SharesPlacesAmongOwners) {
  const std::vector<Ready> ready = {
      {"a", "ann", 100, 0, 0}, {"a", "bob", 1, 0, 0}, {"b", "bob", 9, 0, 0}, {"a", "eve", 2, 0, 2}};
  std::map<std::string, int64_t> shares;
  for (const Wanted& one : share(ready, "a", 8)) shares[one.owner] = one.count;
  EXPECT_EQ(shares, (std::map<std::string, int64_t>{{"ann", 7}, {"bob", 1}})) << "suspects run alone";
}

// Two owners, each with steps on two models in turn, on a machine that has room for one: loads are bounded by slices.
TEST(Policy, LoadsOfTwoOwnersAreBoundedBySlices) {
  const Bounds bounds{.slice_loads = 20, .least_slice_ms = 0, .most_wait_ms = 3000};
  const int64_t load_ms = 200, step_ms = 50;
  std::map<std::string, std::map<std::string, int64_t>> left;  // by owner and model
  left["ann"] = {{"a", 600}, {"b", 600}};
  left["bob"] = {{"b", 600}, {"c", 600}};
  int64_t now = 0, loads = 0;
  std::string current;
  int64_t began = 0;
  while (true) {
    std::vector<Ready> ready;
    for (const auto& [owner, models] : left)
      for (const auto& [model, count] : models)
        if (count > 0) ready.push_back({model, owner, count, 0, 0});
    const std::string next =
        choose_model(ready, {.current = current, .turn_ms = now - began, .load_ms = load_ms, .now_ms = now}, bounds);
    if (next.empty()) break;
    if (next != current) {
      ++loads;
      now += load_ms;
      began = now;
      current = next;
    }
    for (const Wanted& one : share(ready, current, 1)) left[one.owner][current] -= one.count;
    now += step_ms;
  }
  EXPECT_LE(loads, now / (20 * load_ms) + 2);
}

}  // namespace
}  // namespace hearth::batch
