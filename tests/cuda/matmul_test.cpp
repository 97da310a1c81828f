// Matrix products on a GPU, real or simulated: every format against its scalar decoding, and the same bits whatever
// else is multiplied.
#include <cmath>
#include <cstring>

#include "cuda/operand.h"
#include "ops/rig.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

class CudaDeviceMatmul : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<TestDevice> found = gpus();
    if (found.empty()) GTEST_SKIP() << "no GPU, and none is simulated";
    device_ = found[0].make();
    rig_.emplace(*device_);
  }

  std::shared_ptr<device::Device> device_;
  std::optional<Rig> rig_;
};

// Weights of a format, on the device and decoded.
struct Weights {
  device::Matrix matrix;
  std::vector<float> decoded;
};

// Formats that cannot be encoded get whole numbers.
std::vector<uint8_t> encode(const quant::Format& format, std::span<const float> values) {
  std::vector<uint8_t> blocks(format.bytes(values.size()));
  if (format.encode != nullptr) {
    format.encode(values.data(), values.size(), nullptr, blocks.data());
    return blocks;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const double number = std::round(20 * static_cast<double>(values[i]));
    const int64_t whole = static_cast<int64_t>(number);
    if (std::string_view(format.name) == "F64")
      std::memcpy(&blocks[8 * i], &number, sizeof number);
    else
      std::memcpy(&blocks[i * format.block_bytes], &whole, format.block_bytes);
  }
  return blocks;
}

Weights make_weights(Rig& rig, Random& random, const quant::Format& format, uint32_t rows, uint32_t cols) {
  Weights weights;
  weights.decoded = random.normal(size_t{rows} * cols);
  const std::vector<uint8_t> blocks = encode(format, weights.decoded);
  format.decode(blocks.data(), weights.decoded.size(), weights.decoded.data());
  const device::Matrix host{&format, blocks.data(), rows, cols};
  std::byte* copy = rig.bytes(rig.device().matrix_bytes(host));
  weights.matrix = *rig.device().upload_matrix(host, 1, copy);
  return weights;
}

// Activations with a few much larger columns, as real ones have.
std::vector<float> activations(Random& random, uint32_t count, uint32_t cols) {
  std::vector<float> values = random.normal(size_t{count} * cols);
  for (size_t i = 0; i < values.size(); ++i)
    if (i % cols % 50 == 7) values[i] *= 8;
  return values;
}

struct Product {
  std::vector<float> in;   // as the norm before it gave them, in float32
  std::vector<float> out;  // [row of activations][weight row]
};

// bias + weights times the (layer-normed) rows of `values`, added to ones.
Product multiply(Rig& rig, const Weights& weights, const device::Vector& bias, std::span<const float> values) {
  const uint32_t cols = weights.matrix.cols, rows = weights.matrix.rows;
  const uint32_t count = static_cast<uint32_t>(values.size() / cols);
  device::NormArgs norm;
  norm.weight = rig.vector(std::vector<float>(cols, 1));
  norm.in = rig.floats(values);
  norm.operand = rig.operand(cols, count, rig.device().operand_forms(weights.matrix));
  norm.out = rig.zeros(values.size());
  device::Projection projection{weights.matrix, bias, rig.floats(std::vector<float>(size_t{count} * rows, 1)), rows,
                                true};
  PlainBatch plain(count);
  rig.step(plain.batch, [&] {
    rig.device().norm(norm);
    rig.device().project(norm.operand, count, {&projection, 1});
  });
  return {rig.download(norm.out, values.size()), rig.download(projection.out, size_t{count} * rows)};
}

