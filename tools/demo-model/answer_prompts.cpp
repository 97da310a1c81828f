// answer_prompts MODEL.gguf: greedy answers of hearth's engine to many prompts at once.
//
// Standard input: lines of JSON {"messages": [...]}, which the model's own chat template turns into prompts. Standard
// output: lines of JSON {"answer": "..."}, in the same order.
#include <boost/json.hpp>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>

#include "base/log.h"
#include "engine/engine.h"
#include "fleet/chat_model.h"
#include "fleet/find_model.h"
#include "fleet/load_model.h"

namespace hearth {
namespace {

constexpr uint32_t kSequences = 16, kMost_tokens = 120;

class Answers {
 public:
  explicit Answers(size_t count) : texts_(count), left_(count) {}

  void add(size_t index, const engine::Event& event) {
    const std::lock_guard lock(mutex_);
    texts_[index] += event.text;
    if (!event.finish) return;
    if (event.error) texts_[index] = "error: " + event.error->message;
    if (--left_ == 0) over_.notify_one();
  }
  const std::vector<std::string>& wait() {
    std::unique_lock lock(mutex_);
    over_.wait(lock, [this] { return left_ == 0; });
    return texts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  std::vector<std::string> texts_;
  size_t left_;
};

using Conversation = std::vector<chat::Message>;

Result<std::vector<Conversation>> read_conversations(std::istream& in) {
  std::vector<Conversation> all;
  for (std::string line; std::getline(in, line);) {
    Conversation one;
    const boost::json::value request = boost::json::parse(line);
    for (const boost::json::value& json : request.at("messages").as_array()) {
      ASSIGN_OR_RETURN(chat::Message message, chat::message_from_json(json));
      one.push_back(std::move(message));
    }
    all.push_back(std::move(one));
  }
  return all;
}

Status answer(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<Conversation> conversations, read_conversations(std::cin));
  fleet::ModelOptions options;
  options.context = 1024;
  const uint32_t pages = kSequences * (options.context / device::kPage_tokens);
  ASSIGN_OR_RETURN(store::ModelFiles found, fleet::find_model(path));
  ASSIGN_OR_RETURN(
      fleet::LoadedModel loaded,
      fleet::load_model(std::move(found), options, {.logit_rows = kSequences, .pages = pages}, fleet::LoadObserver()));
  engine::EngineOptions engine_options;
  engine_options.max_sequences = kSequences;
  engine_options.queue = static_cast<uint32_t>(conversations.size());
  engine::Engine engine(loaded.placed->backend(), loaded.tokenizer, engine_options);
  const auto chat = fleet::make_chat_model(loaded.found, *loaded.file, loaded.tokenizer);
  Answers answers(conversations.size());
  for (size_t i = 0; i < conversations.size(); ++i) {
    engine::Request request;
    ASSIGN_OR_RETURN(const chat::Prompt prompt, chat->prompt({.messages = conversations[i]}));
    request.prompt = chat->encode(prompt.rendered);
    request.stops = chat->stops();
    request.options.temperature = 0;
    request.options.num_predict = kMost_tokens;
    TRY(engine.submit(std::move(request), [&answers, i](const engine::Event& event) { answers.add(i, event); }));
  }
  for (const std::string& text : answers.wait())
    std::cout << boost::json::serialize(boost::json::object{{"answer", text}}) << '\n';
  return {};
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: answer_prompts MODEL.gguf < PROMPTS > ANSWERS\n");
    return 2;
  }
  hearth::init_log(hearth::LogLevel::kWarn);
  if (const hearth::Status status = hearth::answer(argv[1]); !status) {
    std::fprintf(stderr, "answer_prompts: %s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
