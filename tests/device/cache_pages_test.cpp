// A cache page means the same on every device: what one wrote, another can be given, bit by bit.
#include <cmath>
#include <random>

#include "quant/format.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

using device::CacheShape;
using device::CacheType;
using device::kPage_tokens;

constexpr uint32_t kPages = 3;

const quant::Format& row_format(CacheType type) {
  return *quant::find_name(type == CacheType::kF32 ? "F32" : type == CacheType::kF16 ? "F16" : "Q8_0");
}

// A device with one layer's cache of kPages pages.
struct Cache {
  Cache(device::Device& on, const CacheShape& shape) : device(on) {
    layer = {shape, nullptr, device.page_bytes(shape)};
    auto taken = device.alloc(layer.page_bytes * kPages);
    EXPECT_TRUE(taken.ok());
    buffer = std::move(*taken);
    layer.data = buffer.data();
    const std::vector<std::byte> zeros(layer.page_bytes * kPages);
    EXPECT_TRUE(device.upload(zeros, layer.data).ok());
  }

  std::vector<std::byte> read_neutral(int32_t page) {
    std::vector<std::byte> own(layer.page_bytes), neutral(device::neutral_page_bytes(layer.shape));
    EXPECT_TRUE(device.download(layer.data + static_cast<size_t>(page) * layer.page_bytes, own).ok());
    device.page_to_neutral(layer.shape, own.data(), neutral.data());
    return neutral;
  }
  void write_neutral(int32_t page, std::span<const std::byte> neutral) {
    std::vector<std::byte> own(layer.page_bytes);
    device.page_from_neutral(layer.shape, neutral.data(), own.data());
    EXPECT_TRUE(device.upload(own, layer.data + static_cast<size_t>(page) * layer.page_bytes).ok());
  }

  device::Device& device;
  device::Buffer buffer;
  device::CacheLayer layer;
};

std::vector<float> normal(size_t n, std::mt19937_64& random) {
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random);
  return values;
}

// Of a value that a cache holds: in Q8_0 half a step, which is a 127th of the largest of its block, and the rounding of
// the step to half, which is that of F16 too.
float allowed_error(CacheType type, std::span<const float> row, size_t at) {
  constexpr float kHalf = 0x1p-11f, kSubnormal = 0x1p-25f;  // of its size; where it is next to nothing
  if (type == CacheType::kF32) return 0;
  if (type == CacheType::kF16) return kHalf * std::abs(row[at]) + kSubnormal;
  float largest = 0;
  for (const float value : row.subspan(at / 32 * 32, 32)) largest = std::max(largest, std::abs(value));
  return largest * (1 / 254.0f + kHalf + 1e-5f);
}

class CachePages : public testing::TestWithParam<std::tuple<TestDevice, CacheType>> {
 protected:
  // Odd sizes where the type allows them.
  CacheShape shape() const {
    return type() == CacheType::kQ8_0 ? CacheShape{type(), 3, 64, 96} : CacheShape{type(), 3, 40, 24};
  }
  CacheType type() const { return std::get<1>(GetParam()); }

  const std::shared_ptr<device::Device> device_ = std::get<0>(GetParam()).make();
};

TEST_P(CachePages, HoldTheRowsThatWereAppended) {
  std::mt19937_64 random(seed());
  Cache cache(*device_, shape());
  const uint32_t rows = kPage_tokens, k_width = 3 * shape().key_dim, v_width = 3 * shape().value_dim;
  const std::vector<float> k = normal(rows * k_width, random), v = normal(rows * v_width, random);
  auto floats = device_->alloc((k.size() + v.size() + k_width * rows) * sizeof(float));
  ASSERT_TRUE(floats.ok());
  float* k_at = reinterpret_cast<float*>(floats->data());
  float* v_at = k_at + k.size();
  ASSERT_TRUE(device::upload_floats(*device_, k, k_at).ok());
  ASSERT_TRUE(device::upload_floats(*device_, v, v_at).ok());
  device::StepShape most;
  most.rows = rows;
  most.sequences = 1;
  most.context = kPages * kPage_tokens;
  most.heads = 3;
  most.cache = shape();
  ASSERT_TRUE(device_->reserve(most).ok());

  const std::vector<int32_t> tokens(rows), pages = {2};
  device::Batch batch;
  batch.tokens = tokens;
  batch.sequences = {{0, rows, 0, pages}};
  device_->begin(batch);
  device_->rotate_append({.q = v_at + v.size(),
                          .k = k_at,
                          .v = v_at,
                          .q_stride = k_width,
                          .k_stride = k_width,
                          .v_stride = v_width,
                          .heads = 3,
                          .rope = nullptr,
                          .q_norm = {},
                          .k_norm = {},
                          .cache = cache.layer});
  ASSERT_TRUE(device_->finish().ok());

  const std::vector<std::byte> neutral = cache.read_neutral(2);
  size_t at = 0;
  for (const auto& [values, dims] : {std::pair(&k, shape().key_dim), {&v, shape().value_dim}}) {
    std::vector<float> row(dims);
    for (uint32_t head = 0; head < 3; ++head) {
      for (uint32_t slot = 0; slot < rows; ++slot, at += device::neutral_row_bytes(type(), dims)) {
        row_format(type()).decode(reinterpret_cast<const uint8_t*>(neutral.data()) + at, dims, row.data());
        const std::span expected = std::span(*values).subspan((slot * 3 + head) * dims, dims);
        for (uint32_t d = 0; d < dims; ++d)
          ASSERT_LE(std::abs(row[d] - expected[d]), allowed_error(type(), expected, d))
              << "head " << head << " slot " << slot << " dimension " << d;
      }
    }
  }
  EXPECT_EQ(at, neutral.size());
}

