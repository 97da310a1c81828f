// Kernels in CUDA C++, as nvcc compiles them, against the same computed on the host.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>
#include <sstream>

#include "base/half.h"
#include "harness.h"

namespace hearth::sim::exec {
namespace {

// The PTX of kernels.cu; empty: there is no nvcc. Compiled once.
const std::string& compiled_kernels() {
  static const std::string text = [] {
    const std::string nvcc = HEARTH_TEST_NVCC;
    if (nvcc.empty()) return std::string();
    const std::string to = ::testing::TempDir() + "hearth_exec_kernels_" + std::to_string(getpid()) + ".ptx";
    const std::string source = std::string(HEARTH_SOURCE_DIR) + "/tests/sim/exec/kernels.cu";
    const std::string command = nvcc + " --ptx -arch=compute_80 -std=c++17 -o " + to + " " + source;
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::ifstream in(to);
    std::stringstream content;
    content << in.rdbuf();
    std::remove(to.c_str());
    return content.str();
  }();
  return text;
}

class CudaKernels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (compiled_kernels().empty()) GTEST_SKIP() << "nvcc was not found: kernels in CUDA C++ are not tested";
    gpu.options.detect_races = true;
    gpu.load(compiled_kernels());
  }
  Gpu gpu;
  std::mt19937 random{7};
};

std::vector<float> uniform(std::size_t count, std::mt19937& random) {
  std::vector<float> values(count);
  std::uniform_real_distribution<float> next(-1, 1);
  for (float& value : values) value = next(random);
  return values;
}

TEST_F(CudaKernels, ReductionOverBlocks) {
  std::vector<float> in(5000);
  std::iota(in.begin(), in.end(), 0.0f);  // all partial sums are exact
  const Address out = gpu.upload(std::vector<float>{0});
  gpu.run("sum_by_shuffles", {5, 1, 1}, {128, 1, 1}, 0, gpu.upload(in), 5000, out);
  EXPECT_EQ(gpu.download<float>(out, 1)[0], 4999.0f * 5000 / 2);
}

TEST_F(CudaKernels, MatrixProductThroughSharedMemory) {
  const int n = 37;
  const auto a = uniform(n * n, random), b = uniform(n * n, random);
  const Address c = gpu.allocate(n * n * 4);
  gpu.run("multiply", {3, 3, 1}, {16, 16, 1}, 0, gpu.upload(a), gpu.upload(b), c, n);
  const auto got = gpu.download<float>(c, n * n);
  for (int row = 0; row < n; ++row) {
    for (int column = 0; column < n; ++column) {
      float sum = 0;  // in the kernel's order, fused: bit for bit the same
      for (int k = 0; k < n; ++k) sum = std::fma(a[row * n + k], b[k * n + column], sum);
      EXPECT_EQ(got[row * n + column], sum) << row << " " << column;
    }
  }
}

TEST_F(CudaKernels, LoopsLeftInEveryWayWithLocalArraysAndCalls) {
  std::vector<int> in(100);
  std::iota(in.begin(), in.end(), -3);
  const Address steps = gpu.allocate(400), peak = gpu.allocate(400);
  gpu.run("collatz", {4, 1, 1}, {32, 1, 1}, 0, gpu.upload(in), 100, steps, peak);
  const auto got_steps = gpu.download<int>(steps, 100), got_peak = gpu.download<int>(peak, 100);
  for (std::size_t i = 0; i < in.size(); ++i) {
    int x = in[i], n = 0, most = 0;
    std::vector<int> seen;
    while (x > 0 && n < 64) {
      seen.push_back(x);
      ++n;
      if (x == 1) break;
      x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    }
    for (int j = 0; j < n; ++j) most = std::max(most, seen[static_cast<std::size_t>(j * 7 % n)]);
    EXPECT_EQ(got_steps[i], in[i] <= 0 ? -1 : n - 1) << in[i];
    EXPECT_EQ(got_peak[i], most) << in[i];
  }
}

TEST_F(CudaKernels, SwitchesWithLanesInEveryCase) {
  std::vector<int> in(64);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i * 5 % 9) - 1;
  const Address out = gpu.allocate(256);
  gpu.run("by_case", {1, 1, 1}, {64, 1, 1}, 0, gpu.upload(in), out);
  const auto got = gpu.download<int>(out, 64);
  const auto expected = [](int x) {
    const int values[] = {17, 31, ~2, 3 << 7, __builtin_popcount(1004), 125, -6};
    return x >= 0 && x <= 6 ? values[x] : 1 << 20;
  };
  for (std::size_t i = 0; i < in.size(); ++i) EXPECT_EQ(got[i], expected(in[i])) << in[i];
}

TEST_F(CudaKernels, TensorCores) {
  std::vector<std::uint16_t> a(256), b(128);
  std::uniform_int_distribution<int> small(-8, 8);  // products and sums are exact
  for (auto& value : a) value = float_to_half(static_cast<float>(small(random)));
  for (auto& value : b) value = float_to_half(static_cast<float>(small(random)));
  const Address c = gpu.allocate(16 * 8 * 4);
  gpu.run("tensor_cores", {1, 1, 1}, {32, 1, 1}, 0, gpu.upload(a), gpu.upload(b), c);
  const auto got = gpu.download<float>(c, 128);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      float sum = 0;
      for (std::size_t k = 0; k < 16; ++k) sum += half_to_float(a[row * 16 + k]) * half_to_float(b[column * 16 + k]);
      EXPECT_EQ(got[row * 8 + column], sum) << row << " " << column;
    }
  }
}

TEST_F(CudaKernels, DotProductsOfBytes) {
  constexpr int kRows = 64, kVectors = 128;
  std::vector<std::int8_t> weights(kRows * kVectors * 16), input(kVectors * 16);
  std::uniform_int_distribution<int> byte(-128, 127);
  for (auto& value : weights) value = static_cast<std::int8_t>(byte(random));
  for (auto& value : input) value = static_cast<std::int8_t>(byte(random));
  const Address out = gpu.allocate(kRows * 4);
  const auto start = std::chrono::steady_clock::now();
  gpu.options.detect_races = false;
  const LaunchStats stats =
      gpu.run("dot_products", {kRows / 4, 1, 1}, {128, 1, 1}, 0, gpu.upload(weights), gpu.upload(input), kVectors, out);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << "  " << static_cast<double>(stats.thread_instructions) / seconds.count() / 1e6
            << " million thread instructions per second\n";
  const auto got = gpu.download<float>(out, kRows);
  for (std::size_t row = 0; row < kRows; ++row) {
    int sum = 0;
    for (std::size_t i = 0; i < input.size(); ++i) sum += weights[row * input.size() + i] * input[i];
    EXPECT_EQ(got[row], static_cast<float>(sum)) << row;
  }
}

}  // namespace
}  // namespace hearth::sim::exec
