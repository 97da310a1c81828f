#include "engine/placed_model.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "models/measure.h"
#include "placement/gpus.h"

namespace hearth::engine {
namespace {

// More than this between promised and taken bytes is a mistake of ours, or somebody else took memory meanwhile.
constexpr uint64_t kMostDifference_percent = 1;

using Clock = std::chrono::steady_clock;

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

uint64_t difference(uint64_t a, uint64_t b) {
  return a > b ? a - b : b - a;
}

// For a model that is not wholly on GPUs, when nobody knows better.
Cause too_little_memory(std::span<const placement::DeviceState> states) {
  std::string room;
  for (const placement::DeviceState& state : states)
    if (!state.host)
      room += fmt::format(
          "{}{} has {} free{}", room.empty() ? "" : ", ", state.name, size_text(state.free),
          state.kept == 0 ? "" : fmt::format(", {} of it promised to other programs", size_text(state.kept)));
  return {"gpu-memory-full", {{"room", room}}};
}

// There is no model after a loss that could not be mended.
Status check_loaded(const models::Model* model) {
  if (model != nullptr) return {};
  return error(ErrorKind::kDeviceLost, "the model is on no device since one was lost");
}

// Whether the device is lost, maybe by the fault of another model on the same card: every call would say so.
Status check_there(device::Device& device) {
  return device.upload({}, nullptr);
}

DeviceStatus::Device describe_device(const device::Device& device) {
  const device::Facts facts = device.facts();
  return {.name = facts.name,
          .gpu = !device.reads_host_memory(),
          .bandwidth_bytes_per_s = facts.bandwidth_bytes_per_s,
          .ordinal = facts.ordinal,
          .id = facts.id};
}

std::string names_of_gpus(const std::vector<std::unique_ptr<device::Device>>& devices) {
  std::string names;
  for (const auto& device : devices)
    if (!device->reads_host_memory()) names += (names.empty() ? "" : " and ") + device->facts().name;
  return names;
}

}  // namespace

placement::DeviceState state_of(const device::Device& device) {
  const device::Facts facts = device.facts();
  const bool host = device.reads_host_memory();
  return {.name = facts.name,
          .host = host,
          .total = facts.memory_bytes,
          .free = device.free_bytes(),
          .reserve = host ? 0 : placement::reserve_on(facts.memory_bytes),
          .granularity = facts.granularity_bytes,
          .bandwidth = facts.bandwidth_bytes_per_s,
          .ordinal = facts.ordinal,
          .id = facts.id};
}

Result<std::unique_ptr<PlacedModel>> PlacedModel::load(std::shared_ptr<const gguf::File> file,
                                                       std::vector<DeviceFactory> factories, PlacedOptions options) {
  CHECK(!factories.empty());
  std::unique_ptr<PlacedModel> placed(new PlacedModel(std::move(file), std::move(factories), std::move(options)));
  TRY(placed->open());
  return placed;
}

device::Device& PlacedModel::main_device() const {
  std::vector<size_t> counts(devices_.size());
  for (const placement::LayerDevices& on : model_->arrangement().layers) ++counts[on.layer];
  const auto most = std::ranges::max_element(counts) - counts.begin();
  return *devices_[static_cast<size_t>(most)];
}

std::vector<placement::DeviceState> PlacedModel::states() const {
  std::vector<placement::DeviceState> states;
  for (const auto& device : devices_) states.push_back(state_with_reserve(*device));
  return states;
}

placement::DeviceState PlacedModel::state_with_reserve(const device::Device& device) const {
  placement::DeviceState state = state_of(device);
  state.reserve = std::min(options_.reserve_bytes, state.reserve);
  if (!state.host) state.kept = book_->kept_free(state.id);
  return state;
}

DeviceStatus PlacedModel::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

// A GPU that cannot be opened is left out where another one can be, or where it only lacks memory: the host holds the
// model then.
Status PlacedModel::open_devices() {
  move_.reset();
  model_.reset();
  devices_.clear();
  left_out_ = {};
  opened_.clear();
  spares_.forget();
  std::optional<Error> failure;
  for (size_t i = 0; i + 1 < factories_.size(); ++i) {
    auto gpu = factories_[i]();
    if (gpu) {
      devices_.push_back(std::move(*gpu));
      opened_.push_back(i);
      continue;
    }
    spares_.add(i);
    if (!failure || failure->kind == ErrorKind::kNoMemory) failure = gpu.error();
  }
  if (failure && devices_.empty() && failure->kind != ErrorKind::kNoMemory) return *failure;
  if (failure) {
    left_out_ = cause_of(*failure);
    log_warn("a GPU is not used: {}", failure->message);
  }
  ASSIGN_OR_RETURN(devices_.emplace_back(), factories_.back()());
  return {};
}

std::vector<placement::DeviceState> PlacedModel::states_for(int attempt) const {
  std::vector<placement::DeviceState> result = states();
  if (attempt < kPlansWithAllFree) return result;
  const int halvings = attempt - kPlansWithAllFree + 1;
  for (placement::DeviceState& state : result)
    if (!state.host) state.free = halvings > kSmallerPlans ? 0 : state.reserve + (state.budget() >> halvings);
  return result;
}

Result<std::vector<placement::ModelSizes>> PlacedModel::measure() const {
  ASSIGN_OR_RETURN(const models::LoadPlan load_plan, models::plan_load(*file_, options_.load));
  std::vector<placement::ModelSizes> sizes;
  for (const auto& device : devices_) {
    ASSIGN_OR_RETURN(sizes.emplace_back(), models::measure(*file_, load_plan, *device));
  }
  return sizes;
}

Result<Cause> PlacedModel::make_plan(int attempt) {
  ASSIGN_OR_RETURN(std::vector<placement::ModelSizes> sizes, measure());
  plan_ = placement::plan(sizes, states_for(attempt), options_.rebalance.plan);
  // A context takes memory of its GPU, for nothing where the plan does without.
  for (size_t i = devices_.size() - 1; plan_.whole() && i-- > 0;) {
    if (plan_.shares[i].used()) continue;
    devices_.erase(devices_.begin() + static_cast<ptrdiff_t>(i));
    spares_.add(opened_[i]);
    opened_.erase(opened_.begin() + static_cast<ptrdiff_t>(i));
    sizes.erase(sizes.begin() + static_cast<ptrdiff_t>(i));
  }
  const std::vector<placement::DeviceState> now = states_for(attempt);
  plan_ = placement::plan(sizes, now, options_.rebalance.plan);
  if (options_.review) return options_.review({plan_, sizes, now, *devices_.back(), options_.load});
  if (plan_.whole() || devices_.size() == 1) return Cause();
  return too_little_memory(now);
}

Status PlacedModel::load_planned() {
  std::vector<device::Device*> pointers;
  for (const auto& device : devices_) pointers.push_back(device.get());
  ASSIGN_OR_RETURN(model_, models::Model::load(file_, pointers, plan_, options_.load));
  return {};
}

// What a load that failed has left on the GPUs beside its buffers.
void PlacedModel::give_up_scratch() {
  for (const auto& device : devices_)
    if (!device->reads_host_memory()) (void)device->reserve({});  // fails only if lost, which its next use will tell
}

// What was lost goes first: others may wait for it, who load, and whose end is waited for here.
Status PlacedModel::open() {
  spares_.forget();
  move_.reset();
  model_.reset();
  devices_.clear();
  book_->begin_load(id_);
  const Status opened = open_and_load();
  if (opened) look(states());  // others reckon with it from now on
  book_->end(id_);
  return opened;
}

Status PlacedModel::open_and_load() {
  const int last = options_.moves ? kPlansWithAllFree + kSmallerPlans : kPlansWithAllFree - 1;
  std::optional<Error> failure;
  for (int attempt = 0;; ++attempt) {
    if (devices_.size() < factories_.size() || attempt == 0) TRY(open_devices());
    ASSIGN_OR_RETURN(Cause cause, make_plan(attempt));
    const std::vector<uint64_t> before = free_bytes();
    const Status loaded = load_planned();
    if (loaded) {
      if (attempt >= kPlansWithAllFree) {  // less than is free: what is free could not be had
        cause = {"gpu-memory-not-to-be-had", {{"error", failure->what()}}};
        rebalancer_.hold(now_ms());
      }
      describe(cause.empty() ? left_out_ : cause, before);
      return {};
    }
    if (loaded.error().kind != ErrorKind::kNoMemory || attempt == last || factories_.size() == 1) return loaded;
    failure = loaded.error();
    log_info("the model did not load as planned, and is planned again: {}", failure->message);
    give_up_scratch();
  }
}

std::vector<uint64_t> PlacedModel::free_bytes() const {
  std::vector<uint64_t> bytes;
  for (const auto& device : devices_) bytes.push_back(device->free_bytes());
  return bytes;
}

void PlacedModel::describe(const Cause& cause, const std::vector<uint64_t>& free_before) {
  const std::vector<uint64_t> free_after = free_bytes();
  DeviceStatus status;
  status.gpu_wanted = options_.gpu_wanted;
  for (size_t i = 0; i < devices_.size(); ++i) {
    const device::Facts facts = devices_[i]->facts();
    DeviceStatus::Device& on = status.devices.emplace_back(describe_device(*devices_[i]));
    // What is free to the host says little: files that are mapped are in no one's way.
    if (!on.gpu || !plan_.shares[i].used() || free_after[i] == 0 || free_after[i] > free_before[i]) continue;
    on.promised_bytes = plan_.shares[i].total();
    on.taken_bytes = free_before[i] - free_after[i];
    const uint64_t most = std::max(on.promised_bytes * kMostDifference_percent / 100, facts.granularity_bytes);
    if (difference(on.promised_bytes, on.taken_bytes) > most)
      log_warn(
          "{}: the plan promised {} bytes, {} bytes were taken, {} of them by the model; the rest was another "
          "program's, or this is a mistake of hearth",
          on.name, on.promised_bytes, on.taken_bytes, devices_[i]->allocated_bytes());
  }
  describe_layers(status);
  if (!status.wholly_on_gpu() && options_.gpu_wanted) status.cause = cause;
  const std::lock_guard lock(mutex_);
  status.changes = status_.changes;
  status.last_change = status_.last_change;
  status.recovery = status_.recovery;
  status_ = std::move(status);
}

void PlacedModel::describe_layers(DeviceStatus& status) const {
  const placement::Arrangement& arrangement = model_->arrangement();
  status.layers.clear();
  status.experts.clear();
  bool apart = false;
  for (const placement::LayerDevices& on : arrangement.layers) {
    status.layers.push_back(on.layer);
    status.experts.push_back(on.experts);
    apart |= on.layer != on.experts;
  }
  if (!apart) status.experts.clear();
  status.layers.push_back(arrangement.output);
  const std::vector<placement::Share> shares = placement::shares_of(arrangement, model_->sizes());
  for (size_t i = 0; i < shares.size(); ++i)
    status.devices[i].memory = {shares[i].weights, shares[i].cache, shares[i].workspace};
}

// The model is nowhere now, whatever was opened or loaded before it failed.
void PlacedModel::describe_loss(const Error& error) {
  model_.reset();
  const std::lock_guard lock(mutex_);
  status_.layers.clear();
  status_.experts.clear();
  for (DeviceStatus::Device& device : status_.devices) device.memory = {};
  status_.cause = cause_of(error);
}

void PlacedModel::announce(const std::string& what, bool good) {
  ++status_.changes;
  status_.last_change = fmt::format("{}: {}", what, status_.placement());
  log_line(good ? LogLevel::kInfo : LogLevel::kWarn, status_.last_change);
}

Status PlacedModel::recover() {
  const Clock::time_point start = Clock::now();
  const std::string lost = names_of_gpus(devices_);
  if (Status opened = open(); !opened) {
    describe_loss(opened.error());
    return opened;
  }
  const std::chrono::nanoseconds duration = Clock::now() - start;
  const std::lock_guard lock(mutex_);
  status_.recovery = duration;
  announce(fmt::format("{} was lost and made anew in {:.2f} s", lost, std::chrono::duration<double>(duration).count()),
           false);
  return {};
}

void PlacedModel::look(std::span<const placement::DeviceState> states) {
  const std::vector<placement::Share> shares = placement::shares_of(model_->arrangement(), model_->sizes(), states);
  std::map<std::string, uint64_t> taken;
  for (size_t i = 0; i < states.size(); ++i)
    if (!states[i].host) taken[states[i].id] += shares[i].used() ? shares[i].total() : 0;
  book_->look(id_, std::move(taken), computed_ns_, now_ms());
}

Status PlacedModel::look_for_another_gpu() {
  const bool wanted = !status().wholly_on_gpu();
  if (!wanted && !spares_.looking()) return {};
  ASSIGN_OR_RETURN(std::unique_ptr<device::Device> gpu, spares_.look(now_ms()));
  if (gpu == nullptr) return {};
  const Result<bool> helps = wanted ? would_help(*gpu) : false;
  if (!helps || !*helps) {
    spares_.close(std::move(gpu));
    return helps ? Status() : helps.error();
  }
  TRY(take(std::move(gpu)));
  opened_.push_back(spares_.taken());
  return {};
}

// As the rebalancer will decide when it has seen the same for long enough.
Result<bool> PlacedModel::would_help(const device::Device& gpu) const {
  const size_t index = devices_.size() - 1;
  std::vector<placement::ModelSizes> sizes = model_->sizes();
  std::vector<placement::DeviceState> now = states();
  const std::vector<placement::Share> taken = placement::shares_of(model_->arrangement(), sizes, now);
  for (size_t i = 0; i < now.size(); ++i) now[i].free += taken[i].total();
  const auto at = static_cast<ptrdiff_t>(index);
  ASSIGN_OR_RETURN(const models::LoadPlan load_plan, models::plan_load(*file_, options_.load));
  ASSIGN_OR_RETURN(placement::ModelSizes there, models::measure(*file_, load_plan, gpu));
  sizes.insert(sizes.begin() + at, std::move(there));
  now.insert(now.begin() + at, state_with_reserve(gpu));
  for (size_t i = 0; i <= index; ++i) {
    const uint64_t margin = std::min(options_.rebalance.grow_margin_bytes, placement::grow_margin_on(now[i].total));
    now[i].free -= std::min(now[i].free, margin);
  }
  return placement::plan(sizes, now, options_.rebalance.plan).shares[index].used();
}

// Before the host, as all GPUs.
Status PlacedModel::take(std::unique_ptr<device::Device> gpu) {
  const auto index = static_cast<uint32_t>(devices_.size() - 1);
  TRY(model_->add_device(index, *gpu));
  log_info("{} has room for layers", gpu->facts().name);
  const std::lock_guard lock(mutex_);
  status_.devices.insert(status_.devices.begin() + index, describe_device(*gpu));
  devices_.insert(devices_.begin() + index, std::move(gpu));
  describe_layers(status_);
  return {};
}

std::optional<placement::Arrangement> PlacedModel::decide(uint64_t give_back_bytes, bool made_free) {
  const std::vector<placement::DeviceState> now = states();
  placement::Observation seen{
      .now_ms = now_ms(), .free_bytes = {}, .give_back_bytes = give_back_bytes, .made_free = made_free};
  look(now);
  for (const placement::DeviceState& state : now) {
    // Where another one gives way it is as if the reserve were there, and no more than that.
    const uint64_t wanted = state.reserve + state.kept;
    const bool waits = !state.host && state.free < wanted && !book_->gives_first(id_, state.id, seen.now_ms);
    seen.free_bytes.push_back(waits ? wanted : state.free);
  }
  auto target = rebalancer_.decide(model_->arrangement(), model_->sizes(), now, seen);
  if (target && !agreed(*target, seen)) return std::nullopt;
  return target;
}

bool PlacedModel::agreed(const placement::Arrangement& target, const placement::Observation& seen) {
  const std::vector<placement::DeviceState> devices = states();
  const std::vector<placement::Share> before = placement::shares_of(model_->arrangement(), model_->sizes(), devices),
                                      after = placement::shares_of(target, model_->sizes(), devices);
  CardBook::Cards grows, gives;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].host) continue;
    if (after[i].total() > before[i].total()) grows.insert(devices[i].id);
    if (after[i].total() < before[i].total()) gives.insert(devices[i].id);
  }
  if (!grows.empty()) return book_->begin_growth(id_, grows, seen.now_ms, seen.made_free);
  book_->gave_way(gives, seen.now_ms, options_.rebalance.hold_ms);
  return true;
}

