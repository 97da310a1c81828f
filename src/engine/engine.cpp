#include "engine/engine.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/backend.h"
#include "engine/delivery.h"
#include "engine/generation.h"
#include "sched/scheduler.h"

namespace hearth::engine {
namespace {

using Clock = std::chrono::steady_clock;

uint32_t cut(uint32_t wanted, uint32_t most, const char* name) {
  if (wanted > most) log_warn("engine: {} {} is cut to {}, for which the model was loaded", name, wanted, most);
  return std::clamp(wanted, 1u, most);
}

EngineOptions cut_to(EngineOptions options, const Backend& backend) {
  CHECK(backend.forward && backend.vocabulary > 0 && backend.batch_rows > 0 && backend.logit_rows > 0 &&
        backend.sequences > 0);
  options.step_rows = cut(options.step_rows, backend.batch_rows, "step_rows");
  // A decoding sequence has one row and one row of logits.
  const uint32_t most = std::min({options.step_rows, backend.logit_rows, backend.sequences});
  options.max_sequences = cut(options.max_sequences, most, "max_sequences");
  return options;
}

sched::SchedulerOptions scheduler_options(const Backend& backend, const EngineOptions& options) {
  return {.pages = backend.pages,
          .page_tokens = device::kPage_tokens,
          .context = backend.context,
          .max_sequences = options.max_sequences,
          .step_rows = options.step_rows};
}

device::Batch batch_of(const sched::Step& step) {
  device::Batch batch;
  batch.tokens = step.tokens;
  for (const sched::StepSequence& part : step.sequences) {
    batch.sequences.push_back({part.first_row, part.rows, part.first_position, part.pages});
  }
  batch.logit_rows = step.logit_rows;
  return batch;
}

// One sequence's part of it, as if it were alone.
device::Batch batch_of(const sched::Step& step, const sched::StepSequence& part) {
  device::Batch batch;
  batch.tokens = std::span(step.tokens).subspan(part.first_row, part.rows);
  batch.sequences.push_back({0, part.rows, part.first_position, part.pages});
  batch.logit_rows.push_back(part.rows - 1);
  return batch;
}

// A request that was accepted and has not had its final event.
struct Active {
  Active(const Request& request, const text::Tokenizer& tokenizer, size_t context_tokens, EventSink sink)
      : generation(request, tokenizer, context_tokens),
        receiver(std::make_shared<Delivery::Receiver>(std::move(sink))) {
    usage.prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  }

  Generation generation;
  std::shared_ptr<Delivery::Receiver> receiver;
  Usage usage;
  Clock::time_point submitted = Clock::now();
  std::optional<Clock::time_point> first_step, first_token;
};

// What an exception tells, as an error: whatever happens costs the requests at hand, not the process.
template <class Run>
Status guarded(const Run& run) {
  try {
    return run();
  } catch (const std::bad_alloc&) {
    return error(ErrorKind::kNoMemory, "memory ran out while this was computed; try again, or run less at a time");
  } catch (const std::exception& exception) {
    return error(ErrorKind::kIo, "an exception while this was computed: {}", exception.what());
  }
}

Usage usage_at_end(const Active& active) {
  Usage usage = active.usage;
  const Clock::time_point now = Clock::now();
  usage.generated_tokens = active.generation.generated_tokens();
  usage.queued = active.first_step.value_or(now) - active.submitted;
  usage.prompt = active.first_token.value_or(now) - active.first_step.value_or(now);
  usage.generation = now - active.first_token.value_or(now);
  return usage;
}

}  // namespace

struct Engine::Impl {
  Impl(Backend what, std::shared_ptr<const text::Tokenizer> tokens, const EngineOptions& wanted)
      : backend(std::move(what)),
        tokenizer(std::move(tokens)),
        options(cut_to(wanted, backend)),
        scheduler(scheduler_options(backend, options)),
        context(scheduler.context()),
        delivery([this](RequestId id) { cancel(id); }) {
    publish();
    thread = std::thread([this] { run(); });
  }
  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  // On any thread.
  Status check(const Request& request) const;
  Result<RequestId> submit(Request request, EventSink sink);
  void cancel(RequestId id);
  Stats read_stats() const;

