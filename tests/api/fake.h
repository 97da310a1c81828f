// An exchange that keeps what is answered, and a service that answers as the test says.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <vector>

#include "api/router.h"
#include "http/exchange.h"

namespace hearth::test {

class FakeExchange : public http::Exchange {
 public:
  void send(http::Response response) override {
    if (ended) return;
    head = response.head;
    body = response.body;
    ended = whole = true;
  }
  void start(http::ResponseHead its_head, http::Ping) override {
    head = std::move(its_head);
    streams = true;
  }
  void write(std::string_view bytes) override {
    if (!bytes.empty()) pieces.emplace_back(bytes);
    body += bytes;
  }
  void finish() override { ended = true; }
  void abort() override { aborted = true; }
  bool full() const override { return is_full; }
  void on_drained(std::function<void()> call) override { drained = std::move(call); }
  bool gone() const override { return false; }
  void on_gone(std::function<void()> call) override { leave = std::move(call); }

  // The lines of a stream, each of which is a JSON object.
  std::vector<boost::json::object> lines() const {
    std::vector<boost::json::object> list;
    for (size_t at = 0, end; (end = body.find('\n', at)) != std::string::npos; at = end + 1) {
      list.push_back(boost::json::parse(body.substr(at, end - at)).as_object());
    }
    return list;
  }
  boost::json::object object() const { return boost::json::parse(body).as_object(); }

  http::ResponseHead head;
  std::string body;
  std::vector<std::string> pieces;
  bool ended = false, whole = false, streams = false, aborted = false, is_full = false;
  std::function<void()> drained, leave;
};

// The answer to one request, which is complete when this returns unless the service holds it back.
inline std::shared_ptr<FakeExchange> ask(const api::Router& router, const std::string& method, const std::string& path,
                                         const std::string& body = {}, const http::Headers& headers = {}) {
  const auto exchange = std::make_shared<FakeExchange>();
  http::RequestHead head;
  head.method = method;
  head.path = path.substr(0, path.find('?'));
  if (head.path != path) head.query = path.substr(head.path.size() + 1);
  head.headers = headers;
  head.id = std::string(32, 'a');
  const auto match = router.find(head);
  if (match.route == nullptr) {
    exchange->send(router.problem(head, match.status, api::kNo_route));
  } else {
    http::Body content(body);
    if (match.route->body_sink) {
      auto sink = match.route->body_sink(head, match.rest);
      if (const auto* refusal = std::get_if<http::Response>(&sink)) return exchange->send(*refusal), exchange;
      content = {};
      content.set_sink(std::get<0>(std::move(sink)));
      EXPECT_TRUE(content.append(body, 0, ""));
    }
    match.route->run({{head, std::move(content)}, exchange, match.rest, {"user", "127.0.0.1"}});
  }
  return exchange;
}

}  // namespace hearth::test
