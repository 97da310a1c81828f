#include "batch/runner.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"

namespace hearth::batch {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kRound{200}, kBeat{10'000}, kReap{5'000}, kCount{1'000}, kCalm{1'000}, kModel_again{5'000};
constexpr int64_t kRefused_at_once = 64;  // steps of a model that is not there
constexpr size_t kMost_jobs = 64;         // whose workflows are kept compiled

int64_t since_ms(Clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - begin).count();
}

// What would be the same the next time.
bool is_permanent(unsigned status) {
  return status >= 400 && status < 500 && status != 408 && status != 409 && status != 425 && status != 429 &&
         status != 499;
}
// The server could not, whatever was asked: that counts against no step.
bool is_nobodys_fault(unsigned status) {
  return status == 0 || status == 429 || status == 499 || status == 503;
}

bool is_permanent(ErrorKind kind) {
  return kind == ErrorKind::kNotFound || kind == ErrorKind::kInvalidData || kind == ErrorKind::kUnsupported ||
         kind == ErrorKind::kUsage;
}

}  // namespace

struct Runner::Flight {
  Claimed step;
  std::string owner, model_name;
  std::shared_ptr<const Compiled> workflow;
  Prepared prepared;
  std::vector<Reply> replies;
  Clock::time_point begun = Clock::now();
  Cancel cancel;  // under the runner's mutex

  // As the workflow has it; null for a request of a dialect's batch.
  const Step* planned() const {
    const Planned* plan = workflow ? workflow->find(step.name) : nullptr;
    return plan == nullptr || workflow->workflow.steps.empty() ? nullptr : &workflow->workflow.steps[plan->step];
  }
};

// Recursive: what is asked may be answered at once.
struct Runner::Gate {
  std::recursive_mutex mutex;
  bool open = true;
};

Runner::Runner(Queue& queue, Host host, RunnerOptions options)
    : queue_(queue), host_(std::move(host)), options_(std::move(options)), gate_(std::make_shared<Gate>()) {
  if (const Status ended = queue_.end_workers_of(options_.node); !ended)
    log_warn("batch: the queue cannot be read: {}", ended.error().message);
  heart_ = std::thread([this] { beat(); });
  thread_ = std::thread([this] { run(); });
}

Runner::~Runner() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  heart_.join();
  thread_.join();
  {
    const std::lock_guard shut(gate_->mutex);
    gate_->open = false;
  }
  (void)queue_.leave(options_.worker);
}

void Runner::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

Work Runner::work() const {
  const std::lock_guard lock(mutex_);
  return work_;
}

void Runner::beat() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    lock.unlock();
    (void)queue_.beat(options_.worker, options_.node);
    lock.lock();
    changed_.wait_for(lock, kBeat, [this] { return ends_; });
  }
}

void Runner::run() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    const bool woken = std::exchange(woken_, false);
    lock.unlock();
    if (woken) {
      counted_ = {};
      drop_lost();
    }
    round();
    lock.lock();
    changed_.wait_for(lock, kRound, [this] { return ends_ || woken_ || !outcomes_.empty() || seated_.has_value(); });
  }
  lock.unlock();
  give_back_all();
  write_down({});
  seat_.reset();
}

void Runner::round() {
  look_after();
  std::optional<Result<Seat>> seated;
  {
    const std::lock_guard lock(mutex_);
    seated = std::exchange(seated_, std::nullopt);
    if (seated && *seated) ++work_.loads;
  }
  if (seated) {
    const std::string model = std::exchange(asked_model_, {});
    if (*seated) {
      seat_ = std::move(**seated);
      width_ = seat_->width;
      turn_began_ = Clock::now();
    } else {
      without_seat(model, seated->error());
    }
  }
  const bool goes_on = !yields() && has_room();
  write_down(goes_on ? wanted() : std::vector<Wanted>());
}

void Runner::look_after() {
  if (Clock::now() - reaped_ < kReap) return;
  reaped_ = Clock::now();
  const auto ended = queue_.reap(options_.worker);
  if (!ended) return tell(ended.error().message);
  for (const int64_t job : *ended) host_.ended(job);
  if (!ended->empty()) drop_lost();
}

