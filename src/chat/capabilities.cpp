#include "chat/capabilities.h"

#include <optional>

#include "chat/thinking_choice.h"

namespace hearth::chat {
namespace {

// Words that no template has of its own.
constexpr const char* kSystem = "qxsystem";
constexpr const char* kUser = "qxuser";
constexpr const char* kOther = "qxother";
constexpr const char* kAnswer = "qxanswer";
constexpr const char* kReasoning = "qxreasoning";
constexpr const char* kTool = "qxtool";
constexpr const char* kTool2 = "qxsecond";
constexpr const char* kKey = "qxkey";
constexpr const char* kValue = "qxvalue";
constexpr const char* kResult = "qxresult";
constexpr const char* kResult2 = "qxlater";

bool has(const std::optional<std::string>& text, std::string_view word) {
  return text && text->find(word) != std::string::npos;
}

std::vector<Tool> probe_tools() {
  const auto tool = [](const char* name) {
    return Tool{.name = name,
                .description = "qxdescription",
                .parameters = {{"type", "object"},
                               {"properties", {{kKey, {{"type", "string"}, {"description", "qxparameter"}}}}},
                               {"required", boost::json::array{kKey}}}};
  };
  return {tool(kTool), tool(kTool2)};
}

ToolCall call(const char* id, const char* name) {
  return {.id = id, .name = name, .arguments = std::string("{\"") + kKey + "\": \"" + kValue + "\"}"};
}
Message result(const char* id, const char* name, const char* content) {
  return {.role = "tool", .content = content, .call_id = id, .tool_name = name};
}

class Prober {
 public:
  explicit Prober(const Renderer& renderer) : renderer_(renderer), tools_(tools_json(probe_tools(), {})) {}

  Capabilities find() {
    find_content();
    if (!can_.renders) return can_;
    find_roles();
    find_calls();
    find_reasoning();
    find_switches();
    return can_;
  }

 private:
  using Messages = std::vector<Message>;

  std::optional<std::string> try_input(RenderInput input) const {
    input.most_steps = kTrialSteps;
    const auto rendered = renderer_.render(input);
    if (!rendered) return std::nullopt;
    return rendered->text;
  }
  std::optional<std::string> render(const Messages& messages, std::string_view tools = {}) const {
    return try_input({.messages = messages_json(messages, can_.form), .tools = tools});
  }
  std::optional<std::string> render_with(std::string_view variables, bool generation_prompt = true) const {
    const std::string messages = messages_json(std::vector<Message>{{"user", kUser}}, can_.form);
    return try_input({.messages = messages, .variables = variables, .generation_prompt = generation_prompt});
  }

  void find_content() {
    const Messages one = {{"user", kUser}};
    const bool text = has(render(one), kUser);
    can_.form.content_is_list = true;
    const auto list = render(one);
    can_.typed_content = has(list, kUser) && !has(list, "'type'") && !has(list, "\"type\"") && !has(list, "map[");
    can_.form.content_is_list = !text && can_.typed_content;
    can_.renders = text || can_.typed_content;
  }

  void find_roles() {
    const auto shows = [&](const Messages& messages, const char* word) { return has(render(messages), word); };
    can_.system_role = shows({{"system", kSystem}, {"user", kUser}}, kSystem);
    can_.late_system =
        can_.system_role &&
        shows({{"system", kOther}, {"user", kUser}, {"assistant", kAnswer}, {"system", kSystem}, {"user", kUser}},
              kSystem);
    can_.developer_role = shows({{"developer", kSystem}, {"user", kUser}}, kSystem);
    const auto repeated = render({{"user", kUser}, {"user", kOther}});
    can_.repeated_role = has(repeated, kUser) && has(repeated, kOther);
    const auto closed = render_with("", false);
    can_.generation_prompt = closed && closed != render_with("");
  }

  Messages conversation_with_call() const {
    return {{"user", kUser},
            {.role = "assistant", .content = "", .calls = {call("call_qx1", kTool)}},
            result("call_qx1", kTool, kResult)};
  }

  // The call as JSON, not as Python prints a map, and no text inside a text.
  static bool shows_call(const std::optional<std::string>& text) {
    if (!has(text, kTool) || !has(text, kValue)) return false;
    return !has(text, std::string("'") + kKey + "':") && !has(text, std::string("\\\"") + kKey);
  }

  bool find_call_form() {
    using Empty = MessageForm::EmptyContent;
    for (const bool nine : {false, true}) {
      for (const Arguments arguments : {Arguments::kObject, Arguments::kText}) {
        for (const Empty empty : {Empty::kText, Empty::kNull, Empty::kAbsent}) {
          can_.form.nine_character_ids = nine;
          can_.form.arguments = arguments;
          can_.form.empty_content = empty;
          const auto without_tools = render(conversation_with_call());
          if (shows_call(without_tools) && !has(without_tools, "None")) return true;
        }
      }
    }
    can_.form.nine_character_ids = false;
    can_.form.arguments = Arguments::kObject;
    can_.form.empty_content = Empty::kText;
    return false;
  }

