// hearth create: a model from a Modelfile, a GGUF file, or a folder with safetensors.
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/processors.h"
#include "cli/command.h"
#include "cli/create_through.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "fleet/create_model.h"
#include "gguf/quantization_recipe.h"
#include "registry/pull.h"
#include "store/modelfile.h"
#include "store/ollama_models.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMost_modelfile_bytes = 16 << 20;
constexpr const char* kDefault = "Modelfile";

struct Options {
  std::string name, file, type;
  int threads = 0;
};

bool is_meant_as_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") || text.starts_with('~') ||
         text == "." || text == ".." || text.ends_with(".gguf") || text.ends_with(".safetensors");
}

// A FROM as its writer means it: from the Modelfile's folder on.
fs::path path_of(const std::string& text, const fs::path& folder) {
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/")))
    return fs::path(home) / text.substr(std::min<size_t>(2, text.size()));
  return folder / text;
}

Status set_from(const std::vector<std::string>& from, const fs::path& folder, store::Blueprint& plan) {
  for (const std::string& text : from) {
    std::error_code failed;
    const fs::path path = path_of(text, folder);
    if (fs::exists(path, failed)) {
      // One file of a folder of safetensors stands for the folder, without which it means nothing.
      const bool part = path.extension() == ".safetensors";
      plan.from_paths.push_back(part ? (path.parent_path().empty() ? "." : path.parent_path().string())
                                     : path.string());
      continue;
    }
    if (is_meant_as_path(text)) return error(ErrorKind::kNotFound, "FROM {}: {} does not exist", text, path.string());
    if (!plan.from_model.empty())
      return error(ErrorKind::kUsage, "FROM {}: the model already begins with {}", text, plan.from_model);
    plan.from_model = text;
  }
  return {};
}

Result<store::Blueprint> read_blueprint(const Options& options) {
  store::Blueprint plan;
  std::error_code failed;
  const std::string file = options.file.empty() ? kDefault : options.file;
  if (options.file.empty() && !fs::exists(file, failed)) {
    plan.from_paths = {"."};
    return plan;
  }
  if (fs::is_directory(file, failed))
    return error(ErrorKind::kUsage, "{} is a folder; -f takes a Modelfile, in which FROM names the folder", file);
  if (fs::file_size(file, failed) > kMost_modelfile_bytes && !failed)
    return error(ErrorKind::kUsage, "{} is too large for a Modelfile; is it the model? Then a Modelfile says FROM {}",
                 file, file);
  ASSIGN_OR_RETURN(const std::string text, read_file(file));
  auto parsed = store::parse_modelfile(text);
  if (!parsed) return error(parsed.error().kind, "{}: {}", file, parsed.error().message);
  for (const std::string& note : parsed->notes) print_note("note: " + note);
  TRY(set_from(parsed->from, fs::path(file).parent_path(), plan));
  plan.template_text = std::move(parsed->template_text);
  plan.system = std::move(parsed->system);
  plan.parameters = std::move(parsed->parameters);
  if (!parsed->messages.empty()) plan.messages = std::move(parsed->messages);
  plan.licenses = std::move(parsed->licenses);
  plan.minimum_version = std::move(parsed->minimum_version);
  plan.renderer = std::move(parsed->renderer);
  plan.parser = std::move(parsed->parser);
  return plan;
}

Status pull_what_it_begins_with(const store::Blueprint& plan, const fleet::CreateProgress& progress) {
  if (plan.from_model.empty()) return {};
  registry::TransferOptions transfer;
  transfer.goes_on = [] { return !interrupted(); };
  return registry::pull_if_missing(plan.from_model, transfer, [&](const registry::Progress& step) {
    (void)progress(step.status, step.digest, step.done, step.total).ok();
  });
}

Status run(const Options& options) {
  ASSIGN_OR_RETURN(const store::ModelName name, store::ModelName::parse(options.name));
  ASSIGN_OR_RETURN(store::Blueprint plan, read_blueprint(options));
  plan.name = options.name;
  plan.quantize = options.type;
  plan.threads = options.threads != 0 ? options.threads : usable_processors();
  const InterruptScope tidy_up;  // removes what is unfinished
  std::optional<Progress> bar;
  std::string shown;
  const auto progress = [&](std::string_view status, const std::string&, uint64_t done, uint64_t total) -> Status {
    if (interrupted()) return error(ErrorKind::kCancelled, "interrupted; {} is not made", options.name);
    if (total == 0) {
      bar.reset();
      shown.clear();
      return {};
    }
    if (shown != status) {
      bar.reset();
      bar.emplace(std::string(status), total);
      shown = status;
    }
    bar->update(done);
    return {};
  };
  // Who serves may have other stores, and may keep what it has read of them.
  const auto server = Remote::find();
  if (server && *server) {
    TRY(create_through(**server, plan, {.progress = progress, .check_template = {}}));
    bar.reset();
  } else {
    TRY(pull_what_it_begins_with(plan, progress));
    ASSIGN_OR_RETURN(const std::vector<std::string> notes, fleet::create_model(plan, progress));
    bar.reset();
    for (const std::string& note : notes) print_note("note: " + note);
  }
  return print(fmt::format("created {}\n", name.display()));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.required_text("NAME", options->name, "The new model's name: [namespace/]model[:tag]");
  arguments.text("-f,--file", options->file, "The Modelfile (default: Modelfile; without one, what this folder holds)");
  arguments.text("-q,--quantize", options->type,
                 "Weights in another format: Q4_K_M, Q8_0, ... (see hearth quantize --help)");
  arguments.number("--threads", options->threads, 1, 4096, "Threads (default: all that this process may use)");
  return [options] { return run(*options); };
}

const Command kCommand = {"create", "Make a model from a Modelfile, a GGUF file or a folder with safetensors",
                          configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
