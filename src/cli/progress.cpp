#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/outside_text.h"
#include "base/text.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

constexpr std::chrono::seconds kPatience{1};
constexpr std::chrono::milliseconds kInterval{100};
constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

Progress::Progress(std::string label, uint64_t total, Unit unit)
    : label_(std::move(label)),
      total_(total),
      unit_(unit),
      enabled_(is_terminal(STDERR_FILENO)),
      next_(std::chrono::steady_clock::now() + kPatience) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "{}", kClearLine);
}

void Progress::update(uint64_t done, const std::string& remark) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  drawn_ = true;
  const auto amount = [&](uint64_t value) {
    return unit_ == Unit::kBytes ? size_text(value) : fmt::format("{}", value);
  };
  std::string line = printable(label_) + " ";
  if (total_ > 0) {
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    constexpr size_t kBar = 24;
    const size_t full = static_cast<size_t>(part * kBar);
    line += fmt::format("[{}{}] {:3} %  {}/{}", std::string(full, '#'), std::string(kBar - full, '.'),
                        static_cast<int>(part * 100), amount(done), amount(total_));
  } else {
    line += amount(done);
  }
  if (!remark.empty()) line += "  " + printable(remark);
  line.resize(std::min(line.size(), terminal_width(STDERR_FILENO) - 1));
  fmt::print(stderr, "{}{}", kClearLine, line);
  std::fflush(stderr);
}

std::function<void(uint32_t done, uint32_t total)> show_compiling() {
  const auto bar = std::make_shared<std::optional<Progress>>();
  return [bar](uint32_t done, uint32_t total) {
    if (done == total) return bar->reset();
    if (!*bar) bar->emplace("compiling kernels for this GPU (first start)", total, Progress::Unit::kCount);
    (*bar)->set_total(total);
    (*bar)->update(done);
  };
}

}  // namespace hearth::cli
