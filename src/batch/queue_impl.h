// What the parts of Queue share.
#pragma once

#include "batch/queue.h"
#include "batch/schema.h"

namespace hearth::batch {

template <class Work>
Status Queue::transaction(Work work) {
  const std::lock_guard lock(mutex_);
  TRY(sql_->begin());
  Status done = work();
  if (done) done = sql_->commit();
  if (!done) sql_->rollback();
  return done;
}

Status forget_rows(Sql& sql, int64_t job);

}  // namespace hearth::batch
