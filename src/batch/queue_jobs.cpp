// Jobs: how they come, are listed, stopped and go.
#include "base/error.h"
#include "batch/queue_impl.h"

namespace hearth::batch {
namespace {

constexpr const char* kInsert_job =
    "INSERT INTO job (key, owner, name, state, prio, spec, info, items, created_ms, ended_ms, deadline_ms) "
    "VALUES ($1, $2, $3, 'submitting', $4, $5, $6, 0, $7, 0, $8) RETURNING id";

JobInfo job_of(const Row& row) {
  return {.id = number(row, 0),
          .key = text(row, 1),
          .owner = text(row, 2),
          .name = text(row, 3),
          .state = text(row, 4),
          .spec = text(row, 5),
          .info = text(row, 6),
          .prio = number(row, 7),
          .items = number(row, 8),
          .created_ms = number(row, 9),
          .ended_ms = number(row, 10),
          .deadline_ms = number(row, 11)};
}

#define JOB_COLUMNS "id, key, owner, name, state, spec, info, prio, items, created_ms, ended_ms, deadline_ms"
constexpr const char* kBy_key = "SELECT " JOB_COLUMNS " FROM job WHERE owner = $1 AND key = $2";
constexpr const char* kBy_name =
    "SELECT " JOB_COLUMNS " FROM job WHERE owner = $1 AND name = $2 AND state <> 'submitting' ORDER BY id DESC LIMIT 1";
constexpr const char* kBy_id = "SELECT " JOB_COLUMNS " FROM job WHERE id = $1";
constexpr const char* kList =
    "SELECT " JOB_COLUMNS
    " FROM job WHERE owner = $1 AND name LIKE $2 AND state <> 'submitting' ORDER BY id DESC LIMIT 10000";
#undef JOB_COLUMNS

// What waits of a job that runs is ready once it lacks nothing.
constexpr const char* kReady_again =
    "UPDATE step SET state = 'ready', ready_ms = $2 WHERE job_id = $1 AND state = 'blocked' AND missing = 0";

}  // namespace

Result<Queue::Submitted> Queue::begin_job(const JobInfo& job) {
  Submitted submitted;
  std::optional<JobInfo> known;
  const Status stored = transaction([&]() -> Status {
    TRY(sql_->run(kBy_key, {job.owner, job.key}, [&](const Row& row) { known = job_of(row); }));
    if (known && known->state == "submitting") TRY(forget_rows(*sql_, known->id));
    if (known && known->state != "submitting") return {};
    known.reset();
    return sql_->run(kInsert_job, {job.key, job.owner, job.name, job.prio, job.spec, job.info, now(), job.deadline_ms},
                     [&](const Row& row) { submitted.job = number(row, 0); });
  });
  TRY(stored);
  if (!known) return submitted;
  if (known->spec != job.spec)
    return error(ErrorKind::kUsage, "there is a job with the key \"{}\" and other steps; give this one another key",
                 job.key);
  return Submitted{known->id, true};
}

Status Queue::insert_step(const JobInfo& job, int64_t item, const StepPlan& step, const std::string& model,
                          std::vector<int64_t>& ids) {
  int64_t id = 0;
  const auto missing = static_cast<int64_t>(step.needs.size());
  TRY(
      sql_->run("INSERT INTO step (job_id, item, name, owner, model, state, missing, attempt, deaths, prio, place, "
                "ready_ms, not_before_ms, fence) VALUES ($1, $2, $3, $4, $5, 'blocked', $6, 0, 0, $7, $8, 0, 0, 0) "
                "RETURNING id",
                {job.id, item, step.name, job.owner, model, missing, job.prio, step.place + item * step.place_per_item},
                [&](const Row& row) { id = number(row, 0); }));
  for (const size_t needed : step.needs) TRY(sql_->run("INSERT INTO step_dep VALUES ($1, $2)", {id, ids.at(needed)}));
  ids.push_back(id);
  return {};
}

Status Queue::add_items(int64_t job, std::span<const NewItem> items, std::span<const StepPlan> plan) {
  return transaction([&]() -> Status {
    std::optional<JobInfo> found;
    TRY(sql_->run(kBy_id, {job}, [&](const Row& row) { found = job_of(row); }));
    if (!found || found->state != "submitting")
      return error(ErrorKind::kNotFound, "the job that is being submitted is not there any more");
    int64_t number = found->items;
    for (const NewItem& item : items) {
      const Status added = sql_->run("INSERT INTO item VALUES ($1, $2, $3, $4)", {job, number, item.key, item.data});
      if (!added && added.error().kind == ErrorKind::kUsage)
        return error(ErrorKind::kUsage, "item {}: the key \"{}\" was there before", number + 1, item.key);
      TRY(added);
      std::vector<int64_t> ids;
      for (const StepPlan& step : plan)
        TRY(insert_step(*found, number, step, item.model.empty() ? step.model : item.model, ids));
      ++number;
    }
    return sql_->run("UPDATE job SET items = $2 WHERE id = $1", {job, number});
  });
}

Status Queue::release_job(int64_t job) {
  return transaction([&]() -> Status {
    TRY(sql_->run("UPDATE job SET state = 'running' WHERE id = $1 AND state = 'submitting'", {job}));
    TRY(sql_->run(kReady_again, {job, now()}));
    std::vector<int64_t> ended;  // one without items ends at once
    return end_if_done(job, ended);
  });
}

Status Queue::forget_job(int64_t job) {
  return transaction([&] { return forget_rows(*sql_, job); });
}

Status forget_rows(Sql& sql, int64_t job) {
  TRY(sql.run("DELETE FROM result WHERE step_id IN (SELECT id FROM step WHERE job_id = $1)", {job}));
  TRY(sql.run("DELETE FROM step_dep WHERE step_id IN (SELECT id FROM step WHERE job_id = $1)", {job}));
  TRY(sql.run("DELETE FROM step WHERE job_id = $1", {job}));
  TRY(sql.run("DELETE FROM item WHERE job_id = $1", {job}));
  return sql.run("DELETE FROM job WHERE id = $1", {job});
}

Result<JobInfo> Queue::find_job(const std::string& owner, const std::string& key_or_name) {
  const std::lock_guard lock(mutex_);
  std::optional<JobInfo> found;
  const auto take = [&](const Row& row) { found = job_of(row); };
  TRY(sql_->run(kBy_key, {owner, key_or_name}, take));
  if (!found || found->state == "submitting") {
    found.reset();
    TRY(sql_->run(kBy_name, {owner, key_or_name}, take));
  }
  if (!found) return error(ErrorKind::kNotFound, "there is no job \"{}\"; hearth batch ls lists them", key_or_name);
  return *found;
}

Result<JobInfo> Queue::job(int64_t id) {
  const std::lock_guard lock(mutex_);
  std::optional<JobInfo> found;
  TRY(sql_->run(kBy_id, {id}, [&](const Row& row) { found = job_of(row); }));
  if (!found) return error(ErrorKind::kNotFound, "the job is not there any more");
  return *found;
}

Result<std::vector<JobInfo>> Queue::jobs(const std::string& owner, const std::string& name_like) {
  const std::lock_guard lock(mutex_);
  std::vector<JobInfo> list;
  TRY(sql_->run(kList, {owner, name_like}, [&](const Row& row) { list.push_back(job_of(row)); }));
  return list;
}

Status Queue::set_info(int64_t job, const std::string& info) {
  return transaction([&] { return sql_->run("UPDATE job SET info = $2 WHERE id = $1", {job, info}); });
}

int64_t Counts::of(const std::string& state) const {
  const auto at = by_state.find(state);
  return at == by_state.end() ? 0 : at->second;
}

int64_t Counts::total() const {
  int64_t sum = 0;
  for (const auto& [state, count] : by_state) sum += count;
  return sum;
}

Result<Counts> Queue::counts(int64_t job) {
  const std::lock_guard lock(mutex_);
  Counts counts;
  TRY(sql_->run("SELECT state, count(*) FROM step WHERE job_id = $1 GROUP BY state", {job},
                [&](const Row& row) { counts.by_state[text(row, 0)] = number(row, 1); }));
  return counts;
}

Result<Counts> Queue::all_counts() {
  const std::lock_guard lock(mutex_);
  Counts counts;
  TRY(sql_->run("SELECT state, count(*) FROM step GROUP BY state", {},
                [&](const Row& row) { counts.by_state[text(row, 0)] = number(row, 1); }));
  return counts;
}

Result<std::map<std::string, int64_t>> Queue::left(int64_t job) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, int64_t> models;
  TRY(
      sql_->run("SELECT model, count(*) FROM step WHERE job_id = $1 AND state IN ('blocked', 'ready', 'leased') "
                "GROUP BY model",
                {job}, [&](const Row& row) { models[text(row, 0)] = number(row, 1); }));
  return models;
}

