// The models that are loaded: on demand, one load at a time, each kept for a while after its last request, the one that
// was used longest ago let go where there is no room for another. Models that are wanted in turn and have no room
// together cost a load for each slice of time and not for each request: one that is in use keeps its place for its
// slice, while the others' requests wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/device_status.h"
#include "fleet/gpu_leases.h"
#include "fleet/resident.h"

namespace hearth::fleet {

// A model was loaded and is not wholly on the GPUs: so many bytes of it lie elsewhere. The card has most of its layers.
struct GpuShortage {
  std::string model;
  int ordinal = 0;
  uint64_t bytes = 0;
  // To be called by who made room on the card: the layers come there at once, before somebody else takes it. Not after
  // the fleet has ended.
  std::function<void()> take_free = {};
};

struct FleetOptions {
  ModelOptions model;                                            // how each is loaded
  std::chrono::nanoseconds keep_alive{std::chrono::minutes(5)};  // after its last request; negative: for ever
  uint32_t parallel = 4;                                         // answers of one model at the same time
  uint32_t most_models = 3;                                      // that are loaded
  uint32_t queue = 512;                                          // requests that wait for one model
  std::chrono::nanoseconds load_wait{std::chrono::minutes(5)};   // of a request for its model; 0: no limit
  // For so long a model that is in use keeps its place while another waits for it, counted from its load; 0:
  // kSlice_loads times what its load took. Who has waited for `most_wait` gets the place all the same.
  std::chrono::nanoseconds slice{0}, most_wait{std::chrono::minutes(1)};
  std::function<void(const GpuShortage& shortage)> short_of_gpu =
      {};  // called by the thread that loads; returns at once
  // Tell those who count; each may be empty, and must not block. A load's `why`: "request", or "again" where it is
  // loaded in another way (another type of cache, say); "failed" if it did. Of what is let go: "idle", "asked",
  // "replaced", "room" (another model needs its place or memory), "gpu" (another needs the GPU), "yield" (another
  // program does).
  std::function<void(const std::string& model, const char* why, std::chrono::nanoseconds took)> loaded = {};
  std::function<void(const std::string& model, const char* why)> let_go = {};
};
inline constexpr int kSlice_loads = 20;

// What a request asks of the load, over FleetOptions::model. Not given: whatever is best.
struct LoadWish {
  std::optional<uint32_t> context = {};  // tokens of one sequence
  std::optional<int> gpu_layers = {};    // 0: the CPU
  std::optional<int> threads = {};
  std::optional<uint32_t> parallel = {};    // answers at the same time
  std::optional<std::string> kv_type = {};  // of the cache
  bool settled = false;                     // requests without a wish of their own take the model as this has made it
};

// What another program asks of a card.
struct YieldWish {
  uint64_t bytes = 0;
  std::optional<int> gpu;                                      // CUDA's number; not given: where it costs least
  std::chrono::nanoseconds hold{std::chrono::minutes(10)};     // for so long nothing of ours grows into it
  std::chrono::nanoseconds deadline{std::chrono::seconds(5)};  // of making room
  bool locked = false;                                         // see GpuLease
  std::string holder = {};                                     // who it is for, for people
};

// A loaded model as lists show it.
struct RunningModel {
  store::ModelFiles found;
  ModelFacts facts;
  uint64_t file_bytes = 0;
  uint64_t step_bytes = 0;  // of weights that a step of one token reads
  uint32_t context = 0;
  engine::DeviceStatus devices;
  engine::Stats stats;
  std::optional<Error> broken;                                   // it answers nothing any more; see Engine::broken()
  std::optional<std::chrono::system_clock::time_point> expires;  // not given: never
};

class Fleet {
  struct Entry;

 public:
  explicit Fleet(const FleetOptions& options);
  // Waits for a load that runs, cancels all requests, and waits until every lease is given back.
  ~Fleet();

  // A use of a model, which stays loaded until this goes. Any thread.
  class Lease {
   public:
    Lease(Fleet& fleet, std::shared_ptr<Entry> entry) : fleet_(fleet), entry_(std::move(entry)) {}
    ~Lease() { fleet_.give_back(*entry_); }
    Lease(const Lease&) = delete;
    Resident& operator*() const;
    Resident* operator->() const { return &**this; }

   private:
    Fleet& fleet_;
    const std::shared_ptr<Entry> entry_;
  };
  using Take = std::function<void(Result<std::shared_ptr<Lease>> lease)>;

  // Calls `take` once: now if the model is loaded, else from the thread that loads, which it must not hold up. Requests
  // for one model share one load. A wish for a larger context than the model has (without a wish: than the default's)
  // makes the cache grow where it is, while those who use it go on; where that cannot be the model is loaded again,
  // once they are done. A smaller one is content with what there is. Where memory has no room for the larger context
  // the model comes back as it was, and for a while nobody tries again: who wished so is refused, who had no wish takes
  // the model as it is. `take`'s errors: those of fleet::load_model(), kBusy where too many wait, kTimeout after
  // FleetOptions::load_wait, kCancelled where the fleet ends. `keep_alive` not given: as it was, or FleetOptions'.
  void use(store::ModelFiles found, const LoadWish& wish, std::optional<std::chrono::nanoseconds> keep_alive,
           Take take);
  // Loads it now, with this wish, which later requests share, and lets it go for no other model. It goes only where
  // somebody asks for that by name. Before the first request.
  void keep(store::ModelFiles found, const LoadWish& wish);
  // Of models that are loaded from now on.
  void set_keep_alive(std::chrono::nanoseconds keep_alive);
  // Lets it go once nobody uses it. False if it is not loaded.
  bool unload(const std::string& name);
  // Refuses those who have waited for longer than FleetOptions::load_wait; to be called now and then.
  void refuse_overdue();

