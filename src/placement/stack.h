// Several models that are to be loaded together: planned one after the other on what those before leave, and what would
// have to give where not all are wholly on GPUs.
#pragma once

#include <string>
#include <vector>

#include "placement/offers.h"

namespace hearth::placement {

struct StackMember {
  std::string name;
  Measure measure;
  ServingOptions serving;
  bool on_host = false;  // no GPU for it
};

struct StackPlan {
  std::vector<Plan> plans;        // one per member
  std::vector<DeviceState> left;  // the devices, with what is free behind the last one
  bool whole = false;             // all that may are wholly on GPUs, and the host holds the rest
};

// The first members have the first choice. `devices`: as for plan().
StackPlan plan_stack(std::span<const StackMember> members, std::span<const DeviceState> devices);

struct StackOffer {
  std::string text;  // "coder with a context of 2048 instead of 8192 saves 1.5 GiB: all 3 models are wholly on GPUs"
  std::vector<StackMember> members;
};

// Changes with which the plan is whole, the mildest first; empty if it is, or if there is no GPU. A change of one
// member alone where one is enough: less context, a q8_0 cache. Else both of them for all members. Last, what remains
// when a member goes to the host, the last ones first.
std::vector<StackOffer> stack_offers(std::span<const StackMember> members, std::span<const DeviceState> devices);

}  // namespace hearth::placement