Result<int64_t> Queue::done_in_last_minute(int64_t job) {
  const std::lock_guard lock(mutex_);
  int64_t count = 0;
  TRY(
      sql_->run("SELECT count(*) FROM step s JOIN result r ON r.step_id = s.id WHERE s.job_id = $1 AND s.state = "
                "'done' AND r.done_ms > $2",
                {job, now() - 60'000}, [&](const Row& row) { count = number(row, 0); }));
  return count;
}

Status Queue::pause(int64_t job) {
  return transaction([&]() -> Status {
    TRY(sql_->run("UPDATE job SET state = 'paused' WHERE id = $1 AND state = 'running'", {job}));
    return sql_->run(
        "UPDATE step SET state = 'blocked' WHERE job_id = $1 AND state = 'ready' AND "
        "(SELECT state FROM job WHERE id = $1) = 'paused'",
        {job});
  });
}

Status Queue::resume(int64_t job) {
  return transaction([&]() -> Status {
    bool resumed = false;
    TRY(sql_->run("UPDATE job SET state = 'running' WHERE id = $1 AND state = 'paused' RETURNING id", {job},
                  [&](const Row&) { resumed = true; }));
    if (!resumed) return {};
    TRY(sql_->run(kReady_again, {job, now()}));
    std::vector<int64_t> ended;
    return end_if_done(job, ended);
  });
}

Status Queue::cancel(int64_t job, const char* state) {
  return transaction([&]() -> Status {
    bool changed = false;
    TRY(
        sql_->run("UPDATE job SET state = $2, ended_ms = $3 WHERE id = $1 AND state IN ('running', 'paused') "
                  "RETURNING id",
                  {job, state, now()}, [&](const Row&) { changed = true; }));
    if (!changed) return {};
    return sql_->run(
        "UPDATE step SET state = 'cancelled', worker = NULL, fence = fence + 1 WHERE job_id = $1 AND state IN "
        "('blocked', 'ready', 'leased')",
        {job});
  });
}

Result<int64_t> Queue::retry_failed(int64_t job) {
  int64_t count = 0;
  const Status stored = transaction([&]() -> Status {
    TRY(sql_->run("DELETE FROM result WHERE step_id IN (SELECT id FROM step WHERE job_id = $1 AND state = 'failed')",
                  {job}));
    TRY(
        sql_->run("UPDATE step SET state = 'blocked', error = NULL, attempt = 0, deaths = 0, not_before_ms = 0, "
                  "missing = (SELECT count(*) FROM step_dep p JOIN step n ON n.id = p.needs WHERE p.step_id = step.id "
                  "AND n.state <> 'done') WHERE job_id = $1 AND state = 'failed' RETURNING id",
                  {job}, [&](const Row&) { ++count; }));
    if (count == 0) return {};
    TRY(sql_->run("UPDATE job SET state = 'running', ended_ms = 0 WHERE id = $1 AND state = 'done'", {job}));
    TRY(
        sql_->run("UPDATE step SET state = 'ready', ready_ms = $2 WHERE job_id = $1 AND state = 'blocked' AND "
                  "missing = 0 AND (SELECT state FROM job WHERE id = $1) = 'running'",
                  {job, now()}));
    return {};
  });
  TRY(stored);
  return count;
}

Status Queue::results(int64_t job, int64_t first, int64_t most, const std::function<void(const StepResult&)>& take) {
  const std::lock_guard lock(mutex_);
  return sql_->run(
      "SELECT i.item, i.key, s.name, s.state, s.error, r.output FROM item i JOIN step s ON s.job_id = i.job_id AND "
      "s.item = i.item LEFT JOIN result r ON r.step_id = s.id WHERE i.job_id = $1 AND i.item >= $2 AND i.item < $3 "
      "ORDER BY i.item, s.id",
      {job, first, first + most}, [&](const Row& row) {
        take({number(row, 0), text(row, 1), text(row, 2), text(row, 3), text(row, 4), text(row, 5)});
      });
}

Result<std::string> Queue::item_data(int64_t job, int64_t item) {
  const std::lock_guard lock(mutex_);
  std::optional<std::string> data;
  TRY(sql_->run("SELECT data FROM item WHERE job_id = $1 AND item = $2", {job, item},
                [&](const Row& row) { data = text(row, 0); }));
  if (!data) return error(ErrorKind::kNotFound, "the item is not there");
  return *data;
}

Status Queue::run(const char* statement, std::initializer_list<Param> params, const TakeRow& take) {
  const std::lock_guard lock(mutex_);
  return sql_->run(statement, params, take);
}

}  // namespace hearth::batch
