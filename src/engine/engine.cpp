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
#include "engine/background.h"
#include "engine/delivery.h"
#include "engine/generation.h"
#include "engine/step_cost.h"
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
  CHECK(!backend.most_candidates || backend.read_logits);
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
          .step_rows = options.step_rows,
          .logit_rows = std::min(options.step_rows, backend.logit_rows)};
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
  Active(const Request& request, Generation how) : generation(std::move(how)), deadline(request.deadline) {
    usage.prompt_tokens = static_cast<uint32_t>(request.prompt.size());
    tells_begin = request.tells_begin;
  }

  Generation generation;
  std::shared_ptr<Delivery::Receiver> receiver;
  std::optional<Clock::time_point> deadline;
  Usage usage;
  bool tells_begin = false;
  Clock::time_point submitted = Clock::now();
  std::optional<Clock::time_point> first_step, first_token;
};

sched::SequenceOptions sequence_options(const Request& request) {
  sched::SequenceOptions options{
      .user = std::hash<std::string>()(request.user), .priority = request.priority, .salt = request.cache_salt};
  if (request.deadline) options.deadline = static_cast<uint64_t>(request.deadline->time_since_epoch().count());
  return options;
}

std::vector<text::Token> ends_of(const text::Tokenizer& tokenizer) {
  std::vector<text::Token> ends;
  for (size_t token = 0; token < tokenizer.size(); ++token)
    if (tokenizer.is_end_of_generation(static_cast<text::Token>(token)))
      ends.push_back(static_cast<text::Token>(token));
  return ends;
}

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

// The best logits of one row.
struct Best {
  std::vector<sampling::TokenCandidate> candidates;
  double total;
  size_t vocabulary;

  sampling::BestLogits logits() const { return {candidates, total, vocabulary}; }
};

Best best_of(const device::Readout& readout, uint32_t row, size_t vocabulary) {
  const size_t stride = readout.candidates + size_t{1};
  const std::span<const device::Candidate> found = std::span(readout.best).subspan(row * stride, stride);
  Best best{{}, found.back().value, vocabulary};
  for (const device::Candidate& candidate : found.first(readout.candidates))
    best.candidates.push_back({static_cast<int32_t>(candidate.column), candidate.value, 0});
  return best;
}

