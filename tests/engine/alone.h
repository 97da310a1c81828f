// What a request gets without the engine, for tests that compare.
#pragma once

#include "engine/engine.h"
#include "models/model.h"
#include "sampling/sampler.h"
#include "support/support.h"
#include "text/tokenizer.h"

namespace hearth::engine::test {

// The whole prompt in one step, then token by token, in these pages of the model's cache.
inline std::vector<text::Token> answer_alone(models::Model& model, const text::Tokenizer& tokenizer,
                                             const Request& request, std::span<const int32_t> pages) {
  std::vector<float> logits(model.spec().vocabulary);
  sampling::Sampler sampler(request.options, model.options().context);
  std::vector<text::Token> input = request.prompt, answer;
  for (text::Token token : input) sampler.accept(token);
  uint32_t position = 0;
  while (answer.size() < static_cast<size_t>(request.options.num_predict)) {
    device::Batch batch;
    batch.tokens = input;
    batch.sequences.push_back({0, batch.rows(), position, pages});
    batch.logit_rows = {batch.rows() - 1};
    EXPECT_TRUE(model.forward(batch, logits).ok());
    position += batch.rows();
    const text::Token token = sampler.sample(logits)->token;
    sampler.accept(token);
    answer.push_back(token);
    if (tokenizer.is_end_of_generation(token)) break;
    input = {token};
  }
  return answer;
}

}  // namespace hearth::engine::test
