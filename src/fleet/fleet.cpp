#include "fleet/fleet.h"

#include <algorithm>

#include "base/duration.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fleet/gpus.h"
#include "fleet/sight.h"

namespace hearth::fleet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::nanoseconds kFor_ever{std::chrono::hours(24 * 365 * 100)};
// Who asked just now will ask again: for so long after its last use a model counts as in use, at most as long as its
// load took, which is what it costs to be wrong.
constexpr std::chrono::seconds kMost_grace{1};
constexpr std::chrono::milliseconds kLook_again{250};

Error ending() {
  return error(ErrorKind::kCancelled, "the models are let go");
}

void log_placement(const std::string& name, const engine::DeviceStatus& status) {
  log_info("{}: offloaded {}/{} layers to GPU", name, status.layers_on_gpu(), status.layers.size());
  log_info("{}: {}", name, status.placement());
  if (const std::string warning = status.warning(); !warning.empty()) log_warn("{}: {}", name, warning);
}

}  // namespace

Resident& Fleet::Lease::operator*() const {
  return *entry_->resident;
}

Fleet::Fleet(const FleetOptions& options)
    : options_(options),
      leases_([](const std::string& card, uint64_t bytes) { card_book()->keep_free(card, bytes); }),
      keeper_([this] { work(); }) {}

Fleet::~Fleet() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  keeper_.join();
  leases_.end_all();
  for (const Ptr& entry : entries_) {
    for (const Waiting& one : entry->waiting) one.take(ending());
    if (entry->resident) entry->resident->engine.reset();  // with the final events, which give leases back
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return std::ranges::all_of(entries_, [](const Ptr& e) { return e->users == 0; }); });
}

const LoadWish* Fleet::kept_wish(const std::string& name) const {
  const auto found =
      std::ranges::find_if(kept_, [&](const auto& kept) { return same_ignoring_case(kept.first, name); });
  return found == kept_.end() ? nullptr : &found->second;
}

void Fleet::keep(store::ModelFiles found, const LoadWish& wish) {
  const std::string name = found.name;
  {
    const std::lock_guard lock(mutex_);
    kept_[name] = wish;
  }
  use(std::move(found), wish, -std::chrono::nanoseconds(1), [name](Result<std::shared_ptr<Lease>> lease) {
    if (!lease) log_error("{} is to be kept loaded and is not: {}", name, lease.error().message);
  });
}

Fleet::Ptr Fleet::find(const std::string& name) const {
  for (const Ptr& entry : entries_)
    if (!entry->retired && same_ignoring_case(entry->found.name, name)) return entry;
  return nullptr;
}

// Under the mutex.
void Fleet::retire(Entry& entry, const char* why) {
  if (!entry.retired && entry.resident && options_.let_go) options_.let_go(entry.found.name, why);
  entry.retired = true;
}

// One that does what `entry` does not.
Fleet::Ptr Fleet::replace(const Ptr& entry, store::ModelFiles found, const LoadWish& wish) {
  if (entry && !entry->resident && !entry->loading && entry->found.model == found.model) {
    if (wish.kv_type) entry->wish.kv_type = wish.kv_type;
    entry->wish.context = std::max(wanted_context(entry->found, entry->wish), wanted_context(found, wish));
    entry->found = std::move(found);
    return entry;
  }
  auto made = std::make_shared<Entry>();
  made->wish = wish;
  made->keep_alive = entry ? entry->keep_alive : options_.keep_alive;
  if (entry) {
    retire(*entry, "replaced");
    if (entry->resident && entry->found.model == found.model) made->context_before = entry->resident->context_tokens;
  }
  if (const LoadWish* kept = kept_wish(found.name)) {
    made->kept = true;
    made->keep_alive = -std::chrono::nanoseconds(1);
    if (!made->wish.parallel) made->wish.parallel = kept->parallel;
    if (!made->wish.kv_type) made->wish.kv_type = kept->kv_type;
  }
  made->found = std::move(found);
  entries_.push_back(made);
  return made;
}

