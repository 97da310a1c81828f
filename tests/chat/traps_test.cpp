// What went wrong in other servers, by the thread that reports it (names as in "repository#number"); the numbers are
// those of the list in the specification of chat formats, from top to bottom. Traps of templates and of grammars are
// tested where those live; of each, what concerns the reading of answers is here.
#include <gtest/gtest.h>

#include <algorithm>

#include "chat/chat_testing.h"

namespace hearth::chat::test {
namespace {

constexpr const char* kOslo = "t: temp {\"city\":\"Oslo\"}\n";

std::string call(const std::string& name, const std::string& arguments) {
  return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments + "}\n</tool_call>";
}

std::string xml(const std::string& name, const std::string& parameters) {
  return "<tool_call>\n<function=" + name + ">\n" + parameters + "</function>\n</tool_call>";
}

std::string parameter(const std::string& key, const std::string& value) {
  return "<parameter=" + key + ">\n" + value + "\n</parameter>\n";
}

// llama.cpp#12379, #15713, vllm#10395: what is sent of the arguments only grows, and is a beginning of what the model
// wrote: nothing is completed, nothing stands in for what is missing.
TEST(Traps, T01_T03_T27_OnlyConfirmedBytesAreSent) {
  const std::string arguments = R"({"text": "a\u00e9\ud83d\ude00\n\"{", "any": [1, {"b": null}]})";
  const std::string answer = call("save", arguments);
  for (size_t size = 1; size < answer.size(); ++size) {
    std::string sent;
    for (const Delta& delta : deltas({"hermes", answer}, {answer.substr(0, size), answer.substr(size)})) {
      if (delta.kind != Delta::Kind::kArguments) continue;
      sent += delta.text;
      ASSERT_TRUE(arguments.starts_with(sent)) << sent;
      ASSERT_FALSE(sent.ends_with("\\") || sent.ends_with("\\u00") || sent.ends_with("\\ud83d")) << sent;
    }
    ASSERT_EQ(sent, arguments);
  }
}

// llama.cpp#14060: a lone < in reasoning is no closing marker.
TEST(Traps, T02_ALoneBracketInReasoningIsHeldNotGuessed) {
  EXPECT_EQ(read("hermes", "<think>a < b, </thin, </think </think>Yes."), "r: a < b, </thin, </think\nc: Yes.\n");
  const auto said = deltas({"hermes", ""}, {"<think>a <", "/think", "ing"});
  std::string reasoning;
  for (const Delta& delta : said) reasoning += delta.text;
  EXPECT_EQ(reasoning, "a </thinking");
}

// llama.cpp#13800: id, index and name come once, before the arguments.
TEST(Traps, T04_ACallBeginsOnce) {
  const auto said =
      deltas({"hermes", ""}, {"<tool_call>{\"name\": \"temp\", ", "\"arguments\": {\"ci", "ty\": \"Oslo\"}}"});
  ASSERT_EQ(said.size(), 4u);
  EXPECT_EQ(said[0].kind, Delta::Kind::kCallBegin);
  EXPECT_EQ(said[0].name, "temp");
  EXPECT_TRUE(said[0].id.starts_with("call_"));
  EXPECT_EQ(said[1].kind, Delta::Kind::kArguments);
  EXPECT_TRUE(said[1].name.empty() && said[1].id.empty());
  EXPECT_EQ(said[3].kind, Delta::Kind::kCallEnd);
}

// llama.cpp#18591, sglang#6310, #23081, #33324: the index is the order of the calls in the answer.
TEST(Traps, T05_T42_CallsAreCountedInTheirOrder) {
  std::string answer;
  for (const char* name : {"now", "add", "temp", "now", "save"}) answer += call(name, "{}");
  std::vector<size_t> begun;
  for (const Delta& delta : deltas({"hermes", answer}, {answer}))
    if (delta.kind == Delta::Kind::kCallBegin) begun.push_back(delta.index);
  EXPECT_EQ(begun, (std::vector<size_t>{0, 1, 2, 3, 4}));
}

