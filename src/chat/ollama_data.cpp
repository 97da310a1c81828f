#include "chat/ollama_data.h"

#include <array>

namespace hearth::chat {

using namespace templates;
using namespace templates::go;

namespace {

constexpr Field kMessageFields[] = {{"Role", "Role", false},
                                    {"Content", "Content", false},
                                    {"Thinking", "Thinking", false},
                                    {"Images", "Images", false},
                                    {"ToolCalls", "ToolCalls", false},
                                    {"ToolName", "ToolName", false},
                                    {"ToolCallID", "ToolCallID", false}};
constexpr Field kCallFields[] = {{"ID", "ID", false}, {"Function", "Function", false}};
constexpr Field kCalledFields[] = {
    {"Index", "Index", false}, {"Name", "Name", false}, {"Arguments", "Arguments", false}};
constexpr Field kToolFields[] = {{"Type", "type", false}, {"Items", "items", true}, {"Function", "function", false}};
constexpr Field kFunctionFields[] = {
    {"Name", "name", false}, {"Description", "description", false}, {"Parameters", "parameters", false}};
constexpr Field kParameterFields[] = {{"Type", "type", false},
                                      {"Defs", "$defs", true},
                                      {"Items", "items", true},
                                      {"Required", "required", true},
                                      {"Properties", "properties", false}};
constexpr Field kPropertyFields[] = {{"AnyOf", "anyOf", true},      {"Type", "type", true},
                                     {"Items", "items", true},      {"Description", "description", true},
                                     {"Enum", "enum", true},        {"Properties", "properties", true},
                                     {"Required", "required", true}};

constexpr Type kMessage{.fields = kMessageFields, .is_pointer = true};
constexpr Type kToolCall{.fields = kCallFields};
constexpr Type kCalledFunction{.fields = kCalledFields};
constexpr Type kTool{.fields = kToolFields, .prints_as_json = true};
constexpr Type kFunction{.fields = kFunctionFields, .prints_as_json = true};
constexpr Type kParameters{.fields = kParameterFields, .prints_as_json = true};
constexpr Type kProperty{.fields = kPropertyFields};
constexpr Type kArguments{.prints_as_json = true};
constexpr Type kPropertyMap{.prints_as_json = true};
constexpr Type kPropertyList{.is_pointer = true, .is_closed = true, .prints_as_json = true};  // nested properties
constexpr Type kToolList{.prints_as_json = true};
constexpr Type kTypeNames{.one_stands_alone = true};

constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};

// Reads the members of a JSON object, which are absent, null or of the type that is asked for.
class Members {
 public:
  Members(Budget& budget, const Value& json, std::string_view what) : budget_(budget), what_(what) {
    if (json.is(Kind::kNone) || json.is_missing()) return;
    if (!json.is(Kind::kMap)) fail("{} is no JSON object", what);
    map_ = &json.as_map();
  }

  Value any(std::string_view name) const {
    const Value* found = map_ != nullptr ? map_->find(name) : nullptr;
    return found != nullptr ? plain_data(budget_, *found) : Value::none();
  }
  Value text(std::string_view name) const {
    const Value value = raw(name);
    if (value.is(Kind::kNone)) return make_string(budget_, "");
    if (!value.is(Kind::kString)) fail("the member \"{}\" of {} is no text", name, what_);
    return value;
  }
  // Null for absent and null ones.
  const templates::List* list(std::string_view name) const {
    const Value value = raw(name);
    if (value.is(Kind::kNone)) return nullptr;
    if (!value.is(Kind::kList)) fail("the member \"{}\" of {} is no list", name, what_);
    return &value.as_list();
  }
  const Map* map(std::string_view name) const {
    const Value value = raw(name);
    if (value.is(Kind::kNone)) return nullptr;
    if (!value.is(Kind::kMap)) fail("the member \"{}\" of {} is no JSON object", name, what_);
    return &value.as_map();
  }
  Value raw(std::string_view name) const {
    const Value* found = map_ != nullptr ? map_->find(name) : nullptr;
    return found != nullptr ? *found : Value::none();
  }

 private:
  Budget& budget_;
  std::string_view what_;
  const Map* map_ = nullptr;
};

class Reader {
 public:
  explicit Reader(Budget& budget) : budget_(budget) {}

