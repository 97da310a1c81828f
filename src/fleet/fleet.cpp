#include "fleet/fleet.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace hearth::fleet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::nanoseconds kFor_ever{std::chrono::hours(24 * 365 * 100)};

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

Fleet::Fleet(const FleetOptions& options) : options_(options), keeper_([this] { work(); }) {}

Fleet::~Fleet() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  keeper_.join();
  for (const Ptr& entry : entries_) {
    for (const Take& take : entry->waiting) take(ending());
    if (entry->resident) entry->resident->engine.reset();  // with the final events, which give leases back
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return std::ranges::all_of(entries_, [](const Ptr& e) { return e->users == 0; }); });
}

Fleet::Ptr Fleet::find(const std::string& name) const {
  for (const Ptr& entry : entries_)
    if (!entry->retired && same_ignoring_case(entry->found.name, name)) return entry;
  return nullptr;
}

// Whether requests can be answered by what is loaded, or about to be.
bool Fleet::fits(const Entry& entry, const store::ModelFiles& found, const LoadWish& wish) const {
  if (entry.found.model != found.model || entry.found.template_text != found.template_text) return false;
  if (!wish.context) return true;
  if (!entry.resident) return entry.wish.context.value_or(kDefaultContext_tokens) >= *wish.context;
  const uint32_t most = entry.resident->spec.context;
  return entry.resident->load.context >= (most > 0 ? std::min(*wish.context, most) : *wish.context);
}

void Fleet::use(store::ModelFiles found, const LoadWish& wish, std::optional<std::chrono::nanoseconds> keep_alive,
                Take take) {
  std::shared_ptr<Lease> lease;
  std::optional<Error> refusal;
  {
    const std::lock_guard lock(mutex_);
    Ptr entry = find(found.name);
    if (entry && !fits(*entry, found, wish)) {
      entry->retired = entry->resident != nullptr || entry->waiting.empty();
      if (!entry->retired) entry->wish.context = std::max(wish.context, entry->wish.context);
    }
    if (ends_) {
      refusal = ending();
    } else if (!entry || entry->retired) {
      entry = std::make_shared<Entry>();
      entry->found = std::move(found);
      entry->wish = wish;
      entry->keep_alive = options_.keep_alive;
      entries_.push_back(entry);
    }
    if (!refusal) {
      if (keep_alive) entry->keep_alive = *keep_alive;
      entry->last_used = Clock::now();
      if (entry->resident) {
        ++entry->users;
        lease = std::make_shared<Lease>(*this, entry);
      } else if (entry->waiting.size() >= options_.queue) {
        refusal = error(ErrorKind::kBusy, "too many requests wait for {}", entry->found.name);
      } else {
        entry->waiting.push_back(std::move(take));
      }
    }
  }
  changed_.notify_all();
  if (lease) take(std::move(lease));
  if (refusal) take(*refusal);
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
    if (entry->resident) entry->retired = true;
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
                       resident.load.context,
                       resident.engine->devices(),
                       resident.engine->stats(),
                       resident.engine->broken(),
                       {}};
    if (entry->keep_alive.count() >= 0) {
      const Clock::time_point now = Clock::now(), idle_since = entry->users > 0 ? now : entry->last_used;
      const auto left = idle_since + std::min(entry->keep_alive, kFor_ever) - now;
      model.expires = std::chrono::system_clock::now() + left;
    }
    list.push_back(std::move(model));
  }
  return list;
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
      entry->retired = true;
    else
      next = next ? std::min(*next, at) : at;
  }
  return next;
}

bool Fleet::retire_oldest_idle() {
  Ptr oldest;
  for (const Ptr& entry : entries_) {
    if (!entry->resident || entry->retired || entry->users > 0) continue;
    if (!oldest || entry->last_used < oldest->last_used) oldest = entry;
  }
  if (!oldest) return false;
  log_info("{} is let go: another model needs the room", oldest->found.name);
  oldest->retired = true;
  return true;
}

void Fleet::remove_retired(std::unique_lock<std::mutex>& lock) {
  std::vector<Ptr> gone;
  std::erase_if(entries_, [&](const Ptr& entry) {
    const bool goes = entry->retired && entry->users == 0;
    if (goes) gone.push_back(entry);
    return goes;
  });
  if (gone.empty()) return;
  lock.unlock();
  for (const Ptr& entry : gone) {
    entry->resident.reset();
    log_info("{} is unloaded", entry->found.name);
  }
  lock.lock();
}

