// Ollama's dialect: what clients send and what they get, against a service that answers as the test says.
#include <gtest/gtest.h>

#include "api/json.h"
#include "api/ollama/decode.h"
#include "api/ollama/encode.h"
#include "api/ollama/routes.h"
#include "dialect.h"
#include "chat/picture_marks.h"

namespace hearth::api::ollama {
namespace {

using namespace std::chrono_literals;
using test::ask;
using test::Kind;

class OllamaApi : public test::DialectTest {
 protected:
  OllamaApi() {
    service_->load = [this](LoadRequest request, const std::function<void(Status)>& done) -> Cancel {
      loaded_ = request;
      done({});
      return {};
    };
    service_->unload = [this](const std::string& model) -> Status {
      unloaded_ = model;
      return {};
    };
    add_routes(router_, service_);
  }

  std::optional<LoadRequest> loaded_;
  std::string unloaded_;
};

constexpr const char* kChat = R"({"model":"m","messages":[{"role":"user","content":"hi"}])";
std::string chat(const std::string& more = {}) {
  return std::string(kChat) + more + "}";
}

TEST_F(OllamaApi, StreamsAConversationByDefault) {
  const auto exchange = ask(router_, "POST", "/api/chat", chat());
  EXPECT_EQ(exchange->head.status, 200u);
  EXPECT_EQ(exchange->head.headers.get("Content-Type"), "application/x-ndjson");
  const auto lines = exchange->lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].at("message").at("thinking"), "hm");
  EXPECT_EQ(lines[0].at("message").at("content"), "") << "always there";
  EXPECT_EQ(lines[1].at("message").at("content"), "He");
  EXPECT_FALSE(lines[1].at("message").as_object().contains("thinking"));
  EXPECT_EQ(lines[2].at("done"), false);
  EXPECT_FALSE(lines[2].contains("eval_count"));
  EXPECT_EQ(lines[3].at("done"), true);
  EXPECT_EQ(lines[3].at("done_reason"), "stop");
  EXPECT_EQ(lines[3].at("prompt_eval_count"), 12);
  EXPECT_EQ(lines[3].at("eval_count"), 3);
  EXPECT_EQ(lines[3].at("total_duration"), 5);
  EXPECT_FALSE(lines[3].contains("context"));
  for (const auto& line : lines) {
    EXPECT_EQ(line.at("model"), "m");
    EXPECT_FALSE(line.contains("error")) << "the key alone is an error to ollama-js";
    EXPECT_TRUE(line.at("created_at").as_string().ends_with("Z"));
  }
  EXPECT_TRUE(exchange->ended);
  EXPECT_EQ(chat_input().messages.at(0).content, "hi");
  EXPECT_EQ(request_.caller.user, "user");
}

TEST_F(OllamaApi, AnswersInOneObject) {
  const auto object = ask(router_, "POST", "/api/chat", chat(R"(,"stream":false)"))->object();
  EXPECT_EQ(object.at("message").at("content"), "Hello");
  EXPECT_EQ(object.at("message").at("thinking"), "hm");
  EXPECT_EQ(object.at("done"), true);

  const auto text = ask(router_, "POST", "/api/generate", R"({"model":"m","prompt":"p","stream":false})")->object();
  EXPECT_EQ(text.at("response"), "Hello");
  EXPECT_EQ(text.at("thinking"), "hm");
  EXPECT_EQ(text.at("context"), (boost::json::array{1, 2}));
  EXPECT_FALSE(text.contains("message"));
}

