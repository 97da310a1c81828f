#include "placement/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace hearth::placement {
namespace {

// Layers with the output matrix, as people count them.
uint32_t counted(const Share& share) {
  return share.layers + (share.output ? 1 : 0);
}

// "0-3, 8, embedding".
std::string parts_text(const Plan& plan, uint32_t device) {
  std::vector<std::string> parts;
  if (plan.shares[device].embedding) parts.push_back("embedding");
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (plan.layers[i].layer != device) continue;
    const size_t first = i;
    while (i + 1 < plan.layers.size() && plan.layers[i + 1].layer == device) ++i;
    parts.push_back(first == i ? fmt::format("layer {}", i) : fmt::format("layers {}-{}", first, i));
  }
  if (const uint32_t experts = plan.shares[device].experts; experts > 0)
    parts.push_back(fmt::format("experts of {} layer{}", experts, experts == 1 ? "" : "s"));
  if (plan.shares[device].output) parts.push_back("output");
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<std::string> summary(const Plan& plan, std::span<const DeviceState> devices) {
  std::vector<std::string> lines;
  for (uint32_t i = 0; i < devices.size(); ++i) {
    const Share& share = plan.shares[i];
    if (counted(share) == 0 && share.experts == 0) continue;
    std::string line = fmt::format("{}/{} layers on {}, {} weights, {} cache", counted(share), plan.layers_in_all(),
                                   devices[i].name, size_text(share.weights), size_text(share.cache));
    if (share.experts > 0) line += fmt::format(", with the experts of {} layers", share.experts);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string table(const Plan& plan, std::span<const DeviceState> devices) {
  std::string text = fmt::format("{:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  {}\n", "weights", "cache", "workspace",
                                 "driver", "total", "free", "where");
  for (uint32_t i = 0; i < devices.size(); ++i) {
    const Share& share = plan.shares[i];
    text += fmt::format("{:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  {}: {}\n", size_text(share.weights),
                        size_text(share.cache), size_text(share.workspace), size_text(share.overhead),
                        size_text(share.total()), size_text(devices[i].free), devices[i].name, parts_text(plan, i));
  }
  return text;
}

}  // namespace hearth::placement
