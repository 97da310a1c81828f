#include <algorithm>
#include <bit>

#include "base/log.h"
#include "engine/engine_impl.h"

namespace hearth::engine {
namespace {

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

device::Batch Engine::Impl::batch_of(const sched::Step& step) const {
  device::Batch batch;
  pages.clear();
  batch.tokens = step.tokens;
  for (const sched::StepSequence& part : step.sequences) add_part(part, part.first_row, batch);
  batch.logit_rows = step.logit_rows;
  add_places(step.sequences, batch);
  return batch;
}

// One sequence's part of it, as if it were alone.
device::Batch Engine::Impl::alone(const sched::Step& step, const sched::StepSequence& part) const {
  device::Batch batch;
  batch.tokens = std::span(step.tokens).subspan(part.first_row, part.rows);
  add_part(part, 0, batch);
  batch.logit_rows.push_back(part.rows - 1);
  add_places({&part, 1}, batch);
  return batch;
}

// Where rows stand, if that is not their position for one of them.
void Engine::Impl::add_places(std::span<const sched::StepSequence> parts, device::Batch& batch) const {
  const auto has_grid = [&](const sched::StepSequence& part) {
    return std::ranges::any_of(actives.at(part.id)->embedded, [](const EmbeddedPart& at) { return at.columns != 0; });
  };
  if (std::ranges::none_of(parts, has_grid)) return;
  for (const sched::StepSequence& part : parts)
    for (uint32_t i = 0; i < part.rows; ++i)
      batch.places.push_back(place_of(actives.at(part.id)->embedded, backend.width, part.first_position + i));
}

// What the scheduler deals in are groups of pages.
std::span<const int32_t> Engine::Impl::pages_of(const sched::StepSequence& part) const {
  const auto group = static_cast<int32_t>(backend.page_group);
  if (group == 1) return part.pages;
  std::vector<int32_t>& all = pages.emplace_back();
  for (const sched::Page page : part.pages)
    for (int32_t i = 0; i < group; ++i) all.push_back(page * group + i);
  return all;
}

// One sequence's part of a step, with its first row at `first_row` of the batch.
void Engine::Impl::add_part(const sched::StepSequence& part, uint32_t first_row, device::Batch& batch) const {
  batch.sequences.push_back({first_row, part.rows, part.first_position, pages_of(part)});
  const Active& active = *actives.at(part.id);
  for (const EmbeddedPart& embedded : active.embedded) {
    const uint32_t rows = rows_of(embedded, backend.width);
    const uint32_t first = std::max(embedded.first, part.first_position);
    const uint32_t end = std::min(embedded.first + rows, part.first_position + part.rows);
    if (first >= end) continue;
    const size_t width = size_t{backend.width} * (1 + embedded.deep);
    const float* values = embedded.values->data() + (first - embedded.first) * width;
    const uint32_t row = first_row + first - part.first_position;
    batch.embedded.push_back({row, end - first, values, embedded.deep});
    if (embedded.together) batch.ahead.push_back({row, end - first, embedded.first + rows});
  }
  if (active.adapter == 0) return;
  if (!batch.adapters.empty() && batch.adapters.back().adapter == active.adapter)
    batch.adapters.back().rows += part.rows;
  else
    batch.adapters.push_back({first_row, part.rows, active.adapter});
}

void Engine::Impl::step() {
  sched::Step step;
  const Status status = guarded([&]() -> Status {
    step = scheduler.plan(cost.budget(step_limit()));
    return step.empty() ? Status() : compute(step);
  });
  if (!status) fail(step, status.error());
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

  const std::chrono::nanoseconds waited = backend.waited ? backend.waited() : std::chrono::nanoseconds(0);
  const std::chrono::nanoseconds took = Clock::now() - begun - waited;
  cost.learn(step.tokens.size(), step.keys, took);
  counted.computing += took;
  scheduler.commit(step);
  ++counted.steps;
  for (const sched::StepSequence& part : step.sequences) {
    const bool decodes = part.samples > 0 && actives.at(part.id)->generation.generated_tokens() > 0;
    counted.tokens_prefilled += part.rows - (decodes ? 1 : 0);
  }
  pool(step, readout);
  // What receivers made of the step before comes first: they may have cancelled.
  delivery.wait();
  take_cancels();
  end_pooled(step);
  sample(step, readout);
  publish();
  return {};
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

// Whole logits for requests whose next token they decide, for the others the best. Which of the two a request gets
// depends on itself alone.
device::Readout Engine::Impl::wanted(const sched::Step& step) {
  const uint32_t most = backend.most_candidates ? backend.most_candidates() : 0;
  device::Readout readout;
  uint32_t row = 0;
  for (const sched::StepSequence& part : step.sequences) {
    if (const std::optional<Pooled>& pooled = actives.at(part.id)->pooled) {
      const Pooled::Range needed = pooled->needed(part.first_position, part.rows);
      for (uint32_t i = needed.first; i < needed.end; ++i) readout.hidden_rows.push_back(part.first_row + i);
    }
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

void Engine::Impl::pool(const sched::Step& step, const device::Readout& readout) {
  std::span<const float> hidden = readout.hidden;
  for (const sched::StepSequence& part : step.sequences) {
    std::optional<Pooled>& pooled = actives.at(part.id)->pooled;
    if (!pooled) continue;
    const Pooled::Range needed = pooled->needed(part.first_position, part.rows);
    const size_t values = size_t{needed.end - needed.first} * backend.width;
    pooled->add(part.first_position + needed.first, hidden.first(values));
    hidden = hidden.subspan(values);
  }
}

void Engine::Impl::end_pooled(const sched::Step& step) {
  for (const sched::StepSequence& part : step.sequences) {
    const auto found = actives.find(part.id);
    if (found == actives.end() || !found->second->pooled) continue;
    Active& active = *found->second;
    if (!active.pooled->complete(part.first_position + part.rows)) continue;
    active.first_token = Clock::now();
    auto vector = active.pooled->vector();
    if (!vector) {
      refuse(step, part, vector.error());
      continue;
    }
    Event last;
    last.embedding = std::move(*vector);
    finish(part.id, FinishReason::kStop, std::move(last));
  }
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
    if (backend.diagnose) last.error = backend.diagnose(alone(step, part));
    log_error("engine: a request failed: {}", last.error->message);
    scheduler.distrust(part.id);
  }
  finish(part.id, FinishReason::kError, std::move(last));
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

}  // namespace hearth::engine