// llama.cpp#27720: stray words, ?? or a second channel in a header of gpt-oss.
TEST(Traps, T06_HarmonyFindsItsWayAgain) {
  EXPECT_EQ(read("gpt-oss", "<|channel|>analysis?? json<|message|>Hm.<|start|>assistant<|channel|>final<|message|>Hi."),
            "r: Hm.\nc: Hi.\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Hi.<|return|>"),
            "r: Hm.\nc: Hi.\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>musing<|message|>Hi."), "c: Hi.\n");
  EXPECT_EQ(read("gpt-oss", "No header at all."), "c: No header at all.\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>commentary to=functions. <|message|>{}"), "c: {}\n");
  const std::string longer(2000, 'x');
  EXPECT_EQ(read({"gpt-oss", longer}), "c: " + longer + "\n");
}

// llama.cpp#20650, vllm#44326, #49249.
TEST(Traps, T07_T36_GlmCallsWithoutArgumentsOrTags) {
  EXPECT_EQ(read("glm", "<tool_call>now</tool_call>"), "t: now {}\n");
  EXPECT_EQ(read("glm", "<tool_call>now\n</tool_call>"), "t: now {}\n");
  EXPECT_EQ(read("glm", "<tool_call>\nnow\n</tool_call>Ok."), "c: Ok.\nt: now {}\n");
  EXPECT_EQ(read("glm", "<tool_call>temp<arg_key>city</arg_key>Oslo</arg_value></tool_call>"), kOslo);
}

// llama.cpp#16932: without tools nothing is looked for, and nothing is lost.
TEST(Traps, T08_WithoutToolsCallsAreText) {
  for (const char* family : {"hermes", "llama3", "qwen-xml", "glm", "plain"}) {
    const std::string answer = "hi " + call("temp", "{}");
    EXPECT_EQ(read({.family = family, .answer = answer, .offers_tools = false}), "c: " + answer + "\n");
    EXPECT_EQ(read({.family = family, .answer = answer, .reads_calls = false}), "c: " + answer + "\n");
  }
}

// llama.cpp#22537, #12196, ollama#10976, vllm#18255: reasoning ends at its marker, whatever it looks like before.
TEST(Traps, T09_T10_T14_T33_ReasoningShapedLikeJsonIsReasoning) {
  EXPECT_EQ(read("hermes", "<think>{\"name\": \"temp\"}</think>{\"a\": 1}"),
            "r: {\"name\": \"temp\"}\nc: {\"a\": 1}\n");
  EXPECT_EQ(read({.family = "llama3",
                  .answer = "<think>Hm.</think>{\"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}",
                  .reads_bare_calls = false}),
            "r: Hm.\nc: {\"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}\n");
}

// llama.cpp#15417: <|return|> and <|end|> end a message alike.
TEST(Traps, T11_HarmonyEndsWithReturnOrEnd) {
  for (const char* end : {"<|return|>", "<|end|>", ""})
    EXPECT_EQ(read("gpt-oss", std::string("<|channel|>final<|message|>Hi.") + end), "c: Hi.\n");
}

// llama.cpp#11443, #19147 and abetlen/llama-cpp-python#2082 are the templates': what a template is made of does not
// decide whether its family is found.
TEST(Traps, T12_T13_T52_OddTemplatesAreRecognised) {
  EXPECT_STREQ(recognise({.template_text = "{% break %}{% generation %}<tool_call>{% endgeneration %}"}).family->name,
               "hermes");
  EXPECT_STREQ(recognise({.template_text = "{{ raise_exception('no') }}"}).family->name, "plain");
}

// ollama#11662.
TEST(Traps, T15_QwenOmitsTheTags) {
  EXPECT_EQ(read("hermes", "{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}"), kOslo);
  EXPECT_EQ(read("hermes", "{\"name\": \"temp\"}"), "c: {\"name\": \"temp\"}\n");
  EXPECT_EQ(read("hermes", "{\"name\": \"Ann\", \"arguments\": {}}"), "c: {\"name\": \"Ann\", \"arguments\": {}}\n");
}

