// From facts to findings by likelihood.
#pragma once

#include <string>
#include <vector>

#include "doctor/facts.h"
#include "doctor/rule.h"

namespace hearth::doctor {

struct Finding {
  const Rule* rule;
  Verdict verdict;
  std::string what() const { return verdict.what.empty() ? rule->title : verdict.what; }
};

enum class Outcome { kHealthy, kFindings, kUnknown };  // exit codes 0, 1, 4

struct Diagnosis {
  std::vector<Finding> findings;  // most likely first
  Outcome outcome = Outcome::kUnknown;
  std::vector<std::string> checked;   // what was looked at and is well
  std::vector<std::string> unread;    // what could not be read, and why
  std::string unknown;                // with kUnknown: why
  std::vector<std::string> compared;  // how a service's models would lie under hearth
};

Diagnosis diagnose(const Facts& facts);

// The fix that suits where this is; if that is not known, all of them.
std::vector<const Fix*> fixes_for(const Rule& rule, Place place);

}  // namespace hearth::doctor
