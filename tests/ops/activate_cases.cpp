// activate: both functions over their whole range, with and without a second factor.
#include "ops/cases.h"

namespace hearth::test {

namespace {

Output activate(Rig& rig, Random& random, device::Activation kind, uint32_t rows, uint32_t width, bool gated,
                float range, bool row_gate = false, bool as_values = false) {
  const uint32_t stride = 2 * width + 3;  // gate, up and something else
  std::vector<float> in = random.uniform(size_t{rows} * stride, -range, range);
  in[0] = 0;
  float* at = rig.floats(in);
  device::ActivateArgs args;
  args.kind = kind;
  args.gate = at;
  args.up = gated ? at + width : nullptr;
  args.stride = stride;
  if (row_gate) args.row_gate = rig.floats(random.normal(rows, 2));
  if (as_values) {
    args.out.width = width;
    args.values = rig.zeros(size_t{rows} * width);
  } else {
    args.out = rig.readable_operand(width, rows);
  }
  PlainBatch plain(rows);
  const float* read = args.values;
  rig.step(plain.batch, [&] {
    rig.device().activate(args);
    if (!as_values) read = rig.read(args.out, rows);
  });

  Output output{rig.download(read, size_t{rows} * width), {}, 0};
  // GELU's result is rounded to half: the last bit may differ where the exact value lies between two.
  const bool half = kind == device::Activation::kGeluTanh;
  const float last_bit = half ? 0x1p-10f : 1e-5f;
  const float least = 1e-6f;  // 1 + tanh cancels to nothing where GELU is nearly 0
  for (uint32_t row = 0; row < rows; ++row)
    for (uint32_t c = 0; c < width; ++c) {
      const float up = gated ? std::abs(in[size_t{row} * stride + width + c]) : 1;
      output.allowed.push_back(last_bit * std::abs(output.values[size_t{row} * width + c]) + least * up);
    }
  // That is rare: of many values the whole is closer than it would be without the rounding (a fifth).
  const double share = 10 / std::sqrt(static_cast<double>(output.values.size()));
  output.relative = relative_of_allowed(output, half ? std::min(share, 1.0) : 1);
  return output;
}

}  // namespace

std::vector<OpCase> activate_cases() {
  std::vector<OpCase> cases;
  for (const auto& [kind, name] : {std::pair{device::Activation::kSilu, "silu"},
                                   {device::Activation::kGeluTanh, "gelu"},
                                   {device::Activation::kRelu, "relu"},
                                   {device::Activation::kReluSquared, "relu_squared"},
                                   {device::Activation::kQuickGelu, "quick_gelu"},
                                   {device::Activation::kSigmoid, "sigmoid"}}) {
    for (const bool gated : {true, false})
      for (const auto& [rows, width] : {std::pair{1u, 1u}, {2u, 33u}, {5u, 256u}, {40u, 100u}})
        for (const float range : {3.0f, 40.0f, 2000.0f})
          cases.push_back({std::string("activate_") + name + (gated ? "_gated_" : "_alone_") + std::to_string(rows) +
                               "x" + std::to_string(width) + "_to_" + std::to_string(static_cast<int>(range)),
                           [=, kind = kind, rows = rows, width = width](Rig& rig, Random& random) {
                             return activate(rig, random, kind, rows, width, gated, range);
                           }});
  }
  for (const float range : {3.0f, 40.0f})
    cases.push_back(
        {"activate_clamped_swish_to_" + std::to_string(static_cast<int>(range)), [=](Rig& rig, Random& random) {
           return activate(rig, random, device::Activation::kClampedSwish, 7, 130, true, range);
         }});
  cases.push_back({"activate_row_gate", [](Rig& rig, Random& random) {
                     return activate(rig, random, device::Activation::kSilu, 7, 130, true, 3, true);
                   }});
  cases.push_back({"activate_as_values", [](Rig& rig, Random& random) {
                     return activate(rig, random, device::Activation::kQuickGelu, 7, 130, true, 3, false, true);
                   }});
  return cases;
}

}  // namespace hearth::test
