// hearth key: who may use a server from elsewhere. hearth backup: a copy of what a server keeps.
#include <boost/json.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "cli/command.h"
#include "cli/remote.h"
#include "cli/settings.h"
#include "cli/since.h"
#include "cli/terminal.h"
#include "disk/new_file.h"
#include "serve/admin_routes.h"
#include "serve/state.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

struct KeyOptions {
  config::Inputs inputs;
  std::string action;
  std::optional<std::string> name;
  std::string role = "infer";
  uint32_t requests = 0, tokens = 0, parallel = 0;
  int priority = 0;
  bool isolated = false;
  std::vector<std::string> models;
};

// The state's owner: a server, through which it is asked, or else this process.
struct Owner {
  std::optional<Remote> server;
  std::optional<serve::State> state;
};

Result<Owner> find_owner(const config::Inputs& inputs) {
  ASSIGN_OR_RETURN(const config::Loaded loaded, config::load(inputs));
  Owner owner;
  auto state = serve::State::open(loaded.settings.state);
  if (state) {
    owner.state.emplace(std::move(state).value());
    return owner;
  }
  if (state.error().kind != ErrorKind::kBusy) return state.error();
  ASSIGN_OR_RETURN(owner.server, Remote::find());
  if (!owner.server) return state.error();
  return owner;
}

serve::KeyInfo info_of(const KeyOptions& options, serve::Role role) {
  return {.name = *options.name,
          .role = role,
          .limits = {.requests_per_minute = options.requests,
                     .tokens_per_minute = options.tokens,
                     .parallel = options.parallel,
                     .models = options.models,
                     .priority = options.priority,
                     .isolated = options.isolated}};
}

Result<std::string> string_member(const std::string& body, const char* name) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  const json::value* member = object != nullptr ? object->if_contains(name) : nullptr;
  if (member == nullptr || !member->is_string())
    return error(ErrorKind::kInvalidData, "the server's answer has no \"{}\"", name);
  return std::string(member->get_string());
}

Status add(const KeyOptions& options, Owner& owner) {
  ASSIGN_OR_RETURN(const serve::Role role, serve::parse_role(options.role));
  const serve::KeyInfo info = info_of(options, role);
  std::string text;
  if (owner.state) {
    ASSIGN_OR_RETURN(text, owner.state->keys().add(info));
  } else {
    ASSIGN_OR_RETURN(const std::string body, owner.server->ask("POST", "/hearth/keys", serve::key_json(info)));
    ASSIGN_OR_RETURN(text, string_member(body, "key"));
  }
  print_note(
      fmt::format("note: this is the key of \"{}\", with the role {}; it is not shown again", info.name, options.role));
  return print(text + "\n");
}

Result<std::vector<serve::KeyInfo>> read_keys(Owner& owner) {
  if (owner.state) return owner.state->keys().list();
  ASSIGN_OR_RETURN(const std::string body, owner.server->ask("GET", "/hearth/keys"));
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  const json::object* object = failed ? nullptr : value.if_object();
  const json::value* list = object != nullptr ? object->if_contains("keys") : nullptr;
  if (list == nullptr || !list->is_array()) return error(ErrorKind::kInvalidData, "the server answers with no list");
  std::vector<serve::KeyInfo> keys;
  for (const json::value& entry : list->get_array()) {
    ASSIGN_OR_RETURN(serve::KeyInfo info, serve::key_from_json(json::serialize(entry)));
    const json::value* created = entry.is_object() ? entry.get_object().if_contains("created") : nullptr;
    if (created != nullptr && created->is_number()) info.created = created->to_number<int64_t>();
    keys.push_back(std::move(info));
  }
  return keys;
}