// Whether people's requests are in the way.
bool Runner::yields() {
  const Others others = host_.others(seat_ ? seat_->model : "");
  if (others.running > 0 && (others.other_model || !seat_)) {
    give_back_all();
    seat_.reset();
    return true;
  }
  if (!seat_) return others.quiet_ms < options_.quiet_ms;
  if (Clock::now() - calmed_ < kCalm) return false;
  calmed_ = Clock::now();
  width_ = others.running > 0 ? std::max<int64_t>(1, width_ / 2) : std::min(seat_->width, width_ + 1);
  return false;
}

bool Runner::has_room() {
  const Status room = host_.room();
  if (room) return true;
  tell(room.error().message);
  return false;
}

void Runner::tell(const std::string& problem) {
  if (problem == problem_) return;
  problem_ = problem;
  if (!problem.empty()) log_warn("batch: {}", problem);
  host_.tell(problem);
}

size_t Runner::in_flight() const {
  const std::lock_guard lock(mutex_);
  return flights_.size();
}

std::vector<Wanted> Runner::wanted() {
  const auto running = static_cast<int64_t>(in_flight());
  if (running == 0) alone_ = false;
  const int64_t slots = (seat_ ? width_ : 0) - running;
  if (alone_ || !asked_model_.empty() || (seat_ && slots <= 0)) return {};
  if (Clock::now() - counted_ >= kCount) {
    auto ready = queue_.ready();
    if (!ready) {
      tell(ready.error().message);
      return {};
    }
    ready_ = std::move(*ready);
    counted_ = Clock::now();
    std::erase_if(not_before_, [](const auto& one) { return one.second <= Clock::now(); });
    std::erase_if(ready_, [this](const Ready& one) { return not_before_.contains(one.model); });
    if (not_before_.empty()) tell("");
  }
  const std::string model = choose_model(ready_,
                                         {.current = seat_ ? seat_->model : "",
                                          .turn_ms = since_ms(turn_began_),
                                          .load_ms = seat_ ? seat_->load_ms : 0,
                                          .in_flight = running,
                                          .now_ms = queue_.now()},
                                         options_.bounds);
  if (model.empty()) {
    if (seat_ && running == 0) seat_.reset();  // the fleet keeps it for a while
    return {};
  }
  if (!seat_ || model != seat_->model) {
    if (running == 0) take_seat(model);
    return {};
  }
  auto wanted = share(ready_, model, slots);
  if (!wanted.empty() || running > 0) return wanted;
  for (const Ready& one : ready_) {
    if (one.model != model || one.suspects == 0) continue;
    alone_ = true;
    return {{model, one.owner, 1, true}};
  }
  return {};
}

void Runner::take_seat(const std::string& model) {
  seat_.reset();
  asked_model_ = model;
  host_.seat(model, [this, gate = gate_](Result<Seat> seat) {
    const std::lock_guard passing(gate->mutex);
    if (!gate->open) return;
    {
      const std::lock_guard lock(mutex_);
      seated_.emplace(std::move(seat));
    }
    changed_.notify_all();
  });
}

// The model cannot be had: for good, then its steps fail, or for now.
void Runner::without_seat(const std::string& model, const Error& error) {
  if (!is_permanent(error.kind)) {
    not_before_[model] = Clock::now() + kModel_again;
    counted_ = {};
    return tell(error.message);
  }
  for (const Ready& one : ready_) {
    if (one.model != model) continue;
    for (const bool suspects : {false, true}) {
      const Wanted want{model, one.owner, kRefused_at_once, suspects};
      auto turn = queue_.turn(options_.worker, {}, std::span(&want, 1));
      if (!turn) return tell(turn.error().message);
      for (Claimed& step : turn->claimed) {
        const auto known = job(step.job);
        if (known && !known->workflow->workflow.endpoint.empty()) {
          start(std::move(step));  // the dialect says in its own words that there is no such model
          continue;
        }
        const auto flight = std::make_shared<Flight>();
        flight->step = std::move(step);
        if (known) flight->workflow = known->workflow;
        put(flight, failed(*flight, error.message, ""));
      }
    }
  }
  counted_ = {};
}

