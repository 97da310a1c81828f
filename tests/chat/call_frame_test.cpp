// What answers are held to: calls to the schemas of tools, as each template writes them, and the generic protocol.
#include "chat/call_frame.h"

#include <boost/json.hpp>

#include "chat/byte_tokenizer.h"
#include "chat/chat_model.h"
#include "chat/chat_testing.h"
#include "grammar/machine.h"
#include "grammar/token_trie.h"
#include "support/support.h"

namespace hearth::chat::test {
namespace {

namespace json = boost::json;

const std::vector<Message> kHi = {{"user", "Hi"}};
const std::vector<Tool> kTools = {{.name = "temp",
                                   .description = "",
                                   .parameters = {{"type", "object"},
                                                  {"properties", {{"city", {{"enum", json::array{"Oslo", "Rome"}}}}}},
                                                  {"required", json::array{"city"}}}},
                                  {.name = "now", .description = "", .parameters = {}}};

std::string golden(const std::string& name) {
  const auto bytes = hearth::test::read_bytes(hearth::test::shared("golden/templates/" + name + ".jinja"));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const ByteTokenizer& bytes() {
  static const ByteTokenizer tokenizer({"<|eom|>"}, "<|eom|>");
  return tokenizer;
}
ChatModel model_of(const std::string& jinja) {
  return ChatModel({.jinja = jinja}, std::make_shared<ByteTokenizer>());
}

// What may be written after a prompt.
class Held {
 public:
  Held(const ChatModel& model, Demand demand, Think think = Think::kDefault)
      : trie_(std::make_shared<grammar::TokenTrie>(bytes())) {
    if (demand.tools.empty()) demand.tools = kTools;
    const auto prompt = model.prompt({.messages = kHi, .tools = kTools, .think = think});
    EXPECT_TRUE(prompt) << prompt.error().message;
    auto compiled = grammar::compile_answer(model.rules(*prompt, demand), *trie_, nullptr);
    EXPECT_TRUE(compiled) << compiled.error().message;
    grammar_ = *compiled;
  }
  bool whole(std::string_view answer) const {
    grammar::Machine machine(grammar_, nullptr);
    return machine.accepts(machine.step(machine.start(), answer));
  }
  // How much of the answer may be written: all of it, or up to a byte that may not.
  std::string begun(std::string_view answer) const {
    grammar::Machine machine(grammar_, nullptr);
    size_t count = 0;
    for (auto at = machine.start(); count < answer.size(); ++count) {
      at = machine.step(at, answer.substr(count, 1));
      if (at == grammar::Machine::kDead) break;
    }
    return std::string(answer.substr(0, count));
  }

 private:
  std::shared_ptr<const grammar::TokenTrie> trie_;
  std::shared_ptr<const grammar::Grammar> grammar_;
};

// {N}: a number, {9}: nine letters and digits.
std::string written(const grammar::CallFrame& frame) {
  const auto call = [&](const char* name) {
    return frame.before_name + name + frame.before_arguments + "{}" + frame.after_arguments;
  };
  std::string out;
  for (const char c : frame.opens + call("f") + frame.between + call("g") + frame.closes) {
    out += c == grammar::CallFrame::kNumber ? "{N}" : c == grammar::CallFrame::kNine ? "{9}" : std::string(1, c);
  }
  return (frame.triggers_first ? "first: " : frame.trigger + ": ") + out;
}

TEST(CallFrames, AreThoseOfTheTemplate) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const std::pair<const char*, const char*> expected[] = {
      {"Qwen-Qwen3-0.6B",
       "<tool_call>: <tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", "
       "\"arguments\": {}}\n</tool_call>"},
      {"mistralai-Mistral-Nemo-Instruct-2407",
       "[TOOL_CALLS]: [TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}, \"id\": \"{9}\"}, {\"name\": \"g\", "
       "\"arguments\": {}, \"id\": \"{9}\"}]"},
      {"mistralai-Ministral-3-14B-Reasoning-2512", "[TOOL_CALLS]: [TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[ARGS]{}"},
      {"Kimi-K2-Instruct",
       "<|tool_calls_section_begin|>: <|tool_calls_section_begin|><|tool_call_begin|>functions.f:{N}"
       "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_call_begin|>functions.g:{N}<|tool_call_argument_begin|>{}"
       "<|tool_call_end|><|tool_calls_section_end|>"},
      {"CohereForAI-c4ai-command-r7b-12-2024-tool_use",
       "<|START_ACTION|>: <|START_ACTION|>[\n    {\"tool_call_id\": \"{N}\", \"tool_name\": \"f\", \"parameters\": "
       "{}},\n"
       "    {\"tool_call_id\": \"{N}\", \"tool_name\": \"g\", \"parameters\": {}}\n]<|END_ACTION|>"},
      {"Apertus-8B-Instruct", "<|tools_prefix|>: <|tools_prefix|>[{\"f\": {}}, {\"g\": {}}]<|tools_suffix|>"},
      {"meta-llama-Llama-3.2-3B-Instruct",
       "first: {\"name\": \"f\", \"parameters\": {}}{\"name\": \"g\", \"parameters\": {}}"},
  };
  for (const auto& [name, frame] : expected) {
    const ChatModel model = model_of(golden(name));
    EXPECT_TRUE(model.holds_calls()) << name;
    const auto prompt = model.prompt({.messages = kHi, .tools = kTools});
    ASSERT_TRUE(prompt) << name << prompt.error().message;
    EXPECT_EQ(written(model.rules(*prompt, {.tools = kTools}).frames.calls), frame) << name;
  }
}

TEST(CallFrames, CallsFollowTheSchemasAndTextIsFree) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const ChatModel model = model_of(golden("Qwen-Qwen2.5-7B-Instruct"));
  const Held held(model, {});
  const std::string call = "<tool_call>\n{\"name\": \"temp\", \"arguments\": {\"city\":\"Oslo\"}}\n</tool_call>";
  EXPECT_TRUE(held.whole("Free <text> {\"name\": \"x\"}"));
  EXPECT_TRUE(held.whole("Let me see. " + call + "\n" + call + " Done."));
  EXPECT_EQ(held.begun("<tool_call>\n{\"name\": \"tempo"), "<tool_call>\n{\"name\": \"temp");
  EXPECT_EQ(held.begun("<tool_call>\n{\"name\": \"temp\", \"arguments\": {\"city\":\"Paris"),
            "<tool_call>\n{\"name\": \"temp\", \"arguments\": {\"city\":\"");
  const Held must(model, {.must_call = true});
  EXPECT_EQ(must.begun("Let me"), "");
  EXPECT_TRUE(must.whole(call));
  EXPECT_FALSE(must.whole(""));
  const Held named(model, {.tools = std::span(kTools).subspan(1), .must_call = true, .parallel_calls = false});
  const std::string now = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  EXPECT_EQ(named.begun(call), "<tool_call>\n{\"name\": \"");
  EXPECT_EQ(named.begun(now + now), now);
}

TEST(CallFrames, ThoughtsComeFirstAndAreFree) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const ChatModel model = model_of(golden("Qwen-Qwen3-0.6B"));
  const std::string call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  const Held must(model, {.must_call = true});
  EXPECT_TRUE(must.whole("<think>\nMaybe {\"name\"} or <tool_call>.\n</think>\n\n" + call));
  EXPECT_TRUE(must.whole(call));
  const Held quick(model, {.must_call = true}, Think::kOff);  // the prompt has closed them
  EXPECT_EQ(quick.begun("<think>"), "<t");
  const Held form(model, {.text = {.kind = grammar::TextRule::Kind::kAnyObject}});
  EXPECT_TRUE(form.whole("<think>\nHm.\n</think>\n\n{\"a\": 1}"));
  EXPECT_TRUE(form.whole("<think>\nHm.\n</think>\n\n" + call));
  EXPECT_EQ(form.begun("<think>\nHm.\n</think>\n\nNo."), "<think>\nHm.\n</think>\n\n");
}

