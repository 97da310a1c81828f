// hearth doctor: why a model is not on the GPU, or slow, for hearth and for other servers: causes by likelihood, with
// their evidence and what to do.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/gpu_works.h"
#include "cli/input.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/under_hearth.h"
#include "disk/new_file.h"
#include "doctor/anonymise.h"
#include "doctor/collect.h"
#include "doctor/diagnose.h"
#include "doctor/report.h"

namespace hearth::cli {
namespace {

using doctor::Bundle;
using doctor::Diagnosis;
using doctor::Facts;
using doctor::Outcome;

struct Options {
  bool json = false, verbose = false, watch = false;
  std::optional<std::string> explain, capture, replay, service, url, log, compose, probe;
  uint32_t pid = 0;

  bool files_alone() const { return (log || compose) && pid == 0 && !url; }
};

// Up to this much of the end of a log; more takes long and says the same.
constexpr size_t kMostLog_bytes = 64 << 20;

Result<std::string> bytes_of(const std::string& path) {
  std::string text;
  if (path != "-") {
    ASSIGN_OR_RETURN(text, read_file(path));
  } else {
    char buffer[65536];
    for (ssize_t got; (got = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
      if (text.size() > 2 * kMostLog_bytes) text.erase(0, text.size() - kMostLog_bytes);
    }
  }
  if (text.size() > kMostLog_bytes) text.erase(0, text.size() - kMostLog_bytes);
  return text;
}

// JSON takes UTF-8 only; a log may hold anything.
std::string as_utf8(std::string text) {
  for (size_t at = 0; at < text.size();) {
    const unsigned char first = static_cast<unsigned char>(text[at]);
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xc2 && first < 0xe0 ? 2
                          : first >= 0xe0 && first < 0xf0 ? 3
                          : first >= 0xf0 && first < 0xf5 ? 4
                                                          : 0;
    bool good = length > 0 && at + length <= text.size();
    for (size_t i = 1; good && i < length; ++i) good = (static_cast<unsigned char>(text[at + i]) & 0xc0) == 0x80;
    if (!good) text[at] = '?';
    at += good ? length : 1;
  }
  return text;
}

Status add_files(const Options& options, Bundle& bundle) {
  if (options.log) {
    ASSIGN_OR_RETURN(std::string text, bytes_of(*options.log));
    bundle.part("logs")["server"] = as_utf8(std::move(text));
  }
  if (options.compose) {
    ASSIGN_OR_RETURN(std::string text, bytes_of(*options.compose));
    const std::string name =
        *options.compose == "-" ? "compose file" : options.compose->substr(options.compose->find_last_of('/') + 1);
    bundle.part("compose")[name] = as_utf8(std::move(text));
  }
  return {};
}

Result<Bundle> gather(const Options& options) {
  if (options.replay) {
    ASSIGN_OR_RETURN(const std::string text, bytes_of(*options.replay));
    return Bundle::parse(text);
  }
  Bundle bundle;
  doctor::CollectOptions collect;
  if (options.service) collect.service = doctor::service_of(*options.service);
  if (options.pid != 0) collect.pid = options.pid;
  collect.url = options.url.value_or("");
  if (!options.files_alone())
    bundle = doctor::collect(collect);
  else if (options.service)
    bundle.part("service")["name"] = *options.service;
  TRY(add_files(options, bundle));
  return bundle;
}

bool ask_whether(const std::string& question) {
  if (!is_terminal(STDIN_FILENO) || !is_terminal(STDOUT_FILENO)) return true;
  (void)print(question);
  char answer[64] = {};
  return ::read(STDIN_FILENO, answer, sizeof answer - 1) > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

Status capture(const Options& options, const Bundle& bundle) {
  TRY(check_output(*options.capture));
  const std::string text = doctor::anonymised(bundle, doctor::names_here()).text();
  TRY(print(text));
  if (!ask_whether(fmt::format("\nThis would be written to {}. Write it? [y/N] ", *options.capture)))
    return error(ErrorKind::kCancelled, "nothing was written");
  ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(*options.capture, text.size(), "a doctor's bundle"));
  TRY(file.write(text.data(), text.size()));
  TRY(file.commit());
  print_note(fmt::format("written to {}; \"hearth doctor --replay {}\" diagnoses it anywhere", *options.capture,
                         *options.capture));
  return {};
}

int code_of(const Diagnosis& diagnosis) {
  if (diagnosis.outcome == Outcome::kFindings) return kExitFailed;
  return diagnosis.outcome == Outcome::kUnknown ? kExitUndecided : kExitSuccess;
}

doctor::ReportStyle style_of(const Options& options) {
  return {.width = std::min<size_t>(terminal_width(STDOUT_FILENO), 100),
          .colours = has_colours(STDOUT_FILENO),
          .verbose = options.verbose};
}

Status watch(const Options& options) {
  const InterruptScope scope;
  std::string before;
  while (!interrupted()) {
    ASSIGN_OR_RETURN(const Bundle bundle, gather(options));
    const Facts facts = doctor::read_facts(bundle);
    const std::string text = doctor::report(facts, doctor::diagnose(facts), bundle, style_of(options));
    if (text != before)
      TRY(print((knows_escapes(STDOUT_FILENO) ? "\x1b[H\x1b[2J" : before.empty() ? "" : "\n") + text));
    before = text;
    for (int i = 0; i < 20 && !interrupted(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return {};
}

Status explain(const std::string& id) {
  if (id == "all") {
    std::string all;
    for (const doctor::Rule* rule : doctor::rules()) all += (all.empty() ? "" : "\n") + doctor::explain(*rule);
    return print(all);
  }
  const doctor::Rule* rule = doctor::find_rule(id);
  if (rule != nullptr) return print(doctor::explain(*rule));
  if (const CauseWords* words = find_cause_words(id)) return print(doctor::explain(*words));
  std::string list;
  for (const doctor::Rule* one : doctor::rules()) list += fmt::format("\n  {}", one->id);
  return error(ErrorKind::kUsage, "there is no cause \"{}\"; these are:{}", id, list);
}

// Where no fault was found on this machine, its GPU is seen at work.
Status see_it_work(const Options& options, const Facts& facts, Diagnosis& diagnosis) {
  const bool elsewhere = options.replay || options.service || options.log || options.compose;
  if (elsewhere || diagnosis.outcome != Outcome::kHealthy || !facts.cuda.works()) return {};
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, gpu_works());
  diagnosis.checked.insert(diagnosis.checked.end(), lines.begin(), lines.end());
  return {};
}

Status run(const Options& options) {
  if (options.probe) return print(doctor::run_probe(*options.probe));
  if (options.explain) return explain(*options.explain);
  if (options.service && doctor::service_of(*options.service) == doctor::Service::kHearth)
    return error(ErrorKind::kUsage, "--service is for other servers; hearth judges itself without it: hearth doctor");
  if (options.service && doctor::service_of(*options.service) == doctor::Service::kNone)
    return error(ErrorKind::kUsage, "--service: {} is not ollama, vllm, localai or llama.cpp", *options.service);
  if ((options.pid != 0 || options.url) && !options.service)
    return error(ErrorKind::kUsage, "--pid and --url need --service");
  if (options.watch && (options.log == "-" || options.replay || options.json || options.capture))
    return error(ErrorKind::kUsage,
                 "--watch looks at this machine again and again: not with --replay, --json, --capture or a log from "
                 "standard input");
  if (options.watch) return watch(options);
  const Result<Bundle> gathered = gather(options);
  // A file that cannot be used is a mistake of the command line: exit code 1 means findings.
  if (!gathered) return Error{ErrorKind::kUsage, gathered.error().message};
  const Bundle& bundle = *gathered;
  if (options.capture) return capture(options, bundle);
  const Facts facts = doctor::read_facts(bundle);
  Diagnosis diagnosis = doctor::diagnose(facts);
  TRY(see_it_work(options, facts, diagnosis));
  if (options.service && !options.replay && !options.files_alone()) diagnosis.compared = under_hearth(facts);
  TRY(print(options.json ? doctor::report_json(facts, diagnosis, bundle, options.verbose)
                         : doctor::report(facts, diagnosis, bundle, style_of(options))));
  succeed_with(code_of(diagnosis));
  return {};
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.flag("--json", options->json, "Print JSON (docs/doctor.md)");
  arguments.flag("--verbose", options->verbose, "Also print everything that was asked, with its answer");
  arguments.flag("--watch", options->watch, "Look again every two seconds, until Ctrl-C");
  arguments.text("--explain", options->explain, "The page of a cause, by its id or number; \"all\": of all causes");
  arguments.text("--service", options->service, "ollama, vllm, localai or llama.cpp: judge that server");
  arguments.number("--pid", options->pid, 1u, 1u << 30, "Its process, if it is not found by its name");
  arguments.text("--url", options->url, "Where it answers, if not where it does by default");
  arguments.text("--log", options->log,
                 "Its log (-: standard input). A log or compose file alone is judged without this machine");
  arguments.text("--compose", options->compose, "Its compose file");
  arguments.text("--capture", options->capture,
                 "Write what was found to a file that may be passed on (docs/doctor-bundle.md)");
  arguments.text("--replay", options->replay, "Diagnose such a file instead of this machine");
  arguments.text("--probe", options->probe,
                 "Ask one driver and print its answers (for hearth itself): loader, cuda, nvml");
  return [options] { return run(*options); };
}

const Command kCommand = {"doctor", "Say why a model is not on the GPU, or slow, and what to do", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
