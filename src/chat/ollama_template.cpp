#include "chat/ollama_template.h"

#include "chat/ollama_data.h"
#include "template/json.h"

namespace hearth::chat {

using namespace templates;

namespace {

// The data of one execution.
class Data {
 public:
  Data(Budget& budget, const OllamaRequest& request) : map_(budget.make<Map>(budget)) {
    map_->set_text("Think", Value::boolean(request.think));
    map_->set_text("ThinkLevel", request.think_level);
    map_->set_text("IsThinkSet", Value::boolean(request.think_is_set));
  }
  Data& with(std::string_view name, const Value& value) {
    map_->set_text(name, value);
    return *this;
  }
  Value value() const { return Value::map(map_); }

 private:
  Map* map_;
};

// For templates that know no messages: one execution for each turn of system, prompt and response.
class Turns {
 public:
  Turns(Budget& budget, const OllamaRequest& request, const GoTemplate::Execute& execute)
      : budget_(budget), request_(request), execute_(execute), empty_(make_string(budget, "")) {
    clear();
  }

  void run() {
    for (const Value& message : request_.messages.as_list().items) {
      const std::string_view role = message.as_map().find("Role")->text();
      const bool full = !response_.text().empty() || (role == "system" && !prompt_.text().empty());
      if (full && (role == "system" || role == "user")) flush(false);
      const Value& content = *message.as_map().find("Content");
      if (role == "system") system_ = content;
      if (role == "user") prompt_ = content;
      if (role == "assistant") response_ = content;
    }
    flush(true);
  }

 private:
  void clear() { system_ = prompt_ = response_ = empty_; }
  void flush(bool last) {
    Data data(budget_, request_);
    data.with("System", system_).with("Prompt", prompt_).with("Response", response_);
    execute_(data.value(), last);
    clear();
  }

  Budget& budget_;
  const OllamaRequest& request_;
  const GoTemplate::Execute& execute_;
  Value empty_, system_, prompt_, response_;
};

void execute_all(Budget& budget, const OllamaRequest& request, bool with_messages, const GoTemplate::Execute& execute) {
  const Value empty = make_string(budget, "");
  Data data(budget, request);
  if (!request.prompt.text().empty() && !request.suffix.text().empty()) {
    data.with("Prompt", request.prompt).with("Suffix", request.suffix).with("Response", empty);
  } else if (with_messages) {
    data.with("System", request.system)
        .with("Messages", request.messages)
        .with("Tools", request.tools)
        .with("Response", empty);
  } else {
    return Turns(budget, request, execute).run();
  }
  execute(data.value(), false);
}

}  // namespace

Result<OllamaTemplate> OllamaTemplate::parse(std::string_view text) {
  constexpr const char* kCut = "response";
  ASSIGN_OR_RETURN(GoTemplate compiled, GoTemplate::parse(text, kCut));
  if (!compiled.mentions("messages") && !compiled.mentions(kCut)) {
    ASSIGN_OR_RETURN(compiled, GoTemplate::parse(std::string(text) + "{{ .Response }}", kCut));
  }
  return OllamaTemplate(std::move(compiled));
}

Result<Rendered> OllamaTemplate::render(std::string_view request, const std::optional<std::tm>& now,
                                        uint64_t most_steps) const {
  const bool with_messages = compiled_.mentions("messages");
  return compiled_.render(
      [&](Budget& budget, const GoTemplate::Execute& execute) {
        execute_all(budget, read_request(budget, read_json(budget, request)), with_messages, execute);
      },
      now, most_steps);
}

}  // namespace hearth::chat
