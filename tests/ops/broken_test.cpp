// What is not finite stays so, through every op on every device and in every format: a broken number must reach the
// logits, where it is seen. It harms no other sequence.
#include <limits>

#include "base/finite.h"
#include "ops/rig.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kBad[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity};

class Broken : public testing::TestWithParam<TestDevice> {
 protected:
  Broken() : device_(GetParam().make()), rig_(*device_, GetParam().copies), random_(seed()) {}

  // Rows of `width` values, of which exactly these have something that is not finite.
  void expect_broken(const float* values, uint32_t rows, uint32_t width, const std::function<bool(uint32_t)>& broken) {
    const std::vector<float> all = rig_.download(values, size_t{rows} * width);
    for (uint32_t row = 0; row < rows; ++row)
      EXPECT_EQ(all_finite(std::span(all).subspan(size_t{row} * width, width)), !broken(row)) << "row " << row;
  }
  static std::function<bool(uint32_t)> only(uint32_t broken) {
    return [broken](uint32_t row) { return row == broken; };
  }

  // An operand whose row 1 has one value that is not finite.
  device::Operand broken_operand(const device::Batch& batch, uint32_t width, device::OperandForms forms, float bad) {
    const size_t size = size_t{batch.rows()} * width;
    std::vector<float> up = random_.normal(size);
    up[width + width / 2 + 1] = bad;
    const device::Operand operand = rig_.operand(width, batch.rows(), forms);
    rig_.step(batch, [&] {
      device_->activate(
          {.gate = rig_.floats(std::vector<float>(size, 1)), .up = rig_.floats(up), .stride = width, .out = operand});
    });
    return operand;
  }

  // A simulated GPU is slow: some formats on every run.
  std::vector<const quant::Format*> formats() {
    std::vector<const quant::Format*> list;
    for (const quant::Format* format : quant::all_formats())
      if (format->encode != nullptr) list.push_back(format);
    if (device_->reads_host_memory() || std::getenv("HEARTH_OP_CASES") == nullptr) return list;
    std::shuffle(list.begin(), list.end(), std::mt19937_64(seed()));
    list.resize(3);
    return list;
  }

  const std::shared_ptr<device::Device> device_;
  Rig rig_;
  Random random_;
};

TEST_P(Broken, NormsGiveARowWithoutNumbers) {
  constexpr uint32_t kRows = 3, kWidth = 96;
  const PlainBatch plain(kRows);
  for (const float bad : {kBad[0], kBad[1], kBad[2], 1e30f}) {  // the square of the last one is infinite
    for (const device::NormKind kind : {device::NormKind::kRms, device::NormKind::kLayer}) {
      std::vector<float> in = random_.normal(kRows * kWidth);
      in[kWidth + 70] = bad;
      float* read = nullptr;
      rig_.step(plain.batch, [&] {
        const device::Operand operand = rig_.readable_operand(kWidth, kRows);
        device_->norm({.kind = kind,
                       .epsilon = 1e-5f,
                       .weight = rig_.vector(std::vector<float>(kWidth, 1)),
                       .bias = {},
                       .in = rig_.floats(in),
                       .operand = operand});
        read = rig_.read(operand, kRows);
      });
      expect_broken(read, kRows, kWidth, only(1));
    }
  }
}

TEST_P(Broken, ActivationsAndSoftCapsAreNoLimits) {
  constexpr uint32_t kRows = 3, kWidth = 70;
  const PlainBatch plain(kRows);
  for (const float bad : kBad) {
    std::vector<float> values = random_.normal(kRows * kWidth);
    values[kWidth + 69] = bad;
    for (const device::Activation kind : {device::Activation::kSilu, device::Activation::kGeluTanh}) {
      float* read = nullptr;
      rig_.step(plain.batch, [&] {
        const device::Operand operand = rig_.readable_operand(kWidth, kRows);
        device_->activate({.kind = kind, .gate = rig_.floats(values), .stride = kWidth, .out = operand});
        read = rig_.read(operand, kRows);
      });
      expect_broken(read, kRows, kWidth, only(1));
    }
    float* capped = rig_.floats(values);
    rig_.step(plain.batch, [&] { device_->soft_cap(capped, kRows, kWidth, 30); });
    expect_broken(capped, kRows, kWidth, only(1));
  }
}

