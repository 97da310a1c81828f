// hearth top: the requests that a server answers now; one can be ended.
#include <algorithm>

#include "base/error.h"
#include "cli/command.h"
#include "cli/figures_view.h"
#include "cli/remote.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

constexpr std::chrono::milliseconds kEvery{1'000};

struct Options {
  bool once = false, json = false;
  std::optional<std::string> url, cancel;
};

Result<std::vector<metrics::RequestFigures>> ask(const Remote& server) {
  ASSIGN_OR_RETURN(const std::string text, server.ask("GET", "/hearth/requests"));
  return metrics::requests_from_json(text);
}

Status cancel(const Remote& server, const std::string& id) {
  const bool number = !id.empty() && std::ranges::all_of(id, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!number) return error(ErrorKind::kUsage, "\"{}\" is no request's number; \"hearth top --once\" lists them", id);
  const auto done = server.ask("DELETE", "/hearth/requests/" + id);
  return done ? Status() : Status(done.error());
}

// The chosen one stays chosen while others come and go.
size_t place_of(const std::vector<metrics::RequestFigures>& requests, const std::string& chosen) {
  const auto found = std::ranges::find(requests, chosen, &metrics::RequestFigures::id);
  return found == requests.end() ? 0 : static_cast<size_t>(found - requests.begin());
}

Status watch(const Remote& server) {
  const InterruptScope scope;
  Screen screen;
  std::string chosen, note;
  while (!interrupted()) {
    ASSIGN_OR_RETURN(const auto requests, ask(server));
    const size_t at = place_of(requests, chosen);
    TRY(screen.show(requests_view(requests, at, screen.width()) +
                    (note.empty() ? "\n  arrows: choose   x: end the chosen one   q: leave\n" : "\n  " + note + "\n")));
    const int key = screen.key(kEvery);
    if (key == 'q') break;
    if (requests.empty()) continue;
    if (key == Screen::kUp || key == 'k') chosen = requests[at == 0 ? 0 : at - 1].id;
    if (key == Screen::kDown || key == 'j') chosen = requests[std::min(at + 1, requests.size() - 1)].id;
    if (key != 0) note.clear();
    if (key != 'x') continue;
    const Status done = cancel(server, requests[at].id);
    note = done ? "request " + requests[at].id + " is ended" : done.error().message;
  }
  return {};
}

Status run(const Options& options) {
  std::optional<Remote> server;
  if (options.url) {
    ASSIGN_OR_RETURN(server, Remote::at(*options.url));
  } else {
    ASSIGN_OR_RETURN(server, Remote::require());
  }
  if (options.cancel) return cancel(*server, *options.cancel);
  if (!options.once && !options.json && is_terminal(STDOUT_FILENO)) return watch(*server);
  ASSIGN_OR_RETURN(const auto requests, ask(*server));
  if (options.json) return print(metrics::to_json(requests) + "\n");
  return print(requests_view(requests, requests.size(), terminal_width(STDOUT_FILENO)));
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.flag("--once", options->once, "Print once, also on a terminal");
  arguments.flag("--json", options->json, "Print JSON, once");
  arguments.text("--cancel", options->cancel, "End the request of this number");
  arguments.text("--url", options->url,
                 "A server elsewhere, http://HOST:PORT; HEARTH_API_KEY is an administrator's key");
  return [options] { return run(*options); };
}

const Command kCommand = {"top", "Show the requests that a server answers now, and end one", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
