#include "cli/gpu_works.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/bench_kernels.h"
#include "cli/selftest.h"

namespace hearth::cli {
namespace {

ModelOptions on_gpu() {
  ModelOptions options;
  options.model = "demo";
  options.gpu = "require";
  return options;
}

Result<std::string> computes_right() {
  ASSIGN_OR_RETURN(const SelftestFindings findings, self_test(on_gpu()));
  if (!findings.passed())
    return error(ErrorKind::kInvalidData,
                 "hearth computes wrongly on {}, though no fault of it was found; \"hearth selftest --gpu require\" shows how",
                 findings.device);
  return fmt::format("the demonstration model computes right on {}: {} answers, logits off by {:.1f} % of their spread",
                     findings.device, findings.answers, 100 * findings.logit_error);
}

// Decoding reads all weights for each token, so what counts is how fast one row reads them.
Result<std::string> reads_fast() {
  KernelBenchOptions options;
  options.formats = {"Q4_K"};
  options.rows = {1};
  options.lengths = {};
  options.seconds = 2;
  ASSIGN_OR_RETURN(const DeviceKernels timed, time_kernels(on_gpu(), options));
  double rate = 0;
  for (const KernelTime& time : timed.report.times)
    if (time.kind == "project") rate = std::max(rate, time.bytes / time.seconds);
  const double limit = timed.report.limits.read_bytes_per_s, card = timed.bandwidth_bytes_per_s;
  if (rate == 0 || limit == 0) return std::string("there was no time to measure how fast weights are read");
  std::string text = fmt::format("weights are read at {:.0f} GB/s, {:.0f} % of the {:.0f} GB/s at which it can be read",
                                 rate / 1e9, 100 * rate / limit, limit / 1e9);
  if (card > 0) text += fmt::format(" ({:.0f} GB/s by its memory's clock)", card / 1e9);
  return text;
}

}  // namespace

Result<std::vector<std::string>> gpu_works() {
  std::vector<std::string> lines;
  ASSIGN_OR_RETURN(lines.emplace_back(), computes_right());
  const auto fast = reads_fast();
  lines.push_back(fast ? *fast : "how fast weights are read could not be measured: " + fast.error().message);
  return lines;
}

}  // namespace hearth::cli
