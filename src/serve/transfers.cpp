#include "serve/transfers.h"

#include <atomic>

#include "base/error.h"
#include "base/log.h"
#include "registry/pull.h"

namespace hearth::serve {

struct Transfers::Job {
  Kind kind = Kind::kPull;
  std::string key;
  api::TransferRequest request;
  std::atomic<bool> cancelled = false, ended = false;
  std::mutex mutex;
  std::map<uint64_t, api::WorkSinks> sinks;
  uint64_t next = 0;
  api::WorkStep latest;  // that whoever comes later begins with
};

api::Cancel Transfers::start(Kind kind, const api::TransferRequest& request, api::WorkSinks sinks) {
  const std::string key = fmt::format("{} {} {}", static_cast<int>(kind), request.insecure, request.model);
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Job>& known = jobs_[key];
  if (known != nullptr) {
    const std::lock_guard its(known->mutex);
    if (!known->cancelled && !known->ended) {
      if (!known->latest.status.empty()) sinks.step(known->latest);
      return add(known, std::move(sinks));
    }
  }
  known = std::make_shared<Job>();
  known->kind = kind;
  known->key = key;
  known->request = request;
  const auto done = sinks.done;
  const api::Cancel leaves = add(known, std::move(sinks));
  if (work_.start([this, job = known](const std::atomic<bool>& ends) { run(job, ends); })) return leaves;
  jobs_.erase(key);
  done(error(ErrorKind::kBusy, "the server is ending, or has no thread for this"));
  return {};
}

// Of a job that nobody else uses, or under its mutex.
api::Cancel Transfers::add(const std::shared_ptr<Job>& job, api::WorkSinks sinks) {
  const uint64_t number = job->next++;
  job->sinks.emplace(number, std::move(sinks));
  return [this, job, number] { leave(job, number); };
}

std::vector<metrics::TransferFigures> Transfers::figures() const {
  std::vector<metrics::TransferFigures> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, job] : jobs_) {
    const std::lock_guard its(job->mutex);
    list.push_back({job->kind == Kind::kPull ? "pull" : "push", job->request.model, job->latest.status,
                    job->latest.total, job->latest.done});
  }
  return list;
}

void Transfers::leave(const std::shared_ptr<Job>& job, uint64_t number) {
  const std::lock_guard lock(job->mutex);
  job->sinks.erase(number);
  if (job->sinks.empty()) job->cancelled = true;
}

void Transfers::tell(Job& job, const api::WorkStep& step) {
  const std::lock_guard lock(job.mutex);
  job.latest = step;
  for (const auto& [number, sinks] : job.sinks) sinks.step(step);
}

void Transfers::run(const std::shared_ptr<Job>& job, const std::atomic<bool>& ends) {
  registry::TransferOptions options{.insecure = job->request.insecure};
  options.goes_on = [&] { return !job->cancelled && !ends; };
  const registry::ProgressSink sink = [&](const registry::Progress& progress) {
    if (progress.status == "success") return;  // is said when all is done
    tell(*job, {.status = progress.status, .digest = progress.digest, .done = progress.done, .total = progress.total});
  };
  const char* verb = job->kind == Kind::kPull ? "pull" : "push";
  Status done;
  if (job->kind == Kind::kPull) {
    const auto pulled = registry::pull(job->request.model, options, sink);
    if (!pulled) done = pulled.error();
  } else {
    done = registry::push(job->request.model, options, sink);
  }
  if (!done && done.error().kind != ErrorKind::kCancelled)
    log_warn("{} {}: {}", verb, job->request.model, done.error().message);
  if (done) log_info("{} {}: done", verb, job->request.model);
  end(job, done);
}

void Transfers::end(const std::shared_ptr<Job>& job, const Status& status) {
  {
    const std::lock_guard lock(job->mutex);
    job->ended = true;
    for (const auto& [number, sinks] : job->sinks) sinks.done(status);
    job->sinks.clear();
  }
  const std::lock_guard lock(mutex_);
  if (const auto at = jobs_.find(job->key); at != jobs_.end() && at->second == job) jobs_.erase(at);
}

}  // namespace hearth::serve