TEST_P(CachePages, KeepEveryBitOnTheWayThroughADevice) {
  std::mt19937_64 random(seed());
  Cache cache(*device_, shape());
  std::vector<std::vector<std::byte>> pages(kPages);
  for (uint32_t page = 0; page < kPages; ++page) {
    // Encoded numbers, so that a device may keep them in a wider form.
    const quant::Format& format = row_format(type());
    const size_t values = size_t{kPage_tokens} * 3 * (shape().key_dim + shape().value_dim);
    pages[page].resize(device::neutral_page_bytes(shape()));
    format.encode(normal(values, random).data(), values, nullptr, reinterpret_cast<uint8_t*>(pages[page].data()));
    cache.write_neutral(static_cast<int32_t>(page), pages[page]);
  }
  for (uint32_t page = 0; page < kPages; ++page)
    EXPECT_EQ(cache.read_neutral(static_cast<int32_t>(page)), pages[page]) << "page " << page;
}

// Latent attention: a page that was given from outside has the values too.
TEST_P(CachePages, HaveTheValuesThatAreInTheirKeys) {
  std::mt19937_64 random(seed());
  CacheShape shape{.type = type(), .kv_heads = 1, .key_dim = 96, .value_dim = 64, .values_in_keys = true};
  EXPECT_EQ(device::neutral_page_bytes(shape), kPage_tokens * device::neutral_row_bytes(type(), 96));
  Cache cache(*device_, shape);
  const uint32_t rows = kPage_tokens;
  const std::vector<float> k = normal(rows * shape.key_dim, random), q = normal(rows * 2 * shape.key_dim, random);
  auto floats = device_->alloc((k.size() + q.size() + rows * 2 * shape.value_dim) * sizeof(float));
  ASSERT_TRUE(floats.ok());
  float* const k_at = reinterpret_cast<float*>(floats->data());
  float *const q_at = k_at + k.size(), *const out = q_at + q.size();
  ASSERT_TRUE(device::upload_floats(*device_, k, k_at).ok());
  ASSERT_TRUE(device::upload_floats(*device_, q, q_at).ok());
  ASSERT_TRUE(device_->reserve({.rows = rows, .sequences = 1, .context = rows, .heads = 2, .cache = shape}).ok());
  const auto attend = [&](int32_t page, bool append) {
    const std::vector<int32_t> tokens(rows), pages = {page};
    device::Batch batch;
    batch.tokens = tokens;
    batch.sequences = {{0, rows, 0, pages}};
    device_->begin(batch);
    if (append)
      device_->rotate_append({.q = q_at,
                              .k = k_at,
                              .v = k_at,
                              .q_stride = 2 * shape.key_dim,
                              .k_stride = shape.key_dim,
                              .v_stride = shape.key_dim,
                              .heads = 2,
                              .rope = nullptr,
                              .q_norm = {},
                              .k_norm = {},
                              .cache = cache.layer});
    device_->attention({.q = q_at,
                        .q_stride = 2 * shape.key_dim,
                        .heads = 2,
                        .cache = cache.layer,
                        .scale = 0.1f,
                        .out = {},
                        .values = out});
    EXPECT_TRUE(device_->finish().ok());
    std::vector<float> values(rows * 2 * shape.value_dim);
    EXPECT_TRUE(device::download_floats(*device_, out, values).ok());
    return values;
  };
  const std::vector<float> appended = attend(2, true);
  cache.write_neutral(0, cache.read_neutral(2));
  EXPECT_EQ(attend(0, false), appended);
}

std::string type_name(CacheType type) {
  return type == CacheType::kF32 ? "f32" : type == CacheType::kF16 ? "f16" : "q8_0";
}

INSTANTIATE_TEST_SUITE_P(Devices, CachePages,
                         testing::Combine(testing::ValuesIn(all_devices()),
                                          testing::Values(CacheType::kF32, CacheType::kF16, CacheType::kQ8_0)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + type_name(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace hearth::test
