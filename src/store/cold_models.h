// Which models nobody has used for long. When each was used last stands in the store, <store>/hearth/used, a line
// "SECONDS NAME" for each, as file systems do not note every access.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/tiers.h"

namespace hearth::store {

// $HEARTH_MOVE_COLD, "pool=168h": models that nobody has used for so long go to the store `pool` when another one gets
// full.
struct ColdRule {
  Tier to;
  int64_t unused_s = 0;
};
// Nothing where it is not set. Errors: kUsage, kNotFound (no such store).
Result<std::optional<ColdRule>> cold_rule();

// The models of a store are being used now. Failures are no one's concern.
void note_uses(const std::string& store, const std::vector<std::string>& names);

struct ColdModel {
  std::string name;
  int64_t used = 0;  // seconds since 1970; where no use was noted, when its manifest was written
};
// Neither pinned nor among `in_use`; the one that was used longest ago first.
std::vector<ColdModel> cold_models(const std::string& store, int64_t unused_s, const std::vector<std::string>& in_use);

}  // namespace hearth::store
