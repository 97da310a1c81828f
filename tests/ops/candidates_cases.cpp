// The best of rows of logits: exactly, ties included; sums of weights up to rounding.
#include <limits>

#include "ops/cases.h"

namespace hearth::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Shape {
  uint32_t rows, width, count;
};

Output run(Rig& rig, const Shape& shape, std::vector<float> logits) {
  const auto& [rows, width, count] = shape;
  const float* at = rig.floats(logits);
  const size_t size = rows * (size_t{count} + 1);
  auto* best = reinterpret_cast<device::Candidate*>(rig.bytes(size * sizeof(device::Candidate)));
  std::vector<device::Candidate> found(size);
  PlainBatch plain(1);
  rig.step(plain.batch, [&] {
    rig.device().candidates({at, rows, width, count, best});
    EXPECT_TRUE(
        rig.device().download(reinterpret_cast<const std::byte*>(best), std::as_writable_bytes(std::span(found))).ok());
  });
  Output output;
  for (size_t i = 0; i < size; ++i) {
    const bool total = i % (count + 1) == count;
    output.values.push_back(static_cast<float>(found[i].column));
    const float value = std::isnan(found[i].value) ? -1 : found[i].value;  // of a row with odd values
    output.values.push_back(std::max(value, std::numeric_limits<float>::lowest()));
    output.allowed.push_back(0);
    output.allowed.push_back(total ? 1e-5f * std::abs(value) : 0);
  }
  output.relative = 1e-6;
  return output;
}

// Rounded, so that there are many ties.
std::vector<float> with_ties(Random& random, const Shape& shape) {
  std::vector<float> logits = random.normal(size_t{shape.rows} * shape.width, 4);
  for (float& x : logits) x = std::round(x * 8) / 8;
  return logits;
}

// What a broken model gives, and both zeros.
std::vector<float> with_odd_values(Random& random, const Shape& shape) {
  std::vector<float> logits = with_ties(random, shape);
  for (size_t i = 0; i < logits.size(); i += 3) logits[i] = -kInfinity;
  for (size_t i = 1; i < logits.size(); i += 7) logits[i] = std::numeric_limits<float>::quiet_NaN();
  for (size_t i = 2; i < logits.size(); i += 5) logits[i] = -0.0f;
  if (shape.width > 20) {
    logits[17] = kInfinity;
    logits[4] = std::numeric_limits<float>::max();
  }
  return logits;
}

}  // namespace

std::vector<OpCase> candidates_cases() {
  std::vector<OpCase> cases;
  // Around the chunks that a GPU sorts (4096), one level and several.
  for (const Shape shape : {Shape{1, 1, 1}, Shape{3, 5, 5}, Shape{2, 4096, 40}, Shape{3, 4097, 1}, Shape{2, 9001, 64},
                            Shape{1, 40000, 1024}, Shape{5, 33000, 129}}) {
    const std::string name = "candidates_" + std::to_string(shape.count) + "_of_" + std::to_string(shape.width) +
                             "_rows_" + std::to_string(shape.rows);
    cases.push_back(
        {name, [shape](Rig& rig, Random& random) { return run(rig, shape, with_ties(random, shape)); }, true});
    if (shape.width == 1) continue;  // nothing but -infinity
    cases.push_back({name + "_odd",
                     [shape](Rig& rig, Random& random) { return run(rig, shape, with_odd_values(random, shape)); },
                     true});
  }
  return cases;
}

}  // namespace hearth::test
