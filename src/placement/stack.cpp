#include "placement/stack.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"

namespace hearth::placement {
namespace {

using Members = std::vector<StackMember>;

bool on_gpus(const StackMember& member) {
  return !member.on_host;
}

uint64_t bytes_of(const Plan& plan) {
  uint64_t bytes = 0;
  for (const Share& share : plan.shares) bytes += share.total();
  return bytes;
}

uint64_t bytes_of(const StackPlan& stack) {
  uint64_t bytes = 0;
  for (const Plan& plan : stack.plans) bytes += bytes_of(plan);
  return bytes;
}

class Offers {
 public:
  Offers(std::span<const StackMember> members, std::span<const DeviceState> devices)
      : members_(members.begin(), members.end()), devices_(devices), before_(plan_stack(members, devices)) {}

  std::vector<StackOffer> all() {
    if (before_.whole) return {};
    for (size_t i = 0; i < members_.size(); ++i) {
      if (!on_gpus(members_[i])) continue;
      if (const auto less = less_context(members_, i)) add(*less, change_of_context(i, *less));
      if (const auto small = small_cache(members_, i); small && whole(*small))
        add(*small, members_[i].name + " with a q8_0 cache");
    }
    if (offers_.empty()) change_all();
    const size_t enough = offers_.size();
    for (size_t i = members_.size(); i-- > 0;) to_host({i});
    std::vector<size_t> last;
    for (size_t i = members_.size(); offers_.size() == enough && i-- > 1;) {
      last.insert(last.begin(), i);
      if (last.size() > 1) to_host(last);
    }
    return std::move(offers_);
  }

 private:
  bool whole(const Members& members) const { return plan_stack(members, devices_).whole; }

  // The largest context of one member with which all is whole.
  std::optional<Members> less_context(const Members& from, size_t index) const {
    Members changed = from;
    const auto fits = [&](uint32_t steps) {
      changed[index].serving.context = steps * kContextStep_tokens;
      return whole(changed);
    };
    uint32_t low = kLeastContext_tokens / kContextStep_tokens, high = from[index].serving.context / kContextStep_tokens;
    if (low >= high || !fits(low)) return std::nullopt;
    while (low + 1 < high) {
      const uint32_t middle = (low + high) / 2;
      (fits(middle) ? low : high) = middle;
    }
    changed[index].serving.context = low * kContextStep_tokens;
    return changed;
  }

  static std::optional<Members> small_cache(const Members& from, size_t index) {
    if (from[index].serving.kv_type == "q8_0") return std::nullopt;
    Members changed = from;
    changed[index].serving.kv_type = "q8_0";
    return changed;
  }

  // A q8_0 cache for all, and if that is not enough the same part of everybody's context.
  void change_all() {
    Members changed = members_;
    for (StackMember& member : changed) member.serving.kv_type = "q8_0";
    if (whole(changed)) return add(std::move(changed), "q8_0 caches for all");
    constexpr std::pair<uint32_t, const char*> kParts[] = {{3, "three quarters"}, {2, "half"}, {1, "a quarter"}};
    for (const auto& [quarters, text] : kParts) {
      Members smaller = changed;
      for (StackMember& member : smaller) {
        uint32_t& context = member.serving.context;
        context = std::min(context, std::max(kLeastContext_tokens, context / 4 * quarters));
      }
      if (whole(smaller))
        return add(std::move(smaller), fmt::format("q8_0 caches and {} of the context for all", text));
    }
  }

  // What remains wholly on GPUs without these.
  void to_host(const std::vector<size_t>& indices) {
    Members changed = members_;
    std::string names;
    for (const size_t index : indices) {
      if (changed[index].on_host) return;
      changed[index].on_host = true;
      names += (names.empty() ? "" : " and ") + changed[index].name;
    }
    const size_t others = static_cast<size_t>(std::ranges::count_if(changed, on_gpus));
    if (others == 0 || !whole(changed)) return;
    offers_.push_back({fmt::format("{} on the CPU: the other {} wholly on GPUs", names,
                                   others == 1 ? "one is" : fmt::format("{} are", others)),
                       std::move(changed)});
  }

  std::string change_of_context(size_t index, const Members& changed) const {
    return fmt::format("{} with a context of {} instead of {}", members_[index].name, changed[index].serving.context,
                       members_[index].serving.context);
  }

  void add(Members members, const std::string& change) {
    const uint64_t before = bytes_of(before_), after = bytes_of(plan_stack(members, devices_));
    offers_.push_back({fmt::format("{} saves {}: all {} models are wholly on GPUs", change,
                                   size_text(before > after ? before - after : 0), members.size()),
                       std::move(members)});
  }

  const Members members_;
  const std::span<const DeviceState> devices_;
  const StackPlan before_;
  std::vector<StackOffer> offers_;
};

}  // namespace

StackPlan plan_stack(std::span<const StackMember> members, std::span<const DeviceState> devices) {
  StackPlan result;
  result.left.assign(devices.begin(), devices.end());
  result.whole = true;
  for (const StackMember& member : members) {
    std::vector<DeviceState> states = result.left;
    if (member.on_host)
      for (size_t i = 0; i + 1 < states.size(); ++i) states[i].free = 0;
    Plan made = plan(member.measure(member.serving), states, member.serving.plan);
    for (size_t i = 0; i < result.left.size(); ++i) {
      if (!made.shares[i].used()) continue;
      DeviceState& left = result.left[i];
      left.free -= std::min(left.free, made.shares[i].total());
      left.overhead = 0;  // paid once
    }
    result.whole = result.whole && made.fits && (member.on_host || made.whole());
    result.plans.push_back(std::move(made));
  }
  return result;
}

std::vector<StackOffer> stack_offers(std::span<const StackMember> members, std::span<const DeviceState> devices) {
  if (devices.size() < 2) return {};
  return Offers(members, devices).all();
}

}  // namespace hearth::placement