Status PlacedModel::give_back(uint64_t bytes) {
  TRY(check_loaded(model_.get()));
  const auto target = decide(bytes);
  spares_.not_before(now_ms() + options_.rebalance.hold_ms);  // a context takes memory too
  const Status moved = target ? move(*target, "memory was given back") : Status();
  book_->end(id_);
  return moved;
}

Status PlacedModel::take_free() {
  TRY(check_loaded(model_.get()));
  const auto target = decide(0, true);
  const Status moved = target ? move(*target, "memory was made free") : Status();
  book_->end(id_);
  return moved;
}

Status PlacedModel::grow(uint32_t context, uint32_t pages) {
  TRY(check_loaded(model_.get()));
  std::vector<uint64_t> room;
  for (const placement::DeviceState& state : states()) room.push_back(state.budget());
  TRY(model_->grow(context, pages, room));
  options_.load.context = context;  // so it is made anew after a loss
  options_.load.pages = pages;
  look(states());
  const std::lock_guard lock(mutex_);
  describe_layers(status_);
  return {};
}

Result<bool> PlacedModel::maintain() {
  if (model_ == nullptr) return false;  // the engine has told why
  for (const auto& device : devices_) TRY(check_there(*device));
  if (!options_.moves) return false;
  if (!move_) {
    if (const Status looked = look_for_another_gpu(); !looked)
      log_info("a GPU is not used: {}", looked.error().message);
    auto target = decide(0);
    if (!target) return false;
    move_ = begin_move(std::move(*target), "other programs need memory");
  } else {
    look(states());
  }
  const Result<bool> more = advance();
  if (!more && more.error().kind == ErrorKind::kDeviceLost) return more;
  const std::string failure = more ? "" : more.error().message;
  if (!failure.empty() && failure != last_failure_) log_warn("layers could not move: {}", failure);
  last_failure_ = failure;
  return more && *more;
}

