// What `hearth selftest` expects of the demonstration model: data/selftest.json, which tools/demo-model/expect.py
// makes. Its values are those of the shipped weights computed in 64-bit floats by a program that shares nothing with
// this one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hearth::doctor {

// Some logits of the position that leads to one token of the answer.
struct ExpectedLogits {
  std::vector<int32_t> tokens;
  std::vector<float> values;
};

struct SelftestCase {
  std::string prompt;                  // with its control tokens
  std::vector<int32_t> prompt_tokens;  // what the tokenizer makes of it
  std::vector<int32_t> answer_tokens;  // greedy, with the token that ends it
  std::string answer;                  // as text
  std::vector<ExpectedLogits> logits;  // one per token of the answer
};

struct SelftestCases {
  uint64_t file_bytes = 0;  // of the demonstration model
  uint64_t checksum = 0;    // and its fnv1a()
  std::vector<SelftestCase> cases;
};

// The cases in this binary.
const SelftestCases& selftest_cases();

}  // namespace hearth::doctor
