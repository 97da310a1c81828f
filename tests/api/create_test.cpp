// POST /api/create in Ollama's dialect.
#include "api/ollama/create.h"

#include <gtest/gtest.h>

#include "api/ollama/routes.h"
#include "dialect.h"

namespace hearth::api::ollama {
namespace {

using test::ask;

class CreateRoute : public test::DialectTest {
 protected:
  CreateRoute() {
    service_->create = [this](CreateRequest request, WorkSinks sinks) -> Cancel {
      request_ = std::move(request);
      for (const WorkStep& step : steps_) sinks.step(step);
      if (ends_) sinks.done(end_);
      sinks_ = sinks;
      return [this] { ++cancelled_; };
    };
    add_routes(router_, service_);
  }
  unsigned status(const std::string& body) { return ask(router_, "POST", "/api/create", body)->head.status; }
  std::string problem(const std::string& body) {
    const auto exchange = ask(router_, "POST", "/api/create", body);
    EXPECT_EQ(exchange->head.status, 400u) << exchange->body;
    return std::string(exchange->object().at("error").as_string());
  }

  CreateRequest request_;
  std::vector<WorkStep> steps_;
  Status end_;
  bool ends_ = true;
  WorkSinks sinks_;
};

TEST_F(CreateRoute, HandsOverWhatIsAsked) {
  const auto exchange = ask(router_, "POST", "/api/create", R"({"name":"mine","from":"base","template":"T","system":"S",
    "license":["MIT","Apache"],"parameters":{"top_k":3},"messages":[{"role":"user","content":"Hi"}],
    "quantize":"q4_K_M","requires":"0.6","renderer":"r","parser":"p","adapters":{},"unknown":1,
    "files":{"model.safetensors":"sha256:ab"},"stream":false})");
  EXPECT_EQ(exchange->head.status, 200u);
  EXPECT_EQ(exchange->body, R"({"status":"success"})");
  EXPECT_EQ(request_.model, "mine");
  EXPECT_EQ(request_.from, "base");
  EXPECT_EQ(request_.template_text, "T");
  EXPECT_EQ(request_.system, "S");
  EXPECT_EQ(request_.licenses, (std::vector<std::string>{"MIT", "Apache"}));
  EXPECT_EQ(request_.parameters, R"({"top_k":3})");
  ASSERT_TRUE(request_.messages.has_value());
  EXPECT_EQ(request_.messages->at(0), (std::pair<std::string, std::string>("user", "Hi")));
  EXPECT_EQ(request_.quantize, "q4_K_M");
  EXPECT_EQ(request_.minimum_version, "0.6");
  EXPECT_EQ(request_.files.at(0).second, "sha256:ab");
  ask(router_, "POST", "/api/create", R"({"model":"m","from":"b","system":"","quantization":"Q8_0","license":"MIT"})");
  EXPECT_FALSE(request_.system.has_value()) << "an empty text is none";
  EXPECT_FALSE(request_.messages.has_value());
  EXPECT_EQ(request_.quantize, "Q8_0");
}

TEST_F(CreateRoute, StreamsALineForEachStep) {
  steps_ = {{.status = "converting model"},
            {.status = "quantizing F16 model to Q4_0", .digest = "sha256:ab", .done = 0, .total = 10},
            {.status = "quantizing F16 model to Q4_0", .digest = "sha256:ab", .done = 5, .total = 10},
            {.status = "quantizing F16 model to Q4_0", .digest = "sha256:ab", .done = 10, .total = 10}};
  const auto exchange = ask(router_, "POST", "/api/create", R"({"model":"m","from":"b"})");
  EXPECT_EQ(exchange->head.headers.get("Content-Type"), "application/x-ndjson");
  const auto lines = exchange->lines();
  ASSERT_EQ(lines.size(), 4u) << "counts that come too fast are left out: " << exchange->body;
  EXPECT_EQ(lines[0], (boost::json::object{{"status", "converting model"}}));
  EXPECT_EQ(lines[1].at("total"), 10);
  EXPECT_FALSE(lines[1].contains("completed"));
  EXPECT_EQ(lines[2].at("completed"), 10);
  EXPECT_EQ(lines[2].at("digest"), "sha256:ab");
  EXPECT_EQ(lines[3], (boost::json::object{{"status", "success"}}));
  EXPECT_TRUE(exchange->ended);
}

TEST_F(CreateRoute, ErrorsHaveAStatusOrEndTheStream) {
  for (const auto& [kind, expected] : {std::pair(ErrorKind::kUsage, 400u),
                                       {ErrorKind::kNotFound, 404u},
                                       {ErrorKind::kNoSpace, 507u},
                                       {ErrorKind::kBusy, 503u},
                                       {ErrorKind::kIo, 500u}}) {
    end_ = Error{kind, "why"};
    const auto exchange = ask(router_, "POST", "/api/create", R"({"model":"m","from":"b"})");
    EXPECT_EQ(exchange->head.status, expected);
    EXPECT_EQ(exchange->object().at("error"), "why");
  }
  steps_ = {{.status = "converting model"}};
  const auto exchange = ask(router_, "POST", "/api/create", R"({"model":"m","from":"b"})");
  EXPECT_EQ(exchange->head.status, 200u);
  EXPECT_EQ(exchange->lines().at(1), (boost::json::object{{"error", "why"}}));
  EXPECT_TRUE(exchange->ended);
}

TEST_F(CreateRoute, RefusesByName) {
  EXPECT_NE(problem("{").find("no valid JSON"), std::string::npos);
  EXPECT_EQ(problem(R"({"from":"b"})"), "invalid model name");
  EXPECT_EQ(problem(R"({"model":"m"})"), "neither 'from' or 'files' was specified");
  EXPECT_NE(problem(R"({"model":"m","from":"b","adapters":{"a":"sha256:b"}})").find("adapters: adapters (LoRA)"),
            std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":"b","draft_files":{"a":"b"}})").find("draft_files"), std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":"b","remote_host":"h"})").find("remote_host"), std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":3})").find("from"), std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","files":{"a":1}})").find("files"), std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":"b","messages":[{"role":"robot"}]})").find("messages[0].role"),
            std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":"b","messages":[1]})").find("messages[0]"), std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":"b","license":[1]})").find("license"), std::string::npos);
  EXPECT_NE(problem(R"({"model":"m","from":"b","parameters":[]})").find("parameters"), std::string::npos);
  service_->create = {};
  EXPECT_EQ(status(R"({"model":"m","from":"b"})"), 501u);
}

TEST_F(CreateRoute, EndsWhenTheClientGoes) {
  ends_ = false;
  steps_ = {{.status = "converting model"}};
  const auto exchange = ask(router_, "POST", "/api/create", R"({"model":"m","from":"b"})");
  EXPECT_FALSE(exchange->ended);
  exchange->leave();
  EXPECT_EQ(cancelled_, 1);
}

}  // namespace
}  // namespace hearth::api::ollama
