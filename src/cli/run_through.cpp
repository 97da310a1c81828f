#include "cli/run_through.h"

#include <boost/json.hpp>
#include <filesystem>

#include "base/error.h"
#include "cli/display.h"
#include "cli/terminal.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

bool has_defaults(const ModelOptions& options) {
  const ModelOptions usual;
  return options.context == 0 && options.threads == 0 && options.kv_type == usual.kv_type && options.cpu_isa.empty() &&
         options.gpu == usual.gpu && !options.experts_last && options.mmap == usual.mmap && !options.verbose;
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

std::string request_body(const RunOptions& options, const std::string& prompt) {
  json::array messages;
  if (options.system) messages.push_back(json::object{{"role", "system"}, {"content", *options.system}});
  messages.push_back(json::object{{"role", "user"}, {"content", prompt}});
  json::object body{{"model", options.model.model},
                    {"messages", std::move(messages)},
                    {"options", options_of(options.settings)},
                    {"stream", true}};
  if (const json::value think = think_of(options.thinking.think); !think.is_null()) body["think"] = think;
  return json::serialize(body);
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// One line of the stream.
Status show(std::string_view line, Display& display, bool* done) {
  boost::system::error_code failed;
  const json::value value = json::parse(line, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  if (object == nullptr) return error(ErrorKind::kInvalidData, "the server's answer is no JSON");
  if (object->contains("error")) return Error{ErrorKind::kIo, text(*object, "error")};
  if (const json::value* message = object->if_contains("message"); message != nullptr && message->is_object()) {
    using Kind = chat::Delta::Kind;
    const json::object& parts = message->get_object();
    chat::Delta delta;
    delta.kind = Kind::kReasoning;
    delta.text = text(parts, "thinking");
    if (!delta.text.empty()) TRY(display.show(delta));
    delta.kind = Kind::kContent;
    delta.text = text(parts, "content");
    TRY(display.show(delta));
  }
  const json::value* ended = object->if_contains("done");
  *done = *done || (ended != nullptr && ended->is_bool() && ended->get_bool());
  return {};
}

}  // namespace

bool can_run_through(const RunOptions& options) {
  const auto is_bias = [](const auto& setting) { return setting.first == "logit_bias"; };
  std::error_code ignored;
  return has_defaults(options.model) && !std::filesystem::exists(options.model.model, ignored) && !options.raw &&
         options.tools.empty() && options.text.kind == grammar::TextRule::Kind::kFree &&
         std::ranges::none_of(options.settings, is_bias);
}

Status run_through(const Remote& server, const RunOptions& options, const std::string& prompt) {
  Display display(options.thinking.hidden);
  bool done = false;
  TRY(server.stream("/api/chat", request_body(options, prompt),
                    [&](std::string_view line) { return show(line, display, &done); }));
  TRY(display.finish());
  if (!done) return error(ErrorKind::kIo, "the server's answer broke off");
  return display.wrote() ? Status() : print("\n");
}

}  // namespace hearth::cli
