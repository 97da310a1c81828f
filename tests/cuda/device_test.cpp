// The CUDA device as a device: memory, steps as graphs, failures. On the machine's GPU or a simulated one.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/device_impl.h"
#include "ops/rig.h"
#include "support/devices.h"

namespace hearth::test {
namespace {

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<TestDevice> found = gpus();
    if (found.empty()) GTEST_SKIP() << "no GPU, and none is simulated";
    device_ = found[0].make();
  }

  device::Device& device() { return *device_; }
  cuda::Graphs::Counts graph_counts() { return dynamic_cast<cuda::CudaDevice&>(*device_).graph_counts(); }

  const std::vector<cuda::Launch>& launches() {
    return dynamic_cast<cuda::CudaDevice&>(*device_).launches().launches();
  }

  std::shared_ptr<device::Device> device_;
};

std::vector<std::byte> random_bytes(size_t n) {
  std::mt19937_64 random(seed());
  std::vector<std::byte> bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST_F(CudaDevice, SaysWhatItIs) {
  const device::Facts facts = device().facts();
  EXPECT_EQ(facts.name.find("GPU 0 (NVIDIA "), 0u) << facts.name;
  EXPECT_GT(facts.memory_bytes, device().free_bytes());
  EXPECT_GT(facts.granularity_bytes, 1u);
  EXPECT_GT(facts.bandwidth_bytes_per_s, 1u << 30);
}

TEST_F(CudaDevice, BytesComeBackAsTheyWent) {
  const size_t most = 2 * cuda::Transfer::kBuffer_bytes + 12345;
  const std::vector<std::byte> bytes = random_bytes(most);
  for (const size_t n : {size_t{1}, size_t{4097}, cuda::Transfer::kBuffer_bytes, most}) {
    auto buffer = device().alloc(n + 7);
    ASSERT_TRUE(buffer.ok());
    std::vector<std::byte> back(n);
    ASSERT_TRUE(device().upload(std::span(bytes).first(n), buffer->data() + 7).ok());
    ASSERT_TRUE(device().download(buffer->data() + 7, back).ok());
    EXPECT_TRUE(std::equal(back.begin(), back.end(), bytes.begin())) << n;
  }
}

TEST_F(CudaDevice, CountsWhatItTakes) {
  const uint64_t before = device().allocated_bytes(), free_before = device().free_bytes();
  const uint64_t unit = device().facts().granularity_bytes;
  {
    auto buffer = device().alloc(3 * unit + 1);
    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ(buffer->bytes(), 4 * unit);
    EXPECT_EQ(device().allocated_bytes(), before + 4 * unit);
    EXPECT_LE(device().free_bytes(), free_before - 4 * unit);
  }
  EXPECT_EQ(device().allocated_bytes(), before);
  // A driver may keep a little for itself.
  EXPECT_NEAR(static_cast<double>(device().free_bytes()), static_cast<double>(free_before), static_cast<double>(unit));
}

TEST_F(CudaDevice, TakesThePromisedScratchMemoryAndGivesItBack) {
  ASSERT_TRUE(device().reserve({}).ok());
  const uint64_t before = device().allocated_bytes();
  const device::StepShape most = Rig::largest_step();
  ASSERT_TRUE(device().reserve(most).ok());
  EXPECT_EQ(device().allocated_bytes() - before, device().scratch_bytes(most));
  device::StepShape less = most;
  less.rows /= 2;
  ASSERT_TRUE(device().reserve(less).ok());
  EXPECT_EQ(device().allocated_bytes() - before, device().scratch_bytes(most));
  ASSERT_TRUE(device().reserve({}).ok());
  EXPECT_EQ(device().allocated_bytes(), before);
}

TEST_F(CudaDevice, SaysWhatIsMissingWhenMemoryIsShort) {
  const uint64_t free = device().free_bytes(), wanted = 2 * device().facts().memory_bytes;
  const auto buffer = device().alloc(wanted);
  ASSERT_FALSE(buffer.ok());
  EXPECT_EQ(buffer.error().kind, ErrorKind::kNoMemory);
  EXPECT_NE(buffer.error().message.find(std::to_string(wanted)), std::string::npos) << buffer.error().message;
  EXPECT_NE(buffer.error().message.find(std::to_string(free)), std::string::npos) << buffer.error().message;
}

TEST_F(CudaDevice, LoadsTheKernelsThatAModelNeedsAndNoOthers) {
  auto made = cuda::create_device({});
  ASSERT_TRUE(made.ok()) << made.error().message;
  const auto loaded = [&] {
    std::vector<std::string> names;
    for (const auto& [source, image] : dynamic_cast<cuda::CudaDevice&>(**made).modules().loaded())
      if (source.starts_with("matmul_") || (source.starts_with("attention_") && source != "attention_merge"))
        names.push_back(source);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(loaded(), Names{});
  device::StepShape most;
  most.rows = most.sequences = 1;
  most.context = 32;
  most.heads = 4;
  most.cache = {device::CacheType::kF16, 2, 128, 128};
  ASSERT_TRUE((*made)->reserve(most).ok());
  EXPECT_EQ(loaded(), Names{"attention_f16_128"});
  Rig rig(**made);
  rig.matrix("Q4_0", std::vector<float>(64), 2, 32);
  rig.matrix("F32", std::vector<float>(64), 2, 32);
  EXPECT_EQ(loaded(), (Names{"attention_f16_128", "matmul_plain", "matmul_q4_0"}));
}

// The same ops on other tokens: the third time they run as the graph that the second made.
TEST_F(CudaDevice, ReplaysEqualStepsWithNewTokens) {
  Rig rig(device());
  constexpr uint32_t kWidth = 40, kRows = 5;
  std::vector<float> values(kWidth * kRows);
  std::iota(values.begin(), values.end(), 0.0f);
  const device::Matrix table = rig.matrix("F32", values, kRows, kWidth);
  float* out = rig.zeros(2 * kWidth);
  const cuda::Graphs::Counts before = graph_counts();
  for (int32_t token = 0; token < 4; ++token) {
    const std::vector<int32_t> tokens = {token, token + 1}, pages = {0};
    device::Batch batch;
    batch.tokens = tokens;
    batch.sequences = {{0, 2, 0, pages}};
    rig.step(batch, [&] { rig.device().embed({.table = table, .scale = 1, .positions = {}, .out = out}); });
    const size_t first = static_cast<size_t>(token) * kWidth;
    EXPECT_EQ(rig.download(out, 2 * kWidth),
              std::vector<float>(values.begin() + first, values.begin() + first + 2 * kWidth));
  }
  const cuda::Graphs::Counts after = graph_counts();
  EXPECT_EQ(after.direct - before.direct, 1u);
  EXPECT_EQ(after.instantiated - before.instantiated, 1u);
  EXPECT_EQ(after.replayed - before.replayed, 3u);
}

// Products in two formats, as queries and values have them, are two kernels, which need not wait for each other; what
// comes before and after them waits. The simulated driver runs a graph's launches in any order that the graph allows.
TEST_F(CudaDevice, RunsProductsOfSeveralFormatsBesideEachOther) {
  Rig rig(device());
  PlainBatch plain(1);
  constexpr uint32_t kWidth = 64;
  std::vector<float> ones(kWidth, 1), rows(kWidth * kWidth), first;
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i % 7) - 3;
  const device::Matrix queries = rig.matrix("Q8_0", rows, kWidth, kWidth),
                       values = rig.matrix("F32", rows, kWidth, kWidth);
  const device::Vector weight = rig.vector(ones);
  float* in = rig.floats(ones);
  float* out = rig.zeros(2 * kWidth);
  const device::OperandForms forms = device().operand_forms(queries) | device().operand_forms(values);
  const device::Operand operand = rig.operand(kWidth, 1, forms);
  const device::Projection both[] = {{queries, {}, out, kWidth}, {values, {}, out + kWidth, kWidth}};
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(device::upload_floats(device(), std::vector<float>(2 * kWidth), out).ok());
    rig.step(plain.batch, [&] {
      device().norm({.epsilon = 1e-6f, .weight = weight, .bias = {}, .in = in, .operand = operand});
      device().project(operand, 1, both);
      device().soft_cap(out, 1, 2 * kWidth, 5);
    });
    const std::vector<float> result = rig.download(out, 2 * kWidth);
    if (i == 0) first = result;
    ASSERT_EQ(result, first) << i;
  }
  std::vector<bool> beside;
  for (const cuda::Launch& launch : launches()) beside.push_back(launch.beside);
  EXPECT_EQ(beside, (std::vector<bool>{false, false, true, false}));
  EXPECT_GE(graph_counts().replayed, 39u);
}

