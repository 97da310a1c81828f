#include "cli/report.h"

#include <fmt/format.h>

#include "base/duration.h"
#include "base/memory.h"
#include "base/text.h"

namespace hearth::cli {
namespace {

double per_second(double amount, std::chrono::nanoseconds duration) {
  return duration.count() > 0 ? amount * 1e9 / static_cast<double>(duration.count()) : 0;
}

}  // namespace

std::string to_string(const Report& report) {
  std::string text;
  const auto line = [&](const char* label, bool show, const std::string& value) {
    if (show) text += fmt::format("{}{:<22}{}", text.empty() ? "" : "\n", label, value);
  };
  const auto duration = [&](const char* label, std::chrono::nanoseconds value) {
    line(label, value.count() != 0, format_duration(value));
  };
  const engine::Usage& usage = report.usage;
  // The rate is of the tokens that were computed, not of those that were there already.
  const uint32_t computed = usage.prompt_tokens - usage.prompt_tokens_cached;
  // The first token comes with the prompt's last step.
  const uint32_t decoded = usage.generated_tokens > 0 ? usage.generated_tokens - 1 : 0;
  const double rate = per_second(decoded, usage.generation);
  duration("total duration:", report.total);
  duration("load duration:", report.load);
  const models::Memory memory = report.devices.memory();
  line("load rate:", report.load.count() > 0 && report.read.count() > 0,
       fmt::format("{:.2f} GB/s of weights", per_second(static_cast<double>(memory.weights), report.read) / 1e9));
  duration("pictures duration:", report.pictures);
  line("prompt eval count:", usage.prompt_tokens > 0, fmt::format("{} token(s)", usage.prompt_tokens));
  line("prompt eval cached:", usage.prompt_tokens_cached > 0, fmt::format("{} token(s)", usage.prompt_tokens_cached));
  duration("prompt eval duration:", usage.prompt);
  line("prompt eval rate:", computed > 0 && usage.prompt.count() > 0,
       fmt::format("{:.2f} tokens/s", per_second(computed, usage.prompt)));
  line("eval count:", usage.generated_tokens > 0, fmt::format("{} token(s)", usage.generated_tokens));
  duration("eval duration:", usage.generation);
  line("eval rate:", rate > 0, fmt::format("{:.2f} tokens/s", rate));
  line("eval bandwidth:", rate > 0 && report.bytes_per_token > 0,
       fmt::format("{:.2f} GB/s of weights", rate * static_cast<double>(report.bytes_per_token) / 1e9));
  line("memory:", memory.total() > 0,
       fmt::format("weights {}, cache {}, workspace {}, resident {}", size_text(memory.weights),
                   size_text(memory.cache), size_text(memory.workspace), size_text(resident_bytes())));
  const std::string placement = report.devices.placement();
  line("placement:", !placement.empty(), placement);
  return text;
}

}  // namespace hearth::cli