  // On the engine's thread.
  void run();
  bool take_inbox();
  bool work_waits() const;  // under `mutex`
  void maintain();
  void recover(const Error& loss);
  void step();
  Status compute(const sched::Step& step);
  void start(const sched::Step& step);
  void fail(const sched::Step& step, const Error& error);
  device::Readout wanted(const sched::Step& step);
  void take_cancels();
  void sample(const sched::Step& step, const device::Readout& readout);
  void refuse(const sched::Step& step, const sched::StepSequence& part, const Error& error);
  sampling::BestLogits best_of(const device::Readout& readout, size_t row);
  void deliver(RequestId id, Event event);
  void finish(RequestId id, FinishReason reason, Event last = {});
  void publish(uint32_t ended = 0);

  // What others ask of the engine's thread, and its answer.
  struct Task {
    std::function<Status()> run;
    std::promise<Status> result;
  };
  Status between_steps(std::function<Status()> run);

  struct Arrival {
    RequestId id;
    std::vector<text::Token> prompt;
    std::unique_ptr<Active> active;
  };

  const Backend backend;
  const std::shared_ptr<const text::Tokenizer> tokenizer;
  const EngineOptions options;

  // The engine's thread's own.
  sched::Scheduler scheduler;
  const uint32_t context;
  std::map<RequestId, std::unique_ptr<Active>> actives;
  std::vector<float> logits;
  std::vector<sampling::TokenCandidate> best;  // of the row that is being sampled
  Clock::time_point maintained = Clock::now();
  bool layers_move = false;  // see Backend::maintain
  Stats counted;             // the sums; the rest is filled in by publish()

  // Shared, under `mutex`.
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<Arrival> arrivals;
  std::vector<RequestId> cancels;
  std::vector<Task> tasks;  // between two steps
  std::optional<Error> broken;
  bool stopping = false;
  RequestId last_id = 0;
  uint32_t unfinished = 0;  // accepted, without final event
  Stats published;

  Delivery delivery;
  std::thread thread;
};

Status Engine::Impl::check(const Request& request) const {
  if (request.prompt.empty()) return error(ErrorKind::kUsage, "the prompt is empty; give at least one token");
  if (request.prompt.size() > context) {
    return error(ErrorKind::kTooLong,
                 "the prompt has {} tokens but the context holds {}; shorten the prompt or use a larger context",
                 request.prompt.size(), context);
  }
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    const text::Token token = request.prompt[i];
    if (token < 0 || static_cast<uint32_t>(token) >= backend.vocabulary) {
      return error(ErrorKind::kUsage, "token {} of the prompt is {}; the model has tokens 0 to {}", i, token,
                   backend.vocabulary - 1);
    }
  }
  return sampling::validate(request.options);
}

Result<RequestId> Engine::Impl::submit(Request request, EventSink sink) {
  CHECK(sink);
  TRY(check(request));
  auto active = std::make_unique<Active>(request, *tokenizer, context, std::move(sink));
  RequestId id;
  {
    std::lock_guard lock(mutex);
    if (broken) return *broken;
    if (stopping) return error(ErrorKind::kCancelled, "the engine ends");
    if (unfinished >= uint64_t{options.max_sequences} + options.queue) {
      return error(ErrorKind::kBusy, "the queue is full ({} requests run or wait); try again later", unfinished);
    }
    ++unfinished;
    id = ++last_id;
    arrivals.push_back({id, std::move(request.prompt), std::move(active)});
  }
  wake.notify_one();
  return id;
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
    step();
  }
  while (!actives.empty()) finish(actives.begin()->first, FinishReason::kCancelled);
}

// Sleeps while there is nothing to do. False: the engine ends.
bool Engine::Impl::take_inbox() {
  std::vector<Arrival> new_arrivals;
  std::vector<RequestId> new_cancels;
  std::vector<Task> new_tasks;
  bool ending;
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
  }
  for (Arrival& arrival : new_arrivals) {
    scheduler.add(arrival.id, std::move(arrival.prompt));
    actives.emplace(arrival.id, std::move(arrival.active));
  }
  for (RequestId id : new_cancels) {
    if (actives.contains(id)) finish(id, FinishReason::kCancelled);
  }
  for (Task& task : new_tasks)
    task.result.set_value(ending ? error(ErrorKind::kCancelled, "the engine ends") : guarded(task.run));
  return !ending;
}

