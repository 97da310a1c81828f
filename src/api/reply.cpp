#include "api/reply.h"

#include <algorithm>
#include <ctime>

#include "api/json.h"
#include "base/log.h"
#include "chat/json_scanner.h"
#include "text/utf8_stream.h"

namespace hearth::api {
namespace {

namespace json = boost::json;

constexpr float kLeast_logprob = -9999;
constexpr size_t kMost_header_bytes = 4096;  // clients refuse longer ones

std::string whole_characters(std::string_view bytes) {
  text::Utf8Stream utf8;
  std::string text = utf8.feed(bytes);
  return text + utf8.finish();
}

}  // namespace

http::Response json_reply(unsigned status, const json::value& body) {
  return {{.status = status, .headers = {{"Content-Type", kJson_type}}}, json::serialize(body)};
}

http::ResponseHead event_stream() {
  return {
      .status = 200,
      .headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
}

std::string event_text(const json::value& data, std::string_view type) {
  std::string text;
  append_event(text, type, {json::serialize(data)});
  return text;
}

void append_event(std::string& out, std::string_view type, std::initializer_list<std::string_view> json) {
  if (!type.empty()) {
    out += "event: ";
    out += type;
    out += '\n';
  }
  out += "data: ";
  for (const std::string_view piece : json) out += piece;
  out += "\n\n";
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  chat::append_escaped(text, &out);
  out += '"';
}

std::string quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

std::string members_of(const json::object& object) {
  const std::string text = json::serialize(object);
  return text.substr(1, text.size() - 2);
}

void tell(const std::vector<std::string>& warnings, http::ResponseHead& head) {
  if (warnings.empty()) return;
  std::string line = fmt::format("{}", fmt::join(warnings, ", "));
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  line.resize(std::min(line.size(), kMost_header_bytes));
  log_warn("{}", line);
  head.headers.add("x-hearth-warnings", line);
}

json::object token_json(const TokenChance& token) {
  json::array bytes;
  for (const char c : token.text) bytes.push_back(static_cast<unsigned char>(c));
  json::object object;
  object["token"] = whole_characters(token.text);
  object["logprob"] = std::max(token.logprob, kLeast_logprob);
  object["bytes"] = std::move(bytes);
  return object;
}

json::object token_json(const TokenReport& token) {
  json::object object = token_json(token.chosen);
  json::array most;
  for (const TokenChance& other : token.most_likely) most.push_back(token_json(other));
  object["top_logprobs"] = std::move(most);
  return object;
}

std::string rfc3339(int64_t seconds, long nanoseconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, nanoseconds);
}

int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace hearth::api
