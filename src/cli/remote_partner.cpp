#include <boost/json.hpp>

#include "base/error.h"
#include "cli/chat_partner.h"
#include "cli/run_through.h"
#include "cli/terminal.h"
#include "fleet/model_defaults.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

Result<json::object> object_of(const std::string& body) {
  boost::system::error_code failed;
  json::value value = json::parse(body, failed);
  if (failed || !value.is_object()) return error(ErrorKind::kInvalidData, "the server's answer is no JSON object");
  return std::move(value.get_object());
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
uint64_t number(const json::object& object, const std::string& name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<uint64_t>() : 0;
}
const json::object& inner(const json::object& object, const char* name) {
  static const json::object none;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : none;
}

// "name   value" lines, as /api/show has parameters.
store::Parameters parameters_of(const std::string& lines) {
  store::Parameters parameters;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string line = lines.substr(begin, end - begin);
    begin = end + 1;
    const size_t space = std::min(line.find(' '), line.size());
    std::string value = line.substr(std::min(line.find_first_not_of(' ', space), line.size()));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    parameters.emplace_back(line.substr(0, space), value);
  }
  return parameters;
}

class RemotePartner : public ChatPartner {
 public:
  RemotePartner(const Remote& server, const RunOptions& options, json::object shown)
      : server_(server), shown_(std::move(shown)), verbose_(options.model.verbose) {
    request_.model = options.model.model;
    request_.settings = options.settings;
    request_.thinking = options.thinking;
    system_ = options.system;
    first_pictures_ = options.pictures;
  }

  Status say(std::string message) override {
    ThroughRequest request = request_;
    request.messages.clear();
    if (system_) request.messages.push_back(json::object{{"role", "system"}, {"content", *system_}});
    for (const json::value& before : request_.messages) request.messages.push_back(before);
    PictureFiles pictures = std::exchange(first_pictures_, {});
    TRY(take_picture_paths(&message, &pictures));
    const json::object question = user_message(message, pictures);
    request.messages.push_back(question);
    ASSIGN_OR_RETURN(const ThroughAnswer answer, ask_through(server_, request));
    request_.messages.push_back(question);
    request_.messages.push_back(answer.message);
    if (verbose_) print_note("\n" + to_string(answer.report));
    return {};
  }
  void clear() override { request_.messages.clear(); }
  Status set_parameter(std::string_view name, std::string_view value) override {
    sampling::Options scratch;
    TRY(sampling::set(scratch, name, value));
    if (name == "logit_bias") return error(ErrorKind::kUsage, "logit_bias cannot be set through a server");
    if (name != "stop") std::erase_if(request_.settings, [&](const auto& setting) { return setting.first == name; });
    request_.settings.emplace_back(name, value);
    return {};
  }
  void set_system(std::string text) override { system_ = std::move(text); }
  void set_thinking(const ThinkingChoice& choice) override { request_.thinking = choice; }
  void set_verbose(bool verbose) override { verbose_ = verbose; }
  Result<std::string> info() const override;
  Result<std::string> parameters() const override;
  Result<std::string> system() const override { return system_ ? *system_ : text(shown_, "system"); }
  Result<std::string> template_text() const override { return text(shown_, "template"); }
  // The next request may find the server well, or another one in its place.
  Status can_go_on(const Error& error) const override {
    return error.kind == ErrorKind::kRefused ? Status(error) : Status();
  }

 private:
  Result<json::object> running() const;  // this model's entry of /api/ps; empty: it is not loaded

  const Remote server_;
  const json::object shown_;  // by /api/show
  ThroughRequest request_;
  std::optional<std::string> system_;
  PictureFiles first_pictures_;
  bool verbose_;
};

Result<json::object> RemotePartner::running() const {
  ASSIGN_OR_RETURN(const std::string body, server_.ask("GET", "/api/ps"));
  ASSIGN_OR_RETURN(const json::object object, object_of(body));
  const json::value* models = object.if_contains("models");
  if (models == nullptr || !models->is_array()) return json::object();
  for (const json::value& model : models->get_array()) {
    const json::object* entry = model.if_object();
    if (entry == nullptr) continue;
    const std::string name = text(*entry, "name");
    if (name == request_.model || name == request_.model + ":latest") return *entry;
  }
  return json::object();
}

Result<std::string> RemotePartner::info() const {
  const json::object& facts = inner(shown_, "model_info");
  const std::string architecture = text(facts, "general.architecture");
  ASSIGN_OR_RETURN(const json::object loaded, running());
  const uint64_t context = number(loaded, "context_length");
  std::string lines = fmt::format("{:<20}{}\n{:<20}{}\n{:<20}{}\n{:<20}{:.2f} million\n", "model", request_.model,
                                  "server", server_.url(), "architecture", architecture, "parameters",
                                  static_cast<double>(number(facts, "general.parameter_count")) / 1e6);
  const uint64_t trained = number(facts, architecture + ".context_length");
  lines += context > 0 ? fmt::format("{:<20}{} of {} tokens", "context", context, trained)
                       : fmt::format("{:<20}{} tokens at most; it is not loaded now", "context", trained);
  if (const std::string placement = text(loaded, "placement"); !placement.empty())
    lines += fmt::format("\n{:<20}{}", "placement", placement);
  return lines;
}

Result<std::string> RemotePartner::parameters() const {
  sampling::Options options;
  fleet::apply_model_parameters(parameters_of(text(shown_, "parameters")), options);
  const auto is_stop = [](const auto& setting) { return setting.first == "stop"; };
  if (std::ranges::any_of(request_.settings, is_stop)) options.stop.clear();
  for (const auto& [name, value] : request_.settings) TRY(sampling::set(options, name, value));
  ASSIGN_OR_RETURN(const json::object loaded, running());
  return describe_parameters(static_cast<uint32_t>(number(loaded, "context_length")), options);
}

}  // namespace

Result<std::unique_ptr<ChatPartner>> remote_partner(const Remote& server, const RunOptions& options) {
  const json::object named{{"model", options.model.model}};
  ASSIGN_OR_RETURN(const std::string body, server.ask("POST", "/api/show", json::serialize(named)));
  ASSIGN_OR_RETURN(json::object shown, object_of(body));
  // Loaded while the first message is written, and kept with that.
  ASSIGN_OR_RETURN([[maybe_unused]] const std::string loaded,
                   server.ask("POST", "/api/generate", json::serialize(named)));
  return std::unique_ptr<ChatPartner>(std::make_unique<RemotePartner>(server, options, std::move(shown)));
}

}  // namespace hearth::cli