Result<bool> PlacedModel::advance() {
  const auto host = static_cast<uint32_t>(devices_.size() - 1);
  const placement::Arrangement before = model_->arrangement();
  const Status moved = model_->rearrange(placement::one_move(before, move_->target, model_->sizes()[0].layers, host));
  const bool changed = !(model_->arrangement() == before);
  const bool ended = !moved || !changed || model_->arrangement() == move_->target;
  move_->begun |= changed;
  if (move_->begun) describe_move(*move_, ended);
  if (!ended) return true;
  move_.reset();
  book_->end(id_);
  if (!moved) {
    rebalancer_.hold(now_ms());
    book_->cannot_give(id_, now_ms() + options_.rebalance.hold_ms);
  }
  TRY(moved);
  return false;
}

// All at once, for those who wait for it.
Status PlacedModel::move(const placement::Arrangement& target, const std::string& why) {
  TRY(check_loaded(model_.get()));
  move_.reset();
  book_->end(id_);
  const Move move = begin_move(target, why);
  const placement::Arrangement before = model_->arrangement();
  const Status moved = model_->rearrange(target);
  if (!moved) rebalancer_.hold(now_ms());
  if (model_->arrangement() == before) return moved;
  describe_move(move, true);
  return moved;
}

PlacedModel::Move PlacedModel::begin_move(placement::Arrangement target, std::string why) const {
  const std::lock_guard lock(mutex_);
  return {std::move(target), status_.layers_on_gpu(), status_.experts_on_cpu(), std::move(why), false};
}

