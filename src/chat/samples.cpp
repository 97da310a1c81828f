#include "chat/samples.h"

#include <algorithm>

#include "chat/collector.h"
#include "chat/parser.h"

namespace hearth::chat {
namespace {

namespace json = boost::json;

// Where two answers begin, the first of which has its text at `text`. If they part before it, the border is taken back
// to where a mark may begin: "<t" of <think> and <tool_call> belongs to neither.
size_t shared_header(std::string_view answer, size_t text, std::string_view call) {
  size_t at = common_prefix(answer, call);
  if (at >= text) return text;
  while (at > 0 && !is_border(call, at)) --at;
  return at;
}

}  // namespace

size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

size_t common_suffix(std::string_view a, std::string_view b) {
  size_t count = 0;
  while (count < a.size() && count < b.size() && a[a.size() - 1 - count] == b[b.size() - 1 - count]) ++count;
  return count;
}

bool is_border(std::string_view text, size_t at) {
  if (at == 0 || at >= text.size()) return true;
  constexpr std::string_view kOpens = "<[{", kCloses = ">]}\n";
  return kOpens.find(text[at]) != std::string_view::npos || kCloses.find(text[at - 1]) != std::string_view::npos;
}

const std::vector<Tool>& sample_tools() {
  static const std::vector<Tool> tools = [] {
    const auto property = [](const char* type) { return json::object{{"type", type}, {"description", "qxparameter"}}; };
    const json::object properties{{sample::kKey, property("string")},
                                  {sample::kSecondKey, property("string")},
                                  {"qxcount", property("integer")},
                                  {"qxmap", property("object")}};
    const auto tool = [&](std::string_view name) {
      return Tool{.name = std::string(name),
                  .description = "qxdescription",
                  .parameters = {{"type", "object"}, {"properties", properties}, {"required", json::array()}}};
    };
    return std::vector<Tool>{tool(sample::kTool), tool(sample::kSecondTool)};
  }();
  return tools;
}

namespace {
bool same_json(const std::string& a, const std::string& b) {
  boost::system::error_code failed_a, failed_b;
  const json::value x = json::parse(a, failed_a), y = json::parse(b, failed_b);
  return !failed_a && !failed_b && x == y;
}

}  // namespace

bool same_calls(const std::vector<ToolCall>& read, const std::vector<ToolCall>& made) {
  return std::ranges::equal(read, made, [](const ToolCall& a, const ToolCall& b) {
    return a.name == b.name && a.complete && same_json(a.arguments, b.arguments);
  });
}

// The longest special token at the beginning of the text.
const SpecialToken* token_at(std::string_view text, std::span<const SpecialToken> vocabulary) {
  const SpecialToken* found = nullptr;
  for (const SpecialToken& token : vocabulary) {
    const bool longer = found == nullptr || token.text.size() > found->text.size();
    if (!token.text.empty() && longer && text.starts_with(token.text)) found = &token;
  }
  return found;
}

Message read_sample(const Format& format, std::string_view text, std::span<const SpecialToken> vocabulary) {
  static const auto tools = std::make_shared<const ToolSet>(sample_tools());
  Parser parser(format, {.tools = tools});
  Collector collector;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const SpecialToken* token = token_at(text.substr(at), vocabulary);
    if (token == nullptr) {
      ++at;
      continue;
    }
    parser.feed({text.substr(begin, at - begin)}, collector.sink());
    parser.feed({{}, token->id}, collector.sink());
    begin = at += token->text.size();
  }
  parser.feed({text.substr(begin)}, collector.sink());
  parser.finish(Ending::kStop, collector.sink());
  return collector.message();
}

std::string without_thoughts(std::string text, const std::vector<Thinking>& thinking) {
  for (const Thinking& marks : thinking) {
    const size_t at = text.find(marks.closes);
    if (at != std::string::npos && at < text.find(sample::kTool)) text.erase(0, at + marks.closes.size());
  }
  return text;
}

std::string without_ids(std::string text, char place) {
  for (const std::string_view id : {sample::kId, sample::kSecondId}) {
    for (size_t at; (at = text.find(id)) != std::string::npos;) text.replace(at, id.size(), 1, place);
  }
  return text;
}

Message one_call() {
  const ToolCall call{
      .id = std::string(sample::kId), .name = std::string(sample::kTool), .arguments = R"({"qxkey": "qxvalue"})"};
  return {.role = "assistant", .content = {}, .calls = {call}};
}

Message two_calls() {
  Message message = one_call();
  message.calls.push_back({.id = std::string(sample::kSecondId),
                           .name = std::string(sample::kSecondTool),
                           .arguments = R"({"qxother": "qxlater"})"});
  return message;
}

Message call_with_two_arguments() {
  Message message = one_call();
  message.calls[0].arguments = R"({"qxkey": "qxvalue", "qxother": "qxlater"})";
  return message;
}

std::optional<std::string> Samples::render(std::vector<Message> messages, bool generation_prompt) const {
  messages.insert(messages.begin(), {"user", "qxuser"});
  const std::string list = messages_json(messages, can_.form), tools = tools_json(sample_tools(), can_.form);
  const auto rendered = renderer_.render(
      {.messages = list, .tools = tools, .generation_prompt = generation_prompt, .most_steps = kTrialSteps});
  if (!rendered) return std::nullopt;
  return rendered->text;
}

bool Samples::find_borders() {
  const auto call = render({one_call()});
  const auto answer = render({{"assistant", std::string(sample::kText)}});
  if (!call || !answer) return false;
  const size_t text = answer->find(sample::kText);
  if (text == std::string::npos) return false;
  const auto prompt = render({}, true);
  if (prompt && call->starts_with(*prompt) && answer->starts_with(*prompt)) {
    header_ = *prompt;
  } else {
    header_ = call->substr(0, shared_header(*answer, text, *call));
  }
  const std::string_view behind = std::string_view(*answer).substr(text + sample::kText.size());
  size_t tail = common_suffix(behind, std::string_view(*call).substr(header_.size()));
  while (tail > 0 && tail < behind.size() && !is_border(behind, behind.size() - tail)) --tail;
  tail_ = behind.substr(behind.size() - tail);
  before_text_ = answer->substr(header_.size(), text - header_.size());
  behind_text_ = behind.substr(0, behind.size() - tail);
  return true;
}

std::optional<std::string> Samples::body(Message answer) const {
  answer.role = "assistant";
  const auto text = render({std::move(answer)});
  if (!text || text->size() < header_.size() + tail_.size()) return std::nullopt;
  if (!text->starts_with(header_) || !text->ends_with(tail_)) return std::nullopt;
  return text->substr(header_.size(), text->size() - header_.size() - tail_.size());
}

}  // namespace hearth::chat
