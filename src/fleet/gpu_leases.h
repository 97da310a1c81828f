// Memory of cards that other programs were promised: by leases with an end, and by their locks on a lease file.
//
// What a program has taken of its promise is no longer to be kept free for it. Nobody says who takes memory, so what
// all others hold more than when the first promise was made counts as taken.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fleet/card_memory.h"

namespace hearth::fleet {

struct GpuLease {
  std::string id = {};
  std::string card = {}, card_name = {};  // its id, and for people
  std::string holder = {};                // who asked, as it said itself; may be empty
  uint64_t bytes = 0;
  bool locked = false;  // its holder holds as much of the card's lease file, which counts once
  std::chrono::system_clock::time_point until = {};
  // What was done for it, when it was asked for.
  uint64_t freed_bytes = 0, free_bytes = 0;
  std::vector<std::string> how = {};
};

// How often what others hold is looked at.
inline constexpr std::chrono::seconds kLook_at_leases{1};

class GpuLeases {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // By the card's id: what models of this process hold.
  using Held = std::map<std::string, uint64_t>;
  // What is to be kept free of a card from now on.
  using Keep = std::function<void(const std::string& card, uint64_t bytes)>;

  explicit GpuLeases(Keep keep) : keep_(std::move(keep)) {}

  // `lease.until` is its end, `until` the same on the steady clock.
  void add(GpuLease lease, Time until);
  GpuLease* find(const std::string& id);
  bool renew(const std::string& id, std::chrono::system_clock::time_point shown, Time until);
  bool end(const std::string& id);
  void end_all();
  // What others have locked of a card's lease file; 0 ends that.
  void claim(const std::string& card, uint64_t bytes);
  bool empty() const { return promises_.empty() && kept_.empty(); }
  std::vector<GpuLease> list() const;

  // Ends what is over, and sees what was taken. Now and then, and after each change.
  void look(const std::vector<CardMemory>& cards, const Held& held, Time now);
  // As it was seen last.
  uint64_t kept_bytes(const std::string& card) const;

 private:
  struct Promise {
    GpuLease lease;  // without an id: by the lease file
    Time until;
    std::optional<uint64_t> others_before;  // bytes that others held when it was made
  };

  Keep keep_;
  std::vector<Promise> promises_;         // the oldest first
  std::map<std::string, uint64_t> kept_;  // as keep_ was told
};

}  // namespace hearth::fleet
