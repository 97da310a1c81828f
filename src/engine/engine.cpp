#include "engine/engine.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "base/log.h"
#include "engine/engine_impl.h"

namespace hearth::engine {
namespace {

uint32_t cut(uint32_t wanted, uint32_t most, const char* name) {
  if (wanted > most) log_warn("engine: {} {} is cut to {}, for which the model was loaded", name, wanted, most);
  return std::clamp(wanted, 1u, most);
}

EngineOptions cut_to(EngineOptions options, const Backend& backend) {
  CHECK(backend.forward && backend.vocabulary > 0 && backend.batch_rows > 0 && backend.logit_rows > 0 &&
        backend.sequences > 0);
  CHECK(!backend.most_candidates || backend.read_logits);
  CHECK(!backend.whole || backend.width > 0);
  options.step_rows = cut(options.step_rows, backend.batch_rows, "step_rows");
  // A decoding sequence has one row and one row of logits.
  const uint32_t most = std::min({options.step_rows, backend.logit_rows, backend.sequences});
  options.max_sequences = cut(options.max_sequences, most, "max_sequences");
  return options;
}

sched::SchedulerOptions scheduler_options(const Backend& backend, const EngineOptions& options) {
  return {.pages = backend.pages / backend.page_group,
          .page_tokens = device::kPage_tokens * backend.page_group,
          .chunk_tokens = device::kPage_tokens,
          .context = backend.context,
          .max_sequences = options.max_sequences,
          .step_rows = options.step_rows,
          .logit_rows = std::min(options.step_rows, backend.logit_rows),
          .whole = backend.whole};
}

sched::SequenceOptions sequence_options(const Request& request, uint32_t width) {
  sched::SequenceOptions options{
      .user = std::hash<std::string>()(request.user), .priority = request.priority, .salt = request.cache_salt};
  if (request.adapter != 0) options.marks.push_back({0, ~uint64_t{request.adapter}});
  for (const EmbeddedPart& part : request.embedded)
    options.marks.push_back({part.first, part.key, part.together ? rows_of(part, width) : 0});
  options.group = request.adapter;
  if (request.deadline) options.deadline = static_cast<uint64_t>(request.deadline->time_since_epoch().count());
  if (!request.pooling) return options;
  options.samples = false;
  options.shares = *request.pooling == Pooling::kLast;
  return options;
}

std::vector<text::Token> ends_of(const text::Tokenizer& tokenizer) {
  std::vector<text::Token> ends;
  for (size_t token = 0; token < tokenizer.size(); ++token)
    if (tokenizer.is_end_of_generation(static_cast<text::Token>(token)))
      ends.push_back(static_cast<text::Token>(token));
  return ends;
}

}  // namespace

Engine::Impl::Impl(Backend what, std::shared_ptr<const text::Tokenizer> tokens, const EngineOptions& wanted)
    : backend(std::move(what)),
      tokenizer(std::move(tokens)),
      ends(ends_of(*tokenizer)),
      options(cut_to(wanted, backend)),
      scheduler(scheduler_options(backend, options)),
      context(scheduler.context()),
      model_pages(backend.pages),
      delivery([this](RequestId id) { cancel(id); }) {
  look_at_devices();
  publish();
  thread = std::thread([this] { run(); });
}

Engine::Impl::~Impl() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  wake.notify_one();
  thread.join();
}

Status Engine::Impl::check(const Request& request) const {
  if (request.prompt.empty()) return error(ErrorKind::kUsage, "the prompt is empty; give at least one token");
  const uint32_t most = context;
  if (request.prompt.size() > most) {
    return error(ErrorKind::kTooLong,
                 "the prompt has {} tokens but the context holds {}; shorten the prompt or use a larger context",
                 request.prompt.size(), most);
  }
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    const text::Token token = request.prompt[i];
    if (token < 0 || static_cast<uint32_t>(token) >= backend.vocabulary) {
      return error(ErrorKind::kUsage, "token {} of the prompt is {}; the model has tokens 0 to {}", i, token,
                   backend.vocabulary - 1);
    }
  }
  for (const text::Token token : request.stop_tokens) {
    if (token < 0 || static_cast<uint32_t>(token) >= backend.vocabulary)
      return error(ErrorKind::kUsage, "stop token {} is none; the model has tokens 0 to {}", token,
                   backend.vocabulary - 1);
  }
  if (request.pooling && backend.width == 0)
    return error(ErrorKind::kUnsupported, "this model gives no vectors of texts");
  if (!request.pooling && backend.whole)
    return error(ErrorKind::kUnsupported, "this model answers nothing: it makes vectors of texts");
  if (request.adapter > backend.adapters)
    return error(ErrorKind::kUnsupported, "there is no adapter {}; the model has {}", request.adapter,
                 backend.adapters);
  TRY(check_embedded(request));
  return sampling::validate(request.options);
}