// ollama#16686, #17742.
TEST(Traps, T16_Qwen3CoderOmitsTheOpeningTag) {
  const std::string inner = "<function=temp>\n" + parameter("city", "Oslo") + "</function>\n";
  EXPECT_EQ(read("qwen-xml", "Ok.\n" + inner + "</tool_call>"), std::string("c: Ok.\n") + kOslo);
  EXPECT_EQ(read("qwen-xml", "Ok.</tool_call>"), "c: Ok.\n");
  EXPECT_EQ(read("qwen-xml", "<function=other>\n</function>"), "c: <function=other>\n</function>\n");
  EXPECT_EQ(read("qwen-xml", "<function=temp>\n<parameter=city>\nOsl"), "c: <function=temp>\n<parameter=city>\nOsl\n");
}

// ollama#12064, #17638.
TEST(Traps, T17_HarmonyArgumentsWithBracketsAround) {
  const std::string head = "<|channel|>commentary to=functions.temp<|message|>";
  EXPECT_EQ(read("gpt-oss", head + "{\"city\":\"Oslo\"}]<|call|>"), kOslo);
  EXPECT_EQ(read("gpt-oss", head + "[{\"city\":\"Oslo\"}]<|call|>"), kOslo);
}

// ollama#12884, #17647: what is no JSON becomes text, and the reason is told.
TEST(Traps, T18_BadJsonIsText) {
  EXPECT_EQ(read("hermes", "<tool_call>\n{name: temp}\n</tool_call>"), "c: {name: temp}\n");
  EXPECT_EQ(read("hermes", "<tool_call>\nI would rather not.\n</tool_call>"), "c: I would rather not.\n");
  EXPECT_EQ(read("hermes", "Well. <tool_call>"), "c: Well. \n");
  const auto said = deltas({"hermes", ""}, {"<tool_call>{bad}"});
  EXPECT_TRUE(
      std::any_of(said.begin(), said.end(), [](const Delta& delta) { return delta.kind == Delta::Kind::kProblem; }));
}

// ollama#14492.
TEST(Traps, T19_TheTemplateDecidesNotTheName) {
  EXPECT_STREQ(recognise({.template_text = "<tool_call> <function= <parameter= {{ 'Hermes-3' }}"}).family->name,
               "qwen-xml");
}

// ollama#7824, vllm#16214.
TEST(Traps, T20_LlamaWritesPythonOrJson) {
  EXPECT_EQ(read("llama3", "[temp(city=\"Oslo\"), add(a=1, b=2.5)]"),
            "t: temp {\"city\":\"Oslo\"}\nt: add {\"a\":1,\"b\":2.5E0}\n");
  EXPECT_EQ(read("llama3", "[save(any={'k': [True, None, (1, 'x')]}, path='it\\'s')]"),
            "t: save {\"any\":{\"k\":[true,null,[1,\"x\"]]},\"path\":\"it's\"}\n");
  EXPECT_EQ(read("llama4", "<|python_start|>[temp(city='Oslo')]<|python_end|>"), kOslo);
  EXPECT_EQ(read("llama3", "[1, 2] is a list."), "c: [1, 2] is a list.\n");
  EXPECT_EQ(read("llama3", "[add(1, b=2)]"), "t: add {\"a\":1,\"b\":2}\n");
}

// vllm#28806, #21301.
TEST(Traps, T21_NoArgumentsAreAnEmptyObject) {
  for (const char* arguments : {"{}", "null", "\"\"", "\"{}\""})
    EXPECT_EQ(read("hermes", call("now", arguments)), "t: now {}\n");
  EXPECT_EQ(read("hermes", "<tool_call>{\"name\": \"now\"}</tool_call>"), "t: now {}\n");
  EXPECT_EQ(read("qwen-xml", xml("now", "")), "t: now {}\n");
  EXPECT_EQ(read("llama3", "[now()]"), "t: now {}\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>commentary to=functions.now<|message|><|call|>"), "t: now {}\n");
}