void Fleet::use(store::ModelFiles found, const LoadWish& wish, std::optional<std::chrono::nanoseconds> keep_alive,
                Take take) {
  std::shared_ptr<Lease> lease;
  std::optional<Error> refusal;
  {
    const std::lock_guard lock(mutex_);
    Ptr entry = ends_ ? nullptr : find(found.name);
    const bool grows = entry && !fits(*entry, found, wish) && can_grow(*entry, found) && !other_cache(*entry, wish);
    if (ends_)
      refusal = ending();
    else if (!entry || (!grows && !fits(*entry, found, wish)))
      entry = replace(entry, std::move(found), wish);
    if (grows && entry->resident)
      entry->grows_to =
          std::max(entry->grows_to, within_training(*entry->resident, wanted_context(entry->found, wish)));
    if (entry && entry->resident && !grows && entry->too_large && wish.context.value_or(0) >= entry->too_large->context)
      refusal = entry->too_large->error;
    if (!refusal) {
      if (keep_alive && (!entry->kept || keep_alive->count() == 0)) entry->keep_alive = *keep_alive;
      entry->last_used = Clock::now();
      if (entry->resident && !grows) {
        ++entry->users;
        if (blocked_ != nullptr) ++loads_avoided_[entry->found.name];
        lease = std::make_shared<Lease>(*this, entry);
      } else if (entry->waiting.size() >= options_.queue) {
        refusal = error(ErrorKind::kBusy, "too many requests wait for {}", entry->found.name);
      } else {
        entry->waiting.push_back({std::move(take), wish.context, Clock::now()});
      }
    }
  }
  changed_.notify_all();
  if (lease) take(std::move(lease));
  if (refusal) take(*refusal);
}

void Fleet::refuse_overdue() {
  if (options_.load_wait.count() <= 0) return;
  std::vector<std::pair<std::string, Take>> overdue;
  {
    const std::lock_guard lock(mutex_);
    const Time since = Clock::now() - options_.load_wait;
    for (const Ptr& entry : entries_)
      std::erase_if(entry->waiting, [&](Waiting& one) {
        if (one.since > since) return false;
        overdue.emplace_back(entry->found.name, std::move(one.take));
        return true;
      });
    std::erase_if(entries_, [](const Ptr& entry) { return !entry->resident && entry->idle(); });
  }
  for (const auto& [name, take] : overdue)
    take(error(ErrorKind::kTimeout, "{} could not be loaded within {}; try again later", name,
               format_duration(options_.load_wait)));
}

void Fleet::give_back(Entry& entry) {
  {
    const std::lock_guard lock(mutex_);
    --entry.users;
    entry.last_used = Clock::now();
    changed_.notify_all();  // under the lock: the last one may be waited for by ~Fleet
  }
}

void Fleet::set_keep_alive(std::chrono::nanoseconds keep_alive) {
  const std::lock_guard lock(mutex_);
  options_.keep_alive = keep_alive;
}

bool Fleet::unload(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const Ptr entry = find(name);
    if (!entry) return false;
    entry->keep_alive = std::chrono::nanoseconds(0);
    if (entry->resident) retire(*entry, "asked");
  }
  changed_.notify_all();
  return true;
}

std::vector<RunningModel> Fleet::running() const {
  std::vector<RunningModel> list;
  const std::lock_guard lock(mutex_);
  for (const Ptr& entry : entries_) {
    if (!entry->resident) continue;
    const Resident& resident = *entry->resident;
    RunningModel model{resident.found,
                       resident.facts,
                       resident.file->file_bytes(),
                       resident.step_bytes,
                       resident.context_tokens,
                       resident.engine->devices(),
                       resident.engine->stats(),
                       resident.engine->broken(),
                       {}};
    if (resident.sight != nullptr) resident.sight->add_to(&model.devices);
    if (entry->keep_alive.count() >= 0) {
      const Clock::time_point now = Clock::now(), idle_since = entry->users > 0 ? now : entry->last_used;
      const auto left = idle_since + std::min(entry->keep_alive, kFor_ever) - now;
      model.expires = std::chrono::system_clock::now() + left;
    }
    list.push_back(std::move(model));
  }
  return list;
}

