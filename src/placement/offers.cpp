#include "placement/offers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "base/text.h"

namespace hearth::placement {
namespace {

// Draw the screen: closing them is no offer.
constexpr std::string_view kDisplay[] = {
    "Xorg",        "Xwayland", "gnome-shell", "kwin_wayland", "kwin_x11",
    "plasmashell", "sway",     "Hyprland",    "cosmic-comp",  "dwm.exe",
    "csrss.exe",   "mutter",   "cinnamon",    "xfwm4",        "gdm-wayland-session"};

bool draws_the_screen(const Process& process) {
  const size_t slash = process.name.find_last_of("/\\");
  const std::string_view program = std::string_view(process.name).substr(slash == std::string::npos ? 0 : slash + 1);
  return std::ranges::find(kDisplay, program) != std::end(kDisplay);
}

uint64_t all_bytes(const ModelSizes& sizes) {
  uint64_t bytes = sizes.output + sizes.logits + sizes.workspace + sizes.scratch;
  for (const LayerSizes& layer : sizes.layers) bytes += layer.weights + layer.experts + layer.cache;
  return bytes;
}

enum class Goal { kWhollyOnGpus, kFitsTheHost };

class Search {
 public:
  Search(const Measure& measure, std::span<const DeviceState> devices, const ServingOptions& serving, Goal goal)
      : measure_(measure), devices_(devices.begin(), devices.end()), serving_(serving), goal_(goal) {
    now_ = all_bytes(measure(serving)[0]);
  }

  bool enough(const ServingOptions& serving) const {
    return reaches_goal(plan(measure_(serving), devices_, serving.plan));
  }

  // `text`: what is changed. Nothing if that is not enough.
  void offer(const ServingOptions& serving, const std::string& text) {
    const std::vector<ModelSizes> sizes = measure_(serving);
    Plan result = plan(sizes, devices_, serving.plan);
    if (!reaches_goal(result)) return;
    const uint64_t then = all_bytes(sizes[0]), saves = now_ > then ? now_ - then : 0;
    add({fmt::format("{} saves {}", text, size_text(saves)), serving, {}, 0, saves, std::move(result)});
  }

  // The most context that fits, of multiples of kContextStep_tokens; 0: none.
  uint32_t most_context(ServingOptions serving) const {
    const auto fits = [&](uint32_t steps) {
      serving.context = steps * kContextStep_tokens;
      return enough(serving);
    };
    uint32_t least = kLeastContext_tokens / kContextStep_tokens;
    uint32_t most = (serving_.context - 1) / kContextStep_tokens;
    if (serving_.context <= kLeastContext_tokens || !fits(least)) return 0;
    while (least < most) {
      const uint32_t middle = (least + most + 1) / 2;
      if (fits(middle))
        least = middle;
      else
        most = middle - 1;
    }
    return least * kContextStep_tokens;
  }

  // Whether there is such an offer; likewise offer_recipe().
  bool offer_context(ServingOptions serving, const std::string& with) {
    serving.context = most_context(serving);
    if (serving.context == 0) return false;
    offer(serving, fmt::format("{}--ctx {} instead of {}", with, serving.context, serving_.context));
    return true;
  }

  void offer_parallel() {
    for (ServingOptions serving = serving_; serving.parallel > 1;) {
      --serving.parallel;
      if (!enough(serving)) continue;
      offer(serving, fmt::format("--parallel {} instead of {}", serving.parallel, serving_.parallel));
      return;
    }
  }

  // Only what makes the weights smaller than they are, whatever else is changed.
  bool offer_recipe(ServingOptions serving, std::span<const std::string> recipes, const std::string& with) {
    const uint64_t present = all_bytes(measure_(serving)[0]);
    for (const std::string& recipe : recipes) {
      serving.recipe = recipe;
      if (all_bytes(measure_(serving)[0]) >= present || !enough(serving)) continue;
      offer(serving, fmt::format("{}the model as {}", with, recipe));
      return true;
    }
    return false;
  }

  // Each change alone, then two together where neither of them is enough alone.
  void offer_smaller(std::span<const std::string> recipes) {
    ServingOptions small = serving_;
    small.kv_type = "q8_0";
    const bool can_shrink = serving_.kv_type != "q8_0";
    const bool context = offer_context(serving_, "");
    if (can_shrink) offer(small, "--kv-type q8_0");
    offer_parallel();
    const size_t singles = found.size();
    const bool recipe = offer_recipe(serving_, recipes, "");
    if (goal_ == Goal::kWhollyOnGpus) offer_experts_last();
    if (found.size() > singles || !can_shrink || enough(small)) return;
    const std::string with = "--kv-type q8_0 and ";
    if (!context) offer_context(small, with);
    if (!recipe) offer_recipe(small, recipes, with);
  }