// vllm#32518 (#22885).
TEST(Traps, T22_ClosingBracesBelongToTheirObjects) {
  EXPECT_EQ(read("hermes", call("save", "{\"any\": {\"a\": {\"b\": 1}}}")), "t: save {\"any\":{\"a\":{\"b\":1}}}\n");
  EXPECT_EQ(read("mistral-v13", "[TOOL_CALLS]add[ARGS]{\"a\": 1.5e3, \"b\": -2}"), "t: add {\"a\":1.5E3,\"b\":-2}\n");
}

// vllm#10395, #21544.
TEST(Traps, T23_BracesInTextsAreText) {
  EXPECT_EQ(read("hermes", call("save", R"({"text": "awk '{print $1}' | grep \"}\" # ]"})")),
            "t: save {\"text\":\"awk '{print $1}' | grep \\\"}\\\" # ]\"}\n");
}

// vllm#19839, #26239: the prompt tells where an answer begins.
TEST(Traps, T24_T26_ThePromptTellsWhetherItBeginsInReasoning) {
  EXPECT_EQ(read("hermes", "Hello.", "<|im_start|>assistant\n<think>\n\n</think>\n\n"), "c: Hello.\n");
  EXPECT_EQ(read("hermes", "Hm.</think>\n\nHello.", "<|im_start|>assistant\n<think>\n"), "r: Hm.\nc: Hello.\n");
  EXPECT_EQ(read("hermes", "<think>\nHm.</think>Hello.", "<think>\n"), "r: Hm.\nc: Hello.\n");
  EXPECT_EQ(read("hermes", "more.</think>Hello.", "<think>\nI begin and "), "r: more.\nc: Hello.\n");
  EXPECT_EQ(read("hermes", "</think>\n\nHello.", "<think></think>"), "c: Hello.\n");
}

// vllm#13125, #13375.
TEST(Traps, T25_DistillsWithoutTheOpeningMarker) {
  EXPECT_EQ(read("deepseek-r1", "Hm.\n</think>\n\nHello."), "r: Hm.\nc: Hello.\n");
  EXPECT_EQ(read({.family = "deepseek-r1", .answer = "Hm. And", .ending = Ending::kLength}), "r: Hm. And\n");
}

// vllm#51977, #23567.
TEST(Traps, T28_HyphensAndSpareWordsInHarmonyHeaders) {
  EXPECT_EQ(read("gpt-oss",
                 "<|channel|>commentary now to=functions.get-time "
                 "please<|constrain|>json<|message|>{\"zone\":\"CET\"}<|call|>"),
            "t: get-time {\"zone\":\"CET\"}\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>commentary to=functions.get_time json<|message|>{\"zone\":\"CET\"}<|call|>"),
            "t: get-time {\"zone\":\"CET\"}\n");
}

// harmony#97, #82.
TEST(Traps, T29_HarmonySecondChannelOrNoMessage) {
  EXPECT_EQ(read("gpt-oss", "<|channel|>analysis<|channel|>final<|message|>Hm.<|end|>"), "r: Hm.\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>final Hello there<|return|>"), "c: Hello there\n");
  EXPECT_EQ(read("gpt-oss", "<|channel|>final Hello"), "c: Hello\n");
}

