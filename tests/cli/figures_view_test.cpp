#include "cli/figures_view.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/screen.h"

namespace hearth::cli {
namespace {

metrics::Figures example() {
  metrics::Figures figures;
  figures.headline.tone = "good";
  metrics::GpuFigures gpu;
  gpu.name = "NVIDIA GeForce RTX 4090";
  gpu.ordinal = 0;
  gpu.total_bytes = uint64_t{24} << 30;
  gpu.free_bytes = uint64_t{12} << 30;
  gpu.parts = {{"llama3.2:3b", "weights", uint64_t{6} << 30, 0}, {"chrome", "process", uint64_t{3} << 30, 4711}};
  gpu.busy_ratio = 0.43;
  gpu.power_watts = 212;
  gpu.power_limit_watts = 450;
  gpu.throttled = {"power limit"};
  figures.gpus.push_back(gpu);
  metrics::ModelFigures model;
  model.name = "a-model-with-a-name-that-is-longer-than-its-column:latest";
  model.layers = model.layers_on_gpu = 33;
  model.tokens_per_second = 81.25;
  model.bytes_per_second = 380e9;
  model.limit_bytes_per_second = 1008e9;
  model.running = 2;
  figures.models.push_back(model);
  return figures;
}

void expect_at_most(const std::string& text, size_t width) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    EXPECT_LE(end - at, width) << text.substr(at, end - at);
    at = end + 1;
  }
}

TEST(FiguresView, IsReadableInEightyColumns) {
  const std::string text = figures_view(example(), 80);
  expect_at_most(text, 80);
  for (const char* part : {"All is on the GPU.", "GPU 0  NVIDIA GeForce RTX 4090", "12.0 GiB of 24.0 GiB in use",
                           "busy  43 %", "212/450 W", "slowed down: power limit", "6.00 GiB W llama3.2:3b weights",
                           "chrome (process 4711)", "33/33", "81.2", "380.0 GB/s 38%", "2+0"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

// A quarter weights, an eighth another process, an eighth that nobody tells of, the rest free.
TEST(FiguresView, FillsTheBarByParts) {
  const std::string text = figures_view(example(), 80);
  const std::string bar = text.substr(text.find('[') + 1, text.find(']') - text.find('[') - 1);
  EXPECT_EQ(std::ranges::count(bar, 'W'), std::ssize(bar) / 4);
  EXPECT_EQ(std::ranges::count(bar, 'o'), std::ssize(bar) / 2 - std::ssize(bar) / 4);
  EXPECT_EQ(bar.back(), '.');
}

TEST(FiguresView, TellsOfCausesAndOfNoGpu) {
  metrics::Figures figures;
  figures.headline = {"warning", "x", "demo: 3 of 9 layers run on the CPU", "close game", "y"};
  const std::string text = figures_view(figures, 40);
  EXPECT_NE(text.find("demo: 3 of 9 layers run on the CPU; close game."), std::string::npos) << text;
  EXPECT_NE(text.find("No GPU is seen here."), std::string::npos);
}

TEST(FiguresView, MarksTheChosenRequest) {
  const std::string text = requests_view({{"7", "laptop", "demo:latest", "running", 3.25, 12, 40},
                                          {"8", "127.0.0.1", "demo:latest", "waiting", 0.5, 0, 0}},
                                         1, 80);
  expect_at_most(text, 80);
  EXPECT_NE(text.find("\n       7 laptop"), std::string::npos) << text;
  EXPECT_NE(text.find("\n>      8 127.0.0.1"), std::string::npos) << text;
}

TEST(Screen, CutsLinesAndRowsByCharacters) {
  EXPECT_EQ(fitted("abcdef\nx\ny\n", 3, 2, "|"), "abc|x");
  EXPECT_EQ(fitted("\xc3\xa4\xc3\xb6\xc3\xbc\n", 2, 9, "|"), "\xc3\xa4\xc3\xb6");
  EXPECT_EQ(fitted("", 3, 2, "|"), "");
}

}  // namespace
}  // namespace hearth::cli
