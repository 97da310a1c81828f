#include "api/service.h"

namespace hearth::api {

Status apply(const Settings& settings, sampling::Options& options) {
  for (const auto& [name, value] : settings.values) TRY(sampling::set(options, name, value));
  if (settings.stop) options.stop = *settings.stop;
  if (!settings.logit_bias.empty()) options.logit_bias = settings.logit_bias;
  // The sampler reports nothing for 0: the chosen token alone is one alternative that is left out.
  if (settings.logprobs) options.logprobs = std::max(1, *settings.logprobs);
  return sampling::validate(options);
}

}  // namespace hearth::api
