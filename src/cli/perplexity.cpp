// hearth perplexity: how well a model predicts a text.
//
// The text is cut into windows of the context's size. Each starts fresh, and its second half is scored, so
// that every scored token has at least half a window before it: the custom of llama.cpp, whose figures are
// thereby comparable.
#include <cmath>

#include "base/error.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "engine/evaluate.h"

namespace hearth::cli {
namespace {

constexpr uint32_t kWindow_tokens = 512;

struct Options {
  ModelOptions model;
  std::string file;
};

// Surprise (negative log likelihood, in nats) of the tokens scored so far.
struct Score {
  double sum = 0, sum_of_squares = 0;
  size_t tokens = 0;

  void add(double surprise) {
    sum += surprise;
    sum_of_squares += surprise * surprise;
    ++tokens;
  }
  double perplexity() const { return std::exp(sum / static_cast<double>(tokens)); }
  // Of the mean's standard error, carried through the exponential.
  double standard_error() const {
    if (tokens < 2) return 0;
    const double n = static_cast<double>(tokens), mean = sum / n;
    return perplexity() * std::sqrt(std::max(0.0, sum_of_squares / n - mean * mean) / (n - 1));
  }
  std::string text() const { return fmt::format("{:.4f} +/- {:.4f}", perplexity(), standard_error()); }
};

double surprise_of(text::Token token, std::span<const float> logits) {
  float largest = logits[0];
  for (const float logit : logits) largest = std::max(largest, logit);
  double total = 0;
  for (const float logit : logits) total += std::exp(logit - largest);
  return std::log(total) + largest - logits[static_cast<size_t>(token)];
}

Status run(const Options& options) {
  ASSIGN_OR_RETURN(const std::string text, read_text(options.file, options.file));
  ASSIGN_OR_RETURN(fleet::LoadedModel loaded,
                   load_model(options.model, engine::evaluation_load_options(kWindow_tokens)));
  log_devices(loaded.placed->status());
  const text::Tokenizer& tokenizer = *loaded.tokenizer;
  std::vector<text::Token> tokens = tokenizer.encode(text, {.add_special = true, .parse_special = false});
  const size_t window = loaded.load.context;
  if (window < 4) return error(ErrorKind::kUsage, "--ctx is {}, but must be at least 4 to score half of it", window);
  if (tokens.size() < window) {
    return error(ErrorKind::kUsage,
                 "{} has {} tokens, but at least one window of {} is needed; give a longer text or a smaller --ctx",
                 options.file, tokens.size(), window);
  }
  const size_t windows = tokens.size() / window;
  Score score;
  Progress progress("perplexity", windows, Progress::Unit::kCount);
  for (size_t i = 0; i < windows; ++i) {
    const std::span<text::Token> part(tokens.data() + i * window, window);
    if (tokenizer.adds_bos()) part[0] = tokenizer.bos();
    TRY(engine::evaluate(loaded.placed->model(), part, window / 2, interrupted,
                         [&](size_t position, std::span<const float> logits) -> Status {
                           if (position + 1 < window) score.add(surprise_of(part[position + 1], logits));
                           return {};
                         }));
    progress.update(i + 1, score.text());
  }
  return print(fmt::format("perplexity: {} ({} tokens scored in {} windows of {})\n", score.text(), score.tokens,
                           windows, window));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  add_model_options(arguments, options->model);
  arguments.required_text("FILE", options->file, "The text");
  return [options] { return run(*options); };
}

const Command kCommand = {"perplexity", "Measure how well a model predicts a text", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