// Blocks of 32 activations as the kernels round them (src/cuda/kernels/operand.cuh).
std::vector<float> rounded_to_bytes(std::span<const float> in, uint32_t cols) {
  std::vector<float> out(in.begin(), in.end());
  for (size_t row = 0; row < in.size(); row += cols)
    for (size_t first = row; first < row + cols; first += 32) {
      const size_t end = std::min(first + 32, row + cols);
      float largest = 0;
      for (size_t i = first; i < end; ++i) largest = std::max(largest, std::abs(in[i]));
      for (size_t i = first; i < end; ++i)
        out[i] = largest > 0 ? std::nearbyint(in[i] * (127 / largest)) * (largest / 127) : 0;
    }
  return out;
}

// Float32 sums in another order: a few last bits.
constexpr double kRounding_of_sums = 2e-6;

// Sums in double; `allowed`: last bits, from the norms.
void expect_product(const Weights& weights, std::span<const float> bias, std::span<const float> in,
                    std::span<const float> out) {
  const uint32_t cols = weights.matrix.cols, rows = weights.matrix.rows;
  for (size_t token = 0; token < in.size() / cols; ++token)
    for (uint32_t r = 0; r < rows; ++r) {
      double sum = 1 + static_cast<double>(bias[r]), weight_squares = 0, in_squares = 0;
      for (uint32_t c = 0; c < cols; ++c) {
        const double w = weights.decoded[size_t{r} * cols + c], x = in[token * cols + c];
        sum += w * x;
        weight_squares += w * w;
        in_squares += x * x;
      }
      const double allowed = kRounding_of_sums * (1 + std::sqrt(weight_squares * in_squares));
      ASSERT_NEAR(out[token * rows + r], sum, allowed)
          << weights.matrix.format->name << ", " << cols << " columns, weight row " << r << ", activation row " << token
          << " of " << in.size() / cols;
    }
}

// Two chunks of the kernels and a part of one, where a row may end in a part.
uint32_t columns_of(const quant::Format& format) {
  return format.block_values == 256 ? 768 : format.block_values == 1 ? 157 : 576;
}