std::map<std::string, uint64_t> Fleet::loads_avoided() const {
  const std::lock_guard lock(mutex_);
  return loads_avoided_;
}

std::vector<std::string> Fleet::loading() const {
  std::vector<std::string> names;
  const std::lock_guard lock(mutex_);
  for (const Ptr& entry : entries_)
    if (!entry->resident) names.push_back(entry->found.name);
  return names;
}

Fleet::Ptr Fleet::next_to_load() const {
  for (const Ptr& entry : entries_)
    if (!entry->resident && !entry->waiting.empty()) return entry;
  return nullptr;
}

// When the next one expires, if any.
std::optional<Clock::time_point> Fleet::retire_expired() {
  std::optional<Clock::time_point> next;
  for (const Ptr& entry : entries_) {
    if (!entry->resident || entry->retired || entry->users > 0 || entry->keep_alive.count() < 0) continue;
    const auto at = entry->last_used + std::min(entry->keep_alive, kFor_ever);
    if (at <= Clock::now())
      retire(*entry, "idle");
    else
      next = next ? std::min(*next, at) : at;
  }
  return next;
}

// Whether its place goes to one that has waited for it since then.
bool Fleet::gives_place(const Entry& entry, Time since) const {
  if (entry.kept) return false;
  const Time now = Clock::now();
  const auto grace = std::min<std::chrono::nanoseconds>(entry.load_duration, kMost_grace);
  if (entry.users == 0 && now - entry.last_used >= grace) return true;
  const auto slice = options_.slice.count() > 0 ? options_.slice : kSlice_loads * entry.load_duration;
  return now - entry.loaded >= slice || now - since >= options_.most_wait;
}

// Lets one go that gives its place, of several the one that was used longest ago.
bool Fleet::retire_for(const Entry& wanted) {
  const Time since = wanted.waiting.empty() ? Clock::now() : wanted.waiting.front().since;
  Ptr oldest;
  for (const Ptr& entry : entries_) {
    if (!entry->resident || entry->retired || !gives_place(*entry, since)) continue;
    const auto age = [](const Entry& e) { return std::pair(e.users > 0, e.last_used); };
    if (!oldest || age(*entry) < age(*oldest)) oldest = entry;
  }
  blocked_ = oldest ? nullptr : &wanted;
  if (!oldest) return false;
  log_info("{} is let go: {} needs the room", oldest->found.name, wanted.found.name);
  retire(*oldest, "room");
  return true;
}

bool Fleet::somebody_leaves() const {
  return std::ranges::any_of(entries_, [](const Ptr& e) { return e->resident && e->retired; });
}

void Fleet::remove_retired(std::unique_lock<std::mutex>& lock) {
  std::vector<Ptr> gone;
  std::erase_if(entries_, [&](const Ptr& entry) {
    const bool goes = entry->retired && entry->idle();
    if (goes) gone.push_back(entry);
    return goes;
  });
  if (gone.empty()) return;
  lock.unlock();
  for (const Ptr& entry : gone) {
    if (!entry->resident) continue;
    entry->resident.reset();
    log_info("{} is unloaded", entry->found.name);
  }
  lock.lock();
}

void Fleet::work() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    auto next = retire_expired();
    if (make_room_on_gpus()) next = std::min(next.value_or(Time::max()), Clock::now() + kLook_again);
    remove_retired(lock);
    look_at_leases(lock);
    const auto holds = [](const Ptr& entry) { return entry->resident != nullptr; };
    if (!leases_.empty() || std::ranges::any_of(entries_, holds))
      next = std::min(next.value_or(Time::max()), leases_seen_ + kLook_at_leases);
    if (!ends_ && grow_one(lock)) continue;
    const Ptr entry = ends_ ? nullptr : next_to_load();
    if (entry) {
      load(lock, entry);
      continue;
    }
    if (ends_) return;
    // What came while the lock was open would be missed: looked at again before any sleep.
    const auto idle = [this] {
      if (ends_ || next_to_load() || next_to_grow()) return false;
      return std::ranges::none_of(entries_, [](const Ptr& e) { return e->retired && e->idle(); });
    };
    if (!idle()) continue;
    if (next)
      changed_.wait_until(lock, *next);
    else
      changed_.wait(lock);
  }
}