TEST(CallFrames, AReasoningModelsOwnMessagesAreHeld) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const Held must(model_of(golden("openai-gpt-oss-120b")), {.must_call = true});
  EXPECT_TRUE(
      must.whole("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
                 "to=functions.temp <|constrain|>json<|message|>{\"city\":\"Rome\"}"));
  EXPECT_EQ(must.begun("<|channel|>final"), "<|channel|>");
}

// A model without a form of its own answers in JSON, which the reader takes apart.
TEST(CallFrames, TheGenericProtocolHoldsTheWholeAnswer) {
  const ChatModel model = model_of("{% for m in messages %}<<{{ m.role }}>>{{ m.content }}{% endfor %}");
  ASSERT_TRUE(model.generic_tools());
  const Held held(model, {});
  const std::string calls =
      R"({"tool_calls": [{"name": "temp", "arguments": {"city":"Oslo"}}, {"name": "now", "arguments": {}}]})";
  EXPECT_TRUE(held.whole(R"({"response": "It is \"sunny\"."})"));
  EXPECT_TRUE(held.whole(calls));
  EXPECT_EQ(held.begun("It is sunny."), "");
  EXPECT_EQ(held.begun(R"({"tool_calls": [{"name": "temp", "arguments": {"city":"Paris)"),
            R"({"tool_calls": [{"name": "temp", "arguments": {"city":")");
  const Held must(model, {.must_call = true});
  EXPECT_TRUE(must.whole(calls));
  EXPECT_EQ(must.begun(R"({"response")"), R"({")");
  // JSON that the request asks for is no call.
  const Held form(model, {.text = {.kind = grammar::TextRule::Kind::kAnyObject}});
  EXPECT_TRUE(form.whole(R"({"response": 1})"));

  Parser parser(model.format(), {.tools = tools()});
  Collector collector;
  parser.feed({calls}, collector.sink());
  parser.finish(Ending::kStop, collector.sink());
  EXPECT_EQ(summary(collector.message()), "t: temp {\"city\":\"Oslo\"}\nt: now {}\n");
}