void Fleet::work() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    const auto next = retire_expired();
    remove_retired(lock);
    const Ptr entry = ends_ ? nullptr : next_to_load();
    if (entry) {
      load(lock, entry);
      continue;
    }
    if (ends_) return;
    // What came while the lock was open would be missed: looked at again before any sleep.
    const auto idle = [this] {
      if (ends_ || next_to_load()) return false;
      return std::ranges::none_of(entries_, [](const Ptr& e) { return e->retired && e->users == 0; });
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
    return std::ranges::count_if(entries_, [](const Ptr& e) { return e->resident != nullptr; });
  };
  const auto replaced = [&] {
    return std::ranges::any_of(entries_, [&](const Ptr& e) {
      return e->retired && e->resident && same_ignoring_case(e->found.name, entry->found.name);
    });
  };
  while (!ends_ && (replaced() || others() >= static_cast<ptrdiff_t>(options_.most_models))) {
    if (others() >= static_cast<ptrdiff_t>(options_.most_models)) retire_oldest_idle();
    const size_t before = entries_.size();
    remove_retired(lock);
    if (entries_.size() != before || ends_) continue;
    changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
  if (ends_) return;
  Result<std::unique_ptr<Resident>> loaded = ending();
  while (true) {
    const Entry wanted{.found = entry->found, .wish = entry->wish};
    lock.unlock();
    loaded = try_load(wanted);
    lock.lock();
    const bool full = !loaded && loaded.error().kind == ErrorKind::kNoMemory;
    if (!full || ends_ || !retire_oldest_idle()) break;
    remove_retired(lock);
  }
  std::vector<Take> waiting = std::exchange(entry->waiting, {});
  if (!loaded) {
    entries_.remove(entry);
    lock.unlock();
    log_error("{} cannot be loaded: {}", entry->found.name, loaded.error().message);
    for (const Take& take : waiting) take(loaded.error());
    lock.lock();
    return;
  }
  entry->resident = std::move(loaded).value();
  entry->users = static_cast<uint32_t>(waiting.size());
  entry->last_used = Clock::now();
  make_room_on_gpus(*entry);
  std::vector<std::shared_ptr<Lease>> leases;
  for (size_t i = 0; i < waiting.size(); ++i) leases.push_back(std::make_shared<Lease>(*this, entry));
  lock.unlock();
  for (size_t i = 0; i < waiting.size(); ++i) waiting[i](std::move(leases[i]));
  waiting.clear();
  lock.lock();
}

// Where idle models keep a part of it from the GPU they go, and its layers follow.
void Fleet::make_room_on_gpus(const Entry& loaded) {
  const engine::DeviceStatus status = loaded.resident->engine->devices();
  if (!status.gpu_wanted || status.wholly_on_gpu()) return;
  for (const Ptr& entry : entries_) {
    if (entry.get() == &loaded || !entry->resident || entry->retired || entry->users > 0) continue;
    if (entry->resident->engine->devices().gpu_bytes() == 0) continue;
    log_info("{} is let go: {} needs the GPU", entry->found.name, loaded.found.name);
    entry->retired = true;
  }
}

Result<std::unique_ptr<Resident>> Fleet::try_load(const Entry& entry) const {
  const std::string& name = entry.found.name;
  ModelOptions options = options_.model;
  models::LoadOptions load = answer_load_options(options_.parallel);
  // What a request wishes counts before the default, but no model gets more than it was trained for.
  if (entry.wish.context) {
    load.context = *entry.wish.context;
    options.context = 0;
  }
  if (entry.wish.gpu_layers == 0) options.gpu = GpuPolicy::kOff;
  if (entry.wish.threads) options.threads = *entry.wish.threads;
  LoadObserver observer;
  observer.note = [name](const std::string& text) { log_info("{}: {}", name, text); };
  observer.start = [name](const std::string& what) { log_info("{}: {}", name, what); };
  const engine::EngineOptions engine_options{.max_sequences = options_.parallel, .queue = options_.queue};
  ASSIGN_OR_RETURN(std::unique_ptr<Resident> resident,
                   Resident::start(entry.found, options, load, engine_options, observer));
  for (const std::string& note : resident->chat->notes()) log_info("{}: {}", name, note);
  if (const auto& ignored = resident->ignored_parameters; !ignored.empty())
    log_warn("{}: parameters that come with it are ignored: {}", name, fmt::join(ignored, ", "));
  log_placement(name, resident->engine->devices());
  log_info("{} is loaded in {:.2f} seconds, with a context of {} tokens for each of {} answers", name,
           std::chrono::duration<double>(resident->load_duration).count(), resident->load.context, options_.parallel);
  return resident;
}

}  // namespace hearth::fleet
