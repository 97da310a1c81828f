#include "engine/evaluate.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/finite.h"

namespace hearth::engine {
namespace {

constexpr uint32_t kStep_rows = 128;

Status check(const models::Model& model, std::span<const text::Token> tokens) {
  const uint32_t context = model.options().context, vocabulary = model.spec().vocabulary;
  if (tokens.empty()) return error(ErrorKind::kUsage, "no tokens were given");
  if (tokens.size() > context) {
    return error(ErrorKind::kUsage, "{} tokens are more than the context of {}; give fewer{}", tokens.size(), context,
                 context < model.spec().context ? ", or a larger --ctx" : "");
  }
  for (const text::Token token : tokens) {
    if (token < 0 || static_cast<uint32_t>(token) >= vocabulary) {
      return error(ErrorKind::kUsage, "token {} is not in the vocabulary (0 to {})", token, vocabulary - 1);
    }
  }
  return {};
}

}  // namespace

models::LoadOptions evaluation_load_options(uint32_t context) {
  models::LoadOptions load;
  load.context = context;
  load.batch_rows = load.logit_rows = kStep_rows;
  return load;
}

Status evaluate(models::Model& model, std::span<const text::Token> tokens, size_t first,
                const std::function<bool()>& stop, const std::function<Status(size_t, std::span<const float>)>& take) {
  TRY(check(model, tokens));
  std::vector<int32_t> pages(divide_up(tokens.size(), device::kPage_tokens));
  std::iota(pages.begin(), pages.end(), 0);
  const size_t vocabulary = model.spec().vocabulary;
  const size_t step = std::min(model.options().batch_rows, model.options().logit_rows);
  std::vector<float> logits(step * vocabulary);
  for (size_t done = 0; done < tokens.size(); done += step) {
    if (stop()) return Error{ErrorKind::kCancelled, {}};
    const size_t rows = std::min(step, tokens.size() - done);
    device::Batch batch;
    batch.tokens = tokens.subspan(done, rows);
    batch.sequences = {{0, static_cast<uint32_t>(rows), static_cast<uint32_t>(done), pages}};
    for (size_t row = first > done ? first - done : 0; row < rows; ++row)
      batch.logit_rows.push_back(static_cast<uint32_t>(row));
    const std::span<float> wanted(logits.data(), batch.logit_rows.size() * vocabulary);
    TRY(model.forward(batch, wanted));
    if (!all_finite(wanted)) return model.diagnose(batch);
    for (size_t i = 0; i < batch.logit_rows.size(); ++i) {
      TRY(take(done + batch.logit_rows[i], wanted.subspan(i * vocabulary, vocabulary)));
    }
  }
  return {};
}

}  // namespace hearth::engine
