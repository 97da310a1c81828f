#include "serve/admin_routes.h"

#include <unistd.h>

#include "api/json.h"
#include "base/error.h"
#include "base/file.h"
#include "serve/json_answer.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

json::object to_json(const KeyInfo& info) {
  json::array models;
  for (const std::string& model : info.limits.models) models.emplace_back(model);
  return {{"name", info.name},
          {"role", role_text(info.role)},
          {"created", info.created},
          {"requests_per_minute", info.limits.requests_per_minute},
          {"tokens_per_minute", info.limits.tokens_per_minute},
          {"parallel", info.limits.parallel},
          {"models", std::move(models)},
          {"priority", info.limits.priority},
          {"isolated", info.limits.isolated}};
}

Result<uint32_t> read_limit(const api::Fields& fields, const char* name) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> value, fields.integer(name));
  if (value.value_or(0) < 0 || value.value_or(0) > UINT32_MAX)
    return error(ErrorKind::kUsage, "{} must be 0 (no limit) or more", name);
  return static_cast<uint32_t>(value.value_or(0));
}

http::Response add_key(Keys& keys, std::string_view body) {
  auto info = key_from_json(body);
  if (!info) return failure_answer(info.error());
  const auto text = keys.add(std::move(info).value());
  if (!text) return failure_answer(text.error());
  return json_answer(201, json::object{{"key", *text}});
}

http::Response list_keys(const Keys& keys) {
  json::array list;
  for (const KeyInfo& info : keys.list()) list.emplace_back(to_json(info));
  return json_answer(200, json::object{{"keys", std::move(list)}});
}

http::Response revoke_key(Keys& keys, const std::string& name) {
  const Status done = keys.revoke(name);
  return done ? json_answer(200, json::object{}) : failure_answer(done.error());
}

http::Response back_up(Keys& keys, const std::string& folder) {
  const std::string path = folder + "/backup.tmp";
  ::unlink(path.c_str());
  const Status copied = keys.back_up(path);
  auto bytes = copied ? read_file(path) : Result<std::string>(copied.error());
  ::unlink(path.c_str());
  if (!bytes) return failure_answer(bytes.error());
  return {{.status = 200, .headers = {{"Content-Type", "application/vnd.sqlite3"}}}, std::move(bytes).value()};
}

}  // namespace

std::string key_json(const KeyInfo& info) {
  return json::serialize(to_json(info));
}

Result<KeyInfo> key_from_json(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value value, api::read_object(text));
  const api::Fields fields(value.get_object(), "");
  KeyInfo info;
  ASSIGN_OR_RETURN(const std::optional<std::string> name, fields.text("name"));
  ASSIGN_OR_RETURN(const std::optional<std::string> role, fields.text("role"));
  info.name = name.value_or("");
  if (role) {
    ASSIGN_OR_RETURN(info.role, parse_role(*role));
  }
  KeyLimits& limits = info.limits;
  ASSIGN_OR_RETURN(limits.requests_per_minute, read_limit(fields, "requests_per_minute"));
  ASSIGN_OR_RETURN(limits.tokens_per_minute, read_limit(fields, "tokens_per_minute"));
  ASSIGN_OR_RETURN(limits.parallel, read_limit(fields, "parallel"));
  ASSIGN_OR_RETURN(limits.models, fields.texts("models"));
  ASSIGN_OR_RETURN(const std::optional<int64_t> priority, fields.integer("priority"));
  constexpr int64_t kMost_priority = 1000;
  if (std::abs(priority.value_or(0)) > kMost_priority)
    return error(ErrorKind::kUsage, "priority must be from {} to {}", -kMost_priority, kMost_priority);
  limits.priority = static_cast<int32_t>(priority.value_or(0));
  ASSIGN_OR_RETURN(const std::optional<bool> isolated, fields.boolean("isolated"));
  limits.isolated = isolated.value_or(false);
  return info;
}

void add_admin_routes(api::Router& router, Keys* keys, const std::string& folder, const std::string& why) {
  const auto add = [&](const char* method, const char* path, auto run) {
    router.add({.method = method,
                .path = path,
                .run =
                    [=](const api::Call& call) {
                      if (keys == nullptr)
                        return call.exchange->send(
                            json_answer(503, json::object{{"error", "there are no keys here: " + why}}));
                      call.exchange->send(run(*keys, call));
                    },
                .role = Role::kAdmin});
  };
  add("GET", "/hearth/keys", [](Keys& k, const api::Call&) { return list_keys(k); });
  add("POST", "/hearth/keys", [](Keys& k, const api::Call& call) { return add_key(k, call.request.body.text()); });
  add("DELETE", "/hearth/keys/*", [](Keys& k, const api::Call& call) { return revoke_key(k, call.rest); });
  add("GET", "/hearth/backup", [folder](Keys& k, const api::Call&) { return back_up(k, folder); });
}

}  // namespace hearth::serve