// Few rows and many take different kernels.
TEST_P(Broken, ProductsWithABrokenActivation) {
  constexpr uint32_t kWidth = 256, kOut = 40;
  const std::vector<float> values = random_.normal(kOut * kWidth, 0.1f);
  for (const quant::Format* format : formats()) {
    SCOPED_TRACE(format->name);
    const device::Matrix weight = rig_.matrix(*format, values, kOut, kWidth);
    for (const uint32_t rows : {2u, 7u, 40u}) {
      const PlainBatch plain(rows);
      for (const float bad : kBad) {
        const device::Operand in = broken_operand(plain.batch, kWidth, device_->operand_forms(weight), bad);
        float* out = rig_.zeros(size_t{rows} * kOut);
        rig_.step(plain.batch, [&] {
          const device::Projection projection{weight, {}, out, kOut};
          device_->project(in, rows, {&projection, 1});
        });
        expect_broken(out, rows, kOut, only(1));
        const std::vector<float> row = rig_.download(out + kOut, kOut);
        EXPECT_TRUE(std::ranges::none_of(row, [](float x) { return std::isfinite(x); }));
      }
    }
  }
}

TEST_P(Broken, ProductsWithABrokenBlock) {
  constexpr uint32_t kWidth = 512, kOut = 40, kBroken = 17;
  const std::vector<float> values = random_.normal(kOut * kWidth, 0.1f);
  for (const quant::Format* format : formats()) {
    SCOPED_TRACE(format->name);
    const size_t row_bytes = format->bytes(kWidth);
    std::vector<uint8_t> blocks(kOut * row_bytes);
    format->encode(values.data(), values.size(), nullptr, blocks.data());
    // All bits set are NaN as a half, a bfloat, a float and the scales of microscaling formats.
    std::fill_n(blocks.begin() + kBroken * row_bytes + row_bytes / format->block_bytes / 2 * format->block_bytes,
                format->block_bytes, 0xff);
    const device::Matrix host{format, blocks.data(), kOut, kWidth};
    const auto weight = device_->upload_matrix(host, 1, rig_.bytes(device_->matrix_bytes(host)));
    ASSERT_TRUE(weight.ok());
    for (const uint32_t rows : {2u, 40u}) {
      const PlainBatch plain(rows);
      const device::Operand in = broken_operand(plain.batch, kWidth, device_->operand_forms(*weight), 1);
      float* out = rig_.zeros(size_t{rows} * kOut);
      rig_.step(plain.batch, [&] {
        const device::Projection projection{*weight, {}, out, kOut};
        device_->project(in, rows, {&projection, 1});
      });
      const std::vector<float> all = rig_.download(out, size_t{rows} * kOut);
      for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(std::isfinite(all[i]), i % kOut != kBroken) << i;
    }
  }
}

// Two sequences, of which the second has something broken in its query, key or value of position 3, in a chunk of a
// prompt and in a single row after it.
class BrokenAttention : public Broken {
 protected:
  static constexpr uint32_t kHeads = 4, kKv_heads = 2, kRows = 40, kPosition = 3;

  void run(device::CacheType type, uint32_t dims, float soft_cap, uint32_t part, float bad) {
    const device::CacheShape shape{type, kKv_heads, dims, dims};
    const size_t page_bytes = device_->page_bytes(shape);
    cache_ = {shape, reinterpret_cast<std::byte*>(rig_.zeros(6 * page_bytes / sizeof(float) + 1)), page_bytes};
    const uint32_t stride = (kHeads + 2 * kKv_heads) * dims, width = kHeads * dims;
    std::vector<float> values = random_.normal(size_t{2} * kRows * stride);
    const uint32_t column = part == 0 ? 0 : (kHeads + (part - 1) * kKv_heads) * dims;
    values[size_t{kRows + kPosition} * stride + column + 5] = bad;
    // Of the rows beside it in its sequence nothing is expected.
    const std::vector<float> chunk = step(0, kRows, values, soft_cap);
    for (uint32_t row = 0; row < 2 * kRows; ++row) {
      const bool finite = all_finite(std::span(chunk).subspan(size_t{row} * width, width));
      if (row < kRows || row == kRows + kPosition) {
        EXPECT_EQ(finite, row < kRows) << "row " << row;
      }
    }
    if (part == 0) return;
    const std::vector<float> single = step(kRows, 1, random_.normal(size_t{2} * stride), soft_cap);
    EXPECT_TRUE(all_finite(std::span(single).first(width)));
    EXPECT_FALSE(all_finite(std::span(single).subspan(width)));
  }

