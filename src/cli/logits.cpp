// hearth logits: what the model says at every position, for conformance checks.
#include "base/error.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "disk/new_file.h"
#include "engine/evaluate.h"

namespace hearth::cli {
namespace {

struct Options {
  ModelOptions model;
  std::string tokens, out;
};

// NumPy's format, version 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
std::string npy_header(size_t rows, size_t columns) {
  constexpr size_t kAlignment = 64, kPrefix = 10;
  std::string text = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  text.append(kAlignment - (kPrefix + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

Status run(const Options& options) {
  TRY(check_output(options.out));
  ASSIGN_OR_RETURN(const std::string text, read_text(options.tokens, options.tokens));
  ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, parse_token_ids(text, options.tokens));
  ASSIGN_OR_RETURN(fleet::LoadedModel loaded,
                   load_model(options.model, engine::evaluation_load_options(static_cast<uint32_t>(tokens.size()))));
  log_devices(loaded.placed->status());
  const InterruptScope tidy_up;  // removes the unfinished file
  const std::string header = npy_header(tokens.size(), loaded.spec.vocabulary);
  const uint64_t bytes = header.size() + uint64_t{tokens.size()} * loaded.spec.vocabulary * sizeof(float);
  ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(options.out, bytes, options.out));
  TRY(file.write(header.data(), header.size()));
  Progress progress("computing", tokens.size(), Progress::Unit::kCount);
  TRY(engine::evaluate(loaded.placed->model(), tokens, 0, interrupted,
                       [&](size_t position, std::span<const float> logits) -> Status {
                         progress.update(position);
                         return file.write(std::as_bytes(logits));
                       }));
  return file.commit();
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  options->model.kv_type = "f32";  // conformance checks compare with exact caches
  add_model_options(arguments, options->model);
  arguments.required_text("--tokens", options->tokens, "File of token ids, separated by white space or commas");
  arguments.required_text("--out", options->out, "The .npy file to write: float32, positions x vocabulary");
  return [options] { return run(*options); };
}

const Command kCommand = {"logits", "Write the logits of every position of a text", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