// vllm#36032, #37831, #38973, sglang#13411, ml-explore/mlx-lm#1236.
TEST(Traps, T30_T31_T32_TheSchemaSaysWhatAValueIs) {
  const auto value = [](const std::string& key, const std::string& text) {
    return read("qwen-xml", xml("opt", parameter(key, text)));
  };
  EXPECT_EQ(value("x", "null"), "t: opt {\"x\":null}\n");
  EXPECT_EQ(value("x", "nullable"), "t: opt {\"x\":\"nullable\"}\n");
  EXPECT_EQ(value("x", "3"), "t: opt {\"x\":\"3\"}\n");
  EXPECT_EQ(value("zip", "03106"), "t: opt {\"zip\":\"03106\"}\n");
  EXPECT_EQ(value("zip", "[1]"), "t: opt {\"zip\":\"[1]\"}\n");
  EXPECT_EQ(value("e", "1"), "t: opt {\"e\":\"1\"}\n");
  EXPECT_EQ(value("r", "true"), "t: opt {\"r\":\"true\"}\n");
  EXPECT_EQ(value("i", "42"), "t: opt {\"i\":42}\n");
  EXPECT_EQ(value("i", "2026-01-02"), "t: opt {\"i\":\"2026-01-02\"}\n");
  EXPECT_EQ(value("o", "{\"a\": [1]}"), "t: opt {\"o\":{\"a\":[1]}}\n");
  EXPECT_EQ(value("o", "null"), "t: opt {\"o\":null}\n");
  EXPECT_EQ(value("flag", "true"), "t: opt {\"flag\":true}\n");
  EXPECT_EQ(value("unknown", "5"), "t: opt {\"unknown\":\"5\"}\n");
  EXPECT_EQ(value("unknown", "[5]"), "t: opt {\"unknown\":[5]}\n");
  EXPECT_EQ(value("unknown", "[5"), "t: opt {\"unknown\":\"[5\"}\n");
}

// vllm#9019, #10821: the same ids whether streamed or not; Mistral's have nine letters and digits.
TEST(Traps, T34_IdsComeFromOneGenerator) {
  const Message message = parse(
      {"mistral-v3", "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": {}}]"});
  ASSERT_EQ(message.calls.size(), 2u);
  for (const ToolCall& made : message.calls) {
    EXPECT_EQ(made.id.size(), 9u);
    EXPECT_TRUE(std::all_of(made.id.begin(), made.id.end(), [](unsigned char c) { return std::isalnum(c); }))
        << made.id;
  }
  EXPECT_NE(message.calls[0].id, message.calls[1].id);
}

// vllm#13622.
TEST(Traps, T35_MistralIntegerArguments) {
  EXPECT_EQ(read("mistral-v3", "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 22}}]"),
            "t: add {\"a\":1,\"b\":22}\n");
}

// vllm#19024.
TEST(Traps, T37_ProseAfterALlamaCall) {
  EXPECT_EQ(read("llama3", "{\"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}\n\nI called {it}."),
            std::string("c: I called {it}.\n") + kOslo);
}

// vllm#42026, sglang#20543.
TEST(Traps, T38_SpacesInValuesAreKept) {
  EXPECT_EQ(read("qwen-xml", xml("save", parameter("text", "\n\n  a\n\t\n"))),
            "t: save {\"text\":\"\\n\\n  a\\n\\t\\n\"}\n");
  EXPECT_EQ(read("glm", "<tool_call>save<arg_key>text</arg_key><arg_value> a \n</arg_value></tool_call>"),
            "t: save {\"text\":\" a \\n\"}\n");
  EXPECT_EQ(read("qwen-xml", xml("save", parameter("text", ""))), "t: save {\"text\":\"\"}\n");
}

// vllm#39253: several markers in one piece. (Every test here also feeds its answer in one piece.)
TEST(Traps, T39_SeveralMarkersInOnePiece) {
  EXPECT_EQ(read("hermes", "<think>a</think>b" + call("now", "{}") + call("add", "{\"a\": 1}") + "c"),
            "r: a\nc: bc\nt: now {}\nt: add {\"a\":1}\n");
}

// local-inference-lab/vllm#639.
TEST(Traps, T40_ClosingTagsInsideValues) {
  EXPECT_EQ(read("qwen-xml",
                 xml("save", parameter("text", "</tool_call> </function> </parameter> no") + parameter("n", "1"))),
            "t: save {\"text\":\"</tool_call> </function> </parameter> no\",\"n\":\"1\"}\n");
  EXPECT_EQ(read("glm",
                 "<tool_call>save<arg_key>text</arg_key><arg_value>a</arg_value>b</tool_call></arg_value></tool_call>"),
            "t: save {\"text\":\"a</arg_value>b</tool_call>\"}\n");
  EXPECT_EQ(read("hermes", call("save", "{\"text\": \"</tool_call>\"}")), "t: save {\"text\":\"</tool_call>\"}\n");
}

