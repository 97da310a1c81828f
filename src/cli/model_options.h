// The options of every command that takes a model, and what they lead to.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "engine/placed_model.h"
#include "gguf/file.h"
#include "models/model.h"
#include "store/ollama_models.h"
#include "text/tokenizer.h"

namespace hearth::cli {

inline constexpr uint32_t kDefaultContext_tokens = 4096;  // as Ollama without a GPU; less if the model has less

struct ModelOptions {
  std::string model;
  uint32_t context = 0;  // 0: the command's default
  int threads = 0;       // 0: all that this process may use
  std::string kv_type = "f16";
  std::string cpu_isa;  // empty: the best that the machine has
  std::string gpu = "auto";
  bool experts_last = false;
  std::string mmap = "auto";
  bool verbose = false;
};

void add_model_argument(Arguments& arguments, std::string& model);      // MODEL
void add_compute_options(Arguments& arguments, ModelOptions& options);  // on what and how: --threads, --cpu-isa, ...
void add_context_and_compute_options(Arguments& arguments, ModelOptions& options);  // --ctx, --verbose and those
void add_model_options(Arguments& arguments, ModelOptions& options);                // MODEL and those
device::CacheType cache_type(const std::string& kv_type);                           // of a checked --kv-type

// What MODEL means: a path, "demo" (the model that comes with hearth), or a name in an Ollama folder.
// Errors: kNotFound, saying where was looked, and those of store::resolve_argument.
Result<store::ModelFiles> find_model(const std::string& model);
Result<std::shared_ptr<const gguf::File>> open_model(const std::string& model);

// Pages of the cache for so many sequences of `context` tokens each. Errors: kUsage, if nobody can count them.
Result<uint32_t> pages_for(uint32_t sequences, uint32_t context);

// What a model is loaded with that gives so many answers at the same time; plans reckon with the same.
models::LoadOptions answer_load_options(uint32_t parallel);

struct LoadedModel {
  store::ModelFiles found;
  std::shared_ptr<const gguf::File> file;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<engine::PlacedModel> placed;
  models::Spec spec;  // a copy: the model itself may be made anew on another thread
  models::LoadOptions load;
  std::chrono::nanoseconds load_duration{0};  // in all
  std::chrono::nanoseconds read_duration{0};  // of it, from the plan to weights that are in place
};

// Opens, places the model as --gpu says, checks that it fits in memory, reads it in (with a progress bar) and makes it
// ready. `load` gives what the command needs; context (from --ctx, else load.context, else kDefaultContext_tokens) and
// cache are filled in from `options`. Errors: those of gguf::File::open, Tokenizer::load and Model::load; kNoMemory
// with needed and available, before anything is read; with --gpu require kRefused, saying why it cannot be wholly on
// GPUs.
Result<LoadedModel> load_model(const ModelOptions& options, models::LoadOptions load);

// If a GPU could be expected and does not hold all of the model: one line, on standard error or in the log at warning
// level.
void note_devices(const engine::DeviceStatus& devices);
void log_devices(const engine::DeviceStatus& devices);

}  // namespace hearth::cli
