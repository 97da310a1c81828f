// hearth bench --kernels: what it measures; never how fast.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>

#include "cli/process.h"

namespace hearth::test {
namespace {

Finished bench(const std::vector<std::string>& more) {
  std::vector<std::string> args = {"bench",     "--kernels", "--gpu",          "off", "--threads",    "1",
                                   "--width",   "512",       "--rows",         "1,5", "--format",     "Q8_0",
                                   "--lengths", "40",        "--feed-forward", "256", "--vocabulary", "256"};
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
  const boost::json::value& first = report.at("kernels").at(0);  // queries, keys and values
  EXPECT_EQ(first.at("name").as_string(), "Q8_0 768 x 512, 1 rows");
  const double seconds = first.at("seconds").to_number<double>();
  EXPECT_NEAR(first.at("bytes_per_s").to_number<double>() * seconds, 768 * 512 / 32 * 34, 1);
  EXPECT_NEAR(first.at("ops_per_s").to_number<double>() * seconds, 2.0 * 768 * 512, 1);
}

TEST(BenchKernels, SaysWhatItCannotMeasure) {
  const Finished unknown = bench({"--format", "Q9_9"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("there is no format Q9_9"), std::string::npos) << unknown.err;
  const Finished nothing = hearth({"bench"});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_NE(nothing.err.find("MODEL"), std::string::npos) << nothing.err;
}

}  // namespace
}  // namespace hearth::test