void Runner::write_down(const std::vector<Wanted>& wanted) {
  std::vector<Outcome> outcomes;
  {
    const std::lock_guard lock(mutex_);
    outcomes = outcomes_;
  }
  if (outcomes.empty() && wanted.empty()) return;
  auto turn = queue_.turn(options_.worker, outcomes, wanted);
  if (!turn) {
    alone_ = false;
    return tell(turn.error().message);  // and once more with the next round: nothing of it was written
  }
  {
    const std::lock_guard lock(mutex_);
    outcomes_.erase(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(outcomes.size()));
    for (const Outcome& outcome : outcomes) {
      work_.finished += outcome.kind == Outcome::Kind::kDone;
      work_.failed += outcome.kind == Outcome::Kind::kFailed;
      work_.retried += outcome.kind == Outcome::Kind::kAgain;
    }
    work_.jobs += turn->ended.size();
  }
  size_t asked = 0;
  for (const Wanted& one : wanted) asked += static_cast<size_t>(one.count);
  if (turn->claimed.size() < asked) counted_ = {};
  if (turn->finished > 0 && ready_.empty()) counted_ = {};  // what it unblocked
  for (Claimed& step : turn->claimed) start(std::move(step));
  for (const int64_t job : turn->ended) host_.ended(job);
}

Result<Runner::Job> Runner::job(int64_t id) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = jobs_.find(id);
    if (known != jobs_.end()) return known->second;
  }
  ASSIGN_OR_RETURN(const JobInfo info, queue_.job(id));
  boost::system::error_code failed;
  const boost::json::value spec = boost::json::parse(info.spec, failed);
  if (failed) return error(ErrorKind::kInvalidData, "the job's steps cannot be read");
  const Where where = [](const std::string&) { return ""; };
  ASSIGN_OR_RETURN(Workflow workflow, workflow_from_json(spec, where));
  Job job{info.owner, info.key, nullptr};
  ASSIGN_OR_RETURN(job.workflow, compile(std::move(workflow), where));
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= kMost_jobs) jobs_.clear();
  jobs_[id] = job;
  return job;
}

void Runner::start(Claimed step) {
  const auto flight = std::make_shared<Flight>();
  flight->step = std::move(step);
  {
    const std::lock_guard lock(mutex_);
    flights_[flight->step.id] = flight;
  }
  auto prepared = prepare_step(*flight);
  if (!prepared) return put(flight, failed(*flight, prepared.error().message, ""));
  flight->prepared = std::move(*prepared);
  if (flight->prepared.requests.empty()) {
    return put(flight, {.id = flight->step.id, .fence = flight->step.fence, .output = skipped_output("")});
  }
  if (!flight->prepared.cache_key.empty()) {
    const auto known = queue_.cached(flight->owner, flight->prepared.cache_key);
    if (known && *known) {
      {
        const std::lock_guard lock(mutex_);
        ++work_.cached;
      }
      return put(flight, {.id = flight->step.id, .fence = flight->step.fence, .output = **known});
    }
  }
  next_request(flight);
}

Result<Prepared> Runner::prepare_step(Flight& flight) {
  ASSIGN_OR_RETURN(const Job known, job(flight.step.job));
  flight.owner = known.owner;
  flight.workflow = known.workflow;
  if (const Step* step = flight.planned(); step != nullptr && step->on_error == Step::OnError::kFallback) {
    const auto fallback = host_.identify(step->fallback), own = host_.identify(step->model);
    if (fallback && *fallback == flight.step.model && !(own && *own == *fallback)) flight.model_name = step->fallback;
  }
  return prepare(*flight.workflow, known.key, flight.step, flight.model_name);
}

void Runner::next_request(const Ptr& flight) {
  const Request& request = flight->prepared.requests[flight->replies.size()];
  Cancel cancel = host_.ask(request, flight->owner, [this, gate = gate_, flight](Reply reply) {
    const std::lock_guard passing(gate->mutex);
    if (gate->open) answered(flight, std::move(reply));
  });
  const std::lock_guard lock(mutex_);
  flight->cancel = std::move(cancel);
}

