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
  std::map<uint64_t, api::TransferSink> sinks;
  uint64_t next = 0;
  api::TransferEvent latest;  // that whoever comes later begins with
};

api::Cancel Transfers::start(Kind kind, const api::TransferRequest& request, api::TransferSink sink) {
  const std::string key = fmt::format("{} {} {}", static_cast<int>(kind), request.insecure, request.model);
  std::shared_ptr<Job> job;
  uint64_t number = 0;
  bool fresh = false;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Job>& known = jobs_[key];
    fresh = known == nullptr || known->cancelled || known->ended;
    if (fresh) {
      known = std::make_shared<Job>();
      known->kind = kind;
      known->key = key;
      known->request = request;
    }
    job = known;
    {
      const std::lock_guard its(job->mutex);
      number = job->next++;
      if (!fresh && !job->latest.status.empty()) sink(job->latest);
      job->sinks.emplace(number, std::move(sink));
    }
  }
  if (fresh && !work_.start([this, job](const std::atomic<bool>& ends) { run(job, ends); })) {
    tell(*job, {.last = true, .error = Error{ErrorKind::kBusy, "the server is ending, or has no thread for this"}});
    forget(job);
  }
  return [this, job, number] { leave(job, number); };
}

void Transfers::leave(const std::shared_ptr<Job>& job, uint64_t number) {
  const std::lock_guard lock(job->mutex);
  job->sinks.erase(number);
  if (job->sinks.empty()) job->cancelled = true;
}

void Transfers::tell(Job& job, const api::TransferEvent& event) {
  const std::lock_guard lock(job.mutex);
  job.latest = event;
  if (event.last) job.ended = true;
  for (const auto& [number, sink] : job.sinks) sink(event);
  if (event.last) job.sinks.clear();
}

void Transfers::run(const std::shared_ptr<Job>& job, const std::atomic<bool>& ends) {
  registry::TransferOptions options{.insecure = job->request.insecure};
  options.goes_on = [&] { return !job->cancelled && !ends; };
  api::TransferEvent success;
  const registry::ProgressSink sink = [&](const registry::Progress& progress) {
    const api::TransferEvent event{
        .status = progress.status, .digest = progress.digest, .total = progress.total, .done = progress.done};
    if (progress.status == "success")  // is said when all is done
      success = event;
    else
      tell(*job, event);
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
  success.last = true;
  if (!done) success.error = done.error();
  tell(*job, success);
  forget(job);
}

void Transfers::forget(const std::shared_ptr<Job>& job) {
  const std::lock_guard lock(mutex_);
  if (const auto at = jobs_.find(job->key); at != jobs_.end() && at->second == job) jobs_.erase(at);
}

}  // namespace hearth::serve