  OllamaRequest read(const Value& json) {
    const Members members(budget_, json, "the request");
    OllamaRequest request;
    request.prompt = members.text("prompt");
    request.suffix = members.text("suffix");
    request.tools = tools(members.list("tools"));
    thinking(members.raw("think"), &request);
    templates::List* messages = make_list(budget_);
    if (const templates::List* given = members.list("messages")) {
      for (const Value& message : given->items) add_message(*messages, message);
    } else if (!request.prompt.text().empty() && request.suffix.text().empty()) {
      generate(*messages, members, request.prompt);
    }
    request.messages = Value::list(messages);
    request.system = system_.value();
    return request;
  }

 private:
  Map* make_struct(const Type& type) {
    Map* map = budget_.make<Map>(budget_);
    map->go_type = &type;
    return map;
  }

  // What /api/generate asks for, as messages.
  void generate(templates::List& messages, const Members& members, const Value& prompt) {
    const Value system = members.text("system");
    if (!system.text().empty()) add(messages, "system", system, Members(budget_, Value::none(), "the message"));
    Map* user = budget_.make<Map>(budget_);
    user->set_text("images", members.raw("images"));
    add(messages, "user", prompt, Members(budget_, Value::map(user), "the request"));
  }

  void add_message(templates::List& messages, const Value& json) {
    const Members members(budget_, json, "a message");
    std::string role;
    for (const char c : members.text("role").text()) role += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    add(messages, role, members.text("content"), members);
  }

  // Neighbours of one role are one message, except the results of tools.
  void add(templates::List& messages, const std::string& role, const Value& content, const Members& members) {
    const Value text = with_images(content, members.list("images"));
    if (role == "system") {
      if (system_.size() > 0 || std::exchange(has_system_, true)) system_.literal("\n\n");
      system_.append(text.as_string());
    }
    if (!messages.items.empty() && role != "tool") {
      Map& last = messages.items.back().as_map();
      if (last.find("Role")->text() == role) {
        TextBuilder both(budget_);
        both.append(last.find("Content")->as_string());
        both.literal("\n\n");
        both.append(text.as_string());
        last.set_text("Content", both.value());
        return;
      }
    }
    const bool known = std::ranges::find(kRoles, role) != kRoles.end();
    Map* message = make_struct(kMessage);
    message->set_text("Role", make_string(budget_, role, known ? Origin::kTemplate : Origin::kUser));
    message->set_text("Content", text);
    message->set_text("Thinking", members.text("thinking"));
    message->set_text("Images", list_or_nil(members.list("images")));
    message->set_text("ToolCalls", calls(members.list("tool_calls")));
    message->set_text("ToolName", members.text("tool_name"));
    message->set_text("ToolCallID", members.text("tool_call_id"));
    messages.items.push_back(Value::map(message));
  }

  // Each image gets a tag: in place of an [img] in the text, else in front.
  Value with_images(const Value& content, const templates::List* images) {
    if (images == nullptr || images->items.empty()) return content;
    TextBuilder front(budget_), text(budget_);
    const String& string = content.as_string();
    size_t at = 0;
    for (size_t i = 0; i < images->items.size(); ++i) {
      const std::string tag = fmt::format("[img-{}]", images_++);
      const size_t place = string.text.find("[img]", at);
      if (place == std::string_view::npos) {
        front.literal(tag);
        continue;
      }
      text.append(string, at, place);
      text.literal(tag);
      at = place + 5;
    }
    text.append(string, at, string.text.size());
    front.append(text.value().as_string());
    return front.value();
  }

  Value list_or_nil(const templates::List* list) {
    if (list == nullptr) return nil_list(budget_);
    templates::List* copy = make_list(budget_);
    for (const Value& item : list->items) copy->items.push_back(plain_data(budget_, item));
    return Value::list(copy);
  }

  Value calls(const templates::List* given) {
    if (given == nullptr || given->items.empty()) return nil_list(budget_);
    templates::List* list = make_list(budget_);
    for (const Value& json : given->items) {
      const Members members(budget_, json, "a tool call");
      const Members function(budget_, members.raw("function"), "a tool call's function");
      Map* called = make_struct(kCalledFunction);
      const Value index = function.raw("index");
      called->set_text("Index", index.is(Kind::kInt) ? index : Value::integer(0));
      called->set_text("Name", function.text("name"));
      called->set_text("Arguments", plain_map(function.map("arguments"), kArguments));
      Map* call = make_struct(kToolCall);
      call->set_text("ID", members.text("id"));
      call->set_text("Function", Value::map(called));
      list->items.push_back(Value::map(call));
    }
    return Value::list(list);
  }