  std::vector<RunningModel> running() const;

  // Makes room on a card for another program, and leaves that alone until the lease ends: first idle models go, the one
  // that was used longest ago before others, then layers of those in use move to the CPU between two of their steps.
  // Waits until so much is free, or the deadline. What could not be freed in time is no error: see the lease's
  // free_bytes, and who else holds the card's memory in its `how`. Errors: kNoDevice, kUsage.
  Result<GpuLease> yield(const YieldWish& wish);
  // Until so long from now. Errors: kNotFound.
  Result<GpuLease> renew_lease(const std::string& id, std::chrono::nanoseconds hold);
  bool end_lease(const std::string& id);
  std::vector<GpuLease> leases() const;
  // By model, requests since the start that it got while another waited for its place: as many loads if every request
  // had had its turn.
  std::map<std::string, uint64_t> loads_avoided() const;
  std::vector<std::string> loading() const;  // by name

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Waiting {
    Take take;
    std::optional<uint32_t> context;  // that it wishes
    Time since;
  };
  // A larger context that memory had no room for.
  struct TooLarge {
    uint32_t context;
    Error error;
    Time again;  // until then nobody tries
  };
  struct Entry {
    store::ModelFiles found = {};
    std::unique_ptr<Resident> resident = {};  // null while it is loaded
    LoadWish wish = {};
    std::chrono::nanoseconds keep_alive{0};
    std::vector<Waiting> waiting = {};
    uint32_t users = 0;
    bool loading = false;  // with its wish as it was then
    bool retired = false;  // takes no new user
    bool kept = false;     // see keep()
    Time last_used = {}, loaded = {};
    std::chrono::nanoseconds load_duration{0};
    uint32_t context_before = 0;  // of the one that it replaces; 0: none
    uint32_t grows_to = 0;        // the context that those who wait need of what is loaded; 0: none does
    bool grows = true;            // until that has failed
    std::optional<TooLarge> too_large = {};
    // Nobody uses it, or will.
    bool idle() const { return users == 0 && waiting.empty() && !loading; }
  };
  using Ptr = std::shared_ptr<Entry>;

  const LoadWish* kept_wish(const std::string& name) const;
  Ptr find(const std::string& name) const;  // that is not retired
  uint32_t wanted_context(const store::ModelFiles& found, const LoadWish& wish) const;
  static uint32_t within_training(const Resident& resident, uint32_t context);
  void retire(Entry& entry, const char* why);
  bool fits(const Entry& entry, const store::ModelFiles& found, const LoadWish& wish) const;
  bool other_cache(const Entry& entry, const LoadWish& wish) const;
  static bool can_grow(const Entry& entry, const store::ModelFiles& found);
  Ptr replace(const Ptr& entry, store::ModelFiles found, const LoadWish& wish);
  void give_back(Entry& entry);
  void work();
  Ptr next_to_load() const;
  Ptr next_to_grow() const;
  std::optional<Time> retire_expired();
  bool gives_place(const Entry& entry, Time since) const;
  bool retire_for(const Entry& wanted);
  bool somebody_leaves() const;
  void remove_retired(std::unique_lock<std::mutex>& lock);
  bool make_room(std::unique_lock<std::mutex>& lock, const Entry& entry);
  void load(std::unique_lock<std::mutex>& lock, const Ptr& entry);
  bool grow_one(std::unique_lock<std::mutex>& lock);
  void grow(std::unique_lock<std::mutex>& lock, const Ptr& entry);
  uint32_t needed_context(const Entry& entry, const Waiting& one) const;
  void hand_over(std::unique_lock<std::mutex>& lock, const Ptr& entry);
  void refuse(std::unique_lock<std::mutex>& lock, std::vector<Waiting> waiting, const Error& error);
  bool go_back(std::unique_lock<std::mutex>& lock, Entry& entry, const Error& error);
  Result<std::unique_ptr<Resident>> try_load(const Entry& entry) const;
  bool make_room_on_gpus();
  void tell_of_shortage(const Entry& loaded);
  void take_free(const std::string& name);
  GpuLeases::Held held() const;
  void look_at_leases(std::unique_lock<std::mutex>& lock);
  std::optional<std::string> give_way(const std::string& card, Time until);
  std::optional<std::string> unload_idle(const std::string& card, Time until);

  FleetOptions options_;  // its keep_alive under the mutex, the rest unchanged
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Ptr> entries_;
  bool ends_ = false;
  std::map<std::string, LoadWish> kept_;  // by name
  const Entry* blocked_ = nullptr;        // that waits for another's place
  std::map<std::string, uint64_t> loads_avoided_;
  GpuLeases leases_;
  Time leases_seen_ = {};
  std::thread keeper_;  // loads and lets go: an engine must not be ended by its own threads
};

}  // namespace hearth::fleet