void PlacedModel::describe_move(const Move& move, bool ended) {
  Cause cause = too_little_memory(states());
  const std::lock_guard lock(mutex_);
  describe_layers(status_);
  status_.cause = status_.wholly_on_gpu() ? Cause() : std::move(cause);
  if (!ended) return;
  const uint32_t layers = status_.layers_on_gpu();
  const bool more =
      layers > move.layers_before || (layers == move.layers_before && status_.experts_on_cpu() < move.experts_before);
  announce(more ? "memory became free" : move.why, more);
}

bool PlacedModel::computes_on_host() const {
  if (model_ == nullptr) return false;  // a device was lost, and there is no other
  const auto host = static_cast<uint32_t>(devices_.size() - 1);
  const placement::Arrangement& on = model_->arrangement();
  return on.embedding == host || on.output == host || std::ranges::any_of(on.layers, [&](const auto& layer) {
           return layer.layer == host || layer.experts == host;
         });
}

Backend PlacedModel::backend() {
  Backend backend = backend_of(*model_);
  // Not by the model's address: a lost device brings another.
  backend.rearrange = {};
  backend.forward = [this](const device::Batch& batch, device::Readout& readout) {
    computed_ns_ = Clock::now().time_since_epoch().count();
    return model_->forward(batch, readout);
  };
  backend.diagnose = [this](const device::Batch& batch) { return model_->diagnose(batch); };
  backend.most_candidates = [this] { return model_->most_candidates(); };
  backend.read_logits = [this](uint32_t row, std::span<float> logits) { return model_->read_logits(row, logits); };
  backend.keep_pages = [this](const std::vector<bool>& live) {
    if (model_ != nullptr) model_->keep_pages(live);
  };
  backend.devices = [this] { return status(); };
  backend.recover = [this] { return recover(); };
  if (const auto host = options_.host; host != nullptr) {
    backend.parallel = [host](uint32_t count, const std::function<void(uint32_t)>& body) {
      host->for_each_if_free(count, body);
    };
    // On a card steps run beside each other, so that what they cost says already who else is there.
    backend.sharers = [this, host] { return computes_on_host() ? host->sharers() : 1; };
    backend.waited = [host] { return host->take_waited(); };
  }
  backend.grow = [this](uint32_t context, uint32_t pages) { return grow(context, pages); };
  if (factories_.size() == 1) return backend;
  backend.maintain_interval = std::chrono::milliseconds(options_.rebalance.interval_ms);
  backend.maintain = [this] { return maintain(); };
  if (!options_.moves) return backend;
  backend.rearrange = [this](const placement::Arrangement& target) { return move(target, "layers were moved"); };
  backend.give_back = [this](uint64_t bytes) { return give_back(bytes); };
  backend.take_free = [this] { return take_free(); };
  return backend;
}

}  // namespace hearth::engine
