#include "template/go_template.h"

#include "template/failure.h"
#include "template/go_run.h"
#include "template/json.h"
#include "template/ollama_data.h"

namespace hearth::templates {
namespace {

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  ::localtime_r(&now, &time);
  return time;
}

// The data of one execution.
class Data {
 public:
  Data(Budget& budget, const go::Request& request) : map_(budget.make<Map>(budget)) {
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
  Turns(Budget& budget, const go::Request& request, go::Run& run)
      : budget_(budget), request_(request), run_(run), empty_(make_string(budget, "")) {
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
    run_.execute(data.value(), last);
    clear();
  }

  Budget& budget_;
  const go::Request& request_;
  go::Run& run_;
  Value empty_, system_, prompt_, response_;
};

}  // namespace

struct GoTemplate::Compiled {
  go::Tree tree;
  bool mentions_messages = false;

  void execute(Budget& budget, const go::Request& request, go::Run& run) const {
    const Value empty = make_string(budget, "");
    Data data(budget, request);
    if (!request.prompt.text().empty() && !request.suffix.text().empty()) {
      data.with("Prompt", request.prompt).with("Suffix", request.suffix).with("Response", empty);
    } else if (mentions_messages) {
      data.with("System", request.system)
          .with("Messages", request.messages)
          .with("Tools", request.tools)
          .with("Response", empty);
    } else {
      return Turns(budget, request, run).run();
    }
    run.execute(data.value());
  }
};

GoTemplate::GoTemplate(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
GoTemplate::GoTemplate(GoTemplate&&) noexcept = default;
GoTemplate& GoTemplate::operator=(GoTemplate&&) noexcept = default;
GoTemplate::~GoTemplate() = default;

Result<GoTemplate> GoTemplate::parse(std::string_view text) {
  return compile(text, false);
}
Result<GoTemplate> GoTemplate::parse_for_chat(std::string_view text) {
  return compile(text, true);
}

Result<GoTemplate> GoTemplate::compile(std::string_view text, bool for_chat) {
  if (text.size() > kMaxTemplateBytes) {
    return error(ErrorKind::kInvalidData, "the template is larger than {} MiB", kMaxTemplateBytes >> 20);
  }
  if (!unicode::valid(text)) return error(ErrorKind::kInvalidData, "the template is not valid UTF-8");
  auto compiled = std::make_unique<Compiled>();
  try {
    compiled->tree = go::parse(text);
    if (for_chat) {
      std::map<std::string, bool> found;
      go::collect_mentions(compiled->tree, &found);
      compiled->mentions_messages = found.contains("messages");
      const bool ends_in_response = !found.contains("messages") && !found.contains("response");
      if (ends_in_response) compiled->tree = go::parse(std::string(text) + "{{ .Response }}");
      go::cut_at_response(compiled->tree);
    }
  } catch (const Failure& failure) {
    return to_error(failure);
  }
  return GoTemplate(std::move(compiled));
}

Result<Rendered> GoTemplate::render_data(std::string_view data, const std::optional<std::tm>& now) const {
  Budget budget;
  try {
    const std::tm time = now ? *now : local_time();
    const go::CallContext context{budget, time};
    TextBuilder out(budget);
    go::Run(compiled_->tree, context, out).execute(go::plain_data(budget, read_json(budget, data)));
    return out.take();
  } catch (const Failure& failure) {
    return to_error(failure);
  }
}

Result<Rendered> GoTemplate::render_request(std::string_view request, const std::optional<std::tm>& now,
                                            uint64_t most_steps) const {
  Budget budget(most_steps);
  try {
    const std::tm time = now ? *now : local_time();
    const go::CallContext context{budget, time};
    TextBuilder out(budget);
    go::Run run(compiled_->tree, context, out);
    compiled_->execute(budget, go::read_request(budget, read_json(budget, request)), run);
    return out.take();
  } catch (const Failure& failure) {
    return to_error(failure);
  }
}

}  // namespace hearth::templates
