// hearth batch: jobs of many items that go through the steps of a workflow.
#include <unistd.h>

#include <thread>

#include "base/error.h"
#include "cli/batch_client.h"
#include "cli/batch_results.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

struct BatchOptions {
  config::Inputs inputs;
  std::string action, format = "jsonl";
  std::optional<std::string> what, out, model, prompt, system;
  uint32_t max_tokens = 0;
  bool dry_run = false, failed = false;
};

bool is_workflow(const BatchOptions& options) {
  return !options.model && !options.prompt;
}

// A workflow of one step, of the command line.
Result<batch::WorkflowFile> plain_workflow(const BatchOptions& options) {
  if (!options.model || !options.prompt)
    return error(ErrorKind::kUsage,
                 "without a workflow both are needed: --model MODEL --prompt '... {{{{ item.text }}}} ...'");
  batch::WorkflowFile file;
  file.items.file = options.what.value_or("-");
  file.workflow.name = file.items.file == "-" ? "prompts" : file.items.file;
  batch::Step& step = file.workflow.steps.emplace_back();
  step.name = "answer";
  step.model = *options.model;
  step.prompt = *options.prompt;
  step.system = options.system.value_or("");
  if (options.max_tokens > 0) step.options["max_tokens"] = options.max_tokens;
  const batch::Where where = [](const std::string&) { return "--prompt: "; };
  ASSIGN_OR_RETURN(file.compiled, batch::compile(file.workflow, where));
  return file;
}

Result<batch::WorkflowFile> read_job(const BatchOptions& options) {
  if (!is_workflow(options)) return plain_workflow(options);
  if (!options.what) return error(ErrorKind::kUsage, "\"hearth batch {}\" needs a file: WORKFLOW.toml", options.action);
  ASSIGN_OR_RETURN(batch::WorkflowFile file, batch::read_workflow_file(*options.what));
  if (file.items.file.empty() && file.items.folder.empty()) file.items.file = "-";
  return file;
}

