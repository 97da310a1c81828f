// The options of every command that takes a model, and what they lead to.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "fleet/load_model.h"
#include "fleet/resident.h"

namespace hearth::cli {

struct ModelOptions {
  std::string model;
  std::string projector;  // of pictures, beside the model; empty: what belongs to it
  uint32_t context = 0;   // 0: the command's default
  int threads = 0;        // 0: all that this process may use
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

fleet::ModelOptions fleet_options(const ModelOptions& options);

// fleet::load_model() of what MODEL means, with its notes on standard error and a progress bar.
Result<fleet::LoadedModel> load_model(const ModelOptions& options, const models::LoadOptions& load);

// Likewise, ready to give one answer at a time.
Result<std::unique_ptr<fleet::Resident>> start_model(const ModelOptions& options);

// If a GPU could be expected and does not hold all of the model: one line, on standard error or in the log at warning
// level.
void note_devices(const engine::DeviceStatus& devices);
void log_devices(const engine::DeviceStatus& devices);

}  // namespace hearth::cli
