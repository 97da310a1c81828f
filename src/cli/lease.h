// Memory of a GPU that a running hearth makes room for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/remote.h"

namespace hearth::cli {

struct LeaseWish {
  uint64_t bytes = 0;
  std::optional<int> gpu;
  std::string hold = "10m", holder;
  uint32_t deadline_ms = 5'000;
  bool locked = false;  // the card's lease file is locked for it, too
};

// What the server answered: docs/sharing.md.
struct Lease {
  std::string id, gpu, gpu_id, until;
  uint64_t freed_bytes = 0, free_bytes = 0;
  bool complete = false;
  std::vector<std::string> how;
};

Result<Lease> ask_for_lease(const Remote& server, const LeaseWish& wish);
Status renew_lease(const Remote& server, const std::string& id, const std::string& hold);
Status end_lease(const Remote& server, const std::string& id);

}  // namespace hearth::cli
