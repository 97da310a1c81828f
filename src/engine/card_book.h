// Who of several models may move on a card now: one book for all that share the cards of a machine. Without it each
// would see the others' moves as those of strangers: two would take the same free memory, and all give way where one is
// enough.
//
// When memory runs short, those give way first that have computed nothing for longest, one after the other, as long as
// it is short. When it becomes free, one model grows at a time, the one that computed last before the others. After
// somebody gave way, nobody grows there for a while. Who loads counts as one that grows on all cards.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace hearth::engine {

class CardBook {
 public:
  using Id = uint64_t;
  using Cards = std::set<std::string>;  // by the devices' ids

  // A model's entry; safe on any thread, as all here.
  Id join();
  void leave(Id id);

  // At every look: what the model holds of which card, and when it last computed. Times of one steady clock; who
  // has not looked for kAsleep_ms is not waited for.
  static constexpr int64_t kAsleep_ms = 3'000;
  void look(Id id, std::map<std::string, uint64_t> bytes, int64_t computed_ns, int64_t now_ms);

  // Memory of `card` runs short: whether it is this model's turn to give way, and not that of one that holds some of it
  // and has been idle for longer.
  bool gives_first(Id id, const std::string& card, int64_t now_ms) const;
  // It has given way on these; for `hold_ms` nobody grows there.
  void gave_way(const Cards& cards, int64_t now_ms, int64_t hold_ms);
  // It cannot give more for so long, so that it is the next one's turn.
  void cannot_give(Id id, int64_t until_ms);

  // So much of what is free on a card is promised to other programs: no model grows or loads into it, and those that
  // hold it give way.
  void keep_free(const std::string& card, uint64_t bytes);
  uint64_t kept_free(const std::string& card) const;

  // To grow on these cards. False: not now, because somebody else grows or loads, somebody gave way, or a model that
  // computed later wants to grow there as well. True: until end() nobody else does.
  // `made_free`: others gave way for this model, so it waits for no time to pass and lets nobody go first.
  bool begin_growth(Id id, const Cards& cards, int64_t now_ms, bool made_free = false);
  // To load: waits until nobody grows or loads.
  void begin_load(Id id);
  void end(Id id);

 private:
  struct Entry {
    std::map<std::string, uint64_t> bytes;
    int64_t computed_ns = 0, looked_ms = INT64_MIN / 2, cannot_until_ms = INT64_MIN / 2;
    int64_t wanted_ms = INT64_MIN / 2;  // to grow, and was refused
    Cards wanted;
  };
  bool awake(const Entry& entry, int64_t now_ms) const { return now_ms - entry.looked_ms <= kAsleep_ms; }

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  Id last_id_ = 0;
  std::map<Id, Entry> entries_;
  std::map<std::string, int64_t> held_until_ms_;  // by card
  std::map<std::string, uint64_t> kept_bytes_;    // by card
  Id mover_ = 0;                                  // who grows or loads; 0: nobody
};

}  // namespace hearth::engine
