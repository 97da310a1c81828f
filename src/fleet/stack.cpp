#include "fleet/stack.h"

#include <algorithm>
#include <deque>

#include "base/text.h"
#include "cpu/cpu_device.h"
#include "fleet/measurer.h"
#include "fleet/model_options.h"
#include "models/measure.h"
#include "placement/stack.h"

namespace hearth::fleet {
namespace {

std::string member_line(const placement::StackMember& member, const placement::Plan& plan) {
  uint64_t on_gpus = 0;
  for (size_t i = 0; i + 1 < plan.shares.size(); ++i) on_gpus += plan.shares[i].total();
  std::string line = fmt::format("{}: {}/{} layers on GPUs, {} there, {} on the CPU, context {} for {} {}", member.name,
                                 plan.layers_on_gpus(), plan.layers_in_all(), size_text(on_gpus),
                                 size_text(plan.shares.back().total()), member.serving.context, member.serving.parallel,
                                 member.serving.parallel == 1 ? "answer" : "answers");
  if (member.serving.kv_type != "f16") line += ", cache " + member.serving.kv_type;
  return line;
}

void add_offers(std::span<const placement::StackMember> members, std::span<const placement::DeviceState> devices,
                bool whole, std::vector<std::string>& lines) {
  if (whole)
    return lines.push_back(members.size() == 1 ? "the model is wholly on GPUs"
                                               : fmt::format("all {} models are wholly on GPUs", members.size()));
  const std::vector<placement::StackOffer> offers = placement::stack_offers(members, devices);
  lines.emplace_back(offers.empty() ? "not all fit, and no change that hearth knows makes them fit: use smaller models"
                                    : "not all fit; what would help, one of these:");
  for (const placement::StackOffer& offer : offers) lines.push_back("  " + offer.text);
}

}  // namespace

Result<std::vector<std::string>> stack_report(const std::vector<StackWish>& wishes,
                                              const std::vector<placement::DeviceState>& devices) {
  ASSIGN_OR_RETURN(const std::unique_ptr<device::Device> host, cpu::create_device({}));
  std::deque<Measurer> measurers;  // that the members' functions use
  std::vector<placement::StackMember> members;
  for (const StackWish& wish : wishes) {
    ASSIGN_OR_RETURN(const models::LoadPlan load_plan, models::plan_load(*wish.file, {}));
    measurers.emplace_back(wish.file, devices.size() - 1, *host, answer_load_options(wish.serving.parallel));
    placement::StackMember member{wish.name, measurers.back().function(), wish.serving, false};
    if (load_plan.spec.context > 0) member.serving.context = std::min(member.serving.context, load_plan.spec.context);
    TRY(measurers.back().measure(member.serving));
    members.push_back(std::move(member));
  }
  const placement::StackPlan plan = placement::plan_stack(members, devices);
  std::vector<std::string> lines;
  for (size_t i = 0; i < members.size(); ++i) lines.push_back(member_line(members[i], plan.plans[i]));
  for (size_t i = 0; i < devices.size(); ++i)
    lines.push_back(fmt::format("{}: {} of {} stay free", devices[i].name, size_text(plan.left[i].free),
                                size_text(devices[i].free)));
  if (devices.size() > 1) add_offers(members, devices, plan.whole, lines);
  return lines;
}

}  // namespace hearth::fleet
