#include "serve/observer.h"

#include <algorithm>

namespace hearth::serve {
namespace {

using Clock = std::chrono::steady_clock;
using metrics::Figures;

constexpr std::chrono::milliseconds kEvery{1'000};
constexpr std::chrono::minutes kWatched{1};  // after somebody has asked
constexpr std::chrono::minutes kStream{10};  // then the client comes again: its key may be another by then
constexpr size_t kHistory = 600;

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// At which all that a token needs can be read: the parts one after the other.
double read_limit(const engine::DeviceStatus& devices) {
  double bytes = 0, seconds = 0;
  for (const auto& device : devices.devices) {
    const auto part = static_cast<double>(device.memory.weights);
    if (part == 0) continue;
    if (device.bandwidth_bytes_per_s == 0) return 0;
    bytes += part;
    seconds += part / static_cast<double>(device.bandwidth_bytes_per_s);
  }
  return seconds > 0 ? bytes / seconds : 0;
}

void add_places(const engine::DeviceStatus& devices, metrics::ModelFigures& model) {
  for (const auto& device : devices.devices) {
    (device.gpu ? model.gpu_bytes : model.host_bytes) += device.memory.total();
    if (device.memory.total() == 0) continue;
    model.places.push_back({device.name, device.gpu ? device.id : "", device.memory.weights, device.memory.cache,
                            device.memory.workspace, device.promised_bytes, device.taken_bytes});
  }
}

metrics::ModelFigures describe(const fleet::RunningModel& running) {
  const engine::DeviceStatus& devices = running.devices;
  const engine::Stats& stats = running.stats;
  metrics::ModelFigures model;
  model.name = running.found.name;
  model.context_tokens = running.context;
  model.layers = devices.layers.size();
  model.layers_on_gpu = devices.layers_on_gpu();
  add_places(devices, model);
  model.placement = devices.placement();
  model.cause = what_of(devices.cause);
  model.cause_id = devices.cause.id;
  model.remedy = remedy_of(devices.cause);
  model.running = stats.running;
  model.waiting = stats.waiting;
  model.pages = stats.pages_total;
  model.pages_free = stats.pages_free;
  model.steps = stats.steps;
  model.tokens_prefilled = stats.tokens_prefilled;
  model.tokens_cached = stats.tokens_cached;
  model.tokens_generated = stats.tokens_generated;
  model.preemptions = stats.preemptions;
  model.devices_lost = stats.devices_lost;
  model.changes = devices.changes;
  model.computing_seconds = std::chrono::duration<double>(stats.computing).count();
  model.read_bytes = static_cast<double>(running.step_bytes) * static_cast<double>(stats.steps);
  model.limit_bytes_per_second = read_limit(devices);
  if (running.expires)
    model.expires_seconds = std::chrono::duration<double>(*running.expires - std::chrono::system_clock::now()).count();
  model.last_change = devices.last_change;
  return model;
}

// The models' parts of the memory of each GPU come before those of others.
void add_parts(Figures& figures) {
  for (metrics::GpuFigures& gpu : figures.gpus) {
    std::vector<metrics::GpuPart> parts;
    for (const metrics::ModelFigures& model : figures.models) {
      for (const metrics::ModelPlace& place : model.places) {
        if (place.gpu_id != gpu.id) continue;
        parts.push_back({model.name, "weights", place.weights_bytes, 0});
        parts.push_back({model.name, "cache", place.cache_bytes, 0});
        parts.push_back({model.name, "workspace", place.workspace_bytes, 0});
      }
    }
    gpu.parts.insert(gpu.parts.begin(), parts.begin(), parts.end());
  }
}

// What is worst first; else whether a GPU does all.
metrics::Headline headline_of(const std::vector<Finding>& findings, const Figures& figures) {
  auto worst = std::ranges::find_if(findings, &Finding::unready);
  if (worst == findings.end()) worst = findings.begin();
  if (worst != findings.end())
    return {worst->unready ? "bad" : "warning", worst->id, worst->cause, worst->remedy, worst->cause_id};
  if (figures.models.empty()) return {};
  for (const metrics::ModelFigures& model : figures.models) {
    if (model.layers_on_gpu == model.layers) continue;
    const std::string why = model.cause.empty() ? "" : ": " + model.cause;
    return {"idle", "no-gpu", fmt::format("{} runs on the CPU{}", model.name, why), model.remedy, model.cause_id};
  }
  return {"good", "", "", "", ""};
}

// The one of this name, or one in which nothing has been done yet.
template <class T>
T found_in(const std::vector<T>& list, const std::string& key, std::string T::*name) {
  const auto found = std::ranges::find(list, key, name);
  return found == list.end() ? T() : *found;
}

// What the time between two looks has brought. What was loaded anew counts from nothing.
void add_rates(const Figures& before, Figures& figures) {
  const double seconds = figures.time - before.time;
  if (before.time == 0 || seconds <= 0) return;
  const auto grown = [](auto now, auto then) { return static_cast<double>(now >= then ? now - then : now); };
  for (metrics::ModelFigures& model : figures.models) {
    const auto then = found_in(before.models, model.name, &metrics::ModelFigures::name);
    const double tokens = grown(model.tokens_generated, then.tokens_generated), steps = grown(model.steps, then.steps);
    model.tokens_per_second = tokens / seconds;
    model.prompt_tokens_per_second = grown(model.tokens_prefilled, then.tokens_prefilled) / seconds;
    model.bytes_per_second = grown(model.read_bytes, then.read_bytes) / seconds;
    model.batch = steps > 0 ? tokens / steps : 0;
  }
  for (metrics::GpuFigures& gpu : figures.gpus) {
    const auto then = found_in(before.gpus, gpu.id, &metrics::GpuFigures::id);
    if (!then.id.empty()) gpu.busy_ratio = std::min(1.0, grown(gpu.busy_seconds, then.busy_seconds) / seconds);
  }
}

// Those of the last look.
void take_rates(const Figures& from, Figures& figures) {
  for (metrics::ModelFigures& model : figures.models) {
    const auto then = found_in(from.models, model.name, &metrics::ModelFigures::name);
    model.tokens_per_second = then.tokens_per_second;
    model.prompt_tokens_per_second = then.prompt_tokens_per_second;
    model.bytes_per_second = then.bytes_per_second;
    model.batch = then.batch;
  }
  for (metrics::GpuFigures& gpu : figures.gpus)
    gpu.busy_ratio = found_in(from.gpus, gpu.id, &metrics::GpuFigures::id).busy_ratio;
}

}  // namespace

Observer::Observer(const Sources& sources) : sources_(sources), started_(unix_seconds()), thread_([this] { work(); }) {}

Observer::~Observer() {
  end_streams();
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Observer::work() {
  std::unique_lock lock(mutex_);
  Clock::time_point next = Clock::now();
  while (!ends_) {
    lock.unlock();
    look();
    const auto figures = latest_.get();
    lock.lock();
    remember(*figures);
    send(*figures);
    next = std::max(next + kEvery, Clock::now());
    changed_.wait_until(lock, next, [this] { return ends_; });
  }
}

bool Observer::watched() const {
  if (Clock::now() - wanted_.load() < kWatched) return true;
  const std::lock_guard lock(mutex_);
  return !streams_.empty();
}

void Observer::look() {
  bool on_gpu = false;
  for (const fleet::RunningModel& model : sources_.models.running()) on_gpu |= model.devices.gpu_bytes() > 0;
  Figures figures = collect(on_gpu || watched());
  add_rates(*latest_.get(), figures);
  latest_.set(std::move(figures));
}

Figures Observer::collect(bool ask) {
  const std::lock_guard looking(looking_);
  Figures figures;
  figures.version = HEARTH_VERSION;
  figures.time = unix_seconds();
  figures.started = started_;
  std::map<std::string, uint64_t> own_bytes;
  for (const fleet::RunningModel& running : sources_.models.running()) {
    figures.models.push_back(describe(running));
    for (const metrics::ModelPlace& place : figures.models.back().places)
      own_bytes[place.gpu_id] += place.weights_bytes + place.cache_bytes + place.workspace_bytes;
  }
  figures.loading = sources_.models.loading();
  if (sources_.gpus) figures.gpus = cards_.look(ask, own_bytes);
  add_parts(figures);
  const std::vector<Finding> findings = sources_.health.findings();
  figures.ready = std::ranges::none_of(findings, &Finding::unready);
  for (const Finding& one : findings) figures.findings.push_back({one.id, one.cause, one.remedy, one.cause_id});
  figures.headline = headline_of(findings, figures);
  figures.stores = sources_.disks.figures();
  figures.transfers = sources_.transfers.figures();
  for (const metrics::RequestFigures& request : sources_.requests.list())
    ++(request.state == "running" ? figures.running : figures.waiting);
  return figures;
}

void Observer::remember(const Figures& figures) {
  const auto keep = [](std::vector<double>& values, double value) {
    values.push_back(value);
    if (values.size() > kHistory) values.erase(values.begin());
  };
  double tokens = 0;
  for (const metrics::ModelFigures& model : figures.models) tokens += model.tokens_per_second;
  keep(history_.tokens_per_second, tokens);
  for (const metrics::GpuFigures& gpu : figures.gpus) keep(history_.busy_ratio[gpu.id], gpu.busy_ratio);
}

void Observer::send(const Figures& figures) {
  if (streams_.empty()) return;
  const std::string line = metrics::to_json(figures) + "\n";
  const auto now = Clock::now();
  std::erase_if(streams_, [&](const Stream& stream) {
    if (stream.exchange->gone()) return true;
    if (!stream.exchange->full()) stream.exchange->write(line);
    if (now < stream.until) return false;
    stream.exchange->finish();
    return true;
  });
}

std::shared_ptr<const Figures> Observer::figures() {
  wanted_ = Clock::now();
  auto now = std::make_shared<Figures>(collect(true));
  take_rates(*latest_.get(), *now);
  return now;
}

void Observer::stream(const std::shared_ptr<http::Exchange>& exchange) {
  const auto now = figures();
  exchange->start(
      {.status = 200,
       .headers = {
           {"Content-Type", "application/x-ndjson"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}}});
  const std::lock_guard lock(mutex_);
  exchange->write(metrics::to_json(*now, &history_) + "\n");
  if (streams_end_) return exchange->finish();
  streams_.push_back({exchange, Clock::now() + kStream});
}

void Observer::end_streams() {
  const std::lock_guard lock(mutex_);
  streams_end_ = true;
  for (const Stream& stream : streams_) stream.exchange->finish();
  streams_.clear();
}

void add_figures_route(api::Router& router, Observer& observer) {
  router.add({.method = "GET", .path = "/hearth/figures", .run = [&observer](const api::Call& call) {
                if (call.request.head.query == "stream=1") return observer.stream(call.exchange);
                call.exchange->send(
                    {{.status = 200, .headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}},
                     metrics::to_json(*observer.figures()) + "\n"});
              }});
}

}  // namespace hearth::serve