Status Engine::Impl::check_embedded(const Request& request) const {
  if (!request.embedded.empty() && backend.width == 0)
    return error(ErrorKind::kUnsupported, "this model takes tokens only");
  size_t next = 0;
  for (const EmbeddedPart& part : request.embedded) {
    const size_t values = part.values->size(), width = backend.width * (size_t{1} + part.deep), rows = values / width;
    if (rows == 0 || values % width != 0 || part.first < next || part.first + rows > request.prompt.size())
      return error(ErrorKind::kUsage, "{} values at {} are no rows of {} within a prompt of {} tokens", values,
                   part.first, width, request.prompt.size());
    if (part.columns != 0 && size_t{part.columns} * part.rows != rows)
      return error(ErrorKind::kUsage, "{} rows at {} are no {} x {}", rows, part.first, part.columns, part.rows);
    if (part.together && rows + options.max_sequences > options.step_rows)
      return error(
          ErrorKind::kTooLong,
          "{} tokens that see one another do not fit into a step of {} rows for {} answers: raise the rows of a "
          "step",
          rows, options.step_rows, options.max_sequences);
    next = part.first + rows;
  }
  return {};
}

Result<std::vector<RequestId>> Engine::Impl::submit(const Request& request, std::vector<EventSink> sinks) {
  CHECK(!sinks.empty() && std::ranges::all_of(sinks, [](const EventSink& sink) { return sink != nullptr; }));
  TRY(check(request));
  std::vector<Arrival> all;
  Request one = request;
  for (size_t i = 0; i < sinks.size(); ++i) {
    if (i > 0 && request.constraint) one.constraint = request.constraint->clone();
    if (request.options.seed >= 0) one.options.seed = request.options.seed + static_cast<int64_t>(i);
    Generation generation(one, *tokenizer, ends, context, backend.vocabulary);
    auto active = std::make_unique<Active>(request, std::move(generation));
    if (request.pooling)
      active->pooled.emplace(*request.pooling, static_cast<uint32_t>(request.prompt.size()), backend.width);
    all.push_back({0, request.prompt, sequence_options(request, backend.width), std::move(active)});
  }
  std::vector<RequestId> ids;
  {
    std::lock_guard lock(mutex);
    if (broken) return *broken;
    if (stopping || draining) return error(ErrorKind::kCancelled, "the engine ends");
    if (unfinished + all.size() > uint64_t{options.max_sequences} + options.queue) {
      return error(ErrorKind::kBusy, "the queue is full ({} requests run or wait); try again later", unfinished);
    }
    unfinished += static_cast<uint32_t>(all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      ids.push_back(++last_id);
      all[i].id = last_id;
      all[i].active->receiver = std::make_shared<Delivery::Receiver>(last_id, std::move(sinks[i]));
      arrivals.push_back(std::move(all[i]));
    }
  }
  wake.notify_one();
  return ids;
}

bool Engine::Impl::drain(Clock::time_point deadline) {
  std::unique_lock lock(mutex);
  draining = true;
  const auto none_left = [this] { return unfinished == 0; };
  if (ended.wait_until(lock, deadline, none_left)) return true;
  cancels_all = true;
  wake.notify_one();
  ended.wait(lock, none_left);
  return false;
}

void Engine::Impl::cancel(RequestId id) {
  {
    std::lock_guard lock(mutex);
    cancels.push_back(id);
  }
  wake.notify_one();
}

Stats Engine::Impl::read_stats() const {
  std::lock_guard lock(mutex);
  Stats stats = published;
  stats.waiting = unfinished - stats.running;
  return stats;
}

void Engine::Impl::run() {
  while (take_inbox()) {
    maintain();
    end_overdue();
    step();
  }
  while (!actives.empty()) finish(actives.begin()->first, FinishReason::kCancelled);
}