  Value plain_map(const Map* given, const Type& type) {
    if (given == nullptr) return nil_map(budget_, &type);
    Map* map = make_struct(type);
    for (const auto& [key, value] : given->entries) map->set(key, plain_data(budget_, value));
    return Value::map(map);
  }

  Value tools(const templates::List* given) {
    if (given == nullptr) return nil_list(budget_, &kToolList);
    templates::List* list = make_list(budget_);
    list->go_type = &kToolList;
    for (const Value& json : given->items) {
      const Members members(budget_, json, "a tool");
      Map* tool = make_struct(kTool);
      tool->set_text("Type", members.text("type"));
      tool->set_text("Items", members.any("items"));
      tool->set_text("Function", function(members.raw("function")));
      list->items.push_back(Value::map(tool));
    }
    return Value::list(list);
  }

  Value function(const Value& json) {
    const Members members(budget_, json, "a tool's function");
    const Members given(budget_, members.raw("parameters"), "a tool's parameters");
    Map* parameters = make_struct(kParameters);
    parameters->set_text("Type", given.text("type"));
    parameters->set_text("Defs", given.any("$defs"));
    parameters->set_text("Items", given.any("items"));
    parameters->set_text("Required", list_or_nil(given.list("required")));
    parameters->set_text("Properties", properties(given.map("properties"), kPropertyMap, 0));
    Map* function = make_struct(kFunction);
    function->set_text("Name", members.text("name"));
    function->set_text("Description", members.text("description"));
    function->set_text("Parameters", Value::map(parameters));
    return Value::map(function);
  }

  Value properties(const Map* given, const Type& type, int depth) {
    if (given == nullptr) return &type == &kPropertyMap ? nil_map(budget_, &type) : Value::none();
    Map* map = make_struct(type);
    for (const auto& [name, json] : given->entries) map->set(name, property(json, depth + 1));
    return Value::map(map);
  }

  Value property(const Value& json, int depth) {
    check_depth(depth);
    const Members members(budget_, json, "a tool's property");
    Map* result = make_struct(kProperty);
    Value any_of = nil_list(budget_);
    if (const templates::List* options = members.list("anyOf")) {
      any_of = Value::list(make_list(budget_));
      for (const Value& option : options->items) any_of.as_list().items.push_back(property(option, depth + 1));
    }
    result->set_text("AnyOf", any_of);
    result->set_text("Type", type_names(members.raw("type")));
    result->set_text("Items", members.any("items"));
    result->set_text("Description", members.text("description"));
    result->set_text("Enum", list_or_nil(members.list("enum")));
    result->set_text("Properties", properties(members.map("properties"), kPropertyList, depth));
    result->set_text("Required", list_or_nil(members.list("required")));
    return Value::map(result);
  }

  Value type_names(const Value& json) {
    if (json.is(Kind::kNone)) return nil_list(budget_, &kTypeNames);
    templates::List* names = make_list(budget_);
    names->go_type = &kTypeNames;
    if (json.is(Kind::kList)) {
      names->items = json.as_list().items;
    } else {
      names->items.push_back(json);
    }
    const auto is_text = [](const Value& name) { return name.is(Kind::kString); };
    if (!std::ranges::all_of(names->items, is_text)) fail("the type of a tool's property is no text");
    return Value::list(names);
  }

  void thinking(const Value& think, OllamaRequest* request) {
    request->think_level = make_string(budget_, "");
    if (think.is(Kind::kBool)) {
      request->think_is_set = true;
      request->think = think.as_bool();
      if (request->think) request->think_level = make_string(budget_, "medium");
    } else if (think.is(Kind::kString)) {
      request->think_is_set = request->think = true;
      request->think_level = think;
    }
  }

  Budget& budget_;
  TextBuilder system_{budget_};
  bool has_system_ = false;
  size_t images_ = 0;
};

}  // namespace

OllamaRequest read_request(Budget& budget, const Value& json) {
  return Reader(budget).read(json);
}

}  // namespace hearth::chat
