#include "cli/figures_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/outside_text.h"
#include "base/text.h"
#include "doctor/report.h"

namespace hearth::cli {
namespace {

constexpr double kGiga = 1e9, kMega = 1e6;

// `left` and, at the end of the line, `right`.
std::string spread(const std::string& left, const std::string& right, size_t width) {
  const size_t room = width > right.size() + 1 ? width - right.size() - 1 : 0;
  return fmt::format("{:<{}} {}\n", left.substr(0, room), room, right);
}

// One letter for each kind of part, so that the bar can be read without colours.
char letter_of(const std::string& kind) {
  if (kind == "weights") return 'W';
  if (kind == "cache") return 'C';
  if (kind == "workspace") return 'S';
  return kind == "context" ? 'D' : 'o';
}

std::string bar(const metrics::GpuFigures& gpu, size_t width) {
  std::string cells(width, '.');
  if (gpu.total_bytes == 0) return cells;
  uint64_t before = 0;
  const auto cell = [&](uint64_t bytes) { return std::min(width, bytes * width / gpu.total_bytes); };
  const auto fill = [&](uint64_t bytes, char letter) {
    for (size_t i = cell(before); i < cell(before + bytes); ++i) cells[i] = letter;
    before += bytes;
  };
  for (const metrics::GpuPart& part : gpu.parts) fill(part.bytes, letter_of(part.kind));
  const uint64_t used = gpu.total_bytes - gpu.free_bytes.value_or(gpu.total_bytes);
  if (used > before) fill(used - before, 'o');
  return cells;
}

std::string sensors(const metrics::GpuFigures& gpu) {
  std::vector<std::string> texts;
  if (gpu.sm_hertz)
    texts.push_back(fmt::format("{:.0f}{} MHz", *gpu.sm_hertz / kMega,
                                gpu.sm_max_hertz ? fmt::format("/{:.0f}", *gpu.sm_max_hertz / kMega) : ""));
  if (gpu.power_watts)
    texts.push_back(fmt::format("{:.0f}{} W", *gpu.power_watts,
                                gpu.power_limit_watts ? fmt::format("/{:.0f}", *gpu.power_limit_watts) : ""));
  if (gpu.temperature_celsius) texts.push_back(fmt::format("{:.0f} C", *gpu.temperature_celsius));
  if (gpu.pcie_generation && gpu.pcie_lanes)
    texts.push_back(fmt::format("PCIe {}.0 x{}", *gpu.pcie_generation, *gpu.pcie_lanes));
  if (gpu.utilization_ratio) texts.push_back(fmt::format("NVML's average {:.0f} %", *gpu.utilization_ratio * 100));
  return fmt::format("{}", fmt::join(texts, "  "));
}

std::string gpu_view(const metrics::GpuFigures& gpu, size_t width) {
  const std::string memory =
      gpu.free_bytes
          ? fmt::format("{} of {} in use", size_text(gpu.total_bytes - *gpu.free_bytes), size_text(gpu.total_bytes))
          : size_text(gpu.total_bytes);
  std::string text = spread(fmt::format("GPU {}  {}", gpu.ordinal, printable(gpu.name)), memory, width);
  const std::string busy = fmt::format("busy {:3.0f} %", gpu.busy_ratio * 100);
  text += fmt::format("[{}]  {}\n", bar(gpu, width - busy.size() - 4), busy);
  if (const std::string line = sensors(gpu); !line.empty()) text += "  " + line + "\n";
  if (!gpu.throttled.empty()) text += fmt::format("  slowed down: {}\n", fmt::join(gpu.throttled, ", "));
  for (const metrics::GpuPart& part : gpu.parts) {
    const bool other = part.kind == "process";
    const std::string owner = other ? fmt::format("{} (process {})", printable(part.owner), part.pid)
                                    : fmt::format("{} {}", printable(part.owner), part.kind);
    text += fmt::format("{:>12} {} {}\n", other && part.bytes == 0 ? "?" : size_text(part.bytes), letter_of(part.kind),
                        owner);
  }
  return text;
}

std::string read_text(const metrics::ModelFigures& model) {
  if (model.bytes_per_second == 0) return "-";
  std::string text = fmt::format("{:.1f} GB/s", model.bytes_per_second / kGiga);
  if (model.limit_bytes_per_second > 0)
    text += fmt::format(" {:.0f}%", 100 * model.bytes_per_second / model.limit_bytes_per_second);
  return text;
}

std::string models_view(const metrics::Figures& figures, size_t width) {
  constexpr size_t kOther_columns = 59;
  const size_t name_width = std::max<size_t>(width, kOther_columns + 12) - kOther_columns;
  std::string text = fmt::format("{:<{}} {:>7} {:>8} {:>9} {:>14} {:>5} {:>9}\n", "MODEL", name_width, "ON GPU",
                                 "TOKENS/S", "PROMPT/S", "READ", "BATCH", "RUN+WAIT");
  for (const metrics::ModelFigures& model : figures.models) {
    const std::string name = printable(model.name);
    text += fmt::format("{:<{}} {:>7} {:>8.1f} {:>9.1f} {:>14} {:>5.1f} {:>9}\n",
                        name.size() <= name_width ? name : name.substr(0, name_width - 1) + "~", name_width,
                        fmt::format("{}/{}", model.layers_on_gpu, model.layers), model.tokens_per_second,
                        model.prompt_tokens_per_second, read_text(model), model.batch,
                        fmt::format("{}+{}", model.running, model.waiting));
  }
  for (const std::string& name : figures.loading) text += fmt::format("{} is being loaded\n", printable(name));
  return text;
}

std::string headline_text(const metrics::Headline& headline) {
  if (headline.tone == "good") return "All is on the GPU.";
  if (headline.cause.empty()) return "No model is loaded, and nothing is wrong.";
  return printable(headline.cause) + (headline.remedy.empty() ? "." : "; " + printable(headline.remedy) + ".");
}

std::string age_text(double seconds) {
  if (seconds < 100) return fmt::format("{:.1f} s", seconds);
  return fmt::format("{:.0f} min", seconds / 60);
}

}  // namespace

std::string figures_view(const metrics::Figures& figures, size_t width) {
  width = std::max<size_t>(width, 60);
  std::string text = doctor::wrap(headline_text(figures.headline), width, "");
  for (const metrics::GpuFigures& gpu : figures.gpus) text += "\n" + gpu_view(gpu, width);
  if (figures.gpus.empty()) text += "\nNo GPU is seen here.\n";
  if (!figures.models.empty() || !figures.loading.empty()) text += "\n" + models_view(figures, width);
  return text;
}

std::string requests_view(const std::vector<metrics::RequestFigures>& requests, size_t chosen, size_t width) {
  constexpr size_t kOther_columns = 50;
  const size_t name_width = (std::max<size_t>(width, kOther_columns + 24) - kOther_columns) / 2;
  const auto cut = [&](const std::string& text) { return printable(text).substr(0, name_width); };
  std::string text = fmt::format("  {:>6} {:<{}} {:<{}} {:<8} {:>9} {:>8} {:>9}\n", "ID", "USER", name_width, "MODEL",
                                 name_width, "STATE", "AGE", "PROMPT", "TOKENS");
  for (size_t i = 0; i < requests.size(); ++i) {
    const metrics::RequestFigures& one = requests[i];
    text += fmt::format("{} {:>6} {:<{}} {:<{}} {:<8} {:>9} {:>8} {:>9}\n", i == chosen ? '>' : ' ', printable(one.id),
                        cut(one.user), name_width, cut(one.model), name_width, one.state, age_text(one.age_seconds),
                        one.prompt_tokens, one.pieces);
  }
  if (requests.empty()) text += "  No request is being answered.\n";
  return text;
}

}  // namespace hearth::cli
