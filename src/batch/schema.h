// The tables of the queue and the statements on them, for SQLite and PostgreSQL alike (see sql.h for the words in
// braces).
//
// A step is ready exactly if nothing that it needs is missing and its job runs. Whoever takes it (leased) gets a fence,
// a number that rises with every taking: only with the last one can the step be finished. The lease itself is the
// worker's: its row says until when it lives, and what it held when that is over is free again.
#pragma once

#include <span>

namespace hearth::batch {

// That lead from one version of the schema to the next.
std::span<const char* const> schema_steps();

namespace sql {

extern const char kClaim[], kFinish[], kResult[], kUnblock[];

}  // namespace sql
}  // namespace hearth::batch