std::string limits_text(const serve::KeyLimits& limits) {
  std::vector<std::string> parts;
  if (limits.requests_per_minute > 0) parts.push_back(fmt::format("{} requests/min", limits.requests_per_minute));
  if (limits.tokens_per_minute > 0) parts.push_back(fmt::format("{} tokens/min", limits.tokens_per_minute));
  if (limits.parallel > 0) parts.push_back(fmt::format("{} at a time", limits.parallel));
  if (limits.priority != 0) parts.push_back(fmt::format("priority {}", limits.priority));
  if (limits.isolated) parts.emplace_back("own cache");
  if (!limits.models.empty()) parts.push_back(fmt::format("models {}", fmt::join(limits.models, " ")));
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

Status list(Owner& owner) {
  ASSIGN_OR_RETURN(const std::vector<serve::KeyInfo> keys, read_keys(owner));
  std::string text = fmt::format("{:<24}{:<10}{:<24}{}\n", "NAME", "ROLE", "CREATED", "LIMITS");
  for (const serve::KeyInfo& key : keys)
    text += fmt::format("{:<24}{:<10}{:<24}{}\n", key.name, serve::role_text(key.role), since_text(key.created),
                        limits_text(key.limits));
  return print(text);
}

Status revoke(const std::string& name, Owner& owner) {
  if (owner.state) {
    TRY(owner.state->keys().revoke(name));
  } else {
    ASSIGN_OR_RETURN([[maybe_unused]] const std::string done, owner.server->ask("DELETE", "/hearth/keys/" + name));
  }
  return print(fmt::format("revoked '{}'\n", name));
}

Status run_key(const KeyOptions& options) {
  const bool named = options.action == "add" || options.action == "revoke";
  if (named != options.name.has_value()) {
    return error(ErrorKind::kUsage, "\"hearth key {}\" {}", options.action,
                 named ? "needs the key's name" : "takes no name");
  }
  ASSIGN_OR_RETURN(Owner owner, find_owner(options.inputs));
  if (options.action == "add") return add(options, owner);
  if (options.action == "list") return list(owner);
  return revoke(*options.name, owner);
}

Action configure_key(Arguments& arguments) {
  const auto options = std::make_shared<KeyOptions>();
  options->inputs.environment = config::environment();
  arguments.required_choice("ACTION", options->action, {"add", "list", "revoke"}, "add, list or revoke");
  arguments.text("NAME", options->name, "The key's name");
  arguments.choice("--role", options->role, {"infer", "manage", "admin"},
                   "infer: use models (default); manage: also pull, make and remove them; admin: also keys");
  const uint32_t most = 1'000'000'000;
  arguments.number("--requests-per-minute", options->requests, 0u, most, "0: no limit (default)");
  arguments.number("--tokens-per-minute", options->tokens, 0u, most, "Of prompts and answers; 0: no limit (default)");
  arguments.number("--parallel", options->parallel, 0u, most, "Requests at the same time; 0: no limit (default)");
  arguments.number("--priority", options->priority, -1000, 1000, "Of its requests; higher ones go first (default: 0)");
  arguments.flag("--isolated", options->isolated, "Nothing that is computed is shared with other keys");
  const auto add_model = [options](const std::string& model) -> Status {
    options->models.push_back(model);
    return {};
  };
  arguments.each("--model", "MODEL", add_model, "A model that it may use (may be given several times; default: all)",
                 "Options");
  arguments.text("--config", options->inputs.file, "File of the server's settings");
  return [options] { return run_key(*options); };
}

struct BackupOptions {
  config::Inputs inputs;
  std::string path;
};

Status run_backup(const BackupOptions& options) {
  std::error_code ignored;
  if (std::filesystem::exists(options.path, ignored))
    return error(ErrorKind::kUsage, "{} is there already", options.path);
  ASSIGN_OR_RETURN(Owner owner, find_owner(options.inputs));
  std::string bytes;
  if (owner.state) {
    const std::string copy = owner.state->folder() + "/backup.tmp";
    std::filesystem::remove(copy, ignored);
    TRY(owner.state->keys().back_up(copy));
    auto read = read_file(copy);
    std::filesystem::remove(copy, ignored);
    ASSIGN_OR_RETURN(bytes, std::move(read));
  } else {
    ASSIGN_OR_RETURN(bytes, owner.server->ask("GET", "/hearth/backup"));
  }
  return disk::write_file(options.path, bytes, "the copy of the state");
}

Action configure_backup(Arguments& arguments) {
  const auto options = std::make_shared<BackupOptions>();
  options->inputs.environment = config::environment();
  arguments.required_text("FILE", options->path, "The copy, which must not be there yet");
  arguments.text("--config", options->inputs.file, "File of the server's settings");
  return [options] { return run_backup(*options); };
}

const Command kKey = {"key", "Make, list and revoke keys for users on other machines", configure_key};
const Command kBackup = {"backup", "Copy what a server keeps (its keys) to a file", configure_backup};
const RegisterCommand registered[] = {RegisterCommand(&kKey), RegisterCommand(&kBackup)};

}  // namespace
}  // namespace hearth::cli