TEST_F(CudaDevice, FillsDownloadsOfAStepWhenItEnds) {
  Rig rig(device());
  PlainBatch plain(1);
  float* values = rig.floats(std::vector<float>{100, -100});
  std::vector<float> capped(2);
  device().begin(plain.batch);
  device().soft_cap(values, 1, 2, 10);
  ASSERT_TRUE(device::download_floats(device(), values, capped).ok());
  ASSERT_TRUE(device().finish().ok());
  EXPECT_NEAR(capped[0], 10, 1e-3);
  EXPECT_NEAR(capped[1], -10, 1e-3);
}

TEST_F(CudaDevice, RefusesAStepThatIsLargerThanReserved) {
  ASSERT_TRUE(device().reserve({}).ok());
  device::StepShape most;
  most.rows = 4;
  most.sequences = 1;
  most.context = 64;
  ASSERT_TRUE(device().reserve(most).ok());
  PlainBatch plain(5);
  device().begin(plain.batch);
  const Status status = device().finish();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kUsage);
  EXPECT_TRUE(device().free_bytes() > 0);  // and goes on
}

struct AttentionSetup {
  std::string name;
  device::CacheType type;
  uint32_t heads, kv_heads, dims, window;
  float soft_cap;
};

// Rows of a sequence on a cache that is full already: in one chunk, in chunks of any sizes, and each for itself.
class ChunkedAttention : public CudaDevice, public testing::WithParamInterface<AttentionSetup> {
 protected:
  static constexpr uint32_t kFirst = 275, kRows = 45, kPages = 12;