// Sleeps while there is nothing to do. False: the engine ends.
bool Engine::Impl::take_inbox() {
  std::vector<Arrival> new_arrivals;
  std::vector<RequestId> new_cancels;
  std::vector<Task> new_tasks;
  bool ending, cancelling;
  {
    std::unique_lock lock(mutex);
    const auto ready = [&] { return work_waits(); };
    if (backend.maintain)
      wake.wait_for(lock, layers_move ? std::chrono::milliseconds(0) : backend.maintain_interval, ready);
    else
      wake.wait(lock, ready);
    new_arrivals.swap(arrivals);
    new_cancels.swap(cancels);
    new_tasks.swap(tasks);
    ending = stopping;
    cancelling = std::exchange(cancels_all, false);
  }
  for (Arrival& arrival : new_arrivals) begin(std::move(arrival));
  while (cancelling && !actives.empty()) finish(actives.begin()->first, FinishReason::kCancelled);
  for (RequestId id : new_cancels) {
    if (actives.contains(id)) finish(id, FinishReason::kCancelled);
  }
  for (Task& task : new_tasks) {
    const auto run = [&] {
      tell_live_pages();  // layers and cache may move
      return task.run();
    };
    task.result.set_value(ending ? error(ErrorKind::kCancelled, "the engine ends") : guarded(run));
  }
  if (!new_tasks.empty()) look_at_devices();
  return !ending;
}

void Engine::Impl::begin(Arrival arrival) {
  scheduler.add(arrival.id, std::move(arrival.prompt), arrival.options);
  actives.emplace(arrival.id, std::move(arrival.active));
}

void Engine::Impl::end_overdue() {
  const Clock::time_point now = Clock::now();
  std::vector<RequestId> overdue;
  for (const auto& [id, active] : actives)
    if (active->deadline && *active->deadline <= now) overdue.push_back(id);
  for (const RequestId id : overdue) {
    Event last;
    last.error = with_remedy(ErrorKind::kTimeout, "the answer was not complete in the time that was given",
                             "give it more time, or ask for less");
    finish(id, FinishReason::kError, std::move(last));
  }
}

bool Engine::Impl::work_waits() const {
  return stopping || cancels_all || !arrivals.empty() || !cancels.empty() || !tasks.empty() || !scheduler.empty();
}

Status Engine::Impl::between_steps(std::function<Status()> run_there) {
  std::future<Status> done;
  {
    std::lock_guard lock(mutex);
    if (stopping) return error(ErrorKind::kCancelled, "the engine ends");
    tasks.push_back({std::move(run_there), {}});
    done = tasks.back().result.get_future();
  }
  wake.notify_one();
  return done.get();
}

void Engine::Impl::tell_live_pages() const {
  if (!backend.keep_pages) return;
  std::vector<bool> live(model_pages);
  for (size_t page = 0; page < live.size(); ++page) {
    const size_t group = page / backend.page_group;
    live[page] = group < scheduler.live_pages().size() && scheduler.live_pages()[group];
  }
  backend.keep_pages(live);
}

void Engine::Impl::maintain() {
  const bool due = layers_move || Clock::now() - maintained >= backend.maintain_interval;
  if (!backend.maintain || !due) return;
  maintained = Clock::now();
  layers_move = false;
  const Status status = guarded([&]() -> Status {
    tell_live_pages();
    ASSIGN_OR_RETURN(layers_move, backend.maintain());
    return {};
  });
  look_at_devices();
  if (status) return;
  log_error("engine: a look at the devices failed: {}", status.error().message);
  if (status.error().kind != ErrorKind::kDeviceLost) return;
  scheduler.forget();  // between two steps: nobody's request need fail
  recover(status.error());
  publish();
}

// What waits will be computed on the new device; if there is none, it ends with the cause.
void Engine::Impl::recover(const Error& loss) {
  constexpr int kAttempts = 2;
  Error cause = loss;
  ++counted.devices_lost;
  for (int i = 0; backend.recover && i < kAttempts; ++i) {
    const Status status = guarded(backend.recover);
    if (status) {
      look_at_devices();
      return publish();
    }
    cause = status.error();
    log_error("engine: attempt {} of {} to make the device anew failed: {}", i + 1, kAttempts, cause.message);
  }
  cause = error(ErrorKind::kDeviceLost, "the device is lost ({}) and could not be made anew ({}); restart hearth",
                loss.message, cause.message);
  std::vector<Arrival> refused;
  {
    std::lock_guard lock(mutex);
    broken = cause;
    refused.swap(arrivals);
  }
  for (Arrival& arrival : refused) begin(std::move(arrival));
  while (!actives.empty()) {
    Event last;
    last.error = cause;
    finish(actives.begin()->first, FinishReason::kError, std::move(last));
  }
}

