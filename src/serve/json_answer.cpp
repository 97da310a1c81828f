#include "serve/json_answer.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

unsigned status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return 400;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kBusy:
    case ErrorKind::kNoDevice:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

http::Response json_answer(unsigned status, const json::value& value) {
  return {{.status = status, .headers = {{"Content-Type", "application/json"}}}, json::serialize(value)};
}

http::Response failure_answer(const Error& error) {
  return json_answer(status_of(error.kind), json::object{{"error", error.message}});
}

void answer_later(LongWork& work, const api::Call& call, std::function<http::Response()> answer) {
  const auto exchange = call.exchange;
  const auto started =
      work.start([exchange, answer = std::move(answer)](const std::atomic<bool>&) { exchange->send(answer()); });
  if (!started)
    exchange->send(failure_answer(error(ErrorKind::kBusy, "too much is being looked at; try again in a moment")));
}

}  // namespace hearth::serve