  // Rows of one batch; `lengths` are those of its sequences, one after the other in `rows`.
  std::vector<float> attend(Rig& rig, const float* q, std::vector<uint32_t> lengths, uint32_t first_row) {
    const AttentionSetup& setup = GetParam();
    uint32_t rows = 0;
    device::Batch batch;
    for (const uint32_t length : lengths) {
      batch.sequences.push_back({rows, length, kFirst + first_row + rows, pages_});
      rows += length;
    }
    const std::vector<int32_t> tokens(rows);
    batch.tokens = tokens;
    const uint32_t width = setup.heads * setup.dims;
    device::AttentionArgs args;
    args.q = q + size_t{first_row} * width;
    args.q_stride = width;
    args.heads = setup.heads;
    args.cache = cache_;
    args.scale = 0.2f;
    args.window = setup.window;
    args.soft_cap = setup.soft_cap;
    args.out = rig.readable_operand(width, rows);
    const float* read = nullptr;
    rig.step(batch, [&] {
      device().attention(args);
      read = rig.read(args.out, rows);
    });
    return rig.download(read, size_t{rows} * width);
  }

  void fill_cache(Rig& rig, Random& random) {
    const AttentionSetup& setup = GetParam();
    const device::CacheShape shape{setup.type, setup.kv_heads, setup.dims, setup.dims};
    cache_ = {shape, nullptr, device().page_bytes(shape)};
    const size_t neutral_bytes = device::neutral_page_bytes(shape);
    const quant::Format& format = *quant::find_name(setup.type == device::CacheType::kF32   ? "F32"
                                                    : setup.type == device::CacheType::kF16 ? "F16"
                                                                                            : "Q8_0");
    const size_t values = device::kPage_tokens * size_t{2} * setup.kv_heads * setup.dims;
    std::vector<std::byte> cache(kPages * cache_.page_bytes), neutral(neutral_bytes);
    for (uint32_t page = 0; page < kPages; ++page) {
      format.encode(random.normal(values).data(), values, nullptr, reinterpret_cast<uint8_t*>(neutral.data()));
      device().page_from_neutral(shape, neutral.data(), cache.data() + page * cache_.page_bytes);
    }
    cache_.data = rig.bytes(cache.size());
    ASSERT_TRUE(device().upload(cache, cache_.data).ok());
    pages_ = random.distinct(kPages, kPages);
  }

  device::CacheLayer cache_;
  std::vector<int32_t> pages_;
};

TEST_P(ChunkedAttention, ARowGetsTheSameBitsInAnyChunkAndCompany) {
  Rig rig(device());
  Random random(seed());
  fill_cache(rig, random);
  const uint32_t width = GetParam().heads * GetParam().dims;
  const float* q = rig.floats(random.normal(kRows * width));
  const std::vector<float> expected = attend(rig, q, {kRows}, 0);
  EXPECT_TRUE(std::ranges::all_of(expected, [](float x) { return std::isfinite(x); }));
  EXPECT_EQ(attend(rig, q, std::vector<uint32_t>(kRows, 1), 0), expected) << "each row for itself";
  EXPECT_EQ(attend(rig, q, {1, 2, 30, 1, 1, 10}, 0), expected) << "in chunks of other sizes";
  const std::vector<float> last(expected.end() - width, expected.end());
  EXPECT_EQ(attend(rig, q, {1}, kRows - 1), last) << "the last row alone";
}

INSTANTIATE_TEST_SUITE_P(CudaDevice, ChunkedAttention,
                         testing::Values(AttentionSetup{"f16_128", device::CacheType::kF16, 4, 1, 128, 0, 0},
                                         AttentionSetup{"f16_64_window", device::CacheType::kF16, 2, 2, 64, 70, 0},
                                         AttentionSetup{"f16_32_many_heads", device::CacheType::kF16, 17, 1, 32, 0, 0},
                                         AttentionSetup{"f16_256_window_and_cap", device::CacheType::kF16, 2, 1, 256,
                                                        200, 5},
                                         AttentionSetup{"q8_0_128_cap", device::CacheType::kQ8_0, 3, 1, 128, 0, 3},
                                         AttentionSetup{"q8_0_256", device::CacheType::kQ8_0, 2, 1, 256, 0, 0},
                                         AttentionSetup{"f32_64", device::CacheType::kF32, 2, 1, 64, 0, 0},
                                         AttentionSetup{"f16_18_window", device::CacheType::kF16, 2, 1, 18, 40, 0}),
                         [](const auto& test) { return test.param.name; });

