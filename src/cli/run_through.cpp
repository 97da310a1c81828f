#include "cli/run_through.h"

#include <boost/json.hpp>
#include <filesystem>

#include "base/base64.h"
#include "base/error.h"
#include "cli/display.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

bool has_defaults(const ModelOptions& options) {
  const ModelOptions usual;
  return options.projector.empty() && options.context == 0 && options.threads == 0 &&
         options.kv_type == usual.kv_type && options.cpu_isa.empty() && options.gpu == usual.gpu &&
         !options.experts_last && options.mmap == usual.mmap;
}

json::object options_of(const store::Parameters& settings) {
  json::object options;
  json::array stops;
  for (const auto& [name, value] : settings) {
    if (name == "stop") {
      stops.emplace_back(value);
      continue;
    }
    boost::system::error_code failed;
    const json::value number = json::parse(value, failed);  // checked already: they are numbers
    if (!failed) options[name] = number;
  }
  if (!stops.empty()) options["stop"] = std::move(stops);
  return options;
}

json::value think_of(chat::Think think) {
  switch (think) {
    case chat::Think::kOn:
      return true;
    case chat::Think::kOff:
      return false;
    case chat::Think::kLow:
      return "low";
    case chat::Think::kMedium:
      return "medium";
    case chat::Think::kHigh:
      return "high";
    case chat::Think::kDefault:
      break;
  }
  return nullptr;
}

std::string request_body(const ThroughRequest& request) {
  json::object body{{"model", request.model},
                    {"messages", request.messages},
                    {"options", options_of(request.settings)},
                    {"stream", true}};
  if (const json::value think = think_of(request.thinking.think); !think.is_null()) body["think"] = think;
  return json::serialize(body);
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

uint64_t number(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<uint64_t>() : 0;
}

Report report_of(const json::object& last) {
  const auto duration = [&](const char* name) { return std::chrono::nanoseconds(number(last, name)); };
  const auto count = [&](const char* name) { return static_cast<uint32_t>(number(last, name)); };
  Report report{};
  report.total = duration("total_duration");
  report.load = duration("load_duration");
  report.usage.prompt_tokens = count("prompt_eval_count");
  report.usage.prompt_tokens_cached = count("prompt_eval_cached_count");
  report.usage.generated_tokens = count("eval_count");
  report.usage.prompt = duration("prompt_eval_duration");
  report.usage.generation = duration("eval_duration");
  return report;
}

// An answer on its way.
class Reading {
 public:
  explicit Reading(bool hides_thinking) : display_(hides_thinking) {}

  // One line of the stream.
  Status take(std::string_view line) {
    boost::system::error_code failed;
    const json::value value = json::parse(line, failed);
    const json::object* object = failed ? nullptr : value.if_object();
    if (object == nullptr) return error(ErrorKind::kInvalidData, "the server's answer is no JSON");
    if (object->contains("error")) return Error{ErrorKind::kIo, text(*object, "error")};
    if (const json::value* message = object->if_contains("message"); message != nullptr && message->is_object()) {
      TRY(show(chat::Delta::Kind::kReasoning, text(message->get_object(), "thinking"), thinking_));
      TRY(show(chat::Delta::Kind::kContent, text(message->get_object(), "content"), content_));
    }
    const json::value* ended = object->if_contains("done");
    if (ended == nullptr || !ended->is_bool() || !ended->get_bool()) return {};
    done_ = true;
    report_ = report_of(*object);
    return {};
  }

  Result<ThroughAnswer> end() {
    TRY(display_.finish());
    if (!done_) return error(ErrorKind::kIo, "the server's answer broke off");
    if (!display_.wrote()) TRY(print("\n"));
    ThroughAnswer answer{{{"role", "assistant"}, {"content", content_}}, report_};
    if (!thinking_.empty()) answer.message["thinking"] = thinking_;
    return answer;
  }

 private:
  Status show(chat::Delta::Kind kind, const std::string& piece, std::string& whole) {
    if (piece.empty()) return {};
    whole += piece;
    chat::Delta delta;
    delta.kind = kind;
    delta.text = piece;
    return display_.show(delta);
  }

  Display display_;
  std::string thinking_, content_;
  Report report_{};
  bool done_ = false;
};

}  // namespace

bool can_run_through(const RunOptions& options) {
  const auto is_bias = [](const auto& setting) { return setting.first == "logit_bias"; };
  std::error_code ignored;
  return has_defaults(options.model) && !std::filesystem::exists(options.model.model, ignored) && !options.raw &&
         options.tools.empty() && options.text.kind == grammar::TextRule::Kind::kFree &&
         std::ranges::none_of(options.settings, is_bias);
}

json::object user_message(const std::string& text, const PictureFiles& pictures) {
  json::object message{{"role", "user"}, {"content", text}};
  json::array images;
  for (const auto& picture : pictures) images.emplace_back(base64(*picture));
  if (!images.empty()) message["images"] = std::move(images);
  return message;
}

Result<ThroughAnswer> ask_through(const Remote& server, const ThroughRequest& request) {
  Reading reading(request.thinking.hidden);
  ASSIGN_OR_RETURN(
      const std::string warnings,
      server.stream("/api/chat", request_body(request), [&](std::string_view line) { return reading.take(line); }));
  if (!warnings.empty()) print_note("note: " + warnings);
  return reading.end();
}

Status run_through(const Remote& server, const RunOptions& options, const std::string& prompt) {
  ThroughRequest request{options.model.model, options.settings, options.thinking, {}};
  if (options.system) request.messages.push_back(json::object{{"role", "system"}, {"content", *options.system}});
  request.messages.push_back(user_message(prompt, options.pictures));
  ASSIGN_OR_RETURN(const ThroughAnswer answer, ask_through(server, request));
  if (options.model.verbose) print_note("\n" + to_string(answer.report));
  return {};
}

}  // namespace hearth::cli
