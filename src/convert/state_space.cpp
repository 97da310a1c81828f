#include "convert/state_space.h"

#include "convert/decoder.h"

namespace hearth::convert {

void add_state_space_keys(const StateSpace& sizes, Plan& plan) {
  plan.key("ssm.conv_kernel", sizes.taps);
  plan.key("ssm.inner_size", static_cast<uint32_t>(sizes.inner()));
  plan.key("ssm.state_size", sizes.state);
  plan.key("ssm.group_count", sizes.groups);
  plan.key("ssm.time_step_rank", sizes.heads);
}

Status add_state_space(const StateSpace& sizes, uint64_t width, const std::string& block, const std::string& source,
                       Plan& plan) {
  const uint64_t inner = sizes.inner(), channels = sizes.channels(), heads = sizes.heads, groups = sizes.groups;
  TRY(add_linear(plan, block + "ssm_in", source + "in_proj", inner + channels + heads, width));
  TRY(plan.arranged(block + "ssm_conv1d.weight", {sizes.taps, channels},
                    {{source + "conv1d.weight", {channels, 1, sizes.taps}}}));
  if (plan.has(source + "conv1d.bias")) TRY(plan.vector(block + "ssm_conv1d.bias", source + "conv1d.bias", channels));
  TRY(plan.vector(block + "ssm_dt.bias", source + "dt_bias", heads));
  TRY(plan.arranged(block + "ssm_a", {1, heads}, {{source + "A_log", {heads}}}, {}, {.negative_exp = true}));
  TRY(plan.arranged(block + "ssm_d", {1, heads}, {{source + "D", {heads}}}));
  TRY(plan.arranged(block + "ssm_norm.weight", {inner / groups, groups}, {{source + "norm.weight", {inner}}}));
  return add_linear(plan, block + "ssm_out", source + "out_proj", width, inner);
}

}  // namespace hearth::convert
