// The table of op cases. A case runs on any device and returns what it computed; run on the reference
// device it also says how far from it other devices may be: per value (rounding, from norms of the
// inputs) and for the whole (the relative error of everything).
#pragma once

#include <string>

#include "ops/rig.h"

namespace hearth::test {

struct Output {
  std::vector<float> values;
  std::vector<float> allowed;  // per value
  double relative = 0;
};

struct OpCase {
  std::string name;
  std::function<Output(Rig&, Random&)> run;
  bool finds_candidates = false;  // not on devices whose logits are read whole

  friend void PrintTo(const OpCase& op_case, std::ostream* out) { *out << op_case.name; }
};

// The relative error if every value were off by `share` of what it is allowed: for results that can
// cancel, where a fixed relative error would fail by chance.
inline double relative_of_allowed(const Output& output, double share) {
  double allowed = 0, values = 0;
  for (const float x : output.allowed) allowed += static_cast<double>(x) * x;
  for (const float x : output.values) values += static_cast<double>(x) * x;
  return share * std::sqrt(allowed / values);
}

// Float32 arithmetic in another order: a few last bits.
inline constexpr float kRounding = 2e-6f;

// One list per file of cases.
std::vector<OpCase> embed_cases();
std::vector<OpCase> norm_cases();
std::vector<OpCase> activate_cases();
std::vector<OpCase> project_cases();
std::vector<OpCase> attention_cases();
std::vector<OpCase> experts_cases();
std::vector<OpCase> recurrent_cases();
std::vector<OpCase> candidates_cases();

}  // namespace hearth::test
