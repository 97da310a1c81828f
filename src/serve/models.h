// The models that are loaded: on demand, one load at a time, each kept for a while after its last request, the one that
// was used longest ago let go where there is no room for another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/service.h"
#include "chat/chat_model.h"
#include "engine/engine.h"
#include "fleet/load_model.h"
#include "grammar/token_trie.h"
#include "serve/settings.h"

namespace hearth::serve {

// A model that can answer.
struct Resident {
  store::ModelFiles found;
  std::shared_ptr<const gguf::File> file;
  api::ModelSummary summary;
  models::Spec spec;
  models::LoadOptions load;
  std::unique_ptr<engine::PlacedModel> placed;  // outlives the engine
  std::unique_ptr<engine::Engine> engine;
  std::shared_ptr<const chat::ChatModel> chat, raw;  // by its template, and without one
  sampling::Options sampling;                        // the defaults, and what the model brings along

  // The vocabulary for constraints, made when it is first needed.
  std::shared_ptr<const grammar::TokenTrie> trie();

 private:
  std::once_flag trie_made_;
  std::shared_ptr<const grammar::TokenTrie> trie_;
};

class Models {
  struct Entry;

 public:
  explicit Models(const Settings& settings);
  // Waits for a load that runs; cancels all requests.
  ~Models();

  // A use of a model, which stays loaded until this goes. Any thread.
  class Lease {
   public:
    Lease(Models& models, std::shared_ptr<Entry> entry) : models_(models), entry_(std::move(entry)) {}
    ~Lease() { models_.give_back(*entry_); }
    Lease(const Lease&) = delete;
    Resident& operator*() const;
    Resident* operator->() const { return &**this; }

   private:
    Models& models_;
    const std::shared_ptr<Entry> entry_;
  };
  using Take = std::function<void(Result<std::shared_ptr<Lease>> lease)>;

  // Calls `take` once: now if the model is loaded, else from the thread that loads, which it must not hold up. Requests
  // for one model share one load. A wish for a larger context loads again, once those who use the model are done.
  // `take`'s errors: those of fleet::load_model(), kBusy where too many wait, kCancelled where the server ends.
  void use(store::ModelFiles found, const api::LoadWish& wish, api::KeepAlive keep_alive, Take take);
  // Of models that are loaded from now on.
  void set_keep_alive(std::chrono::nanoseconds keep_alive);
  // Lets it go once nobody uses it. False if it is not loaded.
  bool unload(const std::string& name);

  std::vector<api::RunningModel> running();

 private:
  struct Entry {
    store::ModelFiles found = {};
    std::unique_ptr<Resident> resident = {};  // null while it is loaded
    api::LoadWish wish = {};
    std::chrono::nanoseconds keep_alive{0};
    std::vector<Take> waiting = {};
    uint32_t users = 0;
    bool retired = false;  // takes no new user
    std::chrono::steady_clock::time_point last_used = {};
  };
  using Ptr = std::shared_ptr<Entry>;

  Ptr find(const std::string& name) const;  // that is not retired
  bool fits(const Entry& entry, const store::ModelFiles& found, const api::LoadWish& wish) const;
  void give_back(Entry& entry);
  void work();
  Ptr next_to_load() const;
  std::optional<std::chrono::steady_clock::time_point> retire_expired();
  bool retire_oldest_idle();
  void remove_retired(std::unique_lock<std::mutex>& lock);
  void load(std::unique_lock<std::mutex>& lock, const Ptr& entry);
  Result<std::unique_ptr<Resident>> try_load(const Entry& entry) const;
  void make_room_on_gpus(const Entry& loaded);

  Settings settings_;  // its keep_alive under the mutex, the rest unchanged
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Ptr> entries_;
  bool ends_ = false;
  std::thread keeper_;  // loads and lets go: an engine must not be ended by its own threads
};

// As lists show it.
api::ModelSummary summarize(const store::ModelFiles& found, const gguf::File& file);

}  // namespace hearth::serve