double number(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  return value != nullptr && value->is_number() ? value->to_number<double>(failed) : 0;
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Status show_plan(const json::object& plan) {
  TRY(print(fmt::format("{:.0f} items, {:.0f} steps, {:.0f} turns of models\n", number(plan, "items"),
                        number(plan, "steps"), number(plan, "loads"))));
  const json::value* left = plan.if_contains("left_s");
  if (left != nullptr && left->is_object())
    TRY(print(fmt::format("time: {:.0f} s (P50), {:.0f} s (P90)\n", number(left->get_object(), "p50"),
                          number(left->get_object(), "p90"))));
  else
    TRY(print("time: not known before its models have answered some steps here\n"));
  const json::value* largest = plan.if_contains("largest");
  if (largest == nullptr || !largest->is_object()) return {};
  for (const auto& [step, prompt] : largest->get_object())
    if (prompt.is_object())
      TRY(print(fmt::format("largest prompt of {}: {:.0f} tokens{}, context {:.0f} (item {})\n", std::string(step),
                            number(prompt.get_object(), "tokens"),
                            prompt.get_object().contains("more") && prompt.get_object().at("more") == json::value(true)
                                ? " and what other steps say"
                                : "",
                            number(prompt.get_object(), "context"), text(prompt.get_object(), "item"))));
  return {};
}

Status show_diff(const json::object& diff) {
  const json::value* steps = diff.if_contains("steps");
  if (steps == nullptr || !steps->is_array()) return {};
  for (const json::value& step : steps->get_array())
    if (step.is_object())
      TRY(print(fmt::format("{:<24}{:>8.0f} known {:>8.0f} to do\n", text(step.get_object(), "name"),
                            number(step.get_object(), "known"), number(step.get_object(), "to_do"))));
  return {};
}

// Until the job has ended; shows how far it is. Gives the last report.
Result<json::object> follow(const BatchClient& client, const std::string& key) {
  const InterruptScope scope;
  const bool shows = is_terminal(STDERR_FILENO);
  const auto clear = [&] { (void)!::write(STDERR_FILENO, "\r\033[K", shows ? 4 : 0); };
  while (true) {
    ASSIGN_OR_RETURN(json::object report, client.ask("GET", job_path(key)));
    const std::string state = text(report, "state");
    const std::string line = progress_line(report, terminal_width(STDERR_FILENO) - 1);
    if (shows) {
      clear();
      (void)!::write(STDERR_FILENO, line.data(), line.size());
    }
    if (state != "running" && state != "paused") {
      clear();
      print_note(progress_line(report, 200));
      return report;
    }
    for (int i = 0; i < 10 && !interrupted(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (interrupted()) {
      clear();
      print_note(client.inside() ? "the job stays in the queue: the same command goes on with it"
                                 : "the server goes on with the job; hearth batch watch shows it");
      return Error{ErrorKind::kCancelled, {}};
    }
    client.look();
  }
}

Status judge(const json::object& report) {
  const json::value* steps = report.if_contains("steps");
  const double failed = steps != nullptr && steps->is_object() ? number(steps->get_object(), "failed") : 0;
  if (failed == 0) return {};
  return error(ErrorKind::kInvalidData,
               "{:.0f} of {:.0f} steps failed; hearth batch retry --failed {} tries them again", failed,
               number(report, "steps_total"), text(report, "key"));
}

Status submit(const BatchOptions& options) {
  ASSIGN_OR_RETURN(const batch::WorkflowFile file, read_job(options));
  ASSIGN_OR_RETURN(const JobUpload upload, make_upload(file));
  ASSIGN_OR_RETURN(const BatchClient client, BatchClient::open(options.inputs, options.action == "run"));
  const std::string use = options.action == "diff" ? "?do=diff" : options.dry_run ? "?do=plan" : "";
  ASSIGN_OR_RETURN(const json::object answer, client.send(job_path(upload.key) + use, upload.body.text()));
  if (options.action == "diff") return show_diff(answer);
  if (options.dry_run) return show_plan(answer);
  const json::value* attached = answer.if_contains("attached");
  if (attached != nullptr && attached->is_bool() && attached->get_bool())
    print_note(fmt::format("the job {} is there already, and goes on", upload.key));
  if (options.action == "submit") {
    if (client.inside()) print_note("no server runs: hearth serve, or hearth batch run, works the queue");
    return print(upload.key + "\n");
  }
  ASSIGN_OR_RETURN(const json::object report, follow(client, upload.key));
  TRY(write_results(client, upload.key, options.format, options.out.value_or("-")));
  return judge(report);
}

Status list(const BatchOptions& options) {
  ASSIGN_OR_RETURN(const BatchClient client, BatchClient::open(options.inputs, false));
  ASSIGN_OR_RETURN(const json::object answer, client.ask("GET", "/hearth/jobs"));
  const json::value* jobs = answer.if_contains("jobs");
  std::string table = fmt::format("{:<34}{:<22}{:<11}{:>6}{:>6}\n", "KEY", "NAME", "STATE", "ITEMS", "DONE");
  if (jobs != nullptr && jobs->is_array())
    for (const json::value& one : jobs->get_array()) {
      if (!one.is_object()) continue;
      const json::object& job = one.get_object();
      const json::value* steps = job.if_contains("steps");
      const double done = steps != nullptr && steps->is_object() ? number(steps->get_object(), "done") : 0;
      const double total = std::max(1.0, number(job, "steps_total"));
      table +=
          fmt::format("{:<34}{:<22}{:<11}{:>6.0f}{:>5.0f}%\n", text(job, "key").substr(0, 33),
                      text(job, "name").substr(0, 21), text(job, "state"), number(job, "items"), 100 * done / total);
    }
  return print(table);
}

Status act(const BatchOptions& options) {
  if (!options.what) return error(ErrorKind::kUsage, "\"hearth batch {}\" needs a job's key or name", options.action);
  if (options.action == "retry" && !options.failed)
    return error(ErrorKind::kUsage, "say what is to be tried again: hearth batch retry --failed {}", *options.what);
  const bool works = options.action == "watch";
  ASSIGN_OR_RETURN(const BatchClient client, BatchClient::open(options.inputs, works));
  ASSIGN_OR_RETURN(const json::object job, client.ask("GET", job_path(*options.what)));
  const std::string key = text(job, "key");
  if (options.action == "results") return write_results(client, key, options.format, options.out.value_or("-"));
  if (options.action == "watch") {
    const auto report = follow(client, key);
    return report ? judge(*report) : Status(report.error());
  }
  ASSIGN_OR_RETURN(const json::object report, client.ask("POST", job_path(key, "/" + options.action)));
  return print(progress_line(report, 200) + "\n");
}

Status run(const BatchOptions& options) {
  if (options.action == "ls") return list(options);
  for (const char* action : {"submit", "run", "diff"})
    if (options.action == action) return submit(options);
  return act(options);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<BatchOptions>();
  options->inputs.environment = config::environment();
  arguments.required_choice(
      "ACTION", options->action,
      {"submit", "run", "diff", "watch", "ls", "cancel", "pause", "resume", "retry", "results"},
      "submit, run (submits and waits), diff, watch, ls, cancel, pause, resume, retry or results");
  arguments.text("WHAT", options->what, "A workflow (TOML), the items with --prompt, or a job's key or name");
  arguments.text("--out", options->out, "File of the results (default: standard output)");
  arguments.choice("--format", options->format, {"jsonl", "csv", "sqlite"}, "Of the results (default: jsonl)");
  arguments.flag("--dry-run", options->dry_run, "Check all, say what it takes, and queue nothing");
  arguments.flag("--failed", options->failed, "With retry: the steps that failed");
  arguments.text("--model", options->model, "Without a workflow: the model that answers each item");
  arguments.text("--prompt", options->prompt, "Without a workflow: the prompt, e.g. 'Translate: {{ item.text }}'");
  arguments.text("--system", options->system, "Without a workflow: the system prompt");
  arguments.number("--max-tokens", options->max_tokens, 0u, 1'000'000u, "Without a workflow: of each answer");
  arguments.text("--config", options->inputs.file, "File of the server's settings, where none runs");
  return [options] { return run(*options); };
}

const Command kCommand = {"batch", "Run many items through workflows of one or several models", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
