// The CUDA device as a device: memory, steps as graphs, failures. On the machine's GPU or a simulated one.
#include <cmath>
#include <numeric>

#include "base/half.h"
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
  EXPECT_EQ(device().free_bytes(), free_before);
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

// One generating sequence, alone and among others that are longer.
TEST_F(CudaDevice, ARowGetsTheSameBitsInAnyCompany) {
  Rig rig(device());
  constexpr uint32_t kHeads = 4, kDim = 64, kPages = 40, kContext = 300;
  const device::CacheShape shape{device::CacheType::kF16, 2, kDim, kDim};
  const size_t page_bytes = device().page_bytes(shape);
  Random random(seed());
  std::vector<std::byte> cache(kPages * page_bytes);
  const std::vector<float> halves = random.normal(cache.size() / 2);
  for (size_t i = 0; i < halves.size(); ++i)
    *reinterpret_cast<uint16_t*>(cache.data() + 2 * i) = float_to_half(halves[i]);
  std::byte* at = rig.bytes(cache.size());
  ASSERT_TRUE(device().upload(cache, at).ok());
  float* q = rig.floats(random.normal(3 * kHeads * kDim));
  std::vector<int32_t> pages(kPages);
  std::iota(pages.begin(), pages.end(), 0);
  const auto run = [&](uint32_t sequences) {
    const std::vector<int32_t> tokens(sequences);
    device::Batch batch;
    batch.tokens = tokens;
    for (uint32_t i = 0; i < sequences; ++i) batch.sequences.push_back({i, 1, kContext + 400 * i, pages});
    device::AttentionArgs args;
    args.q = q;
    args.q_stride = kHeads * kDim;
    args.heads = kHeads;
    args.cache = {shape, at, page_bytes};
    args.out = rig.readable_operand(kHeads * kDim, sequences);
    const float* read = nullptr;
    rig.step(batch, [&] {
      device().attention(args);
      read = rig.read(args.out, sequences);
    });
    return rig.download(read, kHeads * kDim);
  };
  EXPECT_EQ(run(1), run(3));
}

TEST_F(CudaDevice, MeasuresItsLimits) {
  const device::Limits limits = device().measure_limits();
  EXPECT_GT(limits.read_bytes_per_s, 0);
  EXPECT_GT(limits.float_ops_per_s, 0);
  EXPECT_GT(limits.int8_ops_per_s, 0);
}

// In a process of its own: a broken context is everybody's.
using CudaDeviceDeathTest = CudaDevice;

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