// sglang#34677.
TEST(Traps, T43_OneBadCallHarmsNoOther) {
  EXPECT_EQ(read("hermes", call("other", "{}") + "\n" + call("temp", "{\"city\": \"Oslo\"}")),
            std::string("t: other {}\n") + kOslo);
  EXPECT_EQ(read("nemotron-v2",
                 "<TOOLCALL>[{\"name\": \"now\", \"arguments\": 5}, {\"name\": \"temp\", \"arguments\": {\"city\": "
                 "\"Oslo\"}}]</TOOLCALL>"),
            std::string("c: {\"name\": \"now\", \"arguments\": 5}\n") + kOslo);
  EXPECT_EQ(read("hermes", "<tool_call>{oops}</tool_call>\n" + call("temp", "{\"city\": \"Oslo\"}")),
            std::string("c: {oops}\n") + kOslo);
}

// sglang#35564: streamed and whole are the same. Every call of read() tries all cuts; here a long answer.
TEST(Traps, T44_StreamedAndWholeAreTheSame) {
  EXPECT_EQ(read("qwen-xml", "<think>a < b</think>Text with < and </ and <tool.\n" +
                                 xml("save", parameter("text", "</param>\n</parameter")) + "\nEnd."),
            "r: a < b\nc: Text with < and </ and <tool.End.\nt: save {\"text\":\"</param>\\n</parameter\"}\n");
}

// sglang#9606, #25362: the model's own ids, and what they lack.
TEST(Traps, T45_KimiIds) {
  const auto kimi = [](const std::string& id, const std::string& arguments) {
    return parse({"kimi-k2", "<|tool_calls_section_begin|><|tool_call_begin|>" + id + "<|tool_call_argument_begin|>" +
                                 arguments + "<|tool_call_end|><|tool_calls_section_end|>"});
  };
  const Message kept = kimi("functions.get-time:12", "{\"zone\": \"CET\"}");
  EXPECT_EQ(summary(kept), "t: get-time {\"zone\":\"CET\"}\n");
  EXPECT_EQ(kept.calls.at(0).id, "functions.get-time:12");
  const Message inferred = kimi("call00003", "{\"city\": \"Oslo\"}");
  EXPECT_EQ(summary(inferred), kOslo);
  EXPECT_EQ(inferred.calls.at(0).id, "call00003");
  EXPECT_EQ(summary(kimi("call00003", "{\"strange\": 1}")), "t: call00003 {\"strange\":1}\n");
}

// vllm#28543.
TEST(Traps, T46_KimiSectionMarkersDoNotLeak) {
  EXPECT_EQ(read("kimi-k2", "Ok.<|tool_calls_section_begin|><|tool_calls_section_end|>"), "c: Ok.\n");
  EXPECT_EQ(read("kimi-k2", "Ok.<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|>"),
            "c: Ok.\nt: now {}\n");
}

// lmstudio#827, #1592, #2045.
TEST(Traps, T47_CallsInsideReasoning) {
  const std::string made = call("temp", "{\"city\": \"Oslo\"}");
  EXPECT_EQ(read("hermes", "<think>I write " + made + " and such.</think>Done."),
            "r: I write " + made + " and such.\nc: Done.\n");
  EXPECT_EQ(read("hermes", "<think>I must ask.\n" + made), std::string("r: I must ask.\n") + kOslo);
  EXPECT_EQ(read("hermes", "<think>I may use <tool_call> now.\n" + made), std::string("r: I may use now.\n") + kOslo);
  EXPECT_EQ(read("hermes", "<think>I could " + made + " but no."), "r: I could " + made + " but no.\n");
  EXPECT_EQ(read({.family = "hermes", .answer = "<think>Hm. " + made, .ending = Ending::kLength}),
            "r: Hm. " + made + "\n");
  EXPECT_EQ(read("hermes", "<think>a</think>b <think>c</think>"), "r: a\nc: b <think>c</think>\n");
}

