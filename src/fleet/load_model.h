// A model from its files to its devices.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cuda/cuda_device.h"
#include "engine/placed_model.h"
#include "fleet/model_options.h"
#include "gguf/file.h"
#include "models/model.h"
#include "store/ollama_models.h"
#include "text/tokenizer.h"

namespace hearth::fleet {

// Who wants to follow a load; each may be empty. Called on the loading thread; `note` also later, by the thread that
// places the model again after a loss.
struct LoadObserver {
  std::function<void(const std::string& text)> note;   // what the user should know, in one line
  std::function<void(const std::string& what)> start;  // "loading model.gguf on the GPU": it is planned and allowed
  std::function<void(uint64_t done, uint64_t total)> progress;  // bytes of weights
  cuda::CompileProgress compiling;                              // before start() or after it
  std::function<void()> end;  // they are there, or will not be; also if start() was never called
};

class Sight;

struct LoadedModel {
  store::ModelFiles found;
  std::shared_ptr<Sight> sight;  // the encoder of pictures; null: there is none that can be used
  std::string blind;             // why not, where the model has one
  std::shared_ptr<const gguf::File> file;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<engine::PlacedModel> placed;
  models::Spec spec;  // a copy: the model itself may be made anew on another thread
  models::LoadOptions load;
  std::chrono::nanoseconds load_duration{0};  // in all
  std::chrono::nanoseconds read_duration{0};  // of it, from the plan to weights that are in place
};

// The num_ctx that a model in an Ollama folder brings along; 0 if there is none.
uint32_t context_parameter(const store::Parameters& parameters);

// Opens, places the model as options.gpu says, checks that it fits in memory, reads it in and makes it ready. `load`
// gives what the caller needs; the cache's type comes from `options`, and so does the context, else from load.context,
// the num_ctx that comes with the model, or kDefaultContext_tokens, at most what the model was trained for.
// Errors: those of gguf::File::open, Tokenizer::load and PlacedModel::load; kNoMemory with needed and available, before
// anything is read; with GpuPolicy::kRequire kRefused, saying why it cannot be wholly on GPUs.
Result<LoadedModel> load_model(store::ModelFiles found, const ModelOptions& options, models::LoadOptions load,
                               const LoadObserver& observer);

}  // namespace hearth::fleet