TEST_F(CudaDeviceMatmul, MultipliesEveryFormatAsItsScalarDecodingSays) {
  Random random(seed());
  for (const quant::Format* format : quant::all_formats()) {
    const uint32_t cols = columns_of(*format), rows = 37;
    const Weights weights = make_weights(*rig_, random, *format, rows, cols);
    const std::vector<float> bias = random.normal(rows, 10);
    const device::Vector device_bias = rig_->vector(bias);
    const bool bytes = device_->operand_forms(weights.matrix) == cuda::kInt8Form;
    for (const uint32_t count : {1u, 6u, 15u, 21u, 66u}) {  // every kernel
      const Product product = multiply(*rig_, weights, device_bias, activations(random, count, cols));
      expect_product(weights, bias, bytes ? rounded_to_bytes(product.in, cols) : product.in, product.out);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(CudaDeviceMatmul, ARowsResultIsTheSameToTheLastBitWhateverElseIsInTheBatch) {
  Random random(seed());
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_K", "Q6_K", "Q2_K", "IQ4_XS"}) {
    const quant::Format& format = *quant::find_name(name);
    const uint32_t cols = columns_of(format), rows = 50, most = 130;
    const Weights weights = make_weights(*rig_, random, format, rows, cols);
    const device::Vector bias = rig_->vector(random.normal(rows, 10));
    const std::vector<float> values = activations(random, most, cols);
    const std::vector<float> together = multiply(*rig_, weights, bias, values).out;
    for (const uint32_t count : {1u, 2u, 4u, 5u, 8u, 9u, 16u, 17u, 33u, 65u}) {
      const size_t first = most - count;
      const std::vector<float> apart = multiply(*rig_, weights, bias, std::span(values).subspan(first * cols)).out;
      ASSERT_TRUE(std::equal(apart.begin(), apart.end(), together.begin() + static_cast<ptrdiff_t>(first * rows)))
          << name << ", " << count << " rows";
    }
  }
}

// An expert's rows: found through a list of slots or of experts, few or many at a time.
TEST_F(CudaDeviceMatmul, ExpertsGiveARowTheSameInAnyBatch) {
  Random random(seed());
  const uint32_t width = 256, inner = 64, batch = 150;
  for (const char* name : {"F32", "F16", "Q8_0"})
    for (const uint32_t experts : {3u, 8u}) {
      const quant::Format& format = *quant::find_name(name);
      device::ExpertsArgs args;
      args.router = make_weights(*rig_, random, *quant::find_name("F32"), experts, width).matrix;
      args.gate = make_weights(*rig_, random, format, experts * inner, width).matrix;
      args.up = make_weights(*rig_, random, format, experts * inner, width).matrix;
      args.down = make_weights(*rig_, random, format, experts * width, inner).matrix;
      args.experts = experts;
      args.used = 2;
      const std::vector<float> values = random.normal(size_t{batch} * width);
      const auto run = [&](uint32_t first, uint32_t count) {
        device::NormArgs norm;
        norm.weight = rig_->vector(std::vector<float>(width, 1));
        norm.in = rig_->floats(std::span(values).subspan(size_t{first} * width, size_t{count} * width));
        norm.operand =
            rig_->operand(width, count, device_->operand_forms(args.router) | device_->operand_forms(args.gate));
        device::ExpertsArgs with = args;
        with.in = norm.operand;
        with.out = rig_->zeros(size_t{count} * width);
        PlainBatch plain(count);
        rig_->step(plain.batch, [&] {
          device_->norm(norm);
          device_->experts(with);
        });
        return rig_->download(with.out, size_t{count} * width);
      };
      const std::vector<float> together = run(0, batch);
      for (const auto& [first, count] : {std::pair{7u, 1u}, {20u, 3u}, {50u, 40u}}) {
        const std::vector<float> apart = run(first, count);
        ASSERT_TRUE(std::equal(apart.begin(), apart.end(), together.begin() + static_cast<ptrdiff_t>(first * width)))
            << name << ", " << experts << " experts, rows from " << first << ": " << count;
      }
    }
}

// What stands between the rows of a result.
constexpr float kGap = 12345;

// More weights on one operand than a launch takes, of four formats, with results of different strides.
TEST_F(CudaDeviceMatmul, MultipliesWeightsOfMixedFormatsAndLeavesWhatLiesBetweenRows) {
  Random random(seed());
  const uint32_t cols = 512;
  for (const uint32_t count : {1u, 7u, 70u}) {
    struct Part {
      Weights weights;
      std::vector<float> bias;
      uint32_t stride;
      device::Projection projection;
    };
    std::vector<Part> parts;
    std::vector<device::Projection> projections;
    device::OperandForms forms = 0;
    for (const auto& [name, rows, gap] : {std::tuple{"Q8_0", 40u, 0u},
                                          {"F16", 17u, 3u},
                                          {"Q4_K", 33u, 1u},
                                          {"Q8_0", 5u, 9u},
                                          {"F32", 30u, 2u},
                                          {"Q8_0", 16u, 0u},
                                          {"Q8_0", 1u, 7u},
                                          {"Q4_K", 64u, 0u},
                                          {"Q8_0", 31u, 4u}}) {
      Part& part = parts.emplace_back();
      part.weights = make_weights(*rig_, random, *quant::find_name(name), rows, cols);
      part.bias = random.normal(rows, 10);
      part.stride = rows + gap;
      std::vector<float> out(size_t{count} * part.stride, kGap);
      for (uint32_t token = 0; token < count; ++token) std::fill_n(out.begin() + token * part.stride, rows, 1.0f);
      part.projection = {part.weights.matrix, rig_->vector(part.bias), rig_->floats(out), part.stride, true};
      projections.push_back(part.projection);
      forms |= device_->operand_forms(part.weights.matrix);
    }
    const std::vector<float> values = activations(random, count, cols);
    device::NormArgs norm;
    norm.weight = rig_->vector(std::vector<float>(cols, 1));
    norm.in = rig_->floats(values);
    norm.operand = rig_->operand(cols, count, forms);
    norm.out = rig_->zeros(values.size());
    PlainBatch plain(count);
    rig_->step(plain.batch, [&] {
      device_->norm(norm);
      device_->project(norm.operand, count, projections);
    });
    const std::vector<float> in = rig_->download(norm.out, values.size());
    for (const Part& part : parts) {
      const uint32_t rows = part.weights.matrix.rows;
      const std::vector<float> out = rig_->download(part.projection.out, size_t{count} * part.stride);
      std::vector<float> dense;
      for (uint32_t token = 0; token < count; ++token) {
        const auto row = out.begin() + token * part.stride;
        dense.insert(dense.end(), row, row + rows);
        ASSERT_TRUE(std::all_of(row + rows, row + part.stride, [](float x) { return x == kGap; }))
            << part.weights.matrix.format->name << ", behind row " << token;
      }
      const bool bytes = device_->operand_forms(part.weights.matrix) == cuda::kInt8Form;
      expect_product(part.weights, part.bias, bytes ? rounded_to_bytes(in, cols) : in, dense);
      if (HasFatalFailure()) return;
    }
  }
}

struct ExpertWeights {
  uint32_t experts, used, width, inner;
  Weights router, gate, up, down;
};

double product_of_row(const Weights& weights, uint32_t row, std::span<const float> in) {
  double sum = 0;
  for (size_t c = 0; c < in.size(); ++c)
    sum += static_cast<double>(weights.decoded[row * in.size() + c]) * static_cast<double>(in[c]);
  return sum;
}

std::vector<float> as_operand(device::Device& device, const Weights& weights, std::vector<float> in) {
  if (device.operand_forms(weights.matrix) != cuda::kInt8Form) return in;
  return rounded_to_bytes(in, static_cast<uint32_t>(in.size()));
}

// What is added to one row, and how far it may be off because of hidden values that lie on the border between two
// bytes, where the last bits of float32 decide to which they are rounded.
struct ExpertsOfRow {
  std::vector<double> out, allowed;
  bool decided = true;  // which experts it uses; else they are so near that last bits decide that too
};

// The columns of `hidden` that lie there, and the step between two bytes.
std::vector<std::pair<uint32_t, double>> on_borders(std::span<const float> hidden) {
  constexpr double kBorder = 0.01;  // of a step; float32 is off by less than a tenth of that
  std::vector<std::pair<uint32_t, double>> found;
  for (uint32_t first = 0; first < hidden.size(); first += 32) {
    const std::span<const float> block = hidden.subspan(first, std::min<size_t>(32, hidden.size() - first));
    float largest = 0;
    for (const float value : block) largest = std::max(largest, std::abs(value));
    const double step = static_cast<double>(largest) / 127;
    for (uint32_t i = 0; i < block.size(); ++i) {
      const double steps = std::abs(static_cast<double>(block[i])) / step;
      if (std::abs(steps - std::floor(steps) - 0.5) < kBorder) found.emplace_back(first + i, step);
    }
  }
  return found;
}

// In double, with the kernels' rounding of operands.
ExpertsOfRow experts_of_row(device::Device& device, const ExpertWeights& all, std::vector<float> in) {
  const std::vector<float> gate_in = as_operand(device, all.gate, in), up_in = as_operand(device, all.up, in);
  std::vector<std::pair<double, uint32_t>> order;
  for (uint32_t e = 0; e < all.experts; ++e) order.push_back({-product_of_row(all.router, e, in), e});
  std::sort(order.begin(), order.end());
  double total = 0;
  for (uint32_t i = 0; i < all.used; ++i) total += std::exp(order[0].first - order[i].first);
  ExpertsOfRow row{std::vector<double>(all.width), std::vector<double>(all.width)};
  if (all.used < all.experts) row.decided = order[all.used].first - order[all.used - 1].first > 1e-3;
  const bool bytes = device.operand_forms(all.down.matrix) == cuda::kInt8Form;
  for (uint32_t i = 0; i < all.used; ++i) {
    const uint32_t e = order[i].second;
    std::vector<float> hidden;
    for (uint32_t j = 0; j < all.inner; ++j) {
      const double gate = product_of_row(all.gate, e * all.inner + j, gate_in);
      hidden.push_back(
          static_cast<float>(gate / (1 + std::exp(-gate)) * product_of_row(all.up, e * all.inner + j, up_in)));
    }
    const double weight = std::exp(order[0].first - order[i].first) / total;
    if (bytes)
      for (const auto& [column, step] : on_borders(hidden))
        for (uint32_t j = 0; j < all.width; ++j)
          row.allowed[j] += weight * step * std::abs(all.down.decoded[(e * all.width + j) * all.inner + column]);
    hidden = as_operand(device, all.down, hidden);
    for (uint32_t j = 0; j < all.width; ++j) row.out[j] += weight * product_of_row(all.down, e * all.width + j, hidden);
  }
  return row;
}

// Each row by its experts alone, weights of three formats; few rows and many, fewer slots than experts and more.
TEST_F(CudaDeviceMatmul, ExpertsMultiplyAsTheirScalarDecodingSays) {
  Random random(seed());
  struct Formats {
    const char *gate, *up, *down;
  };
  for (const Formats formats : {Formats{"F32", "F32", "F32"}, {"F16", "BF16", "F16"}, {"Q4_K", "Q6_K", "Q8_0"}})
    for (const auto& [batch, experts, used] : {std::tuple{1u, 8u, 2u}, {3u, 5u, 5u}, {75u, 4u, 1u}}) {
      ExpertWeights all{experts, used, 256, 256, {}, {}, {}, {}};
      all.router = make_weights(*rig_, random, *quant::find_name("F32"), experts, all.width);
      all.gate = make_weights(*rig_, random, *quant::find_name(formats.gate), experts * all.inner, all.width);
      all.up = make_weights(*rig_, random, *quant::find_name(formats.up), experts * all.inner, all.width);
      all.down = make_weights(*rig_, random, *quant::find_name(formats.down), experts * all.width, all.inner);
      const std::vector<float> values = random.normal(size_t{batch} * all.width, 0.1f);
      device::NormArgs norm;
      norm.weight = rig_->vector(std::vector<float>(all.width, 0.1f));  // activations of a size that SiLU bends
      norm.in = rig_->floats(values);
      norm.operand = rig_->operand(all.width, batch,
                                   device_->operand_forms(all.router.matrix) | device_->operand_forms(all.gate.matrix) |
                                       device_->operand_forms(all.up.matrix));
      norm.out = rig_->zeros(values.size());
      device::ExpertsArgs args;
      args.router = all.router.matrix;
      args.gate = all.gate.matrix;
      args.up = all.up.matrix;
      args.down = all.down.matrix;
      args.experts = experts;
      args.used = used;
      args.in = norm.operand;
      args.out = rig_->floats(std::vector<float>(values.size(), 1));
      PlainBatch plain(batch);
      rig_->step(plain.batch, [&] {
        device_->norm(norm);
        device_->experts(args);
      });
      const std::vector<float> in = rig_->download(norm.out, values.size()), out = rig_->download(args.out, in.size());
      for (uint32_t row = 0; row < batch; row += 1 + batch / 5) {
        const auto first = in.begin() + row * all.width;
        const ExpertsOfRow expected = experts_of_row(*device_, all, {first, first + all.width});
        if (!expected.decided) continue;
        double squares = 0;
        for (const double x : expected.out) squares += x * x;
        const double rounding = 1e-5 * (1 + std::sqrt(squares / all.width));
        for (uint32_t j = 0; j < all.width; ++j)
          ASSERT_NEAR(out[row * all.width + j], 1 + expected.out[j], rounding + expected.allowed[j])
              << formats.down << ", " << experts << " experts, row " << row << ", value " << j;
      }
    }
}

}  // namespace
}  // namespace hearth::test
