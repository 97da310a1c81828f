// Work: how steps are taken, finished, and freed of those who died with them.
#include <set>

#include "base/error.h"
#include "batch/queue_impl.h"

namespace hearth::batch {
namespace {

// Held again by nobody; blocked where its job does not run.
constexpr const char* kFree =
    "UPDATE step SET worker = NULL, attempt = attempt - $3, not_before_ms = $4, "
    "state = CASE WHEN (SELECT state FROM job WHERE id = step.job_id) = 'running' THEN 'ready' ELSE 'blocked' END "
    "WHERE id = $1 AND fence = $2 AND state = 'leased' RETURNING job_id";
constexpr const char* kMove =
    "UPDATE step SET worker = NULL, attempt = 0, model = $3, not_before_ms = 0, "
    "state = CASE WHEN (SELECT state FROM job WHERE id = step.job_id) = 'running' THEN 'ready' ELSE 'blocked' END "
    "WHERE id = $1 AND fence = $2 AND state = 'leased' RETURNING job_id";

}  // namespace

Status Queue::fail(int64_t step, const std::string& error) {
  TRY(sql_->run("UPDATE step SET state = 'failed', worker = NULL, error = $2 WHERE id = $1", {step, error}));
  return sql_->run(
      "WITH RECURSIVE after(id) AS (SELECT step_id FROM step_dep WHERE needs = $1 UNION "
      "SELECT p.step_id FROM step_dep p JOIN after a ON p.needs = a.id) "
      "UPDATE step SET state = 'failed', error = 'a step that it needs has failed' "
      "WHERE id IN (SELECT id FROM after) AND state = 'blocked'",
      {step});
}

Status Queue::finish(const Outcome& outcome, Turn& turn, std::map<int64_t, bool>& touched) {
  using Kind = Outcome::Kind;
  std::optional<int64_t> job;
  const auto take = [&](const Row& row) { job = number(row, 0); };
  const bool ends = outcome.kind == Kind::kDone || outcome.kind == Kind::kFailed;
  if (outcome.kind == Kind::kDone) {
    const Param key = outcome.cache_key.empty() ? Param() : Param(outcome.cache_key);
    TRY(sql_->run(sql::kFinish, {outcome.id, outcome.fence, key}, take));
  } else if (outcome.kind == Kind::kFailed) {
    TRY(sql_->run("SELECT job_id FROM step WHERE id = $1 AND fence = $2 AND state = 'leased'",
                  {outcome.id, outcome.fence}, take));
    if (job) TRY(fail(outcome.id, outcome.error));
  } else if (outcome.kind == Kind::kElsewhere) {
    TRY(sql_->run(kMove, {outcome.id, outcome.fence, outcome.model}, take));
  } else {
    const int64_t uncounted = outcome.kind == Kind::kReturned ? 1 : 0;
    TRY(sql_->run(kFree, {outcome.id, outcome.fence, uncounted, now() + outcome.wait_ms}, take));
  }
  if (!job) {
    ++turn.refused;
    return {};
  }
  if (ends && (outcome.kind == Kind::kDone || !outcome.output.empty()))
    TRY(sql_->run(sql::kResult,
                  {outcome.id, outcome.output, outcome.prompt_tokens, outcome.output_tokens, outcome.took_ms, now()}));
  if (outcome.kind == Kind::kDone) TRY(sql_->run(sql::kUnblock, {outcome.id, now()}));
  if (ends) {
    touched[*job] = true;
    ++turn.finished;
  }
  return {};
}

Status Queue::end_if_done(int64_t job, std::vector<int64_t>& ended) {
  return sql_->run(
      "UPDATE job SET state = 'done', ended_ms = $2 WHERE id = $1 AND state = 'running' AND NOT EXISTS "
      "(SELECT 1 FROM step WHERE job_id = $1 AND state IN ('blocked', 'ready', 'leased')) RETURNING id",
      {job, now()}, [&](const Row& row) { ended.push_back(number(row, 0)); });
}

Status Queue::fill(Claimed& step) {
  TRY(sql_->run("SELECT key, data FROM item WHERE job_id = $1 AND item = $2", {step.job, step.item},
                [&](const Row& row) {
                  step.item_key = text(row, 0);
                  step.item_data = text(row, 1);
                }));
  return sql_->run(
      "SELECT s.name, r.output FROM step_dep d JOIN step s ON s.id = d.needs JOIN result r ON r.step_id = d.needs "
      "WHERE d.step_id = $1",
      {step.id}, [&](const Row& row) { step.needs.emplace(text(row, 0), text(row, 1)); });
}

Status Queue::claim(const std::string& worker, const Wanted& wanted, std::vector<Claimed>& claimed) {
  const size_t first = claimed.size();
  TRY(sql_->run(sql::kClaim,
                {worker, wanted.model, wanted.owner, now(), wanted.count, static_cast<int64_t>(wanted.suspects)},
                [&](const Row& row) {
                  Claimed step;
                  step.id = number(row, 0);
                  step.fence = number(row, 1);
                  step.job = number(row, 2);
                  step.item = number(row, 3);
                  step.name = text(row, 4);
                  step.model = text(row, 5);
                  step.attempt = number(row, 6);
                  step.deaths = number(row, 7);
                  claimed.push_back(std::move(step));
                }));
  for (size_t i = first; i < claimed.size(); ++i) TRY(fill(claimed[i]));
  return {};
}

Result<Turn> Queue::turn(const std::string& worker, std::span<const Outcome> outcomes, std::span<const Wanted> wanted) {
  Turn turn;
  const Status stored = transaction([&]() -> Status {
    std::map<int64_t, bool> touched;
    for (const Outcome& outcome : outcomes) TRY(finish(outcome, turn, touched));
    for (const auto& [job, yes] : touched) TRY(end_if_done(job, turn.ended));
    for (const Wanted& want : wanted) TRY(claim(worker, want, turn.claimed));
    return {};
  });
  TRY(stored);
  return turn;
}

Status Queue::beat(const std::string& worker, const std::string& node) {
  return transaction([&] {
    return sql_->run(
        "INSERT INTO worker VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET expires_ms = excluded.expires_ms",
        {worker, node, now() + kLease_ms});
  });
}

Status Queue::leave(const std::string& worker) {
  return transaction([&] { return sql_->run("DELETE FROM worker WHERE id = $1", {worker}); });
}

Status Queue::end_workers_of(const std::string& node) {
  return transaction([&] { return sql_->run("DELETE FROM worker WHERE node = $1", {node}); });
}

// A lease or a wait that lies further ahead than either can last was written before the clock was set back.
Result<std::vector<int64_t>> Queue::reap(const std::string& own_worker) {
  std::vector<int64_t> ended;
  const Status stored = transaction([&]() -> Status {
    TRY(sql_->run("UPDATE worker SET expires_ms = $1 WHERE expires_ms > $1", {now() + kLease_ms}));
    TRY(sql_->run("UPDATE step SET not_before_ms = $1 WHERE state = 'ready' AND not_before_ms > $2",
                  {now(), now() + kMost_backoff_ms}));
    TRY(sql_->run("DELETE FROM worker WHERE expires_ms < $1 AND id <> $2", {now(), own_worker}));
    std::vector<std::pair<int64_t, int64_t>> poison;  // step, job
    TRY(sql_->run(
        "UPDATE step SET worker = NULL, deaths = deaths + 1, state = CASE WHEN (SELECT state FROM job WHERE id = "
        "step.job_id) = 'running' THEN 'ready' ELSE 'blocked' END "
        "WHERE state = 'leased' AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = step.worker) "
        "RETURNING id, job_id, deaths",
        {}, [&](const Row& row) {
          if (number(row, 2) >= kMost_deaths) poison.emplace_back(number(row, 0), number(row, 1));
        }));
    for (const auto& [step, job] : poison)
      TRY(fail(step, fmt::format("poison: {} workers died while they had this step", kMost_deaths)));
    for (const auto& [step, job] : poison) TRY(end_if_done(job, ended));
    std::vector<int64_t> over;
    TRY(
        sql_->run("UPDATE job SET state = 'expired', ended_ms = $1 WHERE state IN ('running', 'paused') AND "
                  "deadline_ms > 0 AND deadline_ms <= $1 RETURNING id",
                  {now()}, [&](const Row& row) { over.push_back(number(row, 0)); }));
    for (const int64_t job : over) {
      TRY(
          sql_->run("UPDATE step SET state = 'cancelled', worker = NULL, fence = fence + 1 WHERE job_id = $1 AND "
                    "state IN ('blocked', 'ready', 'leased')",
                    {job}));
      ended.push_back(job);
    }
    return {};
  });
  TRY(stored);
  return ended;
}

Result<std::vector<Ready>> Queue::ready() {
  const std::lock_guard lock(mutex_);
  std::vector<Ready> list;
  TRY(sql_->run(
      "SELECT model, owner, count(*), min(ready_ms), sum(CASE WHEN deaths > 0 THEN 1 ELSE 0 END), min(place) FROM step "
      "WHERE state = 'ready' AND not_before_ms <= $1 GROUP BY model, owner ORDER BY model, owner",
      {now()}, [&](const Row& row) {
        list.push_back({text(row, 0), text(row, 1), number(row, 2), number(row, 3), number(row, 4), number(row, 5)});
      }));
  return list;
}

Result<std::map<int64_t, int64_t>> Queue::held(const std::string& worker) {
  const std::lock_guard lock(mutex_);
  std::map<int64_t, int64_t> steps;
  TRY(sql_->run("SELECT id, fence FROM step WHERE worker = $1 AND state = 'leased'", {worker},
                [&](const Row& row) { steps.emplace(number(row, 0), number(row, 1)); }));
  return steps;
}

Result<std::optional<std::string>> Queue::cached(const std::string& owner, const std::string& cache_key) {
  const std::lock_guard lock(mutex_);
  std::optional<std::string> output;
  TRY(
      sql_->run("SELECT r.output FROM step s JOIN result r ON r.step_id = s.id WHERE s.cache_key = $2 AND "
                "s.state = 'done' AND s.owner = $1 LIMIT 1",
                {owner, cache_key}, [&](const Row& row) { output = text(row, 0); }));
  return output;
}

Result<Queue::Past> Queue::past(const std::string& model) {
  const std::lock_guard lock(mutex_);
  Past past;
  TRY(
      sql_->run("SELECT r.took_ms, r.prompt_tokens, r.output_tokens FROM result r JOIN step s ON s.id = r.step_id "
                "WHERE s.model = $1 AND s.state = 'done' AND r.took_ms > 0 ORDER BY r.done_ms DESC LIMIT 500",
                {model}, [&](const Row& row) {
                  past.took_ms.push_back(number(row, 0));
                  past.prompt_tokens += number(row, 1);
                  past.output_tokens += number(row, 2);
                }));
  std::ranges::sort(past.took_ms);
  return past;
}

}  // namespace hearth::batch
