// hearth render: the prompt that a template makes of an input, byte for byte.
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "template/go_template.h"
#include "template/jinja.h"

namespace hearth::cli {
namespace {

struct Options {
  std::string template_path, input_path;
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
  ASSIGN_OR_RETURN(const auto compiled,
                   options.data ? templates::GoTemplate::parse(source) : templates::GoTemplate::parse_for_chat(source));
  return options.data ? compiled.render_data(input, now) : compiled.render_request(input, now);
}

Status run(const Options& options) {
  if (options.data && !options.go) return error(ErrorKind::kUsage, "--data belongs to --go");
  std::optional<std::tm> now;
  if (options.now) {
    ASSIGN_OR_RETURN(now, parse_time(*options.now));
  }
  ASSIGN_OR_RETURN(const std::string source, read_file(options.template_path));
  ASSIGN_OR_RETURN(const std::string input, read_file(options.input_path));
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
  arguments.required_text("--template", options->template_path, "The file with the template, in Jinja unless --go");
  arguments.required_text("--input", options->input_path,
                          "A JSON file: every key is a variable of the template (messages, tools, ...)");
  arguments.text("--now", options->now, "The time that the template sees, like 2026-01-02T03:04:05");
  arguments.flag("--go", options->go,
                 "The template is one of Ollama's, in Go; the input a request of /api/chat or /api/generate");
  arguments.flag("--data", options->data,
                 "With --go: the input is the root of the template ({\"$int\": 3} is an integer)");
  return [options] { return run(*options); };
}

const Command kCommand = {"render", "Print the prompt that a template makes of an input", configure};
const RegisterCommand registered(&kCommand);

}  // namespace
}  // namespace hearth::cli