TEST_F(OllamaApi, CallsArriveWholeWithArgumentsAsObjects) {
  events_ = {{.accepted = true},
             {.deltas = {{.kind = Kind::kCallBegin, .id = "call_1", .name = "f"},
                         {.kind = Kind::kArguments, .text = R"({"city":)"}}},
             {.deltas = {{.kind = Kind::kArguments, .text = R"("Oslo"})"}, {.kind = Kind::kCallEnd}}},
             {.deltas = {{.kind = Kind::kCallBegin, .index = 1, .id = "call_2", .name = "g"},
                         {.kind = Kind::kArguments, .text = "{\"a", .index = 1},
                         {.kind = Kind::kCallEnd, .index = 1, .complete = false}}},
             end({})};
  const std::string tools = R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}])";
  const auto lines = ask(router_, "POST", "/api/chat", chat(tools))->lines();
  ASSERT_EQ(lines.size(), 2u);
  const auto& call = lines[0].at("message").at("tool_calls").at(0);
  EXPECT_EQ(call.at("id"), "call_1");
  EXPECT_EQ(call.at("function").at("index"), 0);
  EXPECT_EQ(call.at("function").at("arguments").at("city"), "Oslo");
  EXPECT_EQ(chat_input().tools.at(0).name, "f");
  const auto whole = ask(router_, "POST", "/api/chat", chat(tools + R"(,"stream":false)"))->object();
  EXPECT_EQ(whole.at("message").at("tool_calls").as_array().size(), 1u);
  EXPECT_EQ(whole.at("message").at("tool_calls").at(0), call);
}

TEST_F(OllamaApi, ErrorsBeforeTheFirstByteAreStatusesAndLaterOnesLines) {
  const std::vector<std::pair<ErrorKind, unsigned>> statuses = {
      {ErrorKind::kUsage, 400}, {ErrorKind::kNotFound, 404},  {ErrorKind::kTooLong, 400}, {ErrorKind::kBusy, 503},
      {ErrorKind::kIo, 500},    {ErrorKind::kCancelled, 499}, {ErrorKind::kNoDevice, 503}};
  for (const auto& [kind, status] : statuses) {
    events_ = {failed(kind, "why")};
    const auto exchange = ask(router_, "POST", "/api/chat", chat());
    EXPECT_EQ(exchange->head.status, status);
    EXPECT_TRUE(exchange->whole);
    EXPECT_TRUE(exchange->head.headers.get("Content-Type").starts_with("application/json"));
  }
  events_ = {failed(ErrorKind::kNotFound, "")};
  EXPECT_EQ(ask(router_, "POST", "/api/chat", chat())->object().at("error"), "model 'm' not found");
  events_ = {failed(ErrorKind::kBusy, "")};
  EXPECT_EQ(ask(router_, "POST", "/api/generate", R"({"model":"m","prompt":"p"})")->object().at("error"),
            "server busy, please try again.  maximum pending requests exceeded");

  events_ = {{.accepted = true}, {.deltas = {{.kind = Kind::kContent, .text = "a"}}}, failed(ErrorKind::kIo, "broke")};
  const auto late = ask(router_, "POST", "/api/chat", chat());
  EXPECT_EQ(late->head.status, 200u);
  ASSERT_EQ(late->lines().size(), 2u);
  EXPECT_EQ(late->lines()[1], (boost::json::object{{"error", "broke"}}));
  EXPECT_TRUE(late->ended);
  EXPECT_EQ(ask(router_, "POST", "/api/chat", chat(R"(,"stream":false)"))->head.status, 500u);
}

