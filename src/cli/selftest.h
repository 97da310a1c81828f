// Whether this build computes right on this machine.
#pragma once

#include <string>
#include <vector>

#include "cli/model_options.h"

namespace hearth::cli {

struct SelftestFindings {
  std::string device;
  std::string file;                   // what is wrong with it; empty: nothing
  std::vector<std::string> mistakes;  // in tokens
  size_t answers = 0;
  double logit_error = 0;  // see kLogitTolerance
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;

  bool logits_right() const;  // false for a NaN too
  bool passed() const { return file.empty() && mistakes.empty() && logits_right(); }
};

// Root of the mean square difference from the exact logits, relative to the logits' standard deviation.
//
// A right computation rounds activations to 8 bits per block of 32 before each product with Q8_0 weights: uniform
// errors of a step of largest/127, for values of about normal distribution (largest of 32: 2.1 deviations) 2.1 / 127 /
// sqrt(12) = 0.5 % of their size. A layer adds such errors at its four projections, two of which go into the residual;
// over 8 layers and the last product, independent, they sum to 0.5 % * sqrt(2 * 2 * 8 + 1), about 3 %; the 16-bit
// cache adds 0.05 %, the order of sums less. Measured: see tools/demo-model/README.md. A wrong sign, scale, position or
// missing block gives tens of per cent and more.
inline constexpr double kLogitTolerance = 0.06;
inline bool SelftestFindings::logits_right() const {
  return logit_error <= kLogitTolerance;
}

// The demonstration model answers its fixed questions. Errors: those of load_model() and of the engine.
Result<SelftestFindings> self_test(const ModelOptions& options);

}  // namespace hearth::cli
