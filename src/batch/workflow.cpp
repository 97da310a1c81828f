#include "batch/workflow.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"

namespace hearth::batch {
namespace {

namespace json = boost::json;

constexpr std::string_view kStep_members[] = {"name",     "model",   "prompt",    "system", "when",
                                              "foreach",  "images",  "options",   "schema", "rounds",
                                              "on_error", "retries", "max_tokens"};
constexpr std::string_view kMembers[] = {"name", "order", "endpoint", "step"};
constexpr std::string_view kReserved[] = {"item", "run", "round", "each", "loop", "self", "true", "false", "none",
                                          "not",  "and", "or",    "in",   "is",   "if",   "else", "for"};
constexpr std::string_view kRequest_members[] = {"model", "messages",        "stream",
                                                 "n",     "response_format", "stream_options"};

// Members of one object, with its path.
class Reader {
 public:
  Reader(const json::object& object, std::string path, const Where& where)
      : object_(object), path_(std::move(path)), where_(where) {}

  std::string path(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }
  Error fault(std::string_view name, const std::string& message) const {
    return Error{ErrorKind::kUsage, where_(name.empty() ? path_ : path(name)) + message};
  }
  Status only(std::span<const std::string_view> known) const {
    for (const auto& [key, value] : object_) {
      const std::string name(key);
      if (std::ranges::find(known, name) != known.end()) continue;
      const std::string_view near = nearest(name, known);
      return fault(name, fmt::format("\"{}\" is not known here{}", printable(name),
                                     near.empty() ? fmt::format("; there are {}", fmt::join(known, ", "))
                                                  : fmt::format("; did you mean \"{}\"?", near)));
    }
    return {};
  }
  const json::value* find(std::string_view name) const {
    const json::value* value = object_.if_contains({name.data(), name.size()});
    return value != nullptr && !value->is_null() ? value : nullptr;
  }
  Status text(std::string_view name, std::string& target) const {
    const json::value* value = find(name);
    if (value == nullptr) return {};
    if (!value->is_string()) return fault(name, fmt::format("\"{}\" must be a text", name));
    target = std::string(value->get_string());
    return {};
  }
  Status number(std::string_view name, int64_t least, int64_t most, int64_t& target) const {
    const json::value* value = find(name);
    if (value == nullptr) return {};
    boost::system::error_code failed;
    const int64_t number = value->is_number() ? value->to_number<int64_t>(failed) : -1;
    if (!value->is_number() || failed || number < least || number > most)
      return fault(name, fmt::format("\"{}\" must be a whole number from {} to {}", name, least, most));
    target = number;
    return {};
  }
  Status object(std::string_view name, const json::object*& target) const {
    const json::value* value = find(name);
    if (value == nullptr) return {};
    if (!value->is_object()) return fault(name, fmt::format("\"{}\" must be a table", name));
    target = &value->get_object();
    return {};
  }

 private:
  const json::object& object_;
  const std::string path_;
  const Where& where_;
};

bool is_name(std::string_view name) {
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0 || c == '_'; };
  return !name.empty() && name.size() <= 64 && letter(name[0]) &&
         std::ranges::all_of(name, [&](unsigned char c) { return letter(c) || std::isdigit(c) != 0; });
}

Status read_on_error(const Reader& reader, Step& step) {
  constexpr std::string_view kFallback = "fallback:";
  std::string text = "fail";
  TRY(reader.text("on_error", text));
  if (text == "fail") return {};
  if (text == "skip") {
    step.on_error = Step::OnError::kSkip;
    return {};
  }
  if (!text.starts_with(kFallback) || text.size() == kFallback.size())
    return reader.fault("on_error", "on_error must be \"fail\", \"skip\" or \"fallback:MODEL\"");
  step.on_error = Step::OnError::kFallback;
  step.fallback = text.substr(kFallback.size());
  return {};
}

Status read_images(const Reader& reader, Step& step) {
  const json::value* value = reader.find("images");
  if (value == nullptr) return {};
  if (!value->is_array()) return reader.fault("images", "\"images\" must be a list of templates");
  for (const json::value& image : value->get_array()) {
    if (!image.is_string()) return reader.fault("images", "\"images\" must be a list of templates");
    step.images.emplace_back(image.get_string());
  }
  return {};
}

Status read_options(const Reader& reader, Step& step) {
  const json::object* options = nullptr;
  TRY(reader.object("options", options));
  if (options != nullptr) step.options = *options;
  for (const std::string_view member : kRequest_members)
    if (step.options.contains({member.data(), member.size()}))
      return reader.fault("options", fmt::format("\"{}\" is no option: the step says it itself", member));
  int64_t most = 0;
  TRY(reader.number("max_tokens", 1, INT32_MAX, most));
  if (most > 0) step.options["max_tokens"] = most;
  return {};
}

Result<Step> read_step(const json::object& object, const std::string& path, const Where& where) {
  const Reader reader(object, path, where);
  TRY(reader.only(kStep_members));
  Step step;
  TRY(reader.text("name", step.name));
  if (!is_name(step.name))
    return reader.fault("name", "a step needs a name of letters, digits and _, which templates can mention");
  if (std::ranges::find(kReserved, step.name) != std::end(kReserved))
    return reader.fault("name", fmt::format("\"{}\" cannot be a step's name: templates use it otherwise", step.name));
  for (const auto& [member, target] : {std::pair<const char*, std::string*>{"model", &step.model},
                                       {"prompt", &step.prompt},
                                       {"system", &step.system},
                                       {"when", &step.when},
                                       {"foreach", &step.foreach}})
    TRY(reader.text(member, *target));
  for (const auto& [member, value] :
       {std::pair<const char*, const std::string&>{"model", step.model}, {"prompt", step.prompt}})
    if (value.empty()) return reader.fault("", fmt::format("step \"{}\" has no {}", step.name, member));
  TRY(read_images(reader, step));
  TRY(read_options(reader, step));
  TRY(reader.number("rounds", 1, 100, step.rounds));
  TRY(reader.number("retries", 0, 100, step.retries));
  TRY(read_on_error(reader, step));
  const json::object* schema = nullptr;
  TRY(reader.object("schema", schema));
  if (schema != nullptr) step.schema = json::serialize(*schema);
  return step;
}

}  // namespace

