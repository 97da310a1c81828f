// hearth quantize: a model's weights in another format.
#include "gguf/quantize.h"

#include "base/error.h"
#include "base/processors.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "fleet/find_model.h"

namespace hearth::cli {
namespace {

struct Options {
  std::string in, out, type;
  int threads = 0;
};

std::string summary_text(const gguf::QuantizeSummary& summary, const std::string& recipe, const std::string& out) {
  std::string text;
  for (const std::string& note : summary.notes) text += fmt::format("note: {}\n", note);
  std::string types;
  for (const auto& [name, bytes] : summary.bytes_by_type) {
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", name, size_text(bytes));
  }
  return text +
         fmt::format("{}: {}, {} -> {} ({:.0f} %): {}\n", out, recipe, size_text(summary.bytes_before),
                     size_text(summary.bytes_after),
                     100.0 * static_cast<double>(summary.bytes_after) / static_cast<double>(summary.bytes_before),
                     types);
}

Status run(const Options& options) {
  TRY(check_output(options.out));
  ASSIGN_OR_RETURN(const gguf::QuantizationRecipe recipe, gguf::find_recipe(options.type));
  ASSIGN_OR_RETURN(const store::ModelFiles in, fleet::find_model(options.in));
  const InterruptScope tidy_up;  // removes the unfinished file
  std::optional<Progress> bar;
  gguf::QuantizeOptions work;
  work.threads = options.threads != 0 ? options.threads : usable_processors();
  work.progress = [&](uint64_t done, uint64_t total, std::string_view tensor) -> Status {
    if (!bar) bar.emplace("quantizing", total);
    bar->update(done, std::string(tensor));
    if (interrupted()) return error(ErrorKind::kCancelled, "interrupted; {} is not written", options.out);
    return {};
  };
  ASSIGN_OR_RETURN(const gguf::QuantizeSummary summary, gguf::quantize_file(in.model, options.out, recipe, work));
  bar.reset();
  return print(summary_text(summary, recipe.name, options.out));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.required_text("IN", options->in, "The model to read: a GGUF file or a name, best in F32, F16 or BF16");
  arguments.required_text("OUT", options->out, "The GGUF file to write");
  arguments.required_text("TYPE", options->type, fmt::format("One of {}", fmt::join(gguf::recipe_names(), ", ")));
  arguments.number("--threads", options->threads, 1, 4096, "Threads (default: all that this process may use)");
  return [options] { return run(*options); };
}

const Command kCommand = {"quantize", "Write a model with its weights in another format", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