// lmstudio#942.
TEST(Traps, T48_MissingOuterBrackets) {
  EXPECT_EQ(read("hermes", "<tool_call>{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}"), kOslo);
  EXPECT_EQ(read("qwen-xml", "<tool_call>\n<function=temp>\n" + parameter("city", "Oslo")), kOslo);
  EXPECT_EQ(read("qwen-xml", "<tool_call>\n<function=temp>\n"), "t: temp  (incomplete)\n");
  EXPECT_EQ(read("llama3", "[temp(city=\"Oslo\""), kOslo);
  EXPECT_EQ(read("gemma4", "<|tool_call>call:temp{city:<|\"|>Oslo<|\"|>"), kOslo);
  EXPECT_EQ(read("hermes", "<tool_call>{\"name\": \"temp\", \"arguments\": {\"city\": \"Os"),
            "t: temp {\"city\": \"Os (incomplete)\n");
  EXPECT_EQ(read({.family = "qwen-xml",
                  .answer = "<tool_call>\n<function=temp>\n" + parameter("city", "Oslo"),
                  .ending = Ending::kLength}),
            "t: temp {\"city\": \"Oslo\" (incomplete)\n");
}

// lmstudio#825.
TEST(Traps, T49_TheChoiceIsExplained) {
  EXPECT_EQ(recognise({.template_text = "<tool_call>"}).reason, "the chat template has its markers");
  EXPECT_EQ(recognise({.template_text = "<tool_call>", .family = "glm"}).reason, "it was chosen");
  EXPECT_EQ(recognise({}).reason, "there is no chat template, and no token that tells a family");
}

// QwenLM/Qwen3#1894, zai-org/GLM-5#158: arguments of earlier calls, as a text or as an object.
TEST(Traps, T41_ArgumentsOfHistoryInEitherForm) {
  Message message{.role = "assistant", .content = {}, .calls = {{"c", "temp", "{\"city\":\"Oslo\"}"}}};
  EXPECT_TRUE(to_json(message, Arguments::kObject).at("tool_calls").at(0).at("function").at("arguments").is_object());
  EXPECT_TRUE(to_json(message, Arguments::kText).at("tool_calls").at(0).at("function").at("arguments").is_string());
}

// Liquid4All/docs#130.
TEST(Traps, T50_AnApostropheInsideQuotes) {
  EXPECT_EQ(read("lfm2", "<|tool_call_start|>[save(text='It's 'so' late', n='1')]<|tool_call_end|>"),
            "t: save {\"text\":\"It's 'so' late\",\"n\":\"1\"}\n");
}

// meta-llama/llama-models#266.
TEST(Traps, T51_PythonTagBeforeJsonOrNot) {
  const std::string json = "{\"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}";
  EXPECT_EQ(read("llama3", "<|python_tag|>" + json), kOslo);
  EXPECT_EQ(read("llama3", json), kOslo);
}

// Blaizzy/mlx-vlm#1076: read() cuts every answer inside its characters as well.
TEST(Traps, T51_CharactersThatAreCut) {
  EXPECT_EQ(read("hermes", "<think>\U0001F600</think>\U0001F600 " + call("save", "{\"text\": \"\U0001F600\"}")),
            "r: \U0001F600\nc: \U0001F600\nt: save {\"text\":\"\U0001F600\"}\n");
  EXPECT_EQ(read("hermes", "a\xF0\x9F"), "c: a\uFFFD\n");
  const auto said = deltas({"hermes", ""}, {"\xF0\x9F", "\x98\x80"});
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].text, "\U0001F600");
}

}  // namespace
}  // namespace hearth::chat::test