// DeepSeek's distills: the template writes calls of the history, but lists no tools.
TEST(CallFrames, ItIsSaidWhyToolsAreNotCalledInTheModelsOwnWay) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const ChatModel distill = model_of(golden("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"));
  EXPECT_NE(distill.tools_note().find("does not say which there are"), std::string::npos) << distill.tools_note();
  EXPECT_NE(model_of("{{ messages[0].content }}").tools_note().find("knows no tools"), std::string::npos);
  EXPECT_EQ(model_of(golden("Qwen-Qwen3-0.6B")).tools_note(), "");
}

// What has no JSON for arguments is made to call by a prompt that has begun the call.
TEST(CallFrames, APromptMayBeginTheCall) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const std::pair<const char*, const char*> rests[] = {
      {"Qwen3-Coder", "temp>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"},
      {"StepFun3.5-Flash", "temp>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"},
      {"GLM-4.6", "temp\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>"},
      {"GLM-4.7-Flash", "temp<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>"},
      {"LFM2-8B-A1B", "[temp(city=\"Oslo\")]<|tool_call_end|>"},
      {"meetkai-functionary-medium-v3.2", "temp\n{\"city\": \"Oslo\"}"}};
  for (const auto& [name, rest] : rests) {
    const ChatModel model = model_of(golden(name));
    EXPECT_FALSE(model.holds_calls()) << name;
    ASSERT_TRUE(model.begins_calls()) << name;
    const auto prompt = model.prompt({.messages = kHi, .tools = kTools, .begins_call = true});
    ASSERT_TRUE(prompt) << name;
    Parser parser(model.format(), model.parser_options(*prompt, tools()));
    Collector collector;
    parser.feed({rest}, collector.sink());
    parser.finish(Ending::kStop, collector.sink());
    EXPECT_EQ(summary(collector.message()), "t: temp {\"city\":\"Oslo\"}\n") << name << ": ..." << prompt->end;
  }
}

}  // namespace
}  // namespace hearth::chat::test