// What was learned holds for where the layers were, so it is learned again soon after they have moved.
void Engine::Impl::look_at_devices() {
  bound = options.step_bound;
  if (bound.count() == 0) bound = devices_now().wholly_on_gpu() ? kStep_bound_gpu : kStep_bound_cpu;
}

DeviceStatus Engine::Impl::devices_now() const {
  return backend.devices ? backend.devices() : DeviceStatus();
}

// Of those that run or wait; others may still be among the arrivals.
void Engine::Impl::take_cancels() {
  std::vector<RequestId> taken;
  {
    std::lock_guard lock(mutex);
    std::erase_if(cancels, [&](RequestId id) {
      if (!actives.contains(id)) return false;
      taken.push_back(id);
      return true;
    });
  }
  for (const RequestId id : taken)
    if (actives.contains(id)) finish(id, FinishReason::kCancelled);
}

void Engine::Impl::publish(uint32_t ended_now) {
  const sched::Counts counts = scheduler.counts();
  std::lock_guard lock(mutex);
  unfinished -= ended_now;
  published = counted;
  published.running = counts.running;
  published.pages_total = counts.pages_total * backend.page_group;
  published.pages_free = (counts.pages_unused + counts.pages_evictable) * backend.page_group;
  published.tokens_cached = counts.tokens_cached;
  published.preemptions = counts.preemptions;
  if (ended_now > 0) ended.notify_all();
}

Engine::Engine(Backend backend, std::shared_ptr<const text::Tokenizer> tokenizer, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(backend), std::move(tokenizer), options)) {}

Engine::~Engine() = default;

Result<RequestId> Engine::submit(Request request, EventSink sink) {
  std::vector<EventSink> sinks;
  sinks.push_back(std::move(sink));
  ASSIGN_OR_RETURN(const std::vector<RequestId> ids, impl_->submit(request, std::move(sinks)));
  return ids[0];
}

Result<std::vector<RequestId>> Engine::submit(const Request& request, std::vector<EventSink> sinks) {
  return impl_->submit(request, std::move(sinks));
}

bool Engine::drain(std::chrono::steady_clock::time_point deadline) {
  return impl_->drain(deadline);
}

void Engine::cancel(RequestId id) {
  impl_->cancel(id);
}

Status Engine::rebalance(placement::Arrangement target) {
  if (!impl_->backend.rearrange) return error(ErrorKind::kUnsupported, "the model lies on one device for good");
  return impl_->between_steps(
      [impl = impl_.get(), target = std::move(target)] { return impl->backend.rearrange(target); });
}

Status Engine::give_back(uint64_t bytes) {
  if (!impl_->backend.give_back) return error(ErrorKind::kUnsupported, "the model lies on one device for good");
  return impl_->between_steps([impl = impl_.get(), bytes] { return impl->backend.give_back(bytes); });
}

Status Engine::take_free() {
  if (!impl_->backend.take_free) return error(ErrorKind::kUnsupported, "the model lies on one device for good");
  return impl_->between_steps([impl = impl_.get()] { return impl->backend.take_free(); });
}

Status Engine::grow(uint32_t context, uint32_t pages) {
  if (!impl_->backend.grow) return error(ErrorKind::kUnsupported, "the cache of this model is as large as it will be");
  const uint32_t group = impl_->backend.page_group;
  return impl_->between_steps([impl = impl_.get(), context, group, groups = divide_up(pages, group)]() -> Status {
    const uint32_t all = static_cast<uint32_t>(groups) * group;
    TRY(impl->backend.grow(context, all));
    impl->model_pages = all;
    impl->scheduler.grow(all / group, context);
    impl->context = impl->scheduler.context();
    impl->publish();
    return {};
  });
}

std::optional<Error> Engine::broken() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->broken;
}

Stats Engine::stats() const {
  return impl_->read_stats();
}

DeviceStatus Engine::devices() const {
  return impl_->devices_now();
}

const text::Tokenizer& Engine::tokenizer() const {
  return *impl_->tokenizer;
}

}  // namespace hearth::engine
