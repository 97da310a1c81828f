// kernel_launches WIDTH FORMAT ROWS...: each of the matrix products of a layer of that width once with each number of
// activation rows, with weights of that format, on the first GPU: tools/kernel-facts has the simulated driver count.
// kernel_launches WIDTH attention LENGTH: attention of one row and of a chunk of rows at the end of so many.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cli/kernel_bench.h"
#include "fleet/gpus.h"

namespace hearth {
namespace {

// The feed-forward part is shorter than models have it: simulated GPUs are slow.
cli::KernelBenchOptions layer(uint32_t width) {
  cli::KernelBenchOptions options;
  options.width = width;
  options.feed_forward = width / 4;
  options.vocabulary = 256;
  options.lengths = {1};
  options.seconds = 1u << 30;
  return options;
}

int run(int argc, char** argv) {
  const auto number = [&](int i) { return static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)); };
  cli::KernelBenchOptions options = layer(number(1));
  std::vector<uint32_t> numbers;
  for (int i = 3; i < argc; ++i) numbers.push_back(number(i));
  options.formats.clear();
  if (argv[2] == std::string("attention")) {
    options.lengths = numbers;
    options.rows = {1};
  } else {
    options.formats = {argv[2]};
    options.rows = numbers;
  }
  const fleet::GpuSearch search = fleet::find_gpus({});
  if (search.gpus.empty()) {
    std::fprintf(stderr, "%s\n", fleet::refused(search.problem).message.c_str());
    return 1;
  }
  auto device = search.gpus[0]();
  if (!device) {
    std::fprintf(stderr, "%s\n", device.error().message.c_str());
    return 1;
  }
  // By this clock everything takes so long that once is enough.
  double now = 0;
  const auto report = cli::measure_kernels(**device, options, [&] { return now += 1; });
  if (!report) std::fprintf(stderr, "%s\n", report.error().message.c_str());
  return report ? 0 : 1;
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  if (argc >= 4) return hearth::run(argc, argv);
  std::fprintf(stderr, "usage: kernel_launches WIDTH FORMAT ROWS... | WIDTH attention LENGTH\n");
  return 2;
}
