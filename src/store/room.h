// What is in the stores, and what can be done where a disk is full.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "disk/guard.h"
#include "store/tiers.h"

namespace hearth::store {

struct StoredModel {
  std::string name;
  uint64_t bytes = 0;        // of all its blobs
  uint64_t freed_bytes = 0;  // that would be free without it: what no other model uses
  int64_t modified = 0;      // seconds since 1970
};

struct TierState {
  Tier tier;
  bool exists = false, writable = false;
  disk::Space space;
  std::vector<StoredModel> models;  // the largest first
  uint64_t blob_bytes = 0, garbage_bytes = 0, partial_bytes = 0;
};
std::vector<TierState> look_at_tiers();

// Other places with room for a store: mounted file systems of disks, not of the system's own, most room first.
struct Place {
  std::string folder, type;
  uint64_t usable_bytes = 0;
};
std::vector<Place> other_places(const std::vector<TierState>& tiers);

// `refusal` (kNoSpace) of `bytes` for `name` in `store`, with the ways out as its remedy: which models could go, where
// there is room, a smaller form.
Error with_ways_out(const Error& refusal, const std::string& name, const std::string& store, uint64_t bytes);

}  // namespace hearth::store