TEST_F(OllamaApi, BadBodiesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "missing request body"},
      {"{", "no valid JSON"},
      {"[]", "must be an object"},
      {"{\"model\":\"\xff\"}", "no valid JSON"},
      {R"({"messages":[]})", "model is required"},
      {R"({"model":1})", "model must be a string"},
      {R"({"model":"m","stream":"yes"})", "stream must be true or false"},
      {R"({"model":"m","keep_alive":"5"})", "keep_alive \"5\" is no duration"},
      {R"({"model":"m","format":"xml"})", "invalid format: \"xml\"; expected \"json\" or a valid JSON Schema object"},
      {R"({"model":"m","think":"x"})",
       R"(invalid think value: "x" (must be "high", "medium", "low", "max", true, or false))"},
      {R"({"model":"m","top_logprobs":21})", "top_logprobs must be between 0 and 20"},
      {R"({"model":"m","options":{"num_ctx":"4096"}})", "option \"num_ctx\" must be of type integer"},
      {R"({"model":"m","options":{"temperature":"hot"}})", "option \"temperature\" must be of type float"},
      {R"({"model":"m","options":{"top_p":2}})", "top_p"},
      {R"({"model":"m","messages":[{"role":"user","content":"a","images":["a!"]}]})",
       "messages[0].images[0] is no picture in base64"},
      {R"({"model":"m","messages":[{"role":"user","content":"a","images":["http://localhost/x.png"]}]})",
       "messages[0].images[0]: addresses are not fetched"},
      {R"({"model":"m","messages":[{"role":"user","content":"a","images":[5]}]})", "messages[0].images[0]"},
  };
  for (const auto& [body, message] : cases) {
    const auto exchange = ask(router_, "POST", "/api/chat", body);
    EXPECT_EQ(exchange->head.status, 400u) << body;
    const std::string error(exchange->object().at("error").as_string());
    EXPECT_NE(error.find(message), std::string::npos) << body << ": " << error;
  }
  const auto deep = ask(router_, "POST", "/api/chat", std::string(100'000, '['));
  EXPECT_EQ(deep->head.status, 400u);
  EXPECT_NE(deep->body.find("nested deeper"), std::string::npos) << deep->body;
  EXPECT_EQ(ask(router_, "POST", "/api/generate", R"({"prompt":"p"})")->object().at("error"), "model '' not found");
  EXPECT_NE(ask(router_, "POST", "/api/generate", R"({"model":"m","prompt":"p","raw":true,"system":"s"})")
                ->body.find("raw mode does not support template, system, or context"),
            std::string::npos);
}

TEST_F(OllamaApi, TakesPictures) {
  auto exchange = ask(router_, "POST", "/api/chat",
                      R"({"model":"m","messages":[{"role":"user","content":"a","images":["aGk=","data:image/png;base64,aGU"]},
                          {"role":"assistant","content":"b"},{"role":"user","content":"c","images":["aG8="]}]})");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  const auto& messages = chat_input().messages;
  EXPECT_EQ(messages.at(0).content, chat::picture_mark(0) + chat::picture_mark(1) + "a");
  EXPECT_EQ(messages.at(2).content, chat::picture_mark(2) + "c");
  ASSERT_EQ(request_.pictures.size(), 3u);
  EXPECT_EQ(*request_.pictures.files()[1], "he");
  exchange = ask(router_, "POST", "/api/generate", R"({"model":"m","prompt":"p","images":["aGk="]})");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  EXPECT_EQ(std::get<TextInput>(request_.input).prompt, chat::picture_mark(0) + "p");
  EXPECT_EQ(*request_.pictures.files().at(0), "hi");
}

TEST_F(OllamaApi, TakesWhatClientsOfAllVersionsSend) {
  const auto exchange = ask(
      router_, "POST", "/api/chat",
      R"({"MODEL":" m ","Messages":[{"role":"USER","content":"hi","images":[]}],"format":"","think":null,"unknown":1,
          "options":{"temperature":0,"top_k":40.9,"seed":null,"mirostat":0,"tfs_z":1,"low_vram":true,"num_ctx":8192.0,
                     "num_gpu":-1,"stop":["a","b"]}} trailing)");
  ASSERT_EQ(exchange->head.status, 200u) << exchange->body;
  EXPECT_EQ(request_.model, "m");
  EXPECT_EQ(chat_input().messages.at(0).role, "user");
  EXPECT_EQ(request_.format.kind, Format::Kind::kFree);
  EXPECT_EQ(request_.load.context, 8192u);
  EXPECT_FALSE(request_.load.gpu_layers);
  sampling::Options options;
  options.stop = {"of the model"};
  options.seed = 7;
  ASSERT_TRUE(apply(request_.settings, options));
  EXPECT_EQ(options.temperature, 0);
  EXPECT_EQ(options.top_k, 40);
  EXPECT_EQ(options.seed, 7);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));

  ask(router_, "POST", "/api/chat", chat(R"(,"format":{"type":"object"},"think":"high","logprobs":true)"));
  EXPECT_EQ(request_.format.kind, Format::Kind::kSchema);
  EXPECT_EQ(request_.format.text, R"({"type":"object"})");
  EXPECT_EQ(request_.thinking.level, "high");
  EXPECT_EQ(request_.settings.logprobs, 0);
}