bool Engine::Impl::work_waits() const {
  return stopping || !arrivals.empty() || !cancels.empty() || !tasks.empty() || !scheduler.empty();
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

void Engine::Impl::maintain() {
  const bool due = layers_move || Clock::now() - maintained >= backend.maintain_interval;
  if (!backend.maintain || !due) return;
  maintained = Clock::now();
  layers_move = false;
  const Status status = guarded([&]() -> Status {
    ASSIGN_OR_RETURN(layers_move, backend.maintain());
    return {};
  });
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
    if (status) return publish();
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
  for (Arrival& arrival : refused) {
    scheduler.add(arrival.id, std::move(arrival.prompt));
    actives.emplace(arrival.id, std::move(arrival.active));
  }
  while (!actives.empty()) {
    Event last;
    last.error = cause;
    finish(actives.begin()->first, FinishReason::kError, std::move(last));
  }
}

void Engine::Impl::step() {
  sched::Step step;
  const Status status = guarded([&]() -> Status {
    step = scheduler.plan();
    return step.empty() ? Status() : compute(step);
  });
  if (!status) fail(step, status.error());
}

Status Engine::Impl::compute(const sched::Step& step) {
  start(step);
  device::Readout readout = wanted(step);
  TRY(backend.forward(batch_of(step), readout));

  scheduler.commit(step);
  ++counted.steps;
  for (const sched::StepSequence& part : step.sequences) {
    const bool decodes = part.samples > 0 && actives.at(part.id)->generation.generated_tokens() > 0;
    counted.tokens_prefilled += part.rows - (decodes ? 1 : 0);
  }
  // What receivers made of the step before comes first: they may have cancelled.
  delivery.wait();
  take_cancels();
  sample(step, readout);
  publish();
  return {};
}

void Engine::Impl::sample(const sched::Step& step, const device::Readout& readout) {
  size_t row = 0, full = 0;  // of those that sample; of those with all logits
  for (const sched::StepSequence& part : step.sequences) {
    if (part.samples == 0) continue;
    const bool whole = full < readout.full_rows.size() && readout.full_rows[full] == row;
    const auto found = actives.find(part.id);
    if (found != actives.end()) {
      Generation& generation = found->second->generation;
      Result<Event> event = whole
                                ? generation.next(readout.logits.subspan(full * backend.vocabulary, backend.vocabulary))
                                : generation.next(best_of(readout, row));
      if (event)
        deliver(part.id, std::move(*event));
      else
        refuse(step, part, event.error());
    }
    full += whole ? 1 : 0;
    ++row;
  }
}

// Ends a request whose logits give no token. Broken numbers are in its pages as well, and nobody may go on from them.
void Engine::Impl::refuse(const sched::Step& step, const sched::StepSequence& part, const Error& error) {
  Event last;
  last.error = error;
  if (error.kind == ErrorKind::kInvalidData) {
    if (backend.diagnose) last.error = backend.diagnose(batch_of(step, part));
    log_error("engine: a request failed: {}", last.error->message);
    scheduler.distrust(part.id);
  }
  finish(part.id, FinishReason::kError, std::move(last));
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

// Whole logits for requests whose next token they decide, for the others the best. Which of the two a request gets
// depends on itself alone.
device::Readout Engine::Impl::wanted(const sched::Step& step) {
  const uint32_t most = backend.most_candidates ? backend.most_candidates() : 0;
  device::Readout readout;
  uint32_t row = 0;
  for (const sched::StepSequence& part : step.sequences) {
    if (part.samples == 0) continue;
    const auto needed = actives.at(part.id)->generation.logits_needed();
    if (needed && std::min<size_t>(*needed, backend.vocabulary) <= most) {
      // Few different numbers, so that equal steps come again.
      const auto count = static_cast<uint32_t>(std::bit_ceil(std::min<size_t>(*needed, most)));
      readout.candidates = std::max(readout.candidates, std::min(most, count));
    } else {
      readout.full_rows.push_back(row);
    }
    ++row;
  }
  const size_t logits_size = readout.full_rows.size() * backend.vocabulary;
  if (logits.size() < logits_size) logits.resize(logits_size);
  readout.logits = std::span(logits).first(logits_size);
  return readout;
}

sampling::BestLogits Engine::Impl::best_of(const device::Readout& readout, size_t row) {
  const size_t stride = readout.candidates + size_t{1};
  const std::span<const device::Candidate> found = std::span(readout.best).subspan(row * stride, stride);
  best.clear();
  for (const device::Candidate& candidate : found.first(readout.candidates))
    best.push_back({static_cast<int32_t>(candidate.column), candidate.value, 0});
  return {best, found.back().value};
}

void Engine::Impl::start(const sched::Step& step) {
  const Clock::time_point now = Clock::now();
  for (const sched::StepSequence& part : step.sequences) {
    Active& active = *actives.at(part.id);
    if (!active.first_step) active.first_step = now;
    if (!active.first_token) active.usage.prompt_tokens_cached = part.cached_tokens;
  }
  publish();
}

// What the others had in the cache cannot be trusted either: they are computed again. A step that could not even be
// planned fails all.
void Engine::Impl::fail(const sched::Step& step, const Error& error) {
  log_error("engine: a step failed: {}", error.message);
  std::vector<RequestId> failed;
  for (const sched::StepSequence& part : step.sequences)
    if (actives.contains(part.id)) failed.push_back(part.id);
  if (step.empty())
    for (const auto& [id, active] : actives) failed.push_back(id);
  for (const RequestId id : failed) {
    Event last;
    last.error = error;
    finish(id, FinishReason::kError, std::move(last));
  }
  scheduler.forget();
  if (error.kind == ErrorKind::kDeviceLost) recover(error);
  publish();
}

void Engine::Impl::deliver(RequestId id, Event event) {
  Active& active = *actives.at(id);
  if (!active.first_token) active.first_token = Clock::now();
  counted.tokens_generated += event.tokens.size();
  if (!event.finish && !scheduler.append(id, event.tokens.back())) event.finish = FinishReason::kLength;
  if (event.finish) {
    const FinishReason reason = *event.finish;
    finish(id, reason, std::move(event));
  } else {
    delivery.send(id, active.receiver, std::move(event));
  }
}

void Engine::Impl::finish(RequestId id, FinishReason reason, Event last) {
  const std::unique_ptr<Active> active = std::move(actives.at(id));
  actives.erase(id);
  scheduler.remove(id);
  last.finish = reason;
  last.text += active->generation.rest();
  last.usage = usage_at_end(*active);
  publish(1);  // before the receiver, which may want to submit the next one
  delivery.send(id, active->receiver, std::move(last));
}

void Engine::Impl::publish(uint32_t ended) {
  const sched::Counts counts = scheduler.counts();
  std::lock_guard lock(mutex);
  unfinished -= ended;
  published = counted;
  published.running = counts.running;
  published.pages_total = counts.pages_total;
  published.pages_free = counts.pages_unused + counts.pages_evictable;
  published.tokens_cached = counts.tokens_cached;
  published.preemptions = counts.preemptions;
}

Engine::Engine(Backend backend, std::shared_ptr<const text::Tokenizer> tokenizer, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(backend), std::move(tokenizer), options)) {}

Engine::~Engine() = default;

Result<RequestId> Engine::submit(Request request, EventSink sink) {
  return impl_->submit(std::move(request), std::move(sink));
}

void Engine::cancel(RequestId id) {
  impl_->cancel(id);
}

Status Engine::rebalance(placement::Arrangement target) {
  const Backend& backend = impl_->backend;
  if (!backend.rearrange) return error(ErrorKind::kUnsupported, "the model lies on one device for good");
  return impl_->between_steps([&backend, target = std::move(target)] { return backend.rearrange(target); });
}

Status Engine::give_back(uint64_t bytes) {
  const Backend& backend = impl_->backend;
  if (!backend.give_back) return error(ErrorKind::kUnsupported, "the model lies on one device for good");
  return impl_->between_steps([&backend, bytes] { return backend.give_back(bytes); });
}

std::optional<Error> Engine::broken() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->broken;
}

Stats Engine::stats() const {
  return impl_->read_stats();
}

DeviceStatus Engine::devices() const {
  return impl_->backend.devices ? impl_->backend.devices() : DeviceStatus();
}

const text::Tokenizer& Engine::tokenizer() const {
  return *impl_->tokenizer;
}

}  // namespace hearth::engine
