#include <boost/json.hpp>
#include <map>

#include "api/openai/encode.h"
#include "api/reply.h"
#include "base/random.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

constexpr const char* kObject = "text_completion";
constexpr size_t kId_letters = 29;

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// What was written so far of one choice.
struct Progress {
  bool begun = false;
  size_t offset = 0;  // of the next token, in characters
  AnswerEnd end = {};
};

// The older form of reports.
json::value logprobs_of(const std::vector<TokenReport>& tokens, bool wanted, size_t& offset) {
  if (!wanted) return nullptr;
  json::array texts, chances, most, offsets;
  for (const TokenReport& token : tokens) {
    const json::object chosen = token_json(token.chosen);
    texts.push_back(chosen.at("token"));
    chances.push_back(chosen.at("logprob"));
    offsets.push_back(offset);
    offset += characters(token.chosen.text);
    json::object others;
    for (const TokenChance& other : token.most_likely) {
      const json::object report = token_json(other);
      others[report.at("token").as_string()] = report.at("logprob");
    }
    most.push_back(std::move(others));
  }
  return json::object{{"tokens", std::move(texts)},
                      {"token_logprobs", std::move(chances)},
                      {"top_logprobs", std::move(most)},
                      {"text_offset", std::move(offsets)}};
}

class CompletionWriter : public Writer {
 public:
  CompletionWriter(WriterContext context, bool logprobs)
      : Writer(std::move(context), "cmpl-" + random_letters(kId_letters), "prompt", kObject, kObject),
        logprobs_(logprobs) {}

  http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) override {
    json::array choices;
    std::vector<AnswerEnd> ends;
    for (size_t i = 0; i < answers.size(); ++i) {
      const WholeAnswer& answer = answers[i];
      const std::string echo = echo_of(i, answers.size());
      std::string text = echo + answer.message.reasoning + answer.message.content;
      if (form().shows_stop) text += answer.end.stop;
      size_t offset = characters(echo);
      json::object choice{{"text", text}, {"index", i}};
      choice["logprobs"] = logprobs_of(answer.tokens, logprobs_, offset);
      choice["finish_reason"] = finish_reason(answer.end, 0);
      if (!answer.end.stop.empty()) choice["stop_reason"] = answer.end.stop;
      choices.push_back(std::move(choice));
      ends.push_back(answer.end);
    }
    return reply(std::move(choices), ends, warnings);
  }

  std::string pieces(const AnswerEvent& event) override {
    if (event.deltas.empty() && event.tokens.empty() && !event.end) return {};
    if (event.end && event.end->error) return event_text(failure_body(*event.end, form().model, prompt()));
    Progress& progress = choices_[event.choice];
    std::string out, text;
    if (!std::exchange(progress.begun, true)) {
      const std::string echo = echo_of(event.choice, choice_count());
      progress.offset = characters(echo);
      if (!echo.empty()) piece(event.choice, echo, nullptr, nullptr, out);
    }
    for (const chat::Delta& delta : event.deltas) text += delta.text;
    if (event.end && form().shows_stop) text += event.end->stop;
    if (!text.empty() || !event.tokens.empty())
      piece(event.choice, text, logprobs_of(event.tokens, logprobs_, progress.offset), nullptr, out);
    if (!event.end) return out;
    progress.end = *event.end;
    piece(event.choice, "", nullptr, finish_reason(*event.end, 0), out);
    return out;
  }

  std::string close() override {
    std::vector<AnswerEnd> ends;
    for (auto& [index, progress] : choices_) ends.push_back(std::move(progress.end));
    return closing(ends);
  }

 private:
  void piece(uint32_t index, std::string_view text, const json::value& logprobs, const json::value& finish,
             std::string& out) {
    append_chunk(out, {R"({"text":)", quoted(text), R"(,"index":)", fmt::format_int(index).str(), R"(,"logprobs":)",
                       json::serialize(logprobs), R"(,"finish_reason":)", json::serialize(finish), "}"});
  }

  size_t choice_count() const { return form().prompts * form().answers; }
  // Choices are numbered by prompts first.
  std::string echo_of(size_t index, size_t count) const {
    if (form().echoes.empty()) return {};
    return form().echoes.at(index / std::max<size_t>(1, count / form().echoes.size()));
  }

  const bool logprobs_;
  std::map<uint32_t, Progress> choices_;
};

}  // namespace

std::shared_ptr<AnswerWriter> make_completion_writer(WriterContext context, bool logprobs) {
  return std::make_shared<CompletionWriter>(std::move(context), logprobs);
}

}  // namespace hearth::api::openai