Result<std::optional<Event>> from_all(Generation& generation, std::span<float> logits) {
  ASSIGN_OR_RETURN(Event event, generation.next(logits));
  return std::optional(std::move(event));
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
  struct Arrival {
    RequestId id;
    std::vector<text::Token> prompt;
    sched::SequenceOptions options;
    std::unique_ptr<Active> active;
  };
  // A row of logits and what becomes of it.
  struct Sampled {
    const sched::StepSequence* part;
    Generation* generation;
    uint32_t row;             // of those with logits
    std::span<float> logits;  // all of it; empty: the best of it are in the readout
    Result<std::optional<Event>> event = std::optional<Event>();
  };

  Impl(Backend what, std::shared_ptr<const text::Tokenizer> tokens, const EngineOptions& wanted)
      : backend(std::move(what)),
        tokenizer(std::move(tokens)),
        ends(ends_of(*tokenizer)),
        options(cut_to(wanted, backend)),
        scheduler(scheduler_options(backend, options)),
        context(scheduler.context()),
        delivery([this](RequestId id) { cancel(id); }) {
    look_at_devices();
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
  Result<std::vector<RequestId>> submit(const Request& request, std::vector<EventSink> sinks);
  void cancel(RequestId id);
  bool drain(Clock::time_point deadline);
  Stats read_stats() const;

  // On the engine's thread.
  void run();
  bool take_inbox();
  bool work_waits() const;  // under `mutex`
  void begin(Arrival arrival);
  void end_overdue();
  void look_at_devices();
  DeviceStatus devices_now() const;
  void tell_live_pages() const;
  void maintain();
  void recover(const Error& loss);
  void step();
  Status compute(const sched::Step& step);
  void start(const sched::Step& step);
  void fail(const sched::Step& step, const Error& error);
  device::Readout wanted(const sched::Step& step);
  void take_cancels();
  void build_masks(const sched::Step& step);
  std::chrono::nanoseconds step_limit() const;
  void sample(const sched::Step& step, const device::Readout& readout);
  void sample_undecided(std::span<Sampled> rows);
  void for_each(std::span<Sampled> rows, const std::function<void(Sampled&)>& body);
  void refuse(const sched::Step& step, const sched::StepSequence& part, const Error& error);
  void deliver(RequestId id, Event event);
  void finish(RequestId id, FinishReason reason, Event last = {});
  void publish(uint32_t ended_now = 0);

  // What others ask of the engine's thread, and its answer.
  struct Task {
    std::function<Status()> run;
    std::promise<Status> result;
  };
  Status between_steps(std::function<Status()> run);

  const Backend backend;
  const std::shared_ptr<const text::Tokenizer> tokenizer;
  const std::vector<text::Token> ends;
  const EngineOptions options;

  // The engine's thread's own.
  sched::Scheduler scheduler;
  const uint32_t context;
  std::map<RequestId, std::unique_ptr<Active>> actives;
  std::vector<float> logits, more_logits;  // of rows that are read with the step, and after it
  StepCost cost;
  std::chrono::milliseconds bound{0};
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
  bool stopping = false, draining = false, cancels_all = false;
  std::condition_variable ended;  // a request has
  RequestId last_id = 0;
  uint32_t unfinished = 0;  // accepted, without final event
  Stats published;

  Delivery delivery;
  Background masks;
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
  for (const text::Token token : request.stop_tokens) {
    if (token < 0 || static_cast<uint32_t>(token) >= backend.vocabulary)
      return error(ErrorKind::kUsage, "stop token {} is none; the model has tokens 0 to {}", token,
                   backend.vocabulary - 1);
  }
  return sampling::validate(request.options);
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
    all.push_back(
        {0, request.prompt, sequence_options(request), std::make_unique<Active>(request, std::move(generation))});
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
  for (Task& task : new_tasks)
    task.result.set_value(ending ? error(ErrorKind::kCancelled, "the engine ends") : guarded(task.run));
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
  if (backend.keep_pages) backend.keep_pages(scheduler.live_pages());
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

void Engine::Impl::step() {
  sched::Step step;
  const Status status = guarded([&]() -> Status {
    step = scheduler.plan(cost.budget(step_limit()));
    return step.empty() ? Status() : compute(step);
  });
  if (!status) fail(step, status.error());
}

// What was learned holds for where the layers were, so it is learned again soon after they have moved.
void Engine::Impl::look_at_devices() {
  constexpr std::chrono::milliseconds kBound_gpu(100), kBound_cpu(250);
  bound = options.step_bound;
  if (bound.count() == 0) bound = devices_now().wholly_on_gpu() ? kBound_gpu : kBound_cpu;
}

DeviceStatus Engine::Impl::devices_now() const {
  return backend.devices ? backend.devices() : DeviceStatus();
}

std::chrono::nanoseconds Engine::Impl::step_limit() const {
  return std::chrono::nanoseconds(bound) / (backend.sharers ? std::max(1u, backend.sharers()) : 1);
}

Status Engine::Impl::compute(const sched::Step& step) {
  start(step);
  device::Readout readout = wanted(step);
  build_masks(step);
  const Clock::time_point begun = Clock::now();
  const Status computed = guarded([&] { return backend.forward(batch_of(step), readout); });
  masks.wait();
  TRY(computed);

  cost.learn(step.tokens.size(), step.keys, Clock::now() - begun);
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

// On a thread of their own, while the device computes: they depend on the tokens so far only.
void Engine::Impl::build_masks(const sched::Step& step) {
  std::vector<Generation*> all;
  for (const sched::StepSequence& part : step.sequences) {
    Generation& generation = actives.at(part.id)->generation;
    if (part.samples > 0 && generation.has_grammar()) all.push_back(&generation);
  }
  if (all.empty()) return;
  masks.start([all = std::move(all)] {
    for (Generation* generation : all) generation->build_mask();
  });
}

// From the best logits where they decide, which needs no more reading; then the rest from all.
void Engine::Impl::sample(const sched::Step& step, const device::Readout& readout) {
  std::vector<Sampled> rows;
  uint32_t row = 0;
  size_t full = 0;
  for (const sched::StepSequence& part : step.sequences) {
    if (part.samples == 0) continue;
    std::span<float> whole;
    if (full < readout.full_rows.size() && readout.full_rows[full] == row)
      whole = readout.logits.subspan(full++ * backend.vocabulary, backend.vocabulary);
    const auto found = actives.find(part.id);
    if (found != actives.end()) rows.push_back({&part, &found->second->generation, row, whole});
    ++row;
  }
  for_each(rows, [&](Sampled& one) {
    one.event = one.logits.empty() ? one.generation->next(best_of(readout, one.row, backend.vocabulary).logits())
                                   : from_all(*one.generation, one.logits);
  });
  sample_undecided(rows);
  for (Sampled& one : rows) {
    if (!one.event)
      refuse(step, *one.part, one.event.error());
    else
      deliver(one.part->id, std::move(**one.event));
  }
}

void Engine::Impl::sample_undecided(std::span<Sampled> rows) {
  std::vector<Sampled*> undecided;
  for (Sampled& one : rows)
    if (one.event && !one.event->has_value()) undecided.push_back(&one);
  if (undecided.empty()) return;
  more_logits.resize(std::max(more_logits.size(), undecided.size() * backend.vocabulary));
  for (size_t i = 0; i < undecided.size(); ++i) {
    undecided[i]->logits = std::span(more_logits).subspan(i * backend.vocabulary, backend.vocabulary);
    const Status read = backend.read_logits(undecided[i]->row, undecided[i]->logits);
    if (!read) undecided[i]->event = read.error();
  }
  for_each(rows, [&](Sampled& one) {
    if (one.event && !one.event->has_value()) one.event = from_all(*one.generation, one.logits);
  });
}

// What is thrown there is the error of the one whose row it is.
void Engine::Impl::for_each(std::span<Sampled> rows, const std::function<void(Sampled&)>& body) {
  const auto one = [&](uint32_t i) {
    const Status done = guarded([&]() -> Status {
      body(rows[i]);
      return {};
    });
    if (!done) rows[i].event = done.error();
  };
  if (backend.parallel && rows.size() > 1) return backend.parallel(static_cast<uint32_t>(rows.size()), one);
  for (uint32_t i = 0; i < rows.size(); ++i) one(i);
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

void Engine::Impl::start(const sched::Step& step) {
  const Clock::time_point now = Clock::now();
  for (const sched::StepSequence& part : step.sequences) {
    Active& active = *actives.at(part.id);
    if (!active.first_step) active.first_step = now;
    if (!active.first_token) active.usage.prompt_tokens_cached = part.cached_tokens;
    if (std::exchange(active.tells_begin, false)) {
      Event begin;
      begin.usage = active.usage;
      delivery.send(active.receiver, std::move(begin));
    }
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
  if (!event.finish && scheduler.append(id, event.tokens) < event.tokens.size()) event.finish = FinishReason::kLength;
  if (event.finish) {
    const FinishReason reason = *event.finish;
    finish(id, reason, std::move(event));
  } else {
    delivery.send(active.receiver, std::move(event));
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
  delivery.send(active->receiver, std::move(last));
}

void Engine::Impl::publish(uint32_t ended_now) {
  const sched::Counts counts = scheduler.counts();
  std::lock_guard lock(mutex);
  unfinished -= ended_now;
  published = counted;
  published.running = counts.running;
  published.pages_total = counts.pages_total;
  published.pages_free = counts.pages_unused + counts.pages_evictable;
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
  return impl_->between_steps([impl = impl_.get(), target = std::move(target)] {
    impl->tell_live_pages();
    return impl->backend.rearrange(target);
  });
}

Status Engine::give_back(uint64_t bytes) {
  if (!impl_->backend.give_back) return error(ErrorKind::kUnsupported, "the model lies on one device for good");
  return impl_->between_steps([impl = impl_.get(), bytes] {
    impl->tell_live_pages();
    return impl->backend.give_back(bytes);
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
