// kernel_launches FORMAT ROWS...: each of the matrix products of a layer once with each number of activation rows, in a
// matrix of that format, then attention, on the first GPU: what tools/kernel-facts has the simulated driver count.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/kernel_bench.h"
#include "fleet/gpus.h"

namespace hearth {
namespace {

// A layer of 4096 values as models of 7 to 8 billion weights have, but for the feed-forward part, which is shorter.
cli::KernelBenchOptions layer() {
  cli::KernelBenchOptions options;
  options.width = 4096;
  options.feed_forward = 1024;
  options.vocabulary = 256;
  options.lengths = {2048};
  options.seconds = 1u << 30;
  return options;
}

int run(int argc, char** argv) {
  cli::KernelBenchOptions options = layer();
  options.formats = {argv[1]};
  for (int i = 2; i < argc; ++i) options.rows.push_back(static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)));
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
  if (argc >= 3) return hearth::run(argc, argv);
  std::fprintf(stderr, "usage: kernel_launches FORMAT ROWS...\n");
  return 2;
}
