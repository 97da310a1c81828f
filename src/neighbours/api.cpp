#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "http/client.h"
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

namespace json = boost::json;

constexpr uint64_t kMost_answer_bytes = 16 << 20;
constexpr std::chrono::milliseconds kLeast_wait{100};

}  // namespace

Result<std::string> Api::ask(const char* method, const std::string& path, const std::string& body) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
  http::ClientRequest request;
  request.method = method;
  request.url = base_ + path;
  request.headers = {{"Content-Type", "application/json"}};
  if (!key_.empty()) request.headers.add("Authorization", "Bearer " + key_);
  request.body = body;
  request.connect = std::chrono::seconds(2);
  request.silence = std::max(kLeast_wait, left);
  request.ends = [until = until_] { return std::chrono::steady_clock::now() >= until; };
  request.most_body_bytes = kMost_answer_bytes;
  ASSIGN_OR_RETURN(http::Response response, http::fetch(request));
  if (response.head.status < 200 || response.head.status > 299)
    return error(ErrorKind::kIo, "{} {} answered {}", method, request.url, response.head.status);
  return std::move(response.body);
}

Status Api::tell(const char* method, const std::string& path, const std::string& body) const {
  const auto answer = ask(method, path, body);
  return answer ? Status() : answer.error();
}

Result<json::value> Api::ask_json(const char* method, const std::string& path, const std::string& body) const {
  ASSIGN_OR_RETURN(const std::string answer, ask(method, path, body));
  boost::system::error_code failed;
  json::value value = json::parse(answer, failed);
  if (failed) return error(ErrorKind::kInvalidData, "{} {}{} answered something that is no JSON", method, base_, path);
  return value;
}

std::string member_text(const json::value& object, std::string_view name) {
  const json::value* member = object.is_object() ? object.get_object().if_contains(name) : nullptr;
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
}

std::vector<json::value> member_list(const json::value& object, std::string_view name) {
  const json::value* member = object.is_object() ? object.get_object().if_contains(name) : nullptr;
  if (member == nullptr || !member->is_array()) return {};
  return {member->get_array().begin(), member->get_array().end()};
}

Result<Found> find_listed(const Api& api, const char* path, const char* list, const char* name) {
  ASSIGN_OR_RETURN(const json::value value, api.ask_json("GET", path));
  Found found;
  for (const json::value& model : member_list(value, list)) found.models.push_back(member_text(model, name));
  found.activity = found.models.empty() ? Activity::kNothing : Activity::kIdle;
  return found;
}

Status tell_of_each(const Api& api, const char* path, const char* member, const std::vector<std::string>& models,
                    const json::object& more) {
  for (const std::string& model : models) {
    json::object body{{member, model}};
    body.insert(more.begin(), more.end());
    TRY(api.tell("POST", path, json::serialize(body)));
  }
  return {};
}

// Text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
std::optional<double> series_sum(std::string_view page, std::string_view name) {
  std::optional<double> sum;
  while (!page.empty()) {
    const size_t end = std::min(page.find('\n'), page.size());
    std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(page.size(), end + 1));
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    if (line.starts_with('{')) line.remove_prefix(std::min(line.size(), line.rfind('}') + 1));
    if (!line.starts_with(' ')) continue;  // another name that begins so
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
    double value = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc()) sum = sum.value_or(0) + value;
  }
  return sum;
}

}  // namespace hearth::neighbours
