// hearth serve: models behind the APIs that programs already use.
#include "base/log.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/signals.h"
#include "serve/serving.h"

namespace hearth::cli {
namespace {

constexpr std::chrono::seconds kLeave(15);  // for requests that run when the server is to end

struct Options {
  ModelOptions model;
  std::optional<std::string> host;
  uint32_t parallel = 0;
};

Result<serve::Settings> settings_of(const Options& options) {
  serve::Settings settings;
  settings.model = fleet_options(options.model);
  TRY(serve::read_environment(serve::environment, settings));
  if (options.host) {  // a flag counts before the environment
    ASSIGN_OR_RETURN(const http::Address address, serve::parse_host(*options.host));
    settings.listen = {address};
  }
  if (options.model.context != 0) settings.model.context = options.model.context;
  if (options.model.kv_type != ModelOptions().kv_type) settings.model.kv_type = options.model.kv_type;
  if (options.parallel != 0) settings.parallel = options.parallel;
  return settings;
}

Status run(const Options& options) {
  set_log_level(LogLevel::kInfo);
  ASSIGN_OR_RETURN(const serve::Settings settings, settings_of(options));
  const InterruptScope interrupts;
  ASSIGN_OR_RETURN(const std::unique_ptr<serve::Serving> serving, serve::Serving::start(settings));
  serve::log_inference_compute(settings.model.gpu);
  for (const std::string& address : serving->addresses())
    log_info("Listening on {} (version {})", address, HEARTH_VERSION);
  wait_readable(-1);
  log_info("ending: requests that run have {} seconds; a second signal ends them at once", kLeave.count());
  const bool all = serving->drain(kLeave);
  if (!all) log_warn("some requests had not ended");
  take_any_signal();
  return {};
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.text("--host", options->host,
                 "Where to listen, as HOST:PORT; \":PORT\" is all addresses (default: OLLAMA_HOST, else "
                 "127.0.0.1:11434 and ::1)");
  arguments.number("--parallel", options->parallel, 1u, 256u,
                   "Answers of one model at the same time (default: OLLAMA_NUM_PARALLEL, else 4)");
  add_context_and_compute_options(arguments, options->model);
  return [options] { return run(*options); };
}

const Command kCommand = {"serve", "Serve models over Ollama's API", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
