#include "fleet/model_options.h"

#include <limits>

#include "base/checked.h"
#include "base/error.h"

namespace hearth::fleet {

device::CacheType cache_type(const std::string& kv_type) {
  if (kv_type == "q8_0") return device::CacheType::kQ8_0;
  return kv_type == "f32" ? device::CacheType::kF32 : device::CacheType::kF16;
}

Result<uint32_t> pages_for(uint32_t sequences, uint32_t context) {
  const uint64_t pages = sequences * divide_up(context, device::kPage_tokens);
  if (pages <= std::numeric_limits<uint32_t>::max()) return static_cast<uint32_t>(pages);
  return error(ErrorKind::kUsage,
               "{} sequences with a context of {} tokens each are more than can be counted; use a "
               "smaller --ctx",
               sequences, context);
}

models::LoadOptions answer_load_options(uint32_t parallel) {
  models::LoadOptions load;
  load.logit_rows = load.sequences = parallel;
  return load;
}

}  // namespace hearth::fleet
