// Every op on every device against the scalar reference.
#include "ops/cases.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
  for (const auto& list : {embed_cases(), norm_cases(), activate_cases(), project_cases(), attention_cases(),
                           experts_cases(), recurrent_cases(), candidates_cases()})
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

// Every case, or as many of them, chosen by the seed, as HEARTH_OP_CASES says: a simulated GPU is slow.
std::vector<OpCase> chosen_cases() {
  std::vector<OpCase> cases = all_cases();
  const char* limit = std::getenv("HEARTH_OP_CASES");
  if (limit == nullptr) return cases;
  std::shuffle(cases.begin(), cases.end(), std::mt19937_64(seed()));
  cases.resize(std::min<size_t>(cases.size(), std::strtoull(limit, nullptr, 10)));
  return cases;
}

void expect_near(const Output& actual, const Output& expected) {
  ASSERT_EQ(actual.values.size(), expected.values.size());
  ASSERT_EQ(expected.values.size(), expected.allowed.size());
  EXPECT_LE(relative_error(actual.values, expected.values), expected.relative);
  size_t outside = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const float difference = std::abs(actual.values[i] - expected.values[i]);
    if (difference <= expected.allowed[i]) continue;  // false for NaN
    if (++outside <= 3)
      ADD_FAILURE() << "value " << i << " is " << actual.values[i] << ", expected " << expected.values[i] << " +- "
                    << expected.allowed[i];
  }
  EXPECT_EQ(outside, 0u) << "of " << expected.values.size() << " values";
}

class Ops : public testing::TestWithParam<std::tuple<TestDevice, OpCase>> {};

TEST_P(Ops, AgreeWithTheReference) {
  const auto& [device, op_case] = GetParam();
  const auto actual_device = device.make();
  if (op_case.finds_candidates && actual_device->most_candidates() == 0) GTEST_SKIP() << "logits are read whole";
  const uint64_t start = seed();
  ReferenceDevice reference;
  Rig expected_rig(reference);
  Random expected_random(start);
  const Output expected = op_case.run(expected_rig, expected_random);

  Rig actual_rig(*actual_device, device.copies);
  Random actual_random(start);
  expect_near(op_case.run(actual_rig, actual_random), expected);
}

INSTANTIATE_TEST_SUITE_P(Devices, Ops,
                         testing::Combine(testing::ValuesIn(real_devices()), testing::ValuesIn(chosen_cases())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

}  // namespace
}  // namespace hearth::test
