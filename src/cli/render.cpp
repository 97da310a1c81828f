// hearth render: the prompt that a template makes of an input, byte for byte.
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "chat/chat_model.h"
#include "chat/exact_json.h"
#include "chat/ollama_template.h"
#include "cli/command.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "fleet/chat_model.h"
#include "fleet/find_model.h"
#include "template/go_template.h"
#include "template/jinja.h"

namespace hearth::cli {
namespace {

struct Options {
  std::optional<std::string> template_path, model;
  std::string input_path;
  std::optional<std::string> now;
  bool go = false, data = false;
};

Error no_time(const std::string& text) {
  return error(ErrorKind::kUsage, "\"{}\" is no time; --now takes one like 2026-01-02T03:04:05", text);
}

// "2026-01-02T03:04:05"; its day of the week and of the year follow.
Result<std::tm> parse_time(const std::string& text) {
  std::array<int, 6> parts{};
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  if (text.size() != kForm.size()) return no_time(text);
  for (size_t i = 0, part = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return no_time(text);
    if (kForm[i] == '0') {
      parts[part] = parts[part] * 10 + (text[i] - '0');
    } else {
      ++part;
    }
  }
  const std::chrono::year_month_day date{std::chrono::year(parts[0]),
                                         std::chrono::month(static_cast<unsigned>(parts[1])),
                                         std::chrono::day(static_cast<unsigned>(parts[2]))};
  if (!date.ok() || parts[3] > 23 || parts[4] > 59 || parts[5] > 59) return no_time(text);
  const std::chrono::sys_days day = date, first = date.year() / 1 / 1;
  std::tm time{};
  time.tm_year = parts[0] - 1900;
  time.tm_mon = parts[1] - 1;
  time.tm_mday = parts[2];
  time.tm_hour = parts[3];
  time.tm_min = parts[4];
  time.tm_sec = parts[5];
  time.tm_wday = static_cast<int>(std::chrono::weekday(day).c_encoding());
  time.tm_yday = static_cast<int>((day - first).count());
  return time;
}

Result<templates::Rendered> render_go(const Options& options, std::string_view source, std::string_view input,
                                      const std::optional<std::tm>& now) {
  if (!options.data) {
    ASSIGN_OR_RETURN(const auto compiled, chat::OllamaTemplate::parse(source));
    return compiled.render(input, now);
  }
  ASSIGN_OR_RETURN(const auto compiled, templates::GoTemplate::parse(source));
  return compiled.render_data(input, now);
}

// The members of a request that are no part of what ChatModel has names for: variables of the template.
std::string other_members(const boost::json::object& request) {
  std::string out;
  for (const auto& [key, value] : request) {
    if (key == "messages" || key == "tools" || key == "think" || key == "add_generation_prompt") continue;
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", boost::json::serialize(key), boost::json::serialize(value));
  }
  return out;
}

Result<chat::Think> read_think(const boost::json::object& request) {
  const boost::json::value* value = request.if_contains("think");
  if (value == nullptr || value->is_null()) return chat::Think::kDefault;
  if (value->is_bool()) return value->as_bool() ? chat::Think::kOn : chat::Think::kOff;
  if (!value->is_string()) return error(ErrorKind::kUsage, "\"think\" must be true, false or a level");
  ASSIGN_OR_RETURN(const ThinkingChoice choice, parse_thinking(std::string_view(value->as_string())));
  return choice.think;
}

Result<std::vector<chat::Message>> read_messages(const boost::json::object& request) {
  const boost::json::value* list = request.if_contains("messages");
  if (list == nullptr || !list->is_array()) return error(ErrorKind::kUsage, "the input has no list \"messages\"");
  std::vector<chat::Message> messages;
  for (const boost::json::value& one : list->as_array()) {
    ASSIGN_OR_RETURN(chat::Message message, chat::message_from_json(one));
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<templates::Rendered> render_for_model(const std::string& model, std::string_view input,
                                             const std::optional<std::tm>& now) {
  boost::system::error_code failed;
  const boost::json::value value = chat::parse_exact(input, failed);
  const boost::json::object* request = failed ? nullptr : value.if_object();
  if (request == nullptr) return error(ErrorKind::kUsage, "the input is no JSON object");
  ASSIGN_OR_RETURN(const std::vector<chat::Message> messages, read_messages(*request));
  std::vector<chat::Tool> tools;
  if (const boost::json::value* given = request->if_contains("tools")) {
    ASSIGN_OR_RETURN(tools, chat::tools_from_json(*given));
  }
  ASSIGN_OR_RETURN(const chat::Think think, read_think(*request));
  ASSIGN_OR_RETURN(const store::ModelFiles found, fleet::find_model(model));
  ASSIGN_OR_RETURN(const auto file, gguf::File::open(found.model));
  ASSIGN_OR_RETURN(auto tokenizer, text::Tokenizer::load(*file));
  const auto chat = fleet::make_chat_model(found, *file, std::move(tokenizer));
  for (const std::string& note : chat->notes()) print_note("note: " + note);
  const std::string variables = other_members(*request);
  ASSIGN_OR_RETURN(
      chat::Prompt prompt,
      chat->prompt({.messages = messages, .tools = tools, .think = think, .now = now, .variables = variables}));
  return std::move(prompt.rendered);
}

Status run(const Options& options) {
  if (options.data && !options.go) return error(ErrorKind::kUsage, "--data belongs to --go");
  if (options.template_path.has_value() == options.model.has_value())
    return error(ErrorKind::kUsage, "render needs --template FILE or --model MODEL");
  std::optional<std::tm> now;
  if (options.now) {
    ASSIGN_OR_RETURN(now, parse_time(*options.now));
  }
  ASSIGN_OR_RETURN(const std::string input, read_file(options.input_path));
  if (options.model) {
    ASSIGN_OR_RETURN(const auto rendered, render_for_model(*options.model, input, now));
    return print(rendered.text);
  }
  ASSIGN_OR_RETURN(const std::string source, read_file(*options.template_path));
  if (options.go) {
    ASSIGN_OR_RETURN(const auto rendered, render_go(options, source, input, now));
    return print(rendered.text);
  }
  ASSIGN_OR_RETURN(const auto compiled, templates::JinjaTemplate::parse(source));
  ASSIGN_OR_RETURN(const auto rendered, compiled.render_text(input, {now, {}, {}}));
  return print(rendered.text);
}

Action configure(Arguments& arguments) {
  const auto options = std::make_shared<Options>();
  arguments.text("--template", options->template_path, "The file with the template, in Jinja unless --go");
  arguments.text("--model", options->model, "In its place: a model, whose template writes the prompt as in a chat");
  arguments.required_text("--input", options->input_path,
                          "A JSON file: every key is a variable of the template (messages, tools, ...)");
  arguments.text("--now", options->now, "The time that the template sees, like 2026-01-02T03:04:05");
  arguments.flag("--go", options->go,
                 "The template is one of Ollama's, in Go; the input a request of /api/chat or /api/generate");
  arguments.flag("--data", options->data,
                 "With --go: the input is the root of the template ({\"$int\": 3} is an integer)");
  arguments.exclude("--model", "--template");
  arguments.exclude("--model", "--go");
  return [options] { return run(*options); };
}

const Command kCommand = {"render", "Print the prompt that a template makes of an input", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
