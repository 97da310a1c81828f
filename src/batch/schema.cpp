#include "batch/schema.h"

namespace hearth::batch {
namespace {

const char* const kSteps[] = {R"(
CREATE TABLE job (id {ID}, key TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
  prio BIGINT NOT NULL, spec TEXT NOT NULL, info TEXT NOT NULL, items BIGINT NOT NULL, created_ms BIGINT NOT NULL,
  ended_ms BIGINT NOT NULL, deadline_ms BIGINT NOT NULL, UNIQUE (owner, key));
CREATE TABLE item (job_id BIGINT NOT NULL, item BIGINT NOT NULL, key TEXT NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (job_id, item), UNIQUE (job_id, key));
CREATE TABLE worker (id TEXT PRIMARY KEY, node TEXT NOT NULL, expires_ms BIGINT NOT NULL);
CREATE TABLE step (id {ID}, job_id BIGINT NOT NULL, item BIGINT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL,
  model TEXT NOT NULL, state TEXT NOT NULL
    CHECK (state IN ('blocked', 'ready', 'leased', 'done', 'failed', 'cancelled')),
  missing BIGINT NOT NULL, attempt BIGINT NOT NULL, deaths BIGINT NOT NULL, prio BIGINT NOT NULL,
  place BIGINT NOT NULL, ready_ms BIGINT NOT NULL, not_before_ms BIGINT NOT NULL, worker TEXT, fence BIGINT NOT NULL,
  cache_key TEXT, error TEXT, UNIQUE (job_id, item, name));
CREATE TABLE step_dep (step_id BIGINT NOT NULL, needs BIGINT NOT NULL, PRIMARY KEY (step_id, needs));
CREATE INDEX step_dep_needs ON step_dep (needs);
CREATE TABLE result (step_id BIGINT PRIMARY KEY, output TEXT NOT NULL, prompt_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL, took_ms BIGINT NOT NULL, done_ms BIGINT NOT NULL);
CREATE TABLE file (id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL,
  bytes BIGINT NOT NULL, created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL);
CREATE INDEX step_ready ON step (model, owner, prio DESC, job_id, place) WHERE state = 'ready';
CREATE INDEX step_leased ON step (worker) WHERE state = 'leased';
CREATE INDEX step_job ON step (job_id, state);
CREATE INDEX step_cache ON step (cache_key) WHERE state = 'done' AND cache_key IS NOT NULL)"};

}  // namespace

std::span<const char* const> schema_steps() {
  return kSteps;
}

namespace sql {

// Suspects ($6 is 1: only these, else none of them) run alone.
const char kClaim[] = R"(
UPDATE step SET state = 'leased', worker = $1, fence = fence + 1, attempt = attempt + 1
WHERE id IN (SELECT id FROM step WHERE state = 'ready' AND model = $2 AND owner = $3 AND not_before_ms <= $4
               AND (CASE WHEN deaths > 0 THEN 1 ELSE 0 END) = $6
             ORDER BY prio DESC, job_id, place LIMIT $5 {LOCK})
RETURNING id, fence, job_id, item, name, model, attempt, deaths)";

const char kFinish[] = R"(
UPDATE step SET state = 'done', worker = NULL, cache_key = $3 WHERE id = $1 AND fence = $2 AND state = 'leased'
RETURNING job_id)";

const char kResult[] = "INSERT INTO result VALUES ($1, $2, $3, $4, $5, $6)";

const char kUnblock[] = R"(
UPDATE step SET missing = missing - 1, ready_ms = $2,
  state = CASE WHEN missing = 1 AND (SELECT state FROM job WHERE id = step.job_id) = 'running' THEN 'ready'
               ELSE state END
WHERE id IN (SELECT step_id FROM step_dep WHERE needs = $1) AND state = 'blocked')";

}  // namespace sql
}  // namespace hearth::batch
