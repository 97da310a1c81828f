// project: every weight format, odd sizes, biases, strides, adding, and several weights on one operand.
#include "ops/cases.h"

namespace hearth::test {

namespace {

struct Shape {
  uint32_t batch, rows, cols;
};

struct Options {
  bool bias = false, add = false;
  uint32_t gap = 0;  // unused values between rows of the result
  bool bulk = false;
};

// Formats whose products every device computes in float32; with the others the activations may be
// rounded to 8 bits.
bool is_float(const quant::Format& format) {
  const std::string_view name = format.name;
  return name == "F32" || name == "F16" || name == "BF16";
}

// How far a product may be off. 8-bit activations in blocks of 32: each value is off by at most half a
// step of (largest of its block) / 127, evenly spread, so the variance of the sum is
// sum over blocks |w|^2 step^2 / 12. In float32: last bits.
constexpr double kDeviations = 8;  // six do happen by chance once in 200 runs of millions of values
float allowed_error(bool is_float, std::span<const float> weight, std::span<const float> in) {
  double variance = 0, weight_squares = 0, in_squares = 0;
  for (size_t first = 0; first < in.size(); first += 32) {
    double squares = 0;
    float largest = 0;
    for (size_t i = first; i < std::min(first + 32, in.size()); ++i) {
      squares += static_cast<double>(weight[i]) * weight[i];
      in_squares += static_cast<double>(in[i]) * in[i];
      largest = std::max(largest, std::abs(in[i]));
    }
    variance += squares * std::pow(largest / 127.0, 2) / 12;
    weight_squares += squares;
  }
  const double rounding = kRounding * std::sqrt(weight_squares * in_squares);
  return static_cast<float>(rounding + (is_float ? 0 : kDeviations * std::sqrt(variance)));
}

// Some columns are much larger than the rest, as in real models' activations.
std::vector<float> activations(Random& random, const Shape& shape) {
  std::vector<float> values = random.normal(size_t{shape.batch} * shape.cols);
  for (size_t i = 0; i < values.size(); ++i)
    if (i % shape.cols % 50 == 7) values[i] *= 8;
  return values;
}

struct Part {
  std::vector<float> weight;  // as decoded
  device::Projection projection;
  Shape shape;
  bool is_float;
};

Part make_part(Rig& rig, Random& random, const quant::Format& format, const Shape& shape, const Options& options) {
  Part part{{}, {}, shape, is_float(format)};
  const std::vector<float> exact = random.normal(size_t{shape.rows} * shape.cols);
  part.weight.resize(exact.size());
  std::vector<uint8_t> blocks(format.bytes(exact.size()));
  format.encode(exact.data(), exact.size(), nullptr, blocks.data());
  format.decode(blocks.data(), exact.size(), part.weight.data());

  const uint32_t stride = shape.rows + options.gap;
  part.projection.weight = rig.matrix(format, exact, shape.rows, shape.cols);
  const std::vector<float> bias = random.normal(shape.rows, 10);
  if (options.bias) part.projection.bias = rig.vector(bias);
  part.projection.out = rig.floats(random.normal(size_t{shape.batch} * stride));
  part.projection.stride = stride;
  part.projection.add = options.add;
  part.projection.bulk = options.bulk;
  return part;
}

// The activations reach the operand through a norm with weights of 1, as in a model.
Output project(Rig& rig, Random& random, const std::vector<const quant::Format*>& formats, std::vector<Shape> shapes,
               const Options& options) {
  const Shape& first = shapes[0];
  const std::vector<float> in = activations(random, first);
  std::vector<Part> parts;
  std::vector<device::Projection> projections;
  device::OperandForms forms = 0;
  for (size_t i = 0; i < formats.size(); ++i) {
    parts.push_back(make_part(rig, random, *formats[i], shapes[i], options));
    projections.push_back(parts.back().projection);
    forms |= rig.device().operand_forms(parts.back().projection.weight);
  }
  device::NormArgs norm;
  norm.weight = rig.vector(std::vector<float>(first.cols, 1));
  norm.in = rig.floats(in);
  norm.operand = rig.operand(first.cols, first.batch, forms);
  norm.out = rig.zeros(in.size());
  PlainBatch plain(first.batch);
  rig.step(plain.batch, [&] {
    rig.device().norm(norm);
    rig.device().project(norm.operand, first.batch, projections);
  });

  Output output;
  bool all_float = true;
  const std::vector<float> normed = rig.download(norm.out, in.size());
  for (const Part& part : parts) {
    const uint32_t stride = part.projection.stride, rows = part.shape.rows, cols = part.shape.cols;
    const std::vector<float> values = rig.download(part.projection.out, size_t{first.batch} * stride);
    output.values.insert(output.values.end(), values.begin(), values.end());
    all_float = all_float && part.is_float;
    for (uint32_t row = 0; row < first.batch; ++row)
      for (uint32_t r = 0; r < stride; ++r)  // what lies between the rows must not change
        output.allowed.push_back(r >= rows ? 0
                                           : kRounding * std::abs(values[size_t{row} * stride + r]) +
                                                 allowed_error(part.is_float,
                                                               std::span(part.weight).subspan(size_t{r} * cols, cols),
                                                               std::span(normed).subspan(size_t{row} * cols, cols)));
  }
  // Together they are off by about one deviation, and by more the fewer independent values there are.
  const size_t independent = std::min(output.values.size(), size_t{first.batch} * first.cols);
  const double deviations = 1 + 10 / std::sqrt(static_cast<double>(independent));
  output.relative = relative_of_allowed(output, all_float ? 1 : std::min(deviations / kDeviations, 1.0));
  return output;
}

// A matrix for every head; the shape's rows and columns are those of one.
Output project_heads(Rig& rig, Random& random, const quant::Format& format, uint32_t heads, Shape shape, uint32_t gap) {
  const uint32_t count = shape.batch * heads;
  const std::vector<float> in = activations(random, {count, shape.rows, shape.cols});
  Part part = make_part(rig, random, format, {count, heads * shape.rows, shape.cols}, {});
  device::HeadProjection args;
  args.weight = rig.matrix(format, part.weight, heads * shape.rows, shape.cols, heads);
  args.heads = heads;
  args.stride = shape.rows + gap;
  args.out = rig.floats(random.normal(size_t{count} * args.stride));
  args.in = rig.operand(shape.cols, count, rig.device().operand_forms(args.weight));
  const device::Pieces rows_of_heads{heads, heads * shape.cols, shape.cols, 0, 0};
  device::NormArgs norm;
  norm.kind = device::NormKind::kNone;
  norm.weight = {nullptr, shape.cols};
  norm.in = rig.floats(in);
  norm.operand = args.in;
  norm.pieces = &rows_of_heads;
  PlainBatch plain(shape.batch);
  rig.step(plain.batch, [&] {
    rig.device().norm(norm);
    rig.device().project_heads(args);
  });
  Output output;
  output.values = rig.download(args.out, size_t{count} * args.stride);
  for (uint32_t i = 0; i < count; ++i)
    for (uint32_t r = 0; r < args.stride; ++r) {
      const size_t row = size_t{i % heads} * shape.rows + r;
      output.allowed.push_back(r >= shape.rows
                                   ? 0
                                   : kRounding * std::abs(output.values[size_t{i} * args.stride + r]) +
                                         allowed_error(part.is_float,
                                                       std::span(part.weight).subspan(row * shape.cols, shape.cols),
                                                       std::span(in).subspan(size_t{i} * shape.cols, shape.cols)));
    }
  output.relative = relative_of_allowed(output, 1);
  return output;
}

OpCase one(const std::string& name, const quant::Format* format, Shape shape, Options options = {}) {
  return {"project_" + name + "_" + std::to_string(shape.batch) + "x" + std::to_string(shape.rows) + "x" +
              std::to_string(shape.cols),
          [=](Rig& rig, Random& random) { return project(rig, random, {format}, {shape}, options); }};
}

}  // namespace

std::vector<OpCase> project_cases() {
  std::vector<OpCase> cases;
  for (const quant::Format* format : quant::all_formats()) {
    if (format->encode == nullptr) continue;
    const uint32_t block = std::max(format->block_values, 32u);
    for (const Shape shape : {Shape{1, 70, 3 * block}, {3, 64, block}, {9, 33, 2 * block}, {40, 129, 2 * block}})
      cases.push_back(one(format->name, format, shape));
  }
  const quant::Format *f32 = quant::find_name("F32"), *f16 = quant::find_name("F16"), *q4_k = quant::find_name("Q4_K"),
                      *q6_k = quant::find_name("Q6_K"), *q8_0 = quant::find_name("Q8_0");
  // Widths that are no whole number of vectors, single rows, more rows than any tile.
  for (const Shape shape : {Shape{1, 1, 1}, {2, 3, 7}, {5, 17, 33}, {4, 65, 100}, {17, 9, 1001}, {257, 5, 48}}) {
    cases.push_back(one("odd_F32", f32, shape));
    cases.push_back(one("odd_F16", f16, shape));
    cases.push_back(one("odd_BF16", quant::find_name("BF16"), shape));
  }
  for (const uint32_t batch : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 16u, 31u, 32u, 33u, 130u, 200u}) {
    cases.push_back(one("batch_Q8_0", q8_0, {batch, 96, 160}));
    cases.push_back(one("batch_Q4_K", q4_k, {batch, 80, 512}));
  }
  for (const uint32_t batch : {95u, 96u, 145u, 200u}) {
    cases.push_back(one("batch_F16", f16, {batch, 70, 1131}));
    cases.push_back(one("batch_NVFP4", quant::find_name("NVFP4"), {batch, 70, 1088}));
  }
  for (const char* format : {"F32", "F16", "BF16", "NVFP4", "Q8_0"})
    for (const Shape shape : {Shape{1, 1, 64}, {3, 17, 1088}, {33, 300, 2048}, {100, 530, 320}})
      cases.push_back(one(std::string("bulk_") + format, quant::find_name(format), shape, {.bulk = true}));
  for (const Shape shape : {Shape{2, 3, 1}, {16, 16, 33}, {17, 31, 1055}, {80, 65, 1300}})
    cases.push_back(one("bulk_odd_F16", f16, shape, {.bias = true, .add = true, .gap = 3, .bulk = true}));
  for (const uint32_t rows : {1u, 2u, 15u, 31u, 63u, 65u, 127u, 200u})
    cases.push_back(one("rows_Q4_K", q4_k, {5, rows, 256}));
  for (const auto& [name, options] : {std::pair{"bias", Options{true, false, 0}},
                                      {"add", {false, true, 0}},
                                      {"bias_add", {true, true, 0}},
                                      {"gap", {true, true, 13}}}) {
    for (const uint32_t batch : {1u, 6u, 50u}) {
      cases.push_back(one(std::string(name) + "_F32", f32, {batch, 66, 100}, options));
      cases.push_back(one(std::string(name) + "_Q8_0", q8_0, {batch, 66, 96}, options));
      cases.push_back(one(std::string(name) + "_Q6_K", q6_k, {batch, 66, 256}, options));
    }
  }
  for (const quant::Format* format : {f32, f16, q8_0, q4_k})
    for (const uint32_t batch : {1u, 3u, 40u, 130u}) {
      const uint32_t cols = format->block_values == 1 ? 40 : format->block_values;
      cases.push_back(
          {std::string("project_heads_") + format->name + "_" + std::to_string(batch), [=](Rig& rig, Random& random) {
             return project_heads(rig, random, *format, 5, {batch, 66, cols}, 7);
           }});
    }
  for (const uint32_t batch : {1u, 7u, 64u, 130u})
    cases.push_back({"project_mixed_formats_" + std::to_string(batch), [=](Rig& rig, Random& random) {
                       return project(rig, random, {q4_k, q6_k, f16, q8_0},
                                      {{batch, 128, 512}, {batch, 32, 512}, {batch, 33, 512}, {batch, 64, 512}},
                                      {true, false, 5});
                     }});
  return cases;
}

}  // namespace hearth::test