Result<Workflow> workflow_from_json(const json::value& value, const Where& where) {
  if (!value.is_object()) return Error{ErrorKind::kUsage, where("") + "a workflow must be an object"};
  const Reader reader(value.get_object(), "", where);
  TRY(reader.only(kMembers));
  Workflow workflow;
  std::string order = "models";
  TRY(reader.text("name", workflow.name));
  TRY(reader.text("order", order));
  TRY(reader.text("endpoint", workflow.endpoint));
  if (workflow.name.empty() || workflow.name.size() > 200)
    return reader.fault("name", "a workflow needs a name of at most 200 bytes");
  if (order != "models" && order != "items") return reader.fault("order", "order must be \"models\" or \"items\"");
  workflow.by_item = order == "items";
  const json::value* steps = reader.find("step");
  if (steps == nullptr && !workflow.endpoint.empty()) return workflow;
  if (steps == nullptr || !steps->is_array() || steps->get_array().empty())
    return reader.fault("step",
                        "a workflow needs at least one step: step = [ { name = ..., model = ..., prompt = ... } ]");
  std::set<std::string> names;
  for (const json::value& one : steps->get_array()) {
    const std::string path = fmt::format("step[{}]", workflow.steps.size());
    if (!one.is_object()) return reader.fault(path, "a step must be a table");
    ASSIGN_OR_RETURN(Step step, read_step(one.get_object(), path, where));
    if (!names.insert(step.name).second)
      return reader.fault(path + ".name", fmt::format("there are two steps of the name \"{}\"", step.name));
    workflow.steps.push_back(std::move(step));
  }
  return workflow;
}

json::object to_json(const Workflow& workflow) {
  json::object result{{"name", workflow.name}};
  if (workflow.by_item) result["order"] = "items";
  if (!workflow.endpoint.empty()) result["endpoint"] = workflow.endpoint;
  json::array steps;
  for (const Step& step : workflow.steps) {
    json::object one{{"name", step.name}, {"model", step.model}, {"prompt", step.prompt}};
    for (const auto& [name, text] : {std::pair<const char*, const std::string&>{"system", step.system},
                                     {"when", step.when},
                                     {"foreach", step.foreach}})
      if (!text.empty()) one[name] = text;
    if (!step.images.empty()) one["images"] = json::array(step.images.begin(), step.images.end());
    if (!step.options.empty()) one["options"] = step.options;
    if (!step.schema.empty()) one["schema"] = json::parse(step.schema);
    one["rounds"] = step.rounds;
    one["retries"] = step.retries;
    one["on_error"] = step.on_error == Step::OnError::kFail   ? "fail"
                      : step.on_error == Step::OnError::kSkip ? "skip"
                                                              : "fallback:" + step.fallback;
    steps.push_back(std::move(one));
  }
  if (!steps.empty()) result["step"] = std::move(steps);
  return result;
}

const Planned* Compiled::find(const std::string& name) const {
  const auto at = std::ranges::find(plan, name, &Planned::name);
  return at == plan.end() ? nullptr : &*at;
}

}  // namespace hearth::batch
