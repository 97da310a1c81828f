// hearth bench --kernels: what it measures; never how fast.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "cli/kernel_bench.h"
#include "cli/process.h"
#include "cpu/cpu_device.h"

namespace hearth::test {
namespace {

Finished bench(const std::vector<std::string>& more) {
  std::vector<std::string> args = {"bench",     "--kernels", "--gpu",          "off", "--threads",    "1",
                                   "--width",   "512",       "--rows",         "1,5", "--format",     "Q8_0",
                                   "--lengths", "40",        "--feed-forward", "256", "--vocabulary", "256",
                                   "--seconds", "3600"};  // however busy the machine
  args.insert(args.end(), more.begin(), more.end());
  return hearth(args);
}

TEST(BenchKernels, TimesEveryKindOfKernel) {
  const Finished done = bench({"--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const boost::json::value report = boost::json::parse(done.out);
  EXPECT_GT(report.at("limits").at("read_bytes_per_s").to_number<double>(), 0);
  std::map<std::string, int> kinds;
  for (const boost::json::value& kernel : report.at("kernels").as_array()) {
    EXPECT_GT(kernel.at("seconds").to_number<double>(), 0) << kernel.at("name");
    ++kinds[std::string(kernel.at("kind").as_string())];
  }
  EXPECT_EQ(kinds["project"], 4 * 2);    // shapes times rows
  EXPECT_EQ(kinds["attention"], 1 * 2);  // lengths; generation and prompt
  EXPECT_GE(kinds["small"], 2 * 3 + 1);  // with one row and with 64; nothing to do
}

TEST(BenchKernels, CountsBytesOfWeightsAndOperations) {
  const Finished done = bench({"--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const boost::json::value report = boost::json::parse(done.out);
  const boost::json::array& kernels = report.at("kernels").as_array();
  const auto first_product = std::ranges::find_if(
      kernels, [](const boost::json::value& kernel) { return kernel.at("kind").as_string() == "project"; });
  ASSERT_NE(first_product, kernels.end());
  const boost::json::value& first = *first_product;  // queries, keys and values
  EXPECT_EQ(first.at("name").as_string(), "Q8_0 768 x 512, 1 rows");
  const double seconds = first.at("seconds").to_number<double>();
  EXPECT_NEAR(first.at("bytes_per_s").to_number<double>() * seconds, 768 * 512 / 32 * 34, 1);
  EXPECT_NEAR(first.at("ops_per_s").to_number<double>() * seconds, 2.0 * 768 * 512, 1);
}

constexpr size_t kAll = 2 * 4 * 2 + 2 * 2 + 2 * 3 + 1;  // products, attention, small kernels

// Every look at the clock finds that so much time has passed: a machine as slow as wanted.
cli::KernelReport measure(double look_s, uint32_t seconds, double& took_s) {
  const auto device = cpu::create_device({.threads = 1, .isa = {}});
  EXPECT_TRUE(device.ok());
  const cli::KernelBenchOptions options{.formats = {"F16", "Q8_0"},
                                        .rows = {1, 5},
                                        .lengths = {40, 80},
                                        .width = 512,
                                        .feed_forward = 768,
                                        .vocabulary = 256,
                                        .seconds = seconds};
  double now = 0;
  const auto report = cli::measure_kernels(**device, options, [&] { return now += look_s; });
  EXPECT_TRUE(report.ok()) << report.error().message;
  took_s = now;
  return *report;
}

TEST(BenchKernels, MeasuresAllWhereThereIsTime) {
  double took_s = 0;
  const cli::KernelReport report = measure(0.01, 100, took_s);
  EXPECT_GE(report.times.size(), kAll);  // candidates where the device finds them
  EXPECT_EQ(report.skipped.size(), 0u);
  EXPECT_LT(took_s, 100);
}

TEST(BenchKernels, NamesWhatItHasNoTimeFor) {
  double took_s = 0;
  const cli::KernelReport report = measure(0.3, 20, took_s);
  EXPECT_GE(report.times.size() + report.skipped.size(), kAll);
  EXPECT_LT(took_s, 20 + 2);
  std::map<std::string, int> kinds;
  for (const cli::KernelTime& time : report.times) ++kinds[time.kind == "project" ? time.name.substr(0, 4) : time.kind];
  for (const char* kind : {"small", "attention", "F16 ", "Q8_0"}) EXPECT_GT(kinds[kind], 0) << kind;
  EXPECT_GT(report.skipped.size(), 0u);
  for (const std::string& name : report.skipped)
    for (const cli::KernelTime& time : report.times) EXPECT_NE(name, time.kind + " " + time.name);
}

// What took 0.1 s for one row takes 51 s for 512: not to be begun, with 40 s.
TEST(BenchKernels, DoesNotBeginWhatWouldTakeTooLong) {
  const auto device = cpu::create_device({.threads = 1, .isa = {}});
  ASSERT_TRUE(device.ok());
  const cli::KernelBenchOptions options{.formats = {"Q8_0"},
                                        .rows = {1, 512},
                                        .lengths = {40},
                                        .width = 512,
                                        .feed_forward = 768,
                                        .vocabulary = 256,
                                        .seconds = 40};
  double now = 0;
  const auto report = cli::measure_kernels(**device, options, [&] { return now += 0.1; });
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->skipped.size(), 4u);
  for (const std::string& name : report->skipped) EXPECT_NE(name.find(", 512 rows"), std::string::npos) << name;
}

TEST(BenchKernels, RefusesAFormatBeforeItMeasuresAnything) {
  const auto device = cpu::create_device({.threads = 1, .isa = {}});
  ASSERT_TRUE(device.ok());
  cli::KernelBenchOptions options;
  options.formats = {"Q8_0", "Q9_9"};
  int looks = 0;
  const auto report = cli::measure_kernels(**device, options, [&] { return ++looks; });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(looks, 0) << "at the clock";
}

TEST(BenchKernels, SaysWhatItCannotMeasure) {
  const Finished unknown = bench({"--format", "Q9_9"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("--format: there is no format Q9_9"), std::string::npos) << unknown.err;
  const Finished odd = bench({"--format", "Q6_K", "--feed-forward", "320"});
  EXPECT_EQ(odd.code, 2);
  EXPECT_NE(odd.err.find("--feed-forward 320 is no whole number of Q6_K's blocks"), std::string::npos) << odd.err;
  const Finished nothing = hearth({"bench"});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_NE(nothing.err.find("MODEL"), std::string::npos) << nothing.err;
}

}  // namespace
}  // namespace hearth::test
