// hearth gpu: what the GPUs hold and do, and the models on them, once or every second; of a server, or without one of
// this machine.
#include <chrono>
#include <thread>

#include "base/error.h"
#include "cli/command.h"
#include "cli/figures_view.h"
#include "cli/gpu_run.h"
#include "cli/remote.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "fleet/cards.h"

namespace hearth::cli {
namespace {

constexpr std::chrono::milliseconds kEvery{1'000};

struct Options {
  bool once = false, json = false, watch = false;
  std::optional<std::string> url;
};

// Where the figures come from: a server, else the driver.
class Source {
 public:
  static Result<Source> open(const Options& options) {
    Source source;
    if (options.url) {
      ASSIGN_OR_RETURN(source.server_, Remote::at(*options.url));
    } else {
      ASSIGN_OR_RETURN(source.server_, Remote::find());
    }
    return source;
  }

  Result<metrics::Figures> take() {
    if (server_) {
      ASSIGN_OR_RETURN(const std::string text, server_->ask("GET", "/hearth/figures"));
      return metrics::figures_from_json(text);
    }
    metrics::Figures figures;
    figures.version = HEARTH_VERSION;
    figures.gpus = cards_.look(true, {});
    return figures;
  }
  bool has_server() const { return server_.has_value(); }

 private:
  std::optional<Remote> server_;
  fleet::Cards cards_;
};

std::string text_of(const metrics::Figures& figures, const Source& source, const Options& options, size_t width) {
  if (options.json) return metrics::to_json(figures) + "\n";
  const std::string text = figures_view(figures, width);
  return source.has_server()
             ? text
             : "No hearth serves here: this is what the driver says.\n" + text.substr(text.find('\n') + 1);
}

Status watch(Source& source, const Options& options) {
  const InterruptScope scope;
  std::optional<Screen> screen;
  if (!options.json) screen.emplace();
  while (!interrupted()) {
    ASSIGN_OR_RETURN(const metrics::Figures figures, source.take());
    if (!screen) {
      TRY(print(text_of(figures, source, options, 0)));
      for (int i = 0; i < 10 && !interrupted(); ++i) std::this_thread::sleep_for(kEvery / 10);
      continue;
    }
    TRY(screen->show(text_of(figures, source, options, screen->width())));
    const int key = screen->key(kEvery);
    if (key == 'q') break;
  }
  return {};
}

Status run(const Options& options) {
  ASSIGN_OR_RETURN(Source source, Source::open(options));
  if (options.watch) return watch(source, options);
  ASSIGN_OR_RETURN(const metrics::Figures figures, source.take());
  return print(text_of(figures, source, options, terminal_width(STDOUT_FILENO)));
}

// "run COMMAND..." where a program is to have a GPU's memory; nothing where the GPUs are shown.
Status run_or_show(const Options& options, const GpuRunOptions& beside) {
  if (beside.action.empty() && beside.need.empty()) return run(options);
  if (beside.command.empty() || beside.action != "run" || options.watch || options.json || options.url.has_value())
    return error(ErrorKind::kUsage, "write hearth gpu run --need 6GiB -- COMMAND ARGUMENTS...");
  return gpu_run(beside);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  const auto beside = std::make_shared<GpuRunOptions>();
  arguments.text("ACTION", beside->action, "Nothing: show them; run: see --need");
  arguments.words("COMMAND", beside->command,
                  "\"run -- PROGRAM ...\" runs one that has a GPU's memory (docs/sharing.md)");
  arguments.text("--need", beside->need, "With run: how much, e.g. 6GiB");
  arguments.number("--gpu", beside->gpu, 0, 1023, "With run: on which GPU (default: the one with most free memory)");
  arguments.flag("--once", options->once, "Print once (the default)");
  arguments.flag("--watch", options->watch, "Show it anew every second; q ends");
  arguments.flag("--json", options->json, "Print JSON; with --watch a line every second");
  arguments.text("--url", options->url, "A server elsewhere, http://HOST:PORT; HEARTH_API_KEY is the key");
  arguments.exclude("--once", "--watch");
  return [options, beside] { return run_or_show(*options, *beside); };
}

const Command kCommand = {"gpu", "Show what the GPUs hold and do, and the models on them", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
