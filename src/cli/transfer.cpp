// hearth pull, push: through the hearth that serves, or by this process.
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/rate.h"
#include "cli/remote.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "registry/pull.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string model;
  bool insecure = false;
};

// A bar per file with the rate and the time left; each other step is one line, once.
class Display {
 public:
  void take(const registry::Progress& progress) {
    if (progress.digest.empty()) return line(progress.status);
    if (progress.digest == whole_) return;
    if (progress.digest != digest_) {
      digest_ = progress.digest;
      rate_.emplace(progress.done);
      bar_.reset();
      bar_.emplace(progress.status, progress.total);
    }
    bar_->update(progress.done, rate_->text(progress.done, progress.total));
    if (progress.done < progress.total) return;
    whole_ = progress.digest;
    line(fmt::format("{}: {}", progress.status, size_text(progress.total)));
  }
  void end() { bar_.reset(); }

 private:
  void line(const std::string& text) {
    if (text == last_) return;
    last_ = text;
    bar_.reset();
    digest_.clear();
    fmt::print(stderr, "{}\n", printable(text));
  }
  std::optional<Progress> bar_;
  std::optional<Rate> rate_;
  std::string digest_, last_, whole_;
};

std::string text_of(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
uint64_t number_of(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  return value != nullptr && value->is_number() ? value->to_number<uint64_t>(failed) : 0;
}

Status run_remote(const Remote& server, const char* verb, const Options& options, Display& display) {
  const std::string body = json::serialize(json::object{{"model", options.model}, {"insecure", options.insecure}});
  bool succeeded = false;
  TRY(server.stream(std::string("/api/") + verb, body, [&](std::string_view line) -> Status {
    if (interrupted()) return error(ErrorKind::kCancelled, "interrupted; what has arrived stays for the next {}", verb);
    boost::system::error_code failed;
    const json::value value = json::parse(json::string_view(line.data(), line.size()), failed);
    const json::object* object = failed ? nullptr : value.if_object();
    if (object == nullptr) return error(ErrorKind::kInvalidData, "the server answers with no JSON");
    if (const std::string fault = text_of(*object, "error"); !fault.empty()) return Error{ErrorKind::kIo, fault};
    const registry::Progress progress{text_of(*object, "status"), text_of(*object, "digest"),
                                      number_of(*object, "total"), number_of(*object, "completed")};
    succeeded = progress.status == "success";
    display.take(progress);
    return {};
  }));
  return succeeded ? Status()
                   : error(ErrorKind::kIo, "the server ended before the {} was done; run it again to go on", verb);
}

Status run(const char* verb, const Options& options) {
  const InterruptScope tidy_up;
  Display display;
  ASSIGN_OR_RETURN(const std::optional<Remote> server, Remote::find());
  Status done;
  if (server) {
    done = run_remote(*server, verb, options, display);
  } else {
    registry::TransferOptions transfer{.insecure = options.insecure};
    transfer.goes_on = [] { return !interrupted(); };
    const auto sink = [&](const registry::Progress& progress) { display.take(progress); };
    if (std::string_view(verb) == "pull") {
      const auto pulled = registry::pull(options.model, transfer, sink);
      if (!pulled) done = pulled.error();
    } else {
      done = registry::push(options.model, transfer, sink);
    }
  }
  display.end();
  return done;
}

Action configure(Arguments& arguments, const char* verb, const char* help) {
  const auto options = std::make_shared<Options>();
  arguments.required_text("MODEL", options->model, help);
  arguments.flag("--insecure", options->insecure,
                 "Plain HTTP where the registry has no HTTPS (this machine needs no flag)");
  return [options, verb] { return run(verb, *options); };
}

const Command kPull = {"pull", "Bring a model here, or go on with one that was begun", [](Arguments& a) {
                         return configure(a, "pull",
                                          "llama3.2, host/space/model:tag, hf.co/org/repo:Q4_K_M, or "
                                          "https://host/file.gguf#sha256:HEX");
                       }};
const Command kPush = {"push", "Send a model to the registry that its name begins with", [](Arguments& a) {
                         return configure(a, "push", "host/space/model:tag, as in \"hearth list\"");
                       }};
const RegisterCommand registered[] = {RegisterCommand(&kPull), RegisterCommand(&kPush)};

}  // namespace
}  // namespace hearth::cli