TEST_F(OllamaApi, KeepAliveInAllForms) {
  const std::vector<std::pair<std::string, std::optional<Nanoseconds>>> cases = {
      {"5", 5s},           {"0", 0s},
      {"-1", -1ns},        {"0.5", 500ms},
      {"\"5m\"", 5min},    {"\"1h30m\"", 90min},
      {"\"1.5h\"", 90min}, {"\"300ms\"", 300ms},
      {"\"-1m\"", -1ns},   {"\"0\"", 0s},
      {"\"0s\"", 0s},      {"1e300", -1ns},
      {"\"5\"", {}},       {"\"-1\"", {}},
      {"\"5d\"", {}},      {"\"\"", {}},
      {"true", {}},        {"\"m\"", {}},
      {"\"1h-5m\"", {}}};
  for (const auto& [text, expected] : cases) {
    const auto value = decode_keep_alive(boost::json::parse(text));
    ASSERT_EQ(value.ok(), expected.has_value()) << text;
    if (value) {
      EXPECT_EQ(value->count(), expected->count()) << text;
    }
  }
}

TEST_F(OllamaApi, NothingToAnswerLoadsOrLetsGo) {
  const auto load =
      ask(router_, "POST", "/api/generate", R"({"model":"m","keep_alive":"10m","options":{"num_ctx":99}})");
  EXPECT_TRUE(load->whole) << "one object, although a stream is the default";
  EXPECT_EQ(load->object().at("done_reason"), "load");
  EXPECT_EQ(load->object().at("response"), "");
  EXPECT_FALSE(load->object().contains("eval_count"));
  ASSERT_TRUE(loaded_);
  EXPECT_EQ(loaded_->keep_alive, Nanoseconds(10min));
  EXPECT_EQ(loaded_->load.context, 99u);

  // What Open WebUI sends.
  const auto unload = ask(router_, "POST", "/api/generate", R"({"model":"m:latest","keep_alive":0,"prompt":""})");
  EXPECT_EQ(unload->object().at("done_reason"), "unload");
  EXPECT_EQ(unloaded_, "m:latest");
  const auto chat_load = ask(router_, "POST", "/api/chat", R"({"model":"m"})");
  EXPECT_EQ(chat_load->object().at("message"), (boost::json::object{{"role", "assistant"}, {"content", ""}}));
}

TEST_F(OllamaApi, PiecesThatASlowClientHasNotReadAreJoined) {
  events_ = {{.accepted = true}, {.deltas = {{.kind = Kind::kContent, .text = "a"}}}};
  const auto exchange = ask(router_, "POST", "/api/chat", chat());
  exchange->is_full = true;
  for (const char* text : {"b", "c", "d"}) sink_({.deltas = {{.kind = Kind::kContent, .text = text}}});
  EXPECT_EQ(exchange->lines().size(), 1u);
  exchange->is_full = false;
  std::exchange(exchange->drained, {})();  // once, as a connection does
  ASSERT_EQ(exchange->lines().size(), 2u);
  EXPECT_EQ(exchange->lines()[1].at("message").at("content"), "bcd");
  sink_(end({}));
  EXPECT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->lines().back().at("done"), true);
}

TEST_F(OllamaApi, AClientThatGoesCancels) {
  events_ = {{.accepted = true}};
  const auto exchange = ask(router_, "POST", "/api/chat", chat());
  EXPECT_EQ(cancelled_, 0);
  exchange->leave();
  exchange->leave();
  EXPECT_EQ(cancelled_, 1);
}

