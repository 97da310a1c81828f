// norm: all kinds, to an operand, to an array, added to an array, of all rows or of the logit rows; mix.
#include "ops/cases.h"

namespace hearth::test {

namespace {

enum class To { kOperand, kOut, kAdd, kOperandAndOut, kItself };

struct Shape {
  uint32_t rows, width;
};

Output norm(Rig& rig, Random& random, device::NormKind kind, Shape shape, To to, bool bias, bool logit_rows,
            float mean) {
  const size_t size = size_t{shape.rows} * shape.width;
  const std::vector<float> in = random.normal(size, 1, mean), weight = random.normal(shape.width, 0.2f, 1);
  const std::vector<float> shift = random.normal(shape.width, 0.5f), before = random.normal(size);
  PlainBatch plain(shape.rows);
  uint32_t rows = shape.rows;
  if (logit_rows) {
    for (uint32_t row = 1; row < shape.rows; row += 3) plain.batch.logit_rows.push_back(row);
    rows = static_cast<uint32_t>(plain.batch.logit_rows.size());
  }
  device::NormArgs args;
  args.kind = kind;
  args.epsilon = 1e-5f;
  const bool weighted = (kind != device::NormKind::kNone || to == To::kAdd) && to != To::kItself;
  args.weight = weighted ? rig.vector(weight) : device::Vector{nullptr, shape.width};
  if (bias) args.bias = rig.vector(shift);
  float* const from = rig.floats(in);
  args.in = from;
  args.logit_rows = logit_rows;
  if (to == To::kOperand || to == To::kOperandAndOut) args.operand = rig.readable_operand(shape.width, rows);
  if (to == To::kItself)
    args.out = from;
  else if (to != To::kOperand)
    args.out = rig.floats(std::span(before).first(size_t{rows} * shape.width));
  args.add = to == To::kAdd;

  float* read = nullptr;
  rig.step(plain.batch, [&] {
    rig.device().norm(args);
    if (args.operand.data != nullptr) read = rig.read(args.operand, rows);
  });
  Output output;
  for (const float* part : {static_cast<const float*>(read), static_cast<const float*>(args.out)}) {
    if (part == nullptr) continue;
    const std::vector<float> values = rig.download(part, size_t{rows} * shape.width);
    output.values.insert(output.values.end(), values.begin(), values.end());
  }
  // Rounding of the sum, the input (which matters when the mean is far from zero) and the result.
  for (const float value : output.values)
    output.allowed.push_back(8 * kRounding * (1 + std::abs(mean) + std::abs(value)));
  output.relative = relative_of_allowed(output, 0.5);
  return output;
}

// Parts of rows that lie apart, as heads do: to an operand of one row a part, and to an array of other strides.
Output norm_pieces(Rig& rig, Random& random, device::NormKind kind, Shape shape, uint32_t count, bool in_place) {
  const bool own_weights = kind == device::NormKind::kRms && count % 2 == 1;
  device::Pieces wide{count, count * (shape.width + 3) + 5, shape.width + 3, count * (shape.width + 1) + 2,
                      shape.width + 1};
  wide.own_weights = own_weights;
  const device::Pieces pieces =
      in_place ? device::Pieces{count, wide.in_row, wide.in_piece, wide.in_row, wide.in_piece, own_weights} : wide;
  const size_t size = size_t{shape.rows} * pieces.in_row, out_size = size_t{shape.rows} * pieces.out_row;
  const std::vector<float> in = random.normal(size), before = random.normal(out_size);
  PlainBatch plain(shape.rows);
  device::NormArgs args;
  args.kind = kind;
  args.epsilon = 1e-5f;
  args.weight = kind == device::NormKind::kNone ? device::Vector{nullptr, shape.width}
                                                : rig.vector(random.normal(size_t{shape.width} * count, 0.2f, 1));
  args.weight.size = shape.width;
  float* const from = rig.floats(in);
  args.in = from;
  args.pieces = &pieces;
  args.out = in_place ? from : rig.floats(before);
  if (!in_place) args.operand = rig.readable_operand(shape.width, shape.rows * count);
  float* read = nullptr;
  rig.step(plain.batch, [&] {
    rig.device().norm(args);
    if (!in_place) read = rig.read(args.operand, shape.rows * count);
  });
  Output output;
  output.values = rig.download(args.out, out_size);
  if (read != nullptr) {
    const std::vector<float> values = rig.download(read, size_t{shape.rows} * count * shape.width);
    output.values.insert(output.values.end(), values.begin(), values.end());
  }
  for (const float value : output.values) output.allowed.push_back(8 * kRounding * (1 + std::abs(value)));
  output.relative = relative_of_allowed(output, 0.5);
  return output;
}

// Rows made as large as others, or cut to what is far above their mean.
Output norm_of_rows(Rig& rig, Random& random, device::NormKind kind, Shape shape, uint32_t count, bool add) {
  const uint32_t row = count * shape.width + 3;
  const device::Pieces pieces{count, row, shape.width, row, shape.width};
  const size_t size = size_t{shape.rows} * row;
  PlainBatch plain(shape.rows);
  device::NormArgs args;
  args.kind = kind;
  args.epsilon = 1e-12f;
  args.weight = {nullptr, shape.width};
  args.factor = 0.25f;
  args.like = rig.floats(random.normal(size_t{shape.rows} * shape.width, 3, 1));
  args.deviations = 0.7f;
  float* const in = rig.floats(random.normal(size, 2, 0.5f));
  args.in = in;
  args.out = add ? rig.floats(random.normal(size)) : in;
  args.add = add;
  args.pieces = &pieces;
  rig.step(plain.batch, [&] { rig.device().norm(args); });
  Output output;
  output.values = rig.download(args.out, size);
  for (const float value : output.values) output.allowed.push_back(8 * kRounding * (2 + std::abs(value)));
  output.relative = relative_of_allowed(output, 0.5);
  return output;
}

// `apart`: to other arrays than those that are read.
Output mix(Rig& rig, Random& random, uint32_t rows, uint32_t width, uint32_t ins, uint32_t outs, bool apart) {
  PlainBatch plain(rows);
  device::MixArgs args;
  args.ins = ins;
  args.outs = outs;
  args.width = width;
  args.in_array = args.out_array = size_t{rows} * width;
  args.coefficients = rig.floats(random.normal(size_t{rows} * ins * outs));
  args.offset = 0.5f;
  const size_t size = std::max(ins, outs) * args.in_array;
  args.out = rig.floats(random.normal(size));
  args.in = apart ? rig.floats(random.normal(size)) : args.out;
  rig.step(plain.batch, [&] { rig.device().mix(args); });
  Output output;
  output.values = rig.download(args.out, size);
  for (const float value : output.values) output.allowed.push_back(8 * kRounding * (2 + std::abs(value)));
  output.relative = relative_of_allowed(output, 0.5);
  return output;
}

}  // namespace

std::vector<OpCase> norm_cases() {
  using device::NormKind;
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, auto... args) {
    cases.push_back({"norm_" + name, [=](Rig& rig, Random& random) { return norm(rig, random, args...); }});
  };
  for (const Shape shape : {Shape{1, 1}, {1, 7}, {2, 64}, {5, 130}, {3, 1000}, {33, 256}}) {
    const std::string size = std::to_string(shape.rows) + "x" + std::to_string(shape.width);
    add("rms_operand_" + size, NormKind::kRms, shape, To::kOperand, false, false, 0.0f);
    add("rms_add_" + size, NormKind::kRms, shape, To::kAdd, false, false, 0.0f);
    add("none_add_weighted_" + size, NormKind::kNone, shape, To::kAdd, false, false, 0.0f);
    add("none_operand_" + size, NormKind::kNone, shape, To::kOperand, false, false, 0.0f);
    add("rms_in_place_without_weight_" + size, NormKind::kRms, shape, To::kItself, false, false, 0.0f);
    if (shape.width == 1) continue;  // its own mean: nothing but rounding is left
    add("layer_operand_" + size, NormKind::kLayer, shape, To::kOperand, true, false, 0.0f);
    add("layer_out_" + size, NormKind::kLayer, shape, To::kOut, true, false, 0.0f);
  }
  add("rms_both", NormKind::kRms, Shape{4, 96}, To::kOperandAndOut, true, false, 0.0f);
  add("rms_logit_rows_operand", NormKind::kRms, Shape{20, 96}, To::kOperand, false, true, 0.0f);
  add("layer_logit_rows_both", NormKind::kLayer, Shape{20, 96}, To::kOperandAndOut, true, true, 0.0f);
  add("none_logit_rows", NormKind::kNone, Shape{20, 96}, To::kOperandAndOut, false, true, 0.0f);
  add("layer_far_mean", NormKind::kLayer, Shape{4, 768}, To::kOperand, true, false, 100.0f);
  for (const Shape shape : {Shape{1, 8}, {3, 64}, {5, 33}, {2, 512}})
    for (const uint32_t count : {2u, 3u})
      for (const bool in_place : {false, true})
        for (const NormKind kind : {NormKind::kRms, NormKind::kNone})
          cases.push_back(
              {"norm_of_" + std::to_string(count) + (in_place ? "_parts_in_place_" : "_parts_") +
                   (kind == NormKind::kRms ? "rms_" : "none_") + std::to_string(shape.rows) + "x" +
                   std::to_string(shape.width),
               [=](Rig& rig, Random& random) { return norm_pieces(rig, random, kind, shape, count, in_place); }});
  for (const Shape shape : {Shape{1, 2}, {3, 64}, {5, 33}, {2, 515}})
    for (const bool add_to : {false, true})
      for (const NormKind kind : {NormKind::kLike, NormKind::kAboveMean})
        cases.push_back({std::string(kind == NormKind::kLike ? "norm_like_" : "norm_above_mean_") +
                             (add_to ? "add_" : "in_place_") + std::to_string(shape.rows) + "x" +
                             std::to_string(shape.width),
                         [=](Rig& rig, Random& random) {
                           return norm_of_rows(rig, random, kind, shape, shape.rows % 3 + 1, add_to);
                         }});
  for (const auto& [ins, outs] : {std::pair{4u, 4u}, {1u, 4u}, {1u, 1u}, {device::kMost_mixed, device::kMost_mixed}})
    for (const bool apart : {false, true})
      for (const Shape shape : {Shape{1, 1}, {7, 64}, {3, 515}})
        cases.push_back(
            {"mix_" + std::to_string(ins) + "_to_" + std::to_string(outs) + (apart ? "_apart_" : "_") +
                 std::to_string(shape.rows) + "x" + std::to_string(shape.width),
             [=](Rig& rig, Random& random) { return mix(rig, random, shape.rows, shape.width, ins, outs, apart); }});
  return cases;
}

}  // namespace hearth::test