  void offer_experts_last() {
    ServingOptions serving = serving_;
    if (serving.plan.experts_last) return;
    serving.plan.experts_last = true;
    const std::vector<ModelSizes> sizes = measure_(serving);
    Plan result = plan(sizes, devices_, serving.plan);
    if (result.layers_on_gpus() < result.layers_in_all() || result.whole()) return;
    const uint64_t there = result.shares[result.host()].weights;
    add({fmt::format("--experts-last keeps {} of expert weights on the CPU and all the rest on the GPU",
                     size_text(there)),
         serving,
         {},
         0,
         there,
         std::move(result)});
  }

  // The least that is enough, or all if that gains layers.
  void offer_closing(uint32_t device) {
    std::vector<Process> processes;
    for (const Process& process : devices_[device].others)
      if (!draws_the_screen(process) && process.bytes > 0) processes.push_back(process);
    std::ranges::stable_sort(processes, std::greater<>(), &Process::bytes);
    for (size_t i = processes.size(); i-- > 0;)
      if (try_closing(device, {processes[i]}, true)) return;
    for (size_t count = 2; count <= processes.size(); ++count)
      if (try_closing(device, {processes.begin(), processes.begin() + static_cast<ptrdiff_t>(count)}, true)) return;
    try_closing(device, processes, false);
  }

  std::vector<Offer> found;

 private:
  bool reaches_goal(const Plan& plan) const {
    if (goal_ == Goal::kWhollyOnGpus) return plan.whole();
    return plan.shares.back().total() <= devices_.back().budget();
  }

  bool try_closing(uint32_t device, std::vector<Process> processes, bool must_be_whole) {
    std::vector<DeviceState> then = devices_;
    uint64_t bytes = 0;
    std::string names;
    for (const Process& process : processes) {
      bytes += process.bytes;
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", process.name, size_text(process.bytes));
    }
    then[device].free += bytes;
    const std::vector<ModelSizes> sizes = measure_(serving_);
    Plan result = plan(sizes, then, serving_.plan);
    const bool gains = result.layers_on_gpus() > plan(sizes, devices_, serving_.plan).layers_on_gpus();
    if (must_be_whole ? !result.whole() : !gains) return false;
    add({fmt::format("closing {} frees {}", names, size_text(bytes)), serving_, std::move(processes), device, bytes,
         std::move(result)});
    return true;
  }

  void add(Offer offer) {
    if (goal_ == Goal::kWhollyOnGpus)
      offer.text += fmt::format(": {}/{} layers on the GPU", offer.plan.layers_on_gpus(), offer.plan.layers_in_all());
    found.push_back(std::move(offer));
  }

  const Measure& measure_;
  const std::vector<DeviceState> devices_;
  const ServingOptions serving_;
  const Goal goal_;
  uint64_t now_ = 0;
};

}  // namespace

std::vector<Offer> offers(const Measure& measure, std::span<const DeviceState> devices, const ServingOptions& serving,
                          std::span<const std::string> recipes) {
  if (devices.size() < 2) return {};
  Search search(measure, devices, serving, Goal::kWhollyOnGpus);
  if (search.enough(serving)) return {};
  for (uint32_t device = 0; device + 1 < devices.size(); ++device) search.offer_closing(device);
  search.offer_smaller(recipes);
  return std::move(search.found);
}

std::vector<Offer> offers_to_fit_host(const Measure& measure, std::span<const DeviceState> devices,
                                      const ServingOptions& serving, std::span<const std::string> recipes) {
  Search search(measure, devices, serving, Goal::kFitsTheHost);
  if (!search.enough(serving)) search.offer_smaller(recipes);
  return std::move(search.found);
}

std::optional<uint64_t> shortfall(std::span<const ModelSizes> sizes, std::span<const DeviceState> devices,
                                  const PlanOptions& options) {
  if (devices.size() < 2) return std::nullopt;
  std::vector<DeviceState> with(devices.begin(), devices.end());
  const auto enough = [&](uint64_t bytes) {
    with[0].free = devices[0].free + bytes;
    return plan(sizes, with, options).whole();
  };
  uint64_t least = 0, most = devices[0].total > devices[0].free ? devices[0].total - devices[0].free : 0;
  if (!enough(most)) return std::nullopt;
  while (least < most) {
    const uint64_t middle = least + (most - least) / 2;
    if (enough(middle))
      most = middle;
    else
      least = middle + 1;
  }
  return least;
}

}  // namespace hearth::placement