TEST_F(OllamaApi, ReportsTokens) {
  events_ = {{.accepted = true},
             {.deltas = {{.kind = Kind::kContent, .text = "x"}}, .tokens = {{{"x", -0.5f}, {{"x", -0.5f}, {"y", -2}}}}},
             end({})};
  const auto lines = ask(router_, "POST", "/api/chat", chat(R"(,"logprobs":true,"top_logprobs":2)"))->lines();
  const auto& report = lines.at(0).at("logprobs").at(0);
  EXPECT_EQ(report.at("token"), "x");
  EXPECT_EQ(report.at("bytes"), (boost::json::array{120}));
  EXPECT_EQ(report.at("top_logprobs").as_array().size(), 2u);
  EXPECT_FALSE(lines.at(1).contains("logprobs"));
}

TEST_F(OllamaApi, SmallRoutes) {
  EXPECT_EQ(ask(router_, "GET", "/")->body, "Ollama is running");
  EXPECT_EQ(ask(router_, "HEAD", "/")->head.status, 200u);
  EXPECT_EQ(ask(router_, "GET", "/api/version")->object().at("version"), "0.40.0");
  EXPECT_EQ(ask(router_, "GET", "/api/tags")->body, R"({"models":[]})");
  EXPECT_EQ(ask(router_, "GET", "/api/status")->object().at("cloud").at("disabled"), true);
  EXPECT_EQ(ask(router_, "GET", "/api/chat")->head.status, 405u);
  EXPECT_EQ(ask(router_, "GET", "/api/nothing")->head.status, 404u);
  EXPECT_EQ(ask(router_, "POST", "/api/pull", "{}")->head.status, 501u);
  EXPECT_EQ(ask(router_, "POST", "/api/chat", R"({"model":"x:cloud","messages":[{"role":"user","content":""}]})")
                ->head.status,
            403u);
}

TEST_F(OllamaApi, ListsModels) {
  service_->list = [] {
    return std::vector<ModelSummary>{{.name = "a:latest",
                                      .modified = 1787338102,
                                      .bytes = 5'000'000'000,
                                      .digest = "ab",
                                      .architecture = "llama",
                                      .parameter_size = "7.6B",
                                      .quantization = "Q4_K_M",
                                      .context = 4096,
                                      .capabilities = {"completion"}}};
  };
  const auto model = ask(router_, "GET", "/api/tags")->object().at("models").at(0).as_object();
  EXPECT_EQ(model.at("name"), "a:latest");
  EXPECT_EQ(model.at("model"), "a:latest");
  EXPECT_EQ(model.at("size"), 5'000'000'000);
  EXPECT_TRUE(model.at("modified_at").as_string().starts_with("2026-08-21T"));
  EXPECT_EQ(model.at("details").at("quantization_level"), "Q4_K_M");
  EXPECT_EQ(model.at("capabilities").at(0), "completion");
}

TEST_F(OllamaApi, ListsWhatRunsAndWhyNotOnTheGpu) {
  EXPECT_EQ(ask(router_, "GET", "/api/ps")->head.status, 501u);
  service_->running = [] {
    return std::vector<RunningModel>{{.summary = {.name = "a:latest"},
                                      .bytes = 7,
                                      .gpu_bytes = 0,
                                      .context = 8192,
                                      .expires = 1787338102,
                                      .placement = "on the CPU",
                                      .cause = "no driver",
                                      .cause_id = "no-kernel-driver",
                                      .remedy = "install it"},
                                     {.summary = {.name = "b:latest"}, .bytes = 7, .gpu_bytes = 7, .context = 1}};
  };
  const auto list = ask(router_, "GET", "/api/ps")->object().at("models").as_array();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].at("size"), 7);
  EXPECT_EQ(list[0].at("size_vram"), 0);
  EXPECT_EQ(list[0].at("context_length"), 8192);
  EXPECT_EQ(list[0].at("expires_at"), "2026-08-21T18:48:22.000000000Z");
  EXPECT_EQ(list[0].at("cause"), "no driver");
  EXPECT_EQ(list[0].at("cause_id"), "no-kernel-driver");
  EXPECT_EQ(list[0].at("remedy"), "install it");
  EXPECT_TRUE(list[1].at("expires_at").as_string().starts_with("2318-"));
  EXPECT_FALSE(list[1].as_object().contains("cause"));
}