 private:
  std::vector<float> step(uint32_t position, uint32_t rows, const std::vector<float>& values, float soft_cap) {
    const uint32_t dims = cache_.shape.key_dim, stride = (kHeads + 2 * kKv_heads) * dims;
    const std::vector<int32_t> pages[2] = {{4, 1}, {0, 3}};
    device::Batch batch;
    const std::vector<int32_t> tokens(size_t{2} * rows);
    batch.tokens = tokens;
    batch.sequences = {{0, rows, position, pages[0]}, {rows, rows, position, pages[1]}};
    float* q = rig_.floats(values);
    float* out = nullptr;
    rig_.step(batch, [&] {
      device_->rotate_append({.q = q,
                              .k = q + kHeads * dims,
                              .v = q + (kHeads + kKv_heads) * dims,
                              .q_stride = stride,
                              .k_stride = stride,
                              .v_stride = stride,
                              .heads = kHeads,
                              .q_norm = {},
                              .k_norm = {},
                              .cache = cache_});
      const device::Operand operand = rig_.readable_operand(kHeads * dims, 2 * rows);
      device_->attention({.q = q,
                          .q_stride = stride,
                          .heads = kHeads,
                          .cache = cache_,
                          .scale = 1 / std::sqrt(static_cast<float>(dims)),
                          .soft_cap = soft_cap,
                          .out = operand});
      out = rig_.read(operand, 2 * rows);
    });
    return rig_.download(out, size_t{2} * rows * kHeads * dims);
  }

  device::CacheLayer cache_;
};

TEST_P(BrokenAttention, GivesNoNumbersToWhoSeesIt) {
  using device::CacheType;
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kQ8_0})
    for (const float soft_cap : {0.0f, 50.0f})
      for (const uint32_t part : {0u, 1u, 2u})
        for (const float bad : kBad) {
          SCOPED_TRACE(testing::Message() << "cache " << static_cast<int>(type) << " cap " << soft_cap << " part "
                                          << part << " value " << bad);
          run(type, 64, soft_cap, part, bad);
        }
  run(CacheType::kF32, 96, 0, 1, kBad[0]);
}

TEST_P(BrokenAttention, WhatIsTooLargeForTheCacheIsNotFinite) {
  for (const uint32_t part : {1u, 2u}) {
    for (const float bad : {70000.0f, -70000.0f}) run(device::CacheType::kF16, 64, 0, part, bad);
    for (const float bad : {1e7f, -1e7f}) run(device::CacheType::kQ8_0, 64, 0, part, bad);
  }
}

TEST_P(Broken, ARouterWithoutNumbersGivesNoWeights) {
  constexpr uint32_t kRows = 3, kExperts = 4, kWidth = 64, kInner = 32;
  const PlainBatch plain(kRows);
  for (const bool normalise : {true, false})
    for (const float bad : kBad) {
      std::vector<float> router = random_.normal(kExperts * kWidth, 0.3f);
      router[2 * kWidth + 9] = bad;
      const auto weights = [&](uint32_t rows, uint32_t cols) {
        return rig_.matrix("F32", random_.normal(size_t{kExperts} * rows * cols, 0.1f), kExperts * rows, cols,
                           kExperts);
      };
      device::ExpertsArgs args;
      args.router = rig_.matrix("F32", router, kExperts, kWidth);
      args.gate = weights(kInner, kWidth);
      args.up = weights(kInner, kWidth);
      args.down = weights(kWidth, kInner);
      args.experts = kExperts;
      args.used = 2;
      args.normalise = normalise;
      args.in = broken_operand(plain.batch, kWidth, device_->operand_forms(args.router), 1);
      args.out = rig_.zeros(size_t{kRows} * kWidth);
      rig_.step(plain.batch, [&] { device_->experts(args); });
      expect_broken(args.out, kRows, kWidth, [](uint32_t) { return true; });
    }
}

TEST_P(Broken, CandidatesHaveATotalThatTells) {
  if (device_->most_candidates() == 0) GTEST_SKIP() << "logits are read whole";
  constexpr uint32_t kRows = 3, kWidth = 5000, kCount = 4;
  for (const float bad : kBad) {
    std::vector<float> logits = random_.normal(size_t{kRows} * kWidth);
    logits[kWidth + 4321] = bad;
    const size_t bytes = kRows * (kCount + 1) * sizeof(device::Candidate);
    auto* best = reinterpret_cast<device::Candidate*>(rig_.bytes(bytes));
    std::vector<device::Candidate> found(kRows * (kCount + 1));
    const PlainBatch plain(1);
    rig_.step(plain.batch, [&] {
      device_->candidates({rig_.floats(logits), kRows, kWidth, kCount, best});
      EXPECT_TRUE(
          device_->download(reinterpret_cast<const std::byte*>(best), std::as_writable_bytes(std::span(found))).ok());
    });
    for (uint32_t row = 0; row < kRows; ++row)
      EXPECT_EQ(std::isfinite(found[row * (kCount + 1) + kCount].value), row != 1) << row;
  }
}

const auto name = [](const auto& test) { return test.param.name + "_"; };
INSTANTIATE_TEST_SUITE_P(Devices, Broken, testing::ValuesIn(real_devices()), name);
INSTANTIATE_TEST_SUITE_P(Devices, BrokenAttention, testing::ValuesIn(real_devices()), name);

}  // namespace
}  // namespace hearth::test