  void find_tool_form() {
    if (!can_.tools) return;
    const auto shows = [&](std::string_view members) {
      const std::string tool = std::string(R"([{"type":"function","function":{"name":")") + kTool + '"';
      return has(render({{"user", kUser}}, tool + std::string(members) + "}}]"), kTool);
    };
    can_.form.needs_description = !shows(R"(,"parameters":{"type":"object","properties":{}})");
    can_.form.needs_parameters = !shows(R"(,"description":"x")");
    can_.form.needs_type = !shows(R"(,"description":"x","parameters":{"properties":{}})");
    can_.form.needs_properties = !shows(R"(,"description":"x","parameters":{"type":"object"})");
  }

  void find_calls() {
    can_.tools = has(render({{"user", kUser}}, tools_), kTool);
    find_tool_form();
    can_.tool_calls = find_call_form();
    can_.tool_results = can_.tool_calls && has(render(conversation_with_call()), kResult);
    const auto both =
        render({{"user", kUser},
                {.role = "assistant", .content = "", .calls = {call("call_qx1", kTool), call("call_qx2", kTool2)}},
                result("call_qx1", kTool, kResult),
                result("call_qx2", kTool2, kResult2)});
    can_.parallel_calls =
        can_.tool_calls && has(both, kTool2) && (!can_.tool_results || (has(both, kResult) && has(both, kResult2)));
  }

  void find_reasoning() {
    Messages between = conversation_with_call();
    between[1].reasoning = kReasoning;
    const Messages before = {
        {"user", kUser}, {.role = "assistant", .content = kAnswer, .reasoning = kReasoning}, {"user", kOther}};
    const auto shows = [&](const Messages& messages) {
      const auto text = render(messages);
      // Not a list of blocks as Python prints it.
      return has(text, kReasoning) && !has(text, "'type'") && !has(text, "\"type\": \"thinking\"");
    };
    const auto shown = [&] { return (can_.tool_calls && shows(between)) || shows(before); };
    for (const char* field : {"reasoning_content", "thinking", "reasoning"}) {
      can_.form.reasoning_field = field;
      if (shown()) return;
    }
    can_.form.reasoning_field = {};
    can_.form.thinking_blocks = true;
    if (shown()) return;
    can_.form.thinking_blocks = false;
    can_.reasoning_history = false;
  }

  void find_switches() {
    const auto differ = [&](std::string_view a, std::string_view b) {
      const auto first = render_with(a), second = render_with(b);
      return first && second && first != second;
    };
    can_.thinking_switch = differ(thinking_variables(Think::kOff), thinking_variables(Think::kOn));
    can_.thinking_levels = differ(thinking_variables(Think::kLow), thinking_variables(Think::kHigh));
  }

  const Renderer& renderer_;
  const std::string tools_;
  Capabilities can_;
};

}  // namespace

Capabilities probe(const Renderer& renderer) {
  return Prober(renderer).find();
}

std::vector<std::string> describe(const Capabilities& can) {
  std::vector<std::string> out;
  const auto say = [&](bool true_for_it, const char* what) {
    if (true_for_it) out.emplace_back(what);
  };
  say(can.system_role, "system role");
  say(can.tools, "tools");
  say(can.tool_calls, "calls in the history");
  say(can.parallel_calls, "parallel calls");
  say(can.tool_results, "results of tools");
  say(can.typed_content, "content in parts");
  say(can.thinking_switch, "thinking on and off");
  say(can.thinking_levels, "levels of thinking");
  say(can.reasoning_history, "reasoning in the history");
  return out;
}

std::vector<std::string> describe_repairs(const Capabilities& can) {
  std::vector<std::string> out;
  const auto say = [&](bool true_for_it, const char* what) {
    if (true_for_it) out.emplace_back(what);
  };
  if (!can.renders) return {"it failed in every trial, so it is used as it is"};
  say(!can.system_role, "system messages become part of the user's next message");
  say(can.system_role && !can.late_system, "later system messages become part of the user's next message");
  say(!can.repeated_role, "messages of one role that follow each other are joined");
  say(can.tool_calls && can.form.arguments == Arguments::kText, "arguments of calls are given as text");
  say(can.tool_calls && can.form.nine_character_ids, "ids of calls become nine letters and digits");
  say(can.tool_calls && !can.parallel_calls, "of several calls each gets a message of its own");
  say(can.tool_calls && !can.tool_results, "results of tools become the user's messages");
  say(can.form.content_is_list, "contents are given as lists of parts");
  return out;
}

}  // namespace hearth::chat
