// What the replies of the dialects have in common.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "api/service.h"
#include "http/message.h"

namespace hearth::api {

inline constexpr const char* kJson_type = "application/json; charset=utf-8";

http::Response json_reply(unsigned status, const boost::json::value& body);

// The head of a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), and one
// event of it: with its type as the event's, where one is given.
http::ResponseHead event_stream();
std::string event_text(const boost::json::value& data, std::string_view type = {});
// The same of JSON that is text already, in pieces: what comes with each token is written without objects.
void append_event(std::string& out, std::string_view type, std::initializer_list<std::string_view> json);

// The text as a JSON string.
void append_quoted(std::string& out, std::string_view text);
std::string quoted(std::string_view text);
// The members of an object as JSON, without its braces.
std::string members_of(const boost::json::object& object);

// In the header x-hearth-warnings and in the log.
void tell(const std::vector<std::string>& warnings, http::ResponseHead& head);

// A chosen token as both OpenAI and Ollama report it: text, log probability, bytes. Minus infinity is -9999.
boost::json::object token_json(const TokenChance& token);
// With the alternatives: a list under top_logprobs.
boost::json::object token_json(const TokenReport& token);

std::string rfc3339(int64_t seconds, long nanoseconds = 0);  // in UTC
int64_t unix_now();

}  // namespace hearth::api