TEST_F(OllamaApi, ShowsAModel) {
  service_->show = [](const std::string& model, bool) -> Result<ModelDetails> {
    if (model != "m") return Error{ErrorKind::kNotFound, ""};
    ModelDetails details;
    details.summary = {.name = "m:latest", .architecture = "llama", .capabilities = {"completion", "tools"}};
    details.path = "/models/m.gguf";
    details.template_text = details.go_template = "{{ .Prompt }}\n";
    details.system = "Be brief.";
    details.parameters = {{"num_ctx", "4096"}, {"stop", "<end>"}};
    details.messages = {{"user", "hi"}};
    details.metadata = R"({"general.architecture":"llama"})";
    details.tensors = R"([{"name":"t","type":"F32","shape":[1]}])";
    return details;
  };
  for (const char* member : {"model", "name"}) {
    const auto object = ask(router_, "POST", "/api/show", fmt::format(R"({{"{}":"m"}})", member))->object();
    EXPECT_EQ(object.at("model_info").at("general.architecture"), "llama");
    EXPECT_EQ(object.at("details").at("family"), "llama");
    EXPECT_EQ(object.at("capabilities").at(1), "tools");
    EXPECT_EQ(object.at("tensors").at(0).at("name"), "t");
    EXPECT_EQ(object.at("parameters"), "num_ctx                        4096\nstop                           \"<end>\"");
    EXPECT_EQ(object.at("template"), "{{ .Prompt }}\n");
    const std::string modelfile(object.at("modelfile").as_string());
    EXPECT_NE(modelfile.find("\nFROM /models/m.gguf\nTEMPLATE \"{{ .Prompt }}\n\"\nSYSTEM Be brief.\n"),
              std::string::npos)
        << modelfile;
    EXPECT_FALSE(object.contains("error"));
  }
  EXPECT_EQ(ask(router_, "POST", "/api/show", R"({"model":"x"})")->object().at("error"), "model 'x:latest' not found");
  EXPECT_EQ(ask(router_, "POST", "/api/show", "{}")->object().at("error"), "model is required");
  EXPECT_EQ(ask(router_, "POST", "/api/show", R"({"model":"x:cloud"})")->head.status, 403u);
}

TEST_F(OllamaApi, EmbedsTexts) {
  EmbedRequest embedded;
  service_->embed = [&](EmbedRequest request, const std::function<void(Result<Embeddings>)>& done) -> Cancel {
    embedded = request;
    if (request.model == "x") done(Error{ErrorKind::kNotFound, ""});
    if (request.model == "long") done(Error{ErrorKind::kTooLong, ""});
    Embeddings result;
    for (size_t i = 0; i < request.inputs.size(); ++i) result.vectors.push_back({0.5f, -1});
    result.usage.prompt_tokens = 7;
    if (request.model == "m") done(std::move(result));
    return {};
  };
  const auto two =
      ask(router_, "POST", "/api/embed", R"({"model":"m","input":["a",""],"dimensions":2,"truncate":false})")->object();
  EXPECT_EQ(two.at("embeddings"), boost::json::parse("[[0.5,-1E0],[0.5,-1E0]]"));
  EXPECT_EQ(two.at("prompt_eval_count"), 7);
  EXPECT_EQ(embedded.dimensions, 2u);
  EXPECT_FALSE(embedded.truncate);
  EXPECT_EQ(ask(router_, "POST", "/api/embed", R"({"model":"m","input":""})")->object().at("embeddings"),
            boost::json::array());
  EXPECT_TRUE(loaded_) << "nothing to embed loads the model";
  EXPECT_EQ(ask(router_, "POST", "/api/embed", R"({"model":"m","input":[1]})")->object().at("error"),
            "invalid input type");
  EXPECT_EQ(ask(router_, "POST", "/api/embed", R"({"model":"x","input":"a"})")->object().at("error"),
            "model \"x\" not found, try pulling it first");
  EXPECT_EQ(ask(router_, "POST", "/api/embed", R"({"model":"long","input":"a"})")->object().at("error"),
            "the input length exceeds the context length");
  EXPECT_EQ(ask(router_, "POST", "/api/embeddings", R"({"model":"m","prompt":"a"})")->object().at("embedding"),
            boost::json::parse("[0.5,-1E0]"));
  EXPECT_FALSE(embedded.normalised);
  EXPECT_EQ(ask(router_, "POST", "/api/embeddings", R"({"model":"m","prompt":""})")->object().at("embedding"),
            boost::json::array());
}

