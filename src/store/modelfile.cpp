#include "store/modelfile.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "store/option_types.h"

namespace hearth::store {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string_view take_word(std::string_view& text) {
  const size_t end = std::min(text.find_first_of(kSpace), text.size());
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

bool is_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  text = text.substr(0, text.find('-'));
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos && text.front() != '.' &&
         text.back() != '.' && text.find("..") == std::string_view::npos;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<Modelfile> run() {
    while (!rest_.empty()) {
      const size_t line = line_ + 1;
      const std::string_view text = trimmed(take_line());
      if (text.empty() || text.front() == '#') continue;
      if (const Status done = instruction(text); !done)
        return error(done.error().kind, "(line {}): {}", line, done.error().message);
    }
    if (out_.from.empty())
      return error(ErrorKind::kUsage,
                   "no FROM line: the Modelfile must say which model, file or folder it begins with");
    return std::move(out_);
  }

 private:
  struct Instruction {
    std::string_view name;
    Status (Parser::*run)(std::string_view value);
  };

  std::string_view take_line() {
    const size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++line_;
    return line;
  }

  Status instruction(std::string_view text) {
    static constexpr std::array<Instruction, 12> kAll = {{{"FROM", &Parser::from},
                                                          {"PARAMETER", &Parser::parameter},
                                                          {"TEMPLATE", &Parser::chat_template},
                                                          {"SYSTEM", &Parser::system},
                                                          {"MESSAGE", &Parser::message},
                                                          {"LICENSE", &Parser::license},
                                                          {"REQUIRES", &Parser::minimum_version},
                                                          {"RENDERER", &Parser::renderer},
                                                          {"PARSER", &Parser::parser},
                                                          {"ADAPTER", &Parser::refuse_adapter},
                                                          {"DRAFT", &Parser::refuse_draft},
                                                          {"EMBED", &Parser::refuse_embed}}};
    const std::string_view name = take_word(text);
    std::vector<std::string_view> names;
    for (const Instruction& one : kAll) {
      if (same_ignoring_case(one.name, name)) return (this->*one.run)(text);
      names.push_back(one.name);
    }
    return error(ErrorKind::kUsage, "'{}' is no instruction; there are {}", printable(name.substr(0, 40)),
                 fmt::join(names.begin(), names.begin() + 9, ", "));
  }

  // A value: the rest of the line, or a text in quotes that ends where a line does.
  Result<std::string> value(std::string_view begin, const char* of) {
    const std::string_view quote = begin.starts_with("\"\"\"") ? "\"\"\"" : begin.starts_with('"') ? "\"" : "";
    if (quote.empty()) {
      if (begin.empty()) return error(ErrorKind::kUsage, "{} needs a value", of);
      return std::string(begin);
    }
    std::string text(begin.substr(quote.size()));
    // Trailing space of a line that goes on belongs to the text; of the last line it does not.
    while (true) {
      const size_t end = text.find_last_not_of(kSpace);
      const std::string_view seen = std::string_view(text).substr(0, end == std::string::npos ? 0 : end + 1);
      if (seen.ends_with(quote)) return std::string(seen.substr(0, seen.size() - quote.size()));
      if (rest_.empty())
        return error(ErrorKind::kUsage, "the text of {} that begins here has no closing {}", of, quote);
      std::string_view line = take_line();
      if (line.ends_with('\r')) line.remove_suffix(1);
      // The last line's own end is the text's, all others come with a break.
      text = text.append("\n").append(line);
    }
  }

  Status from(std::string_view text) {
    ASSIGN_OR_RETURN(std::string name, value(text, "FROM"));
    if (name.empty()) return error(ErrorKind::kUsage, "FROM needs a value");
    out_.from.push_back(std::move(name));
    return {};
  }

  Status parameter(std::string_view text) {
    const std::string_view name = take_word(text);
    if (name.empty()) return error(ErrorKind::kUsage, "PARAMETER needs a name and a value");
    ASSIGN_OR_RETURN(const std::string given, value(text, "PARAMETER"));
    return set_option(out_.parameters, name, given, &out_.notes);
  }

  Status set_text(std::string_view text, const char* name, std::optional<std::string>& to) {
    ASSIGN_OR_RETURN(std::string given, value(text, name));
    to = std::move(given);
    return {};
  }
  Status chat_template(std::string_view text) { return set_text(text, "TEMPLATE", out_.template_text); }
  Status system(std::string_view text) { return set_text(text, "SYSTEM", out_.system); }

  Status message(std::string_view text) {
    const std::string role(take_word(text));
    for (const char* known : {"system", "user", "assistant"}) {
      if (!same_ignoring_case(role, known)) continue;
      ASSIGN_OR_RETURN(std::string content, value(text, "MESSAGE"));
      out_.messages.push_back({known, std::move(content)});
      return {};
    }
    return error(ErrorKind::kUsage, "'{}' is no role of a message; there are system, user and assistant",
                 printable(role.substr(0, 40)));
  }

  Status license(std::string_view text) {
    ASSIGN_OR_RETURN(std::string given, value(text, "LICENSE"));
    out_.licenses.push_back(std::move(given));
    return {};
  }

  Status minimum_version(std::string_view text) {
    ASSIGN_OR_RETURN(out_.minimum_version, value(text, "REQUIRES"));
    if (is_version(out_.minimum_version)) return {};
    return error(ErrorKind::kUsage, "REQUIRES '{}' is no version such as 0.6.1", printable(out_.minimum_version));
  }
  Status renderer(std::string_view text) {
    ASSIGN_OR_RETURN(out_.renderer, value(text, "RENDERER"));
    return {};
  }
  Status parser(std::string_view text) {
    ASSIGN_OR_RETURN(out_.parser, value(text, "PARSER"));
    return {};
  }

  Status refuse_adapter(std::string_view) {
    return error(ErrorKind::kUnsupported,
                 "ADAPTER: adapters (LoRA) are not supported; use a model with the adapter merged into its weights");
  }
  Status refuse_draft(std::string_view) {
    return error(ErrorKind::kUnsupported, "DRAFT: draft models are not supported; leave the line out");
  }
  Status refuse_embed(std::string_view) {
    return error(ErrorKind::kUnsupported, "EMBED is of no use any more; leave the line out");
  }

  std::string_view rest_;
  size_t line_ = 0;
  Modelfile out_;
};

}  // namespace

Result<Modelfile> parse_modelfile(std::string_view text) {
  if (const char* encoding = wide_encoding(text))
    return error(ErrorKind::kUsage, "the Modelfile is written in {}; save it as UTF-8", encoding);
  std::string content(text);
  drop_byte_order_mark(content);
  return Parser(content).run();
}

}  // namespace hearth::store