// One that is replaced by `entry`, or too many: waits until there is room.
void Fleet::load(std::unique_lock<std::mutex>& lock, const Ptr& entry) {
  const auto others = [&] {
    return std::ranges::count_if(entries_, [](const Ptr& e) { return e->resident != nullptr && !e->kept; });
  };
  const auto replaced = [&] {
    return std::ranges::any_of(entries_, [&](const Ptr& e) {
      return e->retired && e->resident && same_ignoring_case(e->found.name, entry->found.name);
    });
  };
  const auto too_many = [&] { return !entry->kept && others() >= static_cast<ptrdiff_t>(options_.most_models); };
  while (!ends_ && !entry->waiting.empty() && (replaced() || too_many())) {
    if (!somebody_leaves() && too_many()) retire_for(*entry);
    const size_t before = entries_.size();
    remove_retired(lock);
    if (entries_.size() != before || ends_ || grow_one(lock)) continue;
    changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
  blocked_ = nullptr;
  if (ends_ || entry->waiting.empty()) return;
  Result<std::unique_ptr<Resident>> loaded = ending();
  const char* const why = entry->context_before != 0 ? "again" : "request";
  const Time begun = Clock::now();
  do {
    const Entry wanted{.found = entry->found, .wish = entry->wish};
    entry->loading = true;
    const Time start = Clock::now();
    lock.unlock();
    loaded = try_load(wanted);
    lock.lock();
    entry->loading = false;
    entry->loaded = Clock::now();
    entry->load_duration = entry->loaded - start;
    if (loaded || loaded.error().kind != ErrorKind::kNoMemory) break;
  } while (make_room(lock, *entry) || go_back(lock, *entry, loaded.error()));
  if (options_.loaded) options_.loaded(entry->found.name, loaded ? why : "failed", Clock::now() - begun);
  if (!loaded) {
    log_error("{} cannot be loaded: {}", entry->found.name, loaded.error().message);
    entries_.remove(entry);
    return refuse(lock, std::exchange(entry->waiting, {}), loaded.error());
  }
  entry->resident = std::move(loaded).value();
  tell_of_shortage(*entry);
  hand_over(lock, entry);
}

// To all who wait, but for those who need a larger context than there is: it grows for them.
void Fleet::hand_over(std::unique_lock<std::mutex>& lock, const Ptr& entry) {
  std::vector<Waiting> waiting;
  entry->grows_to = 0;
  std::erase_if(entry->waiting, [&](Waiting& one) {
    const uint32_t needed = needed_context(*entry, one);
    if (needed > entry->resident->context_tokens) {
      entry->grows_to = std::max(entry->grows_to, needed);
      return false;
    }
    waiting.push_back(std::move(one));
    return true;
  });
  entry->users += static_cast<uint32_t>(waiting.size());
  entry->last_used = Clock::now();
  std::vector<std::shared_ptr<Lease>> leases;
  for (size_t i = 0; i < waiting.size(); ++i) leases.push_back(std::make_shared<Lease>(*this, entry));
  lock.unlock();
  for (size_t i = 0; i < waiting.size(); ++i) waiting[i].take(std::move(leases[i]));
  waiting.clear();
  lock.lock();
}

// Whether another model has gone, so that `entry` can be tried again. What is in use is waited for.
bool Fleet::make_room(std::unique_lock<std::mutex>& lock, const Entry& entry) {
  const auto others = [&] {
    return std::ranges::count_if(entries_, [](const Ptr& e) { return e->resident != nullptr && !e->kept; });
  };
  const ptrdiff_t before = others();
  while (!ends_ && others() == before && before > 0 && !entry.waiting.empty()) {
    if (!somebody_leaves()) retire_for(entry);
    remove_retired(lock);
    if (others() == before && !grow_one(lock)) changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
  blocked_ = nullptr;
  return !ends_ && others() < before && !entry.waiting.empty();
}

void Fleet::refuse(std::unique_lock<std::mutex>& lock, std::vector<Waiting> waiting, const Error& error) {
  lock.unlock();
  for (const Waiting& one : waiting) one.take(error);
  waiting.clear();
  lock.lock();
}

// Where models that were used before another keep a part of that from the GPU they go once nobody uses them, and its
// layers follow. Whether one may go later.
bool Fleet::make_room_on_gpus() {
  if (entries_.size() < 2) return false;  // nearly always, and this is asked with every request
  bool later = false;
  for (const Ptr& wants : entries_) {
    if (!wants->resident || wants->retired) continue;
    const engine::DeviceStatus status = wants->resident->engine->devices();
    if (!status.gpu_wanted || status.wholly_on_gpu()) continue;
    for (const Ptr& entry : entries_) {
      if (!entry->resident || entry->retired || entry->kept || entry->last_used >= wants->last_used) continue;
      if (entry->resident->engine->devices().gpu_bytes() == 0) continue;
      if (entry->users > 0 || !gives_place(*entry, Clock::now())) {
        later = true;
        continue;
      }
      log_info("{} is let go: {} needs the GPU", entry->found.name, wants->found.name);
      retire(*entry, "gpu");
    }
  }
  return later;
}

void Fleet::tell_of_shortage(const Entry& loaded) {
  const engine::DeviceStatus status = loaded.resident->engine->devices();
  if (!options_.short_of_gpu || !status.gpu_wanted || status.wholly_on_gpu()) return;
  // What was given to others is not asked back from others: two servers that did would never come to rest.
  if (!leases_.list().empty()) return;
  GpuShortage shortage{loaded.found.name, -1, 0, [this, name = loaded.found.name] { take_free(name); }};
  for (const engine::DeviceStatus::Device& device : status.devices) {
    if (device.gpu && shortage.ordinal < 0) shortage.ordinal = device.ordinal;
    if (!device.gpu) shortage.bytes += device.memory.total();
  }
  if (shortage.ordinal >= 0) options_.short_of_gpu(shortage);
}

void Fleet::take_free(const std::string& name) {
  std::shared_ptr<Lease> user;
  {
    const std::lock_guard lock(mutex_);
    const Ptr entry = find(name);
    if (entry == nullptr || !entry->resident) return;  // it has gone
    ++entry->users;
    user = std::make_shared<Lease>(*this, entry);
  }
  if (const Status moved = (*user)->engine->take_free(); !moved)
    log_warn("{}: layers could not move: {}", name, moved.error().message);
}

Result<std::unique_ptr<Resident>> Fleet::try_load(const Entry& entry) const {
  const std::string& name = entry.found.name;
  ModelOptions options = options_.model;
  const uint32_t parallel = entry.wish.parallel.value_or(options_.parallel);
  models::LoadOptions load = answer_load_options(parallel);
  // No model gets more than it was trained for, whoever wishes it.
  load.context = wanted_context(entry.found, entry.wish);
  options.context = 0;
  if (entry.wish.gpu_layers == 0) options.gpu = GpuPolicy::kOff;
  if (entry.wish.threads) options.threads = *entry.wish.threads;
  if (entry.wish.kv_type) options.kv_type = *entry.wish.kv_type;
  LoadObserver observer;
  observer.note = [name](const std::string& text) { log_info("{}: {}", name, text); };
  observer.start = [name](const std::string& what) { log_info("{}: {}", name, what); };
  const engine::EngineOptions engine_options{.max_sequences = parallel, .queue = options_.queue};
  ASSIGN_OR_RETURN(std::unique_ptr<Resident> resident,
                   Resident::start(entry.found, options, load, engine_options, observer));
  for (const std::string& note : resident->chat->notes()) log_info("{}: {}", name, note);
  if (const auto& ignored = resident->ignored_parameters; !ignored.empty())
    log_warn("{}: parameters that come with it are ignored: {}", name, fmt::join(ignored, ", "));
  log_placement(name, resident->engine->devices());
  log_info("{} is loaded in {:.2f} seconds, with a context of {} tokens for each of {} answers", name,
           std::chrono::duration<double>(resident->load_duration).count(), resident->load.context, parallel);
  return resident;
}

}  // namespace hearth::fleet
