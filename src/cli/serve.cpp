// hearth serve: models behind the APIs that programs already use.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/duration.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/restart.h"
#include "cli/service_manager.h"
#include "cli/settings.h"
#include "cli/signals.h"
#include "serve/serving.h"

namespace hearth::cli {
namespace {

constexpr std::chrono::milliseconds kLook{1'000};           // between two looks at files and devices
constexpr std::chrono::milliseconds kErrors_go_out{2'000};  // to those whose requests a lost device has ended

bool has_terminal() {
  const int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

void reload(const config::Inputs& inputs, serve::Serving& serving) {
  const auto loaded = config::load(inputs);
  if (!loaded) return log_error("the settings stay as they were: {}", loaded.error().message);
  const std::vector<std::string> lines = serving.reload(*loaded);
  for (const std::string& line : lines) log_info("{}", line);
  if (lines.empty()) log_info("the settings are read again: nothing has changed");
}

enum class End { kAsked, kLost };

std::string status_text(const serve::Serving& serving) {
  return fmt::format("Listening on {}", fmt::join(serving.addresses(), ", "));
}

// Until a signal says that it is to end, or only a new process can go on.
End attend(const config::Inputs& inputs, SignalQueue& signals, serve::Serving& serving, ServiceManager& manager) {
  const bool terminal = has_terminal();
  while (true) {
    manager.alive();
    const int signal = signals.next(kLook);
    if (signal != 0 && (signal != SIGHUP || (terminal && !has_terminal()))) return End::kAsked;
    if (signal != 0) {
      manager.reloading();
      reload(inputs, serving);
      manager.ready(status_text(serving));
    }
    if (serving.look() == serve::Serving::Condition::kLost && may_restart()) return End::kLost;
  }
}

Status run(const config::Inputs& inputs) {
  ASSIGN_OR_RETURN(config::Loaded loaded, config::load(inputs));
  set_log_level(loaded.settings.log);
  for (const std::string& warning : loaded.warnings) log_warn("{}", warning);
  // Whoever looks for models reads this variable.
  if (!loaded.settings.models.empty()) ::setenv("OLLAMA_MODELS", loaded.settings.models.c_str(), 1);
  SignalQueue signals;
  ASSIGN_OR_RETURN(std::unique_ptr<serve::Serving> serving, serve::Serving::start(std::move(loaded), take_sockets()));
  for (const std::string& address : serving->addresses())
    log_info("Listening on {} (version {})", address, HEARTH_VERSION);
  ServiceManager manager;
  manager.ready(status_text(*serving));
  if (attend(inputs, signals, *serving, manager) == End::kLost) {
    log_error("a device is lost for this process: hearth starts itself anew and goes on listening");
    const std::vector<int> sockets = serving->keep_listening();
    serving->drain(kErrors_go_out);
    serving.reset();
    signals.release();
    return restart(sockets);
  }
  const auto most = serving->drain_time();
  signals.release();
  manager.stopping(most);
  log_info("ending: requests that run have {}; a second signal ends them at once", format_duration(most));
  if (!serving->drain(most)) log_warn("some requests had not ended");
  return {};
}

Action configure(Arguments& arguments) {
  const auto inputs = std::make_shared<config::Inputs>();
  inputs->environment = config::environment();
  add_settings(arguments, *inputs);
  return [inputs] { return run(*inputs); };
}

const Command kCommand = {"serve", "Serve models over Ollama's API", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
