// Other servers that are asked for memory: each by its own API, also those that say more than they do.
#include "neighbours/neighbours.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "http/server.h"
#include "neighbours/kind.h"

namespace hearth::neighbours {
namespace {

using std::chrono::milliseconds;

// A server of answers that stand in a table, which notes what it is asked.
class FakeServer {
 public:
  FakeServer() {
    http::Settings settings;
    settings.listen = {{"127.0.0.1", 0}};
    http::Handler handler;
    handler.admit = [](const http::RequestHead&) -> std::variant<http::Admission, http::Response> {
      return http::Admission{1 << 20};
    };
    handler.handle = [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
      const std::lock_guard lock(mutex_);
      const std::string asked =
          request.head.method + " " + request.head.path + (request.head.query.empty() ? "" : "?" + request.head.query);
      asked_.push_back(asked + (request.body.text().empty() ? "" : " " + std::string(request.body.text())));
      if (hangs_ == asked) return held_.push_back(exchange);
      if (frees_ == asked) free_ += bytes_;
      const auto found = answers_.find(asked);
      exchange->send(found == answers_.end() ? http::Response{{.status = 404}, "no"}
                                             : http::Response{{.status = 200}, found->second});
    };
    handler.problem = [](const http::RequestHead&, unsigned status, const std::string& message) {
      return http::Response{{.status = status}, message};
    };
    server_ = std::move(*http::Server::start(std::move(settings), std::move(handler)));
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void answer(const std::string& request, const std::string& body) { answers_[request] = body; }
  // Which request gives how much memory back.
  void free_by(const std::string& request, uint64_t bytes) { frees_ = request, bytes_ = bytes; }
  void hang_at(const std::string& request) { hangs_ = request; }
  uint64_t free_bytes() const { return free_; }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> asked_;
  std::vector<std::shared_ptr<http::Exchange>> held_;
  std::string frees_, hangs_;
  uint64_t bytes_ = 0;
  std::atomic<uint64_t> free_ = 1 << 20;
  std::unique_ptr<http::Server> server_;
};

class NeighboursTest : public testing::Test {
 protected:
  Asked ask_for(const std::string& kind, bool busy = false, bool until_end = true) {
    const auto neighbour = parse_neighbour(kind + "=" + server_.url());
    EXPECT_TRUE(neighbour.ok());
    return ask({*neighbour}, {.free_bytes = [this] { return server_.free_bytes(); },
                              .holders = [] { return std::string("llama-runner (5.0 GiB)"); },
                              .bytes = uint64_t{4000} << 20,
                              .until = std::chrono::steady_clock::now() + milliseconds(1500),
                              .ask_busy = busy,
                              .until_end = until_end,
                              .key = ""});
  }
  std::vector<std::string> asked() { return server_.asked(); }
  FakeServer server_;
};

constexpr uint64_t kPlenty = uint64_t{8} << 30;

TEST_F(NeighboursTest, OllamaUnloadsEachModelByItsKeepAlive) {
  server_.answer("GET /api/ps", R"({"models":[{"name":"llama3:8b"},{"name":"qwen3:4b"}]})");
  server_.answer("POST /api/generate", R"({"done":true,"done_reason":"unload"})");
  server_.free_by("POST /api/generate", kPlenty);
  const Asked answer = ask_for("ollama");
  EXPECT_TRUE(answer.enough);
  EXPECT_EQ(asked(),
            (std::vector<std::string>{"GET /api/ps", R"(POST /api/generate {"model":"llama3:8b","keep_alive":0})",
                                      R"(POST /api/generate {"model":"qwen3:4b","keep_alive":0})"}));
  ASSERT_EQ(answer.how.size(), 1u);
  EXPECT_EQ(answer.how[0], "ollama at " + server_.url() + " let go of llama3:8b, qwen3:4b: 16.0 GiB came free");
}

TEST_F(NeighboursTest, WhatSaysThatItLetGoAndDidNotIsNotBelieved) {
  server_.answer("GET /api/ps", R"({"models":[{"name":"llama3:8b"}]})");
  server_.answer("POST /api/generate", R"({"done":true,"done_reason":"unload"})");
  const Asked answer = ask_for("ollama");
  EXPECT_FALSE(answer.enough);
  ASSERT_EQ(answer.how.size(), 1u);
  EXPECT_EQ(answer.how[0], "ollama at " + server_.url() +
                               " was asked to let go of llama3:8b and said that it did, but no memory came free; the "
                               "card's memory is held by llama-runner (5.0 GiB)");
}

TEST_F(NeighboursTest, WhoHangsOrIsNotThereCostsTheTimeAndNoMore) {
  server_.hang_at("GET /api/ps");
  const auto start = std::chrono::steady_clock::now();
  const Asked answer = ask_for("ollama");
  EXPECT_FALSE(answer.enough);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_NE(answer.how.at(0).find("does not tell what it holds"), std::string::npos) << answer.how[0];
  const auto nobody = parse_neighbour("vllm=http://127.0.0.1:9");
  const Asked none = ask({*nobody}, {.free_bytes = [] { return uint64_t{0}; },
                                     .holders = {},
                                     .bytes = 1,
                                     .until = std::chrono::steady_clock::now() + milliseconds(500),
                                     .ask_busy = false,
                                     .until_end = true,
                                     .key = ""});
  EXPECT_EQ(none.how.size(), 1u);
}

TEST_F(NeighboursTest, WhoIsBusyIsLeftAloneUnlessTheSettingsSayOtherwise) {
  server_.answer("GET /is_sleeping", R"({"is_sleeping":false})");
  server_.answer("GET /metrics",
                 "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine=\"0\"} 2.0\n");
  server_.answer("POST /sleep?level=1&mode=wait", "");
  server_.free_by("POST /sleep?level=1&mode=wait", kPlenty);
  EXPECT_EQ(ask_for("vllm").how, std::vector<std::string>{"vllm at " + server_.url() + " is busy and was left alone"});
  EXPECT_TRUE(ask_for("vllm", true).enough);
}

TEST_F(NeighboursTest, WhoDoesNotWakeByItselfIsAskedOnlyWhereItIsWokenAgain) {
  server_.answer("GET /is_sleeping", R"({"is_sleeping":false})");
  server_.answer("GET /metrics", "vllm:num_requests_running 0\n");
  server_.answer("POST /sleep?level=1&mode=wait", "");
  server_.answer("POST /wake_up", "");
  server_.free_by("POST /sleep?level=1&mode=wait", kPlenty);
  EXPECT_TRUE(ask_for("vllm", false, false).how.empty());
  const Asked asleep = ask_for("vllm");
  EXPECT_TRUE(asleep.enough);
  ASSERT_EQ(asleep.to_wake.size(), 1u);
  EXPECT_TRUE(take_back(asleep.to_wake, "").empty());
  EXPECT_EQ(asked().back(), "POST /wake_up");
}

// What each kind is asked when it is idle, and with what answers.
struct Shape {
  const char* kind;
  std::vector<std::pair<std::string, std::string>> answers;
  std::string frees;       // the request that gives the memory back
  std::string frees_body;  // its body
};

TEST_F(NeighboursTest, EachKindIsAskedInItsOwnWay) {
  const std::vector<Shape> shapes = {
      {"sglang",
       {{"GET /metrics", "sglang:num_running_reqs{model_name=\"a\"} 0.0\nsglang:num_queue_reqs 0\n"},
        {"POST /release_memory_occupation", "{}"}},
       "POST /release_memory_occupation",
       R"({"tags":["kv_cache","weights"]})"},
      {"localai",
       {{"GET /system", R"({"backends":[],"loaded_models":[{"id":"phi-4"}]})"},
        {"GET /backend/monitor?model=phi-4", R"({"state":2})"},
        {"POST /backend/shutdown", "{}"}},
       "POST /backend/shutdown",
       R"({"model":"phi-4"})"},
      {"comfyui",
       {{"GET /queue", R"({"queue_running":[],"queue_pending":[]})"}, {"POST /free", ""}},
       "POST /free",
       R"({"unload_models":true,"free_memory":true})"},
      {"llama-server",
       {{"GET /models",
         R"({"data":[{"id":"a","status":{"value":"unloaded"}},{"id":"b","status":{"value":"loaded"}}]})"},
        {"POST /models/unload", "{}"}},
       "POST /models/unload",
       R"({"model":"b"})"},
      {"llama-swap",
       {{"GET /running", R"({"running":[{"model":"a","state":"ready"}]})"}, {"GET /unload", "OK"}},
       "GET /unload",
       ""},
  };
  for (const Shape& shape : shapes) {
    FakeServer server;
    for (const auto& [request, body] : shape.answers) server.answer(request, body);
    server.free_by(shape.frees, kPlenty);
    const Asked answer = ask({*parse_neighbour(std::string(shape.kind) + "=" + server.url())},
                             {.free_bytes = [&] { return server.free_bytes(); },
                              .holders = {},
                              .bytes = kPlenty,
                              .until = std::chrono::steady_clock::now() + std::chrono::seconds(5),
                              .ask_busy = false,
                              .until_end = true,
                              .key = ""});
    EXPECT_TRUE(answer.enough) << shape.kind << ": " << (answer.how.empty() ? "" : answer.how[0]);
    EXPECT_EQ(server.asked().back(), shape.frees + (shape.frees_body.empty() ? "" : " " + shape.frees_body));
  }
}

TEST_F(NeighboursTest, WhoDoesNotTellWhetherItIsBusyIsLeftAlone) {
  server_.answer("GET /api/v1/models", R"({"models":[{"loaded_instances":[{"id":"qwen"}]},{"loaded_instances":[]}]})");
  server_.answer("POST /api/v1/models/unload", "{}");
  server_.free_by("POST /api/v1/models/unload", kPlenty);
  EXPECT_FALSE(ask_for("lmstudio").enough);
  EXPECT_TRUE(ask_for("lmstudio", true).enough);
  EXPECT_EQ(asked().back(), R"(POST /api/v1/models/unload {"instance_id":"qwen"})");
}

TEST(Neighbour, IsAKindAndAUrl) {
  EXPECT_TRUE(parse_neighbour("ollama=http://gpu:11434/").ok());
  EXPECT_EQ(parse_neighbour("ollama=http://gpu:11434/")->url, "http://gpu:11434");
  for (const char* entry : {"", "ollama", "nobody=http://a", "ollama=gpu:11434"})
    EXPECT_EQ(parse_neighbour(entry).error().kind, ErrorKind::kUsage) << entry;
}

TEST(Series, IsAddedUpOverItsLabels) {
  EXPECT_EQ(series_sum("a 1\nab 5\na{x=\"}\"} 2.5\n# a 7\n", "a"), 3.5);
  EXPECT_FALSE(series_sum("b 1\n", "a").has_value());
}

}  // namespace
}  // namespace hearth::neighbours
