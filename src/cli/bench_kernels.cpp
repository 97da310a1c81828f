#include "cli/bench_kernels.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <utility>

#include "base/error.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cpu/cpu_device.h"
#include "fleet/gpus.h"

namespace hearth::cli {
namespace {

// "12.3", or "-" where there is nothing to say.
std::string figure(double value) {
  return value > 0 ? fmt::format("{:.1f}", value) : std::string("-");
}
std::string percent(double rate, double limit) {
  return rate > 0 && limit > 0 ? fmt::format("{:.0f}%", 100 * rate / limit) : std::string("-");
}

std::string as_text(const std::string& device, const KernelReport& report) {
  const device::Limits& limits = report.limits;
  std::string text =
      fmt::format("device   {}\nlimits   {:.1f} GB/s read, {:.0f} GFLOP/s f32, {:.0f} GOP/s int8\n\n", device,
                  limits.read_bytes_per_s / 1e9, limits.float_ops_per_s / 1e9, limits.int8_ops_per_s / 1e9);
  text += fmt::format("{:<10} {:<34} {:>10} {:>8} {:>7} {:>9} {:>7}\n", "kind", "what", "us", "GB/s", "% read", "GOP/s",
                      "% int8");
  for (const KernelTime& time : report.times) {
    const double bytes = time.bytes / time.seconds, operations = time.operations / time.seconds;
    text += fmt::format("{:<10} {:<34} {:>10.1f} {:>8} {:>7} {:>9} {:>7}\n", time.kind, time.name, 1e6 * time.seconds,
                        figure(bytes / 1e9), percent(bytes, limits.read_bytes_per_s), figure(operations / 1e9),
                        percent(time.int8 ? operations : 0, limits.int8_ops_per_s));
  }
  if (!report.skipped.empty()) text += "\nno time for these (--seconds gives more):\n";
  for (const std::string& name : report.skipped) text += "  " + name + "\n";
  return text;
}

std::string as_json(const std::string& device, const KernelReport& report) {
  boost::json::array kernels;
  for (const KernelTime& time : report.times)
    kernels.push_back({{"kind", time.kind},
                       {"name", time.name},
                       {"seconds", time.seconds},
                       {"bytes_per_s", time.bytes / time.seconds},
                       {"ops_per_s", time.operations / time.seconds},
                       {"int8", time.int8}});
  const device::Limits& limits = report.limits;
  const boost::json::object all{{"version", HEARTH_VERSION},
                                {"device", device},
                                {"limits",
                                 {{"read_bytes_per_s", limits.read_bytes_per_s},
                                  {"float_ops_per_s", limits.float_ops_per_s},
                                  {"int8_ops_per_s", limits.int8_ops_per_s}}},
                                {"kernels", kernels},
                                {"skipped", boost::json::array(report.skipped.begin(), report.skipped.end())}};
  return boost::json::serialize(all) + "\n";
}

// The GPU if there is one and --gpu allows it, else the CPU.
Result<std::unique_ptr<device::Device>> open_device(const ModelOptions& options) {
  const fleet::GpuPolicy policy = fleet::gpu_policy(options.gpu);
  if (policy != fleet::GpuPolicy::kOff) {
    const fleet::GpuSearch search = fleet::find_gpus(show_compiling());
    if (!search.gpus.empty()) return search.gpus[0]();
    if (policy == fleet::GpuPolicy::kRequire) return fleet::refused(search.problem);
  }
  return cpu::create_device({.threads = options.threads, .isa = options.cpu_isa});
}

}  // namespace

void add_kernel_options(Arguments& arguments, KernelBenchOptions& options) {
  const auto format = [&options, given = false](const std::string& name) mutable -> Status {
    if (!std::exchange(given, true)) options.formats.clear();
    options.formats.push_back(name);
    return {};
  };
  arguments.each("--format", "NAME", format, "With --kernels: of weights, may be repeated (F16, Q8_0, Q4_K, Q6_K)",
                 "Options");
  arguments.numbers("--rows", options.rows, 1u, 1u << 16,
                    "With --kernels: of activations (1,4,8,16,32,64,4096; on the CPU 512 instead of 4096)");
  arguments.numbers("--lengths", options.lengths, 1u, 1u << 20,
                    "With --kernels: positions that attention looks at (1024,4096,8192,32768)");
  arguments.number("--width", options.width, 512u, 1u << 16, "With --kernels: of the layer (4096)");
  arguments.number("--feed-forward", options.feed_forward, 256u, 1u << 18, "With --kernels: of the layer (14336)");
  arguments.number("--vocabulary", options.vocabulary, 256u, 1u << 20, "With --kernels: (128256)");
  arguments.number("--seconds", options.seconds, 1u, 3600u,
                   "With --kernels: for all of it; what does not fit is left out and named (20)");
}

Result<DeviceKernels> time_kernels(const ModelOptions& compute, const KernelBenchOptions& options) {
  TRY(check(options));  // opening a GPU may take a while
  ASSIGN_OR_RETURN(const std::unique_ptr<device::Device> device, open_device(compute));
  ASSIGN_OR_RETURN(KernelReport report, measure_kernels(*device, options));
  const device::Facts facts = device->facts();
  return DeviceKernels{facts.name, static_cast<double>(facts.bandwidth_bytes_per_s), std::move(report)};
}

Status bench_kernels(const ModelOptions& compute, const KernelBenchOptions& options, bool json) {
  ASSIGN_OR_RETURN(const DeviceKernels timed, time_kernels(compute, options));
  const auto write = json ? as_json : as_text;
  return print(write(timed.device, timed.report));
}

}  // namespace hearth::cli
