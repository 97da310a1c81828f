// experts: routing (ties, all experts, one expert), weights that sum to one or not, scales, formats.
#include <algorithm>
#include <cmath>
#include <functional>

#include "ops/cases.h"

namespace hearth::test {

namespace {

struct Options {
  uint32_t batch = 5, experts = 8, used = 2, width = 64, inner = 96;
  const char* format = "F32";
  bool normalise = true;
  float scale = 1;
  device::Activation kind = device::Activation::kSilu;
  bool ties = false;
  const char* down_format = nullptr;  // null: `format`
  device::Gating gating = device::Gating::kSoftmax;
  bool choice_bias = false, biases = false, result_scale = false, weigh_inputs = false;
  uint32_t groups = 1, groups_used = 1;
  enum class Gate { kOwn, kInUp, kNone } gate = Gate::kOwn;
  bool logits_given = false, add = true;
};

// Whether what an expert or a group is chosen by differs so much from the next, or not at all, that last bits do not
// decide.
bool is_decided(std::vector<double> scores, uint32_t used) {
  if (used == scores.size()) return true;
  std::ranges::sort(scores, std::greater());
  return scores[used - 1] == scores[used] || scores[used - 1] - scores[used] > 1e-4;
}

bool is_decided(const Options& options, std::span<const float> router, std::span<const float> bias,
                std::span<const float> row) {
  double squares = 0;
  for (const float x : row) squares += static_cast<double>(x) * x;
  const double rms = std::sqrt(squares / static_cast<double>(row.size()));
  std::vector<double> scores;
  for (uint32_t e = 0; e < options.experts; ++e) {
    double score = 0;
    for (size_t i = 0; i < row.size(); ++i) score += static_cast<double>(router[e * row.size() + i]) * row[i];
    scores.push_back(score / rms);
  }
  if (options.gating == device::Gating::kSoftmax && !options.choice_bias) return is_decided(scores, options.used);
  for (uint32_t e = 0; e < options.experts; ++e)
    scores[e] = 1 / (1 + std::exp(-scores[e])) + (options.choice_bias ? static_cast<double>(bias[e]) : 0);
  if (options.groups == 1) return is_decided(scores, options.used);
  std::vector<double> sums;
  const uint32_t size = options.experts / options.groups;
  for (size_t first = 0; first < scores.size(); first += size) {
    std::vector<double> own(scores.begin() + first, scores.begin() + first + size);
    std::ranges::sort(own, std::greater());
    sums.push_back(own[0] + own[1]);
  }
  // Whichever groups are kept: no two experts come near each other.
  std::ranges::sort(scores);
  for (size_t i = 1; i < scores.size(); ++i)
    if (scores[i] - scores[i - 1] < 1e-6) return false;
  return is_decided(sums, options.groups_used);
}

device::ExpertsArgs make_args(Rig& rig, Random& random, const Options& options) {
  const uint32_t experts = options.experts, width = options.width, inner = options.inner;
  const float spread = 1 / std::sqrt(static_cast<float>(width));
  const auto weights = [&](const char* format, uint32_t rows, uint32_t cols) {
    return rig.matrix(format, random.normal(size_t{experts} * rows * cols, spread), experts * rows, cols, experts);
  };
  device::ExpertsArgs args;
  if (options.gate == Options::Gate::kOwn) args.gate = weights(options.format, inner, width);
  args.gate_in_up = options.gate == Options::Gate::kInUp;
  args.up = weights(options.format, args.gate_in_up ? 2 * inner : inner, width);
  args.down = weights(options.down_format != nullptr ? options.down_format : options.format, width, inner);
  if (options.biases) {
    args.router_bias = rig.vector(std::vector<float>(experts, 0.25f));  // equal: the choice does not depend on it
    args.gate_bias = rig.vector(random.normal(size_t{experts} * inner));
    args.up_bias = rig.vector(random.normal(size_t{experts} * inner));
    args.down_bias = rig.vector(random.normal(size_t{experts} * width));
  }
  if (options.result_scale) args.result_scale = rig.vector(random.normal(experts, 0.3f, 1));
  args.gating = options.gating;
  args.groups = options.groups;
  args.groups_used = options.groups_used;
  args.experts = experts;
  args.used = options.used;
  args.normalise = options.normalise;
  args.scale = options.scale;
  args.weigh_inputs = options.weigh_inputs;
  args.kind = options.kind;
  args.add = options.add;
  args.out = rig.floats(random.normal(size_t{options.batch} * width));
  return args;
}

Output run(Rig& rig, Random& random, const Options& options) {
  const uint32_t batch = options.batch, experts = options.experts, width = options.width;
  std::vector<float> router = random.normal(size_t{experts} * width, 0.3f);
  const std::vector<float> bias = random.normal(experts, 0.2f);
  if (options.ties)  // pairs of experts that score the same: the lower of a pair goes first
    for (uint32_t e = 1; e < experts; e += 2)
      std::copy_n(router.begin() + (e - 1) * width, width, router.begin() + e * width);
  device::ExpertsArgs args = make_args(rig, random, options);
  args.router = rig.matrix("F32", router, experts, width);
  if (options.choice_bias) args.choice_bias = rig.vector(bias);
  device::OperandForms forms = rig.device().operand_forms(args.router) | rig.device().operand_forms(args.up);
  if (args.gate) forms |= rig.device().operand_forms(args.gate);
  device::NormArgs norm;
  norm.weight = rig.vector(std::vector<float>(width, 1));
  std::vector<float> in;
  while (in.size() < size_t{batch} * width) {
    const std::vector<float> row = random.normal(width);
    if (is_decided(options, router, bias, row)) in.insert(in.end(), row.begin(), row.end());
  }
  norm.in = rig.floats(in);
  norm.operand = args.in = rig.operand(width, batch, forms);
  PlainBatch plain(batch);
  float* const logits = rig.zeros(size_t{batch} * experts);
  rig.step(plain.batch, [&] {
    rig.device().norm(norm);
    if (options.logits_given) {
      const device::Projection route{args.router, {}, logits, experts};
      rig.device().project(args.in, batch, {&route, 1});
      args.logits = logits;
    }
    rig.device().experts(args);
  });

  // 8-bit activations: half a percent per product, three products (see project_cases.cpp).
  // GELU in halves is off by its last bit now and then, which shows among few and small results.
  const bool exact = std::string_view(options.format) == "F32";
  const float error = exact ? (options.kind != device::Activation::kGeluTanh ? 1e-5f : 1e-3f) : 2e-2f;
  Output output{rig.download(args.out, size_t{batch} * width), {}, std::max(error, 5e-5f)};
  double squares = 0;
  for (const float value : output.values) squares += static_cast<double>(value) * value;
  const float rms = static_cast<float>(std::sqrt(squares / static_cast<double>(output.values.size())));
  output.allowed.assign(output.values.size(), 6 * error * rms);
  return output;
}

}  // namespace

std::vector<OpCase> experts_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Options& options) {
    cases.push_back({"experts_" + name, [=](Rig& rig, Random& random) { return run(rig, random, options); }});
  };
  for (const uint32_t batch : {1u, 2u, 7u, 33u, 150u}) {
    add("batch_" + std::to_string(batch), {.batch = batch});
    add("batch_q4_k_" + std::to_string(batch), {.batch = batch, .width = 256, .inner = 256, .format = "Q4_K"});
  }
  add("one_of_many", {.experts = 128, .used = 1});
  add("eight_of_many", {.batch = 20, .experts = 128, .used = 8, .inner = 32});
  add("all", {.experts = 3, .used = 3});
  add("single", {.experts = 1, .used = 1});
  add("ties", {.experts = 8, .used = 3, .ties = true});
  add("not_normalised", {.normalise = false});
  add("scaled", {.normalise = false, .scale = 2.5f});
  add("gelu", {.kind = device::Activation::kGeluTanh});
  using Gate = Options::Gate;
  using device::Gating;
  add("sigmoid", {.gating = Gating::kSigmoid});
  add("sigmoid_not_normalised", {.normalise = false, .gating = Gating::kSigmoid});
  add("biased_choice", {.batch = 20, .experts = 40, .used = 6, .choice_bias = true});
  add("biased_choice_of_sigmoids",
      {.batch = 20, .experts = 40, .used = 6, .scale = 2.5f, .gating = Gating::kSigmoid, .choice_bias = true});
  add("groups", {.batch = 30,
                 .experts = 64,
                 .used = 6,
                 .gating = Gating::kSigmoid,
                 .choice_bias = true,
                 .groups = 8,
                 .groups_used = 3});
  add("clamped_swish_with_biases", {.batch = 9, .kind = device::Activation::kClampedSwish, .biases = true});
  add("weights_on_inputs", {.used = 2, .normalise = false, .gating = Gating::kSigmoid, .weigh_inputs = true});
  add("gate_and_up_in_one", {.batch = 40, .gate = Gate::kInUp});
  add("no_gate", {.batch = 9, .kind = device::Activation::kReluSquared, .gate = Gate::kNone});
  add("scaled_results", {.batch = 9, .result_scale = true});
  add("given_logits_and_nothing_added", {.batch = 9, .logits_given = true, .add = false});
  add("odd_sizes", {.batch = 9, .experts = 5, .used = 2, .width = 50, .inner = 37});
  add("odd_rows", {.inner = 40, .format = "Q8_0", .down_format = "F32"});
  for (const char* format : {"F16", "BF16", "Q8_0", "Q4_0", "Q6_K", "IQ4_XS", "MXFP4"})
    add(std::string("format_") + format, {.batch = 6, .width = 256, .inner = 256, .format = format});
  return cases;
}

}  // namespace hearth::test
