#include "batch/request.h"

#include "base/error.h"
#include "base/outside_text.h"
#include "base/sha256.h"

namespace hearth::batch {
namespace {

namespace json = boost::json;

constexpr uint64_t kMost_template_steps = 5'000'000;  // of one render: some tenths of a second
constexpr const char* kNumerics = "1";                // goes up when engines give other tokens for the same request

// The same for a job that is submitted again after an edit, so that what was not edited is found again.
int64_t seed_of(const Compiled& workflow, const Claimed& step, size_t element) {
  const std::string text =
      workflow.workflow.name + '\0' + step.item_key + '\0' + step.name + '\0' + std::to_string(element);
  return static_cast<int64_t>(std::stoul(sha256_hex(text).substr(0, 8), nullptr, 16) & 0x7fffffff);
}

json::value parse(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value() : value;
}

json::object empty_output() {
  return {{"text", ""}, {"json", nullptr}, {"finish_reason", nullptr}, {"usage", nullptr}, {"error", nullptr}};
}

json::object variables_of(const Compiled& workflow, const Planned& plan, const std::string& job_key,
                          const Claimed& step) {
  json::object variables{{"item", parse(step.item_data)},
                         {"round", plan.round},
                         {"run", {{"name", workflow.workflow.name}, {"key", job_key}, {"item_key", step.item_key}}}};
  for (const auto& [name, needed] : plan.needs) {
    const auto output = step.needs.find(workflow.plan[needed].name);
    variables[name] = output == step.needs.end() ? json::value(empty_output()) : parse(output->second);
  }
  for (const std::string& name : plan.empty) variables[name] = empty_output();
  return variables;
}

Result<std::string> render(const templates::JinjaTemplate& source, const json::object& variables, const char* what) {
  templates::RenderOptions options;
  options.most_steps = kMost_template_steps;
  options.strict = true;
  auto rendered = source.render(variables, options);
  if (!rendered) return error(ErrorKind::kInvalidData, "{}: {}", what, rendered.error().message);
  return std::move(rendered->text);
}

// Pictures before the text, as in Ollama's API.
json::value content_of(std::string text, const std::vector<std::string>& images) {
  if (images.empty()) return json::value(std::move(text));
  json::array parts;
  for (const std::string& image : images) {
    const auto begins = [&](const char* scheme) { return image.starts_with(scheme); };
    const bool is_url = begins("data:") || begins("http://") || begins("https://");
    const std::string url = is_url ? image : "data:image/png;base64," + image;
    parts.push_back({{"type", "image_url"}, {"image_url", {{"url", url}}}});
  }
  parts.push_back({{"type", "text"}, {"text", std::move(text)}});
  return parts;
}

Result<Request> request_of(const Compiled& workflow, size_t index, const std::string& model,
                           const json::object& variables, int64_t seed) {
  const Step& step = workflow.workflow.steps[index];
  const Compiled::Templates& templates = workflow.templates[index];
  json::array messages;
  if (templates.system) {
    ASSIGN_OR_RETURN(std::string system, render(*templates.system, variables, "system"));
    messages.push_back({{"role", "system"}, {"content", std::move(system)}});
  }
  std::vector<std::string> images;
  for (const templates::JinjaTemplate& image : templates.images) {
    ASSIGN_OR_RETURN(std::string data, render(image, variables, "images"));
    if (!data.empty()) images.push_back(std::move(data));
  }
  ASSIGN_OR_RETURN(std::string prompt, render(*templates.prompt, variables, "prompt"));
  messages.push_back({{"role", "user"}, {"content", content_of(std::move(prompt), images)}});
  json::object body{{"model", model}, {"messages", std::move(messages)}, {"seed", seed}};
  for (const auto& [name, value] : step.options) body[name] = value;
  if (!step.schema.empty()) {
    body["response_format"] = {
        {"type", "json_schema"},
        {"json_schema", {{"name", step.name}, {"strict", true}, {"schema", json::parse(step.schema)}}}};
  }
  return Request{kChat_path, json::serialize(body), model};
}

Result<json::array> elements_of(const templates::JinjaTemplate& foreach, const json::object& variables) {
  ASSIGN_OR_RETURN(const std::string text, render(foreach, variables, "foreach"));
  const json::value list = parse(text);
  if (!list.is_array()) return error(ErrorKind::kInvalidData, "foreach: it gives no list");
  if (list.get_array().size() > kMost_elements)
    return error(ErrorKind::kInvalidData, "foreach: {} elements are more than {}", list.get_array().size(),
                 kMost_elements);
  return list.get_array();
}

std::string cache_key_of(const Claimed& step, const std::vector<Request>& requests) {
  std::string all = std::string(kNumerics) + "\n" + step.model;
  for (const Request& request : requests) all += "\n" + request.path + "\n" + request.body;
  return sha256_hex(all);
}

// What a chat completion says.
void read_completion(const Reply& reply, json::object& output, Output& counts, std::string& text) {
  const json::value body = parse(reply.body);
  const auto find = [](const json::value* value, std::string_view name) -> const json::value* {
    return value != nullptr && value->is_object() ? value->get_object().if_contains({name.data(), name.size()})
                                                  : nullptr;
  };
  const json::value* choices = find(&body, "choices");
  const json::value* choice =
      choices != nullptr && choices->is_array() && !choices->get_array().empty() ? &choices->get_array()[0] : nullptr;
  const json::value* content = find(find(choice, "message"), "content");
  if (content != nullptr && content->is_string()) text = std::string(content->get_string());
  if (const json::value* reason = find(choice, "finish_reason")) output["finish_reason"] = *reason;
  const json::value* usage = find(&body, "usage");
  if (usage == nullptr) return;
  boost::system::error_code ignored;
  const auto count = [&](const char* name) -> int64_t {
    const json::value* value = find(usage, name);
    return value != nullptr && value->is_number() ? value->to_number<int64_t>(ignored) : 0;
  };
  counts.prompt_tokens += count("prompt_tokens");
  counts.output_tokens += count("completion_tokens");
}

}  // namespace

Result<Prepared> prepare(const Compiled& workflow, const std::string& job_key, const Claimed& step,
                         const std::string& model) {
  Prepared prepared;
  if (!workflow.workflow.endpoint.empty()) {
    const json::value body = parse(step.item_data);
    const json::value* named = body.is_object() ? body.get_object().if_contains("model") : nullptr;
    prepared.requests.push_back({workflow.workflow.endpoint, step.item_data,
                                 named != nullptr && named->is_string() ? std::string(named->get_string()) : ""});
    return prepared;
  }
  const Planned* plan = workflow.find(step.name);
  if (plan == nullptr) return error(ErrorKind::kInvalidData, "the job has no step \"{}\"", step.name);
  const Compiled::Templates& templates = workflow.templates[plan->step];
  json::object variables = variables_of(workflow, *plan, job_key, step);
  if (templates.when) {
    ASSIGN_OR_RETURN(const std::string wanted, render(*templates.when, variables, "when"));
    if (wanted.empty()) return prepared;
  }
  const std::string& name = model.empty() ? workflow.workflow.steps[plan->step].model : model;
  json::array elements{nullptr};
  if (templates.foreach) {
    ASSIGN_OR_RETURN(elements, elements_of(*templates.foreach, variables));
    prepared.each = true;
  }
  for (size_t i = 0; i < elements.size(); ++i) {
    if (prepared.each) variables["each"] = elements[i];
    ASSIGN_OR_RETURN(Request request, request_of(workflow, plan->step, name, variables, seed_of(workflow, step, i)));
    prepared.requests.push_back(std::move(request));
  }
  prepared.cache_key = cache_key_of(step, prepared.requests);
  return prepared;
}

Output output_of(const Compiled& workflow, const Claimed& step, const Prepared& prepared,
                 const std::vector<Reply>& replies) {
  Output result;
  json::object output = empty_output();
  std::string text;
  if (!workflow.workflow.endpoint.empty()) {
    for (const Reply& reply : replies) {
      read_completion(reply, output, result, text);
      const json::value body = parse(reply.body);
      result.json = json::serialize(json::object{{"status", reply.status}, {"body", body}});
    }
    return result;
  }
  const Planned* plan = workflow.find(step.name);
  const bool structured = plan != nullptr && !workflow.workflow.steps[plan->step].schema.empty();
  std::string texts;
  json::array values;
  for (const Reply& reply : replies) {
    text.clear();
    read_completion(reply, output, result, text);
    texts += (texts.empty() ? "" : "\n\n") + text;
    values.push_back(structured ? parse(text) : json::value(text));
  }
  output["text"] = texts;
  if (prepared.each)
    output["json"] = std::move(values);
  else if (structured && !values.empty())
    output["json"] = std::move(values[0]);
  output["usage"] = {{"prompt_tokens", result.prompt_tokens}, {"completion_tokens", result.output_tokens}};
  result.json = json::serialize(output);
  return result;
}

std::string skipped_output(const std::string& error) {
  json::object output = empty_output();
  output["finish_reason"] = "skipped";
  if (!error.empty()) output["error"] = error;
  return json::serialize(output);
}

std::string message_of(const Reply& reply) {
  const json::value body = parse(reply.body);
  const json::value* fault = body.is_object() ? body.get_object().if_contains("error") : nullptr;
  const json::value* text = fault != nullptr && fault->is_object() ? fault->get_object().if_contains("message") : fault;
  if (text != nullptr && text->is_string()) return std::string(text->get_string());
  return fmt::format("the answer was {}: {}", reply.status, printable(reply.body.substr(0, 200)));
}

}  // namespace hearth::batch