TEST_F(OllamaApi, CopiesRemovesAndTakesBlobs) {
  service_->copy = [](const std::string& source, const std::string&) -> Status {
    if (source == "bad") return Error{ErrorKind::kUsage, "source \"bad\" is invalid"};
    if (source == "x") return Error{ErrorKind::kNotFound, "model \"x\" not found"};
    return {};
  };
  service_->remove = [](const std::string& model) -> Status {
    return model == "m" ? Status() : Status(Error{ErrorKind::kNotFound, "model 'x' not found"});
  };
  service_->has_blob = [](const std::string& digest) -> Result<bool> { return digest == "sha256:aa"; };
  struct Sink : BlobSink {
    Status write(std::string_view bytes) override { return content += bytes, Status(); }
    Result<bool> finish() override {
      if (content != "data") return Error{ErrorKind::kUsage, "digest mismatch"};
      return fresh;
    }
    std::string content;
    bool fresh = false;
  };
  service_->put_blob = [](const std::string& digest, std::optional<uint64_t>) -> Result<std::shared_ptr<BlobSink>> {
    if (digest == "sha256:cc") return Error{ErrorKind::kNoSpace, "full"};
    const auto sink = std::make_shared<Sink>();
    sink->fresh = digest == "sha256:aa";
    return std::shared_ptr<BlobSink>(sink);
  };
  const auto copied = ask(router_, "POST", "/api/copy", R"({"source":"m","destination":"n"})");
  EXPECT_EQ(copied->head.status, 200u);
  EXPECT_EQ(copied->body, "");
  EXPECT_EQ(ask(router_, "POST", "/api/copy", R"({"source":"bad","destination":"n"})")->head.status, 400u);
  EXPECT_EQ(ask(router_, "POST", "/api/copy", R"({"source":"x","destination":"n"})")->head.status, 404u);
  EXPECT_EQ(ask(router_, "DELETE", "/api/delete", R"({"name":"m"})")->head.status, 200u);
  EXPECT_EQ(ask(router_, "DELETE", "/api/delete", R"({"model":"x"})")->object().at("error"), "model 'x' not found");
  EXPECT_EQ(ask(router_, "HEAD", "/api/blobs/sha256:aa")->head.status, 200u);
  EXPECT_EQ(ask(router_, "HEAD", "/api/blobs/sha256:bb")->head.status, 404u);
  EXPECT_EQ(ask(router_, "POST", "/api/blobs/sha256:aa", "data")->head.status, 201u);
  EXPECT_EQ(ask(router_, "POST", "/api/blobs/sha256:bb", "data")->head.status, 200u);
  EXPECT_EQ(ask(router_, "POST", "/api/blobs/sha256:bb", "other")->head.status, 400u);
  EXPECT_EQ(ask(router_, "POST", "/api/blobs/sha256:cc", "data")->head.status, 507u);
}

TEST_F(OllamaApi, ShowsThePromptInPlaceOfAnAnswer) {
  service_->render = [](const AnswerRequest&) -> Result<PromptView> { return PromptView{"the prompt", {1}}; };
  const auto object = ask(router_, "POST", "/api/chat", chat(R"(,"_debug_render_only":true)"))->object();
  EXPECT_EQ(object.at("_debug_info").at("rendered_template"), "the prompt");
}

}  // namespace
}  // namespace hearth::api::ollama