void Runner::answered(const Ptr& flight, Reply reply) {
  {
    const std::lock_guard lock(mutex_);
    if (!flights_.contains(flight->step.id) || flights_[flight->step.id] != flight) return;  // it was given back
  }
  const bool good = reply.status >= 200 && reply.status < 300;
  flight->replies.push_back(reply);
  if (good && flight->replies.size() < flight->prepared.requests.size()) return next_request(flight);
  put(flight, outcome_of(*flight, reply));
}

Outcome Runner::outcome_of(Flight& flight, const Reply& last) {
  const Claimed& step = flight.step;
  Outcome outcome{.id = step.id, .fence = step.fence};
  if (last.status >= 200 && last.status < 300) {
    Output output = output_of(*flight.workflow, step, flight.prepared, flight.replies);
    outcome.output = std::move(output.json);
    outcome.cache_key = flight.prepared.cache_key;
    outcome.prompt_tokens = output.prompt_tokens;
    outcome.output_tokens = output.output_tokens;
    outcome.took_ms = std::max<int64_t>(1, since_ms(flight.begun));
    return outcome;
  }
  const Step* planned = flight.planned();
  const int64_t retries = planned != nullptr ? planned->retries : 3;
  outcome.kind = is_nobodys_fault(last.status) ? Outcome::Kind::kReturned : Outcome::Kind::kAgain;
  const int64_t doubled = options_.backoff_ms << std::min<int64_t>(step.attempt - 1, 10);
  outcome.wait_ms = std::min(kMost_backoff_ms, doubled / 2 + static_cast<int64_t>(random_bits() % (doubled + 1)));
  if (!is_permanent(last.status) && (outcome.kind == Outcome::Kind::kReturned || step.attempt <= retries))
    return outcome;
  const bool requests = !flight.workflow->workflow.endpoint.empty();
  return failed(flight, message_of(last),
                requests ? output_of(*flight.workflow, step, flight.prepared, {last}).json : "");
}

// For good, unless the step says what then.
Outcome Runner::failed(Flight& flight, const std::string& message, const std::string& output) {
  Outcome outcome{.kind = Outcome::Kind::kFailed,
                  .id = flight.step.id,
                  .fence = flight.step.fence,
                  .output = output,
                  .error = message};
  const Step* step = flight.planned();
  if (step == nullptr) return outcome;
  if (step->on_error == Step::OnError::kSkip) {
    outcome.kind = Outcome::Kind::kDone;
    outcome.output = skipped_output(message);
  }
  if (step->on_error == Step::OnError::kFallback) {
    const auto fallback = host_.identify(step->fallback);
    if (!fallback || *fallback == flight.step.model) return outcome;
    outcome.kind = Outcome::Kind::kElsewhere;
    outcome.model = *fallback;
  }
  return outcome;
}

void Runner::put(const Ptr& flight, Outcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    flights_.erase(flight->step.id);
    outcomes_.push_back(std::move(outcome));
  }
  changed_.notify_all();
}

void Runner::give_back_all() {
  std::vector<Cancel> cancels;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, flight] : flights_) {
      cancels.push_back(flight->cancel);
      outcomes_.push_back({.kind = Outcome::Kind::kReturned, .id = id, .fence = flight->step.fence});
      ++work_.preempted;
    }
    flights_.clear();
  }
  for (const Cancel& cancel : cancels)
    if (cancel) cancel();
}

// Steps that are not ours any more: their job was cancelled, or it expired.
void Runner::drop_lost() {
  if (in_flight() == 0) return;
  const auto held = queue_.held(options_.worker);
  if (!held) return;
  std::vector<Cancel> cancels;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(flights_, [&](const auto& one) {
      const auto at = held->find(one.first);
      if (at != held->end() && at->second == one.second->step.fence) return false;
      cancels.push_back(one.second->cancel);
      return true;
    });
  }
  for (const Cancel& cancel : cancels)
    if (cancel) cancel();
}

}  // namespace hearth::batch