// Small heads, so that the simulator is done soon; the scratch memory does not hold all rows with all their splits.
TEST_F(CudaDevice, AMixedStepLaunchesNoKernelWithNothingToDo) {
  constexpr uint32_t kHeads = 4, kDims = 16, kWidth = kHeads * kDims, kContext = 8192, kDecoding = 4, kPrompt = 512;
  constexpr uint32_t kRows = kDecoding + kPrompt;
  Rig rig(device());
  ASSERT_TRUE(device().reserve({}).ok());
  const device::CacheShape shape{device::CacheType::kF16, 1, kDims, kDims};
  device::StepShape most;
  most.rows = kRows;
  most.sequences = kDecoding + 1;
  most.context = kContext;
  most.width = kWidth;
  most.heads = kHeads;
  most.cache = shape;
  ASSERT_TRUE(device().reserve(most).ok());
  const std::vector<int32_t> tokens(kRows), pages(kContext / device::kPage_tokens);
  device::Batch batch;
  batch.tokens = tokens;
  for (uint32_t i = 0; i < kDecoding; ++i) batch.sequences.push_back({i, 1, kContext - 1, pages});
  batch.sequences.push_back({kDecoding, kPrompt, kContext - kPrompt, pages});
  device::AttentionArgs args;
  args.q = rig.zeros(kRows * kWidth);
  args.q_stride = kWidth;
  args.heads = kHeads;
  args.cache = {shape, nullptr, device().page_bytes(shape)};
  const std::vector<std::byte> page(args.cache.page_bytes);
  args.cache.data = rig.bytes(page.size());
  ASSERT_TRUE(device().upload(page, args.cache.data).ok());
  args.out = rig.readable_operand(kWidth, kRows);
  rig.step(batch, [&] { device().attention(args); });
  // Single rows and their merge, chunks and theirs.
  std::vector<uint32_t> rows;
  for (const cuda::Launch& launch : launches()) rows.push_back(std::max(launch.grid.y, launch.grid.z));
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0], kDecoding);
  EXPECT_EQ(rows[1], kDecoding);
  EXPECT_EQ(rows[3], kPrompt);
}

TEST_F(CudaDevice, MeasuresItsLimits) {
  const device::Limits limits = device().measure_limits();
  EXPECT_GT(limits.read_bytes_per_s, 0);
  EXPECT_GT(limits.float_ops_per_s, 0);
  EXPECT_GT(limits.int8_ops_per_s, 0);
}

// In a process of its own: a broken context is everybody's, so no other device may be there.
class CudaDeviceDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    if (gpus().empty()) GTEST_SKIP() << "no GPU, and none is simulated";
  }
};

void lose_and_recover() {
  const auto check = [](bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "%s\n", what);
    std::_Exit(1);
  };
  auto first = cuda::create_device({});
  check(first.ok(), "cannot create the device");
  device::Device& device = **first;
  device::StepShape most;
  most.rows = most.sequences = 1;
  most.context = 32;
  check(device.reserve(most).ok(), "cannot reserve");
  {
    auto buffer = device.alloc(64);
    check(buffer.ok(), "cannot allocate");
    PlainBatch plain(1);
    device.begin(plain.batch);
    device.soft_cap(reinterpret_cast<float*>(uintptr_t{1} << 46), 1, 1, 30);  // nobody's memory
    const Status status = device.finish();
    check(!status.ok() && status.error().kind == ErrorKind::kDeviceLost, "an illegal address was not noticed");
    std::vector<std::byte> bytes(4);
    check(!device.download(buffer->data(), bytes).ok(), "a download from a lost device succeeded");
    check(!device.alloc(1).ok(), "an allocation on a lost device succeeded");
    device.begin(plain.batch);
    const Status again = device.finish();
    check(!again.ok() && again.error().message == status.error().message, "a later step tells something else");
  }
  first->reset();
  auto second = cuda::create_device({});
  check(second.ok(), second.ok() ? "" : second.error().message.c_str());
  check((*second)->reserve(most).ok(), "the new device has no memory");
  PlainBatch plain(1);
  (*second)->begin(plain.batch);
  check((*second)->finish().ok(), "the new device does not work");
  second->reset();
  std::_Exit(0);
}

TEST_F(CudaDeviceDeathTest, IsLostAfterAnIllegalAddressAndCanBeReplaced) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(lose_and_recover(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hearth::test
