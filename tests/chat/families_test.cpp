// One answer or more of every family, as the models write them, cut at every byte (chat_testing.h).
#include <gtest/gtest.h>

#include "chat/chat_testing.h"

namespace hearth::chat::test {
namespace {

#define DS(text) "<\uFF5C" text "\uFF5C>"
#define DSML "\uFF5CDSML\uFF5C"
#define CALLS_BEGIN DS("tool\u2581calls\u2581begin")
#define CALL_BEGIN DS("tool\u2581call\u2581begin")
#define SEP DS("tool\u2581sep")
#define CALL_END DS("tool\u2581call\u2581end")
#define CALLS_END DS("tool\u2581calls\u2581end")
#define M3 "]<]minimax[>["

constexpr const char* kOslo = "t: temp {\"city\":\"Oslo\"}\n";
constexpr const char* kOsloAndSum = "t: temp {\"city\":\"Oslo\"}\nt: add {\"a\":1,\"b\":2}\n";

TEST(Families, Hermes) {
  EXPECT_EQ(
      read("hermes",
           "<think>\nTwo cities.\n</think>\n\nChecking.\n<tool_call>\n{\"name\": \"temp\", \"arguments\": {\"city\": "
           "\"Oslo\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"temp\", \"arguments\": {\"city\": "
           "\"Rome\"}}\n</tool_call>"),
      "r: Two cities.\nc: Checking.\nt: temp {\"city\":\"Oslo\"}\nt: temp {\"city\":\"Rome\"}\n");
  EXPECT_EQ(read("hermes", "Hello <b>you</b>.\n"), "c: Hello <b>you</b>.\n\n");
  EXPECT_EQ(
      read("hermes", "<tool_call>{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}, \"id\": 0}</tool_call>"),
      kOslo);
  EXPECT_EQ(read("hermes", "Let me.\n```json\n{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}\n```"),
            std::string("c: Let me.\n") + kOslo);
  EXPECT_EQ(read("hermes", "```json\n{\"city\": \"Oslo\"}\n```\n"), "c: ```json\n{\"city\": \"Oslo\"}\n```\n\n");
  EXPECT_EQ(read("hermes", "<tools>\n{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}\n</tools>"), kOslo);
  EXPECT_EQ(read("hermes", "<function=temp>{\"city\": \"Oslo\"}</function>"), kOslo);
}

TEST(Families, ErnieWrapsItsAnswer) {
  EXPECT_EQ(read("hermes", "Hm.\n</think>\n\n<response>\nHello.\n</response>\n", "<think>\n"), "r: Hm.\nc: Hello.\n");
}

TEST(Families, QwenXml) {
  EXPECT_EQ(read("qwen-xml",
                 "<tool_call>\n<function=save>\n<parameter=path>\na.txt\n</parameter>\n<parameter=text>\n  x < "
                 "1\n\n</parameter>\n<parameter=n>\n007\n</parameter>\n</function>\n</tool_call>"),
            "t: save {\"path\":\"a.txt\",\"text\":\"  x < 1\\n\",\"n\":\"007\"}\n");
  EXPECT_EQ(
      read("qwen-xml",
           "Both.\n<tool_call>\n<function=temp>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>\n"
           "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</parameter>\n"
           "</function>\n</tool_call>\n"),
      std::string("c: Both.\n") + kOsloAndSum);
}

TEST(Families, SeedOss) {
  EXPECT_EQ(
      read("seed-oss",
           "<seed:think>Hm.<seed:cot_budget_reflect>9 left</seed:cot_budget_reflect></seed:think><seed:tool_call>\n"
           "<function=temp>\n<parameter=city>Oslo</parameter>\n</function>\n</seed:tool_call>"),
      std::string("r: Hm.<seed:cot_budget_reflect>9 left</seed:cot_budget_reflect>\n") + kOslo);
}

TEST(Families, MiniMax) {
  EXPECT_EQ(read("minimax-m2",
                 "Hm.\n</think>\n\nOk.\n<minimax:tool_call>\n<invoke name=\"temp\">\n<parameter "
                 "name=\"city\">Oslo</parameter>\n</invoke>\n<invoke name=\"add\">\n<parameter "
                 "name=\"a\">1</parameter>\n<parameter name=\"b\">2</parameter>\n</invoke>\n</minimax:tool_call>",
                 "]~b]ai\n<think>\n"),
            std::string("r: Hm.\nc: Ok.\n") + kOsloAndSum);
  EXPECT_EQ(read("minimax-m3", "</mm:think>" M3 "<tool_call>\n" M3 "<invoke name=\"temp\">" M3 "<city>Oslo" M3
                               "</city>" M3 "</invoke>\n" M3 "<invoke name=\"add\">" M3 "<a>1" M3 "</a>" M3 "<b>2" M3
                               "</b>" M3 "</invoke>" M3 "</tool_call>"),
            kOsloAndSum);
}

TEST(Families, DeepSeekDsml) {
  for (const auto& [family, section] :
       {std::pair("deepseek-v3.2", "function_calls"), std::pair("deepseek-v4", "tool_calls")}) {
    const std::string name = section;
    EXPECT_EQ(read(family,
                   "Hm.</think>Ok.\n\n<" DSML + name +
                       ">\n<" DSML "invoke name=\"save\">\n<" DSML "parameter name=\"text\" string=\"true\">5</" DSML
                       "parameter>\n<" DSML "parameter name=\"any\" string=\"false\">[1]</" DSML "parameter>\n</" DSML
                       "invoke>\n</" DSML +
                       name + ">",
                   "<think>"),
              "r: Hm.\nc: Ok.\nt: save {\"text\":\"5\",\"any\":[1]}\n");
  }
}

TEST(Families, Glm) {
  EXPECT_EQ(read("glm",
                 "\n<think>Hm.</think>\nOk.\n<tool_call>temp\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
                 "</tool_call>\n<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n<arg_key>b</arg_key>\n"
                 "<arg_value>2</arg_value>\n</tool_call>"),
            std::string("r: Hm.\nc: Ok.\n") + kOsloAndSum);
  EXPECT_EQ(read("glm", "<tool_call>temp<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>"), kOslo);
}

TEST(Families, Step3) {
  EXPECT_EQ(read("step3", DS("tool_calls_begin") DS("tool_call_begin") "function" DS(
                              "tool_sep") "<steptml:invoke name=\"temp\"><steptml:parameter "
                                          "name=\"city\">Oslo</steptml:parameter></steptml:invoke>" DS("tool_call_end")
                                              DS("tool_calls_end")),
            kOslo);
}

TEST(Families, Mistral) {
  for (const char* family : {"mistral-v3", "mistral-v11", "mistral-v13"}) {
    EXPECT_EQ(read(family,
                   "[TOOL_CALLS][{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}, \"id\": \"a1B2c3D4e\"}, "
                   "{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}]"),
              kOsloAndSum);
    EXPECT_EQ(
        read(family,
             "[THINK]Need it.[/THINK]Ok.[TOOL_CALLS]temp[ARGS]{\"city\": \"Oslo\"}[TOOL_CALLS]add[ARGS]{\"a\": 1, "
             "\"b\": 2}"),
        std::string("r: Need it.\nc: Ok.\n") + kOsloAndSum);
  }
  EXPECT_EQ(read("mistral-v13", "[TOOL_CALLS]now[ARGS][TOOL_CALLS]temp{\"city\": \"Oslo\"}"),
            std::string("t: now {}\n") + kOslo);
  const Message message = parse({"mistral-v11", "[TOOL_CALLS]temp[CALL_ID]a1B2c3D4e[ARGS]{\"city\": \"Oslo\"}"});
  ASSERT_EQ(message.calls.size(), 1u);
  EXPECT_EQ(message.calls[0].id, "a1B2c3D4e");
  EXPECT_EQ(summary(message), kOslo);
}

TEST(Families, Llama) {
  EXPECT_EQ(read("llama3", "{\"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}"), kOslo);
  EXPECT_EQ(
      read("llama3",
           "{\"type\": \"function\", \"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}; {\"name\": \"add\", "
           "\"arguments\": {\"a\": 1, \"b\": 2}}"),
      kOsloAndSum);
  EXPECT_EQ(read("llama3", "{\"name\": \"Oslo\", \"parameters\": {\"x\": 1}}"),
            "c: {\"name\": \"Oslo\", \"parameters\": {\"x\": 1}}\n");
  EXPECT_EQ(read("llama3", "{\"name\": \"temp\", \"type\": 1}"), "c: {\"name\": \"temp\", \"type\": 1}\n");
  EXPECT_EQ(read("llama3", "<|python_tag|>print(1)\n"), "t: code_interpreter {\"code\":\"print(1)\\n\"}\n");
  EXPECT_EQ(read("llama3", "<|python_tag|>temp.call(city=\"Oslo\")"), kOslo);
  EXPECT_EQ(read("llama4", "<|python_start|>{\"name\": \"temp\", \"parameters\": {\"city\": \"Oslo\"}}<|python_end|>"),
            kOslo);
}

TEST(Families, Functionary) {
  EXPECT_EQ(read("functionary-3.1",
                 "<function=temp>{\"city\": \"Oslo\"}</function><function=add>{\"a\": 1, \"b\": 2}</function>"),
            kOsloAndSum);
  EXPECT_EQ(read("functionary-3.2", "all\nHello >>> you.\n>>>temp\n{\"city\": \"Oslo\"}", "<|end_header_id|>\n\n>>>"),
            std::string("c: Hello >>> you.\n") + kOslo);
  EXPECT_EQ(read("functionary-3.2", "temp\n{\"city\": \"Oslo\"}>>>add\n{\"a\": 1, \"b\": 2}", ">>>"), kOsloAndSum);
}

TEST(Families, DeepSeek) {
  EXPECT_EQ(read("deepseek-v3", CALLS_BEGIN CALL_BEGIN
                 "function" SEP "temp\n```json\n{\"city\": \"Oslo\"}\n```" CALL_END "\n" CALL_BEGIN "function" SEP
                 "add\n```json\n{\"a\": 1, \"b\": 2}\n```" CALL_END CALLS_END),
            kOsloAndSum);
  EXPECT_EQ(read("deepseek-v3.1", "Ok." CALLS_BEGIN CALL_BEGIN "temp" SEP "{\"city\": \"Oslo\"}" CALL_END CALL_BEGIN
                                  "add" SEP "{\"a\": 1, \"b\": 2}" CALL_END CALLS_END),
            std::string("c: Ok.\n") + kOsloAndSum);
  EXPECT_EQ(read("deepseek-r1", "<think>\nHm.\n</think>\n\nHello."), "r: Hm.\nc: Hello.\n");
  EXPECT_EQ(
      read("deepseek-r1", "Ok.</think>" DS("tool_calls_begin") CALL_BEGIN "function" SEP "temp\n```json\n{\"city\": "
                                                                          "\"Oslo\"}\n```" CALL_END),
      std::string("r: Ok.\n") + kOslo);
}

TEST(Families, Kimi) {
  const Message message = parse({"kimi-k2",
                                 "<think>Hm.</think>Ok.<|tool_calls_section_begin|><|tool_call_begin|>functions.temp:7"
                                 "<|tool_call_argument_begin|>{\"city\": \"Oslo\"}<|tool_call_end|><|tool_call_begin|>"
                                 "functions.add:8<|tool_call_argument_begin|>{\"a\": 1, \"b\": 2}<|tool_call_end|>"
                                 "<|tool_calls_section_end|>"});
  EXPECT_EQ(summary(message), std::string("r: Hm.\nc: Ok.\n") + kOsloAndSum);
  EXPECT_EQ(message.calls.at(0).id, "functions.temp:7");
  EXPECT_EQ(message.calls.at(1).id, "functions.add:8");
}

TEST(Families, Gemma) {
  EXPECT_EQ(
      read("functiongemma", "<start_function_call>call:save{path:<escape>a \"b\"<escape>,any:3}<end_function_call>"),
      "t: save {\"path\":\"a \\\"b\\\"\",\"any\":3}\n");
  EXPECT_EQ(read("gemma4",
                 "<|channel>thought\nHm.<channel|>Ok.<|tool_call>call:save{path:<|\"|>Oslo<|\"|>,any:{k:[1,true,null]}}"
                 "<tool_call|><tool_call|>"),
            "r: Hm.\nc: Ok.\nt: save {\"path\":\"Oslo\",\"any\":{\"k\":[1,true,null]}}\n");
  EXPECT_EQ(read("gemma4", "Hm.<channel|>Ok.<|channel>thought\n<channel|>", "<|channel>thought\n"), "r: Hm.\nc: Ok.\n");
}

TEST(Families, Cohere) {
  EXPECT_EQ(read("command-a",
                 "<|START_THINKING|>plan<|END_THINKING|><|START_ACTION|>[\n {\"tool_call_id\": \"0\", \"tool_name\": "
                 "\"temp\", \"parameters\": {\"city\": \"Oslo\"}}\n]<|END_ACTION|>"),
            std::string("r: plan\n") + kOslo);
  EXPECT_EQ(read("command-a", "<|START_RESPONSE|>It is <co>cold</co: 0:[0]>.<|END_RESPONSE|>"),
            "c: It is <co>cold</co: 0:[0]>.\n");
  EXPECT_EQ(read("cohere2-moe", "plan<|END_THINKING|><|START_TEXT|>Hi<|END_TEXT|>", "<|START_THINKING|>"),
            "r: plan\nc: Hi\n");
  EXPECT_EQ(read("command-r",
                 "Action: ```json\n[\n    {\n        \"tool_name\": \"temp\",\n        \"parameters\": {\"city\": "
                 "\"Oslo\"}\n    }\n]```"),
            kOslo);
  EXPECT_EQ(read("command-r", "Action: ```json\n[{\"tool_name\": \"directly_answer\", \"parameters\": {}}]```"), "");
}

TEST(Families, GptOss) {
  EXPECT_EQ(
      read("gpt-oss",
           "<|channel|>analysis<|message|>Look up.<|end|><|start|>assistant<|channel|>commentary to=functions.temp "
           "<|constrain|>json<|message|>{\"city\":\"Oslo\"}<|call|>"),
      std::string("r: Look up.\n") + kOslo);
  EXPECT_EQ(
      read("gpt-oss",
           "<|channel|>commentary<|message|>First. <|end|><|start|>assistant to=functions.temp<|channel|>analysis json"
           "<|message|>{\"city\":\"Oslo\"}<|end|><|start|>assistant<|channel|>final<|message|>Done.<|return|>",
           "<|start|>assistant"),
      std::string("c: First.Done.\n") + kOslo);
  EXPECT_EQ(
      read("gpt-oss",
           "<|channel|>analysis to=browser.search<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>Hi"),
      "c: Hi\n");
  EXPECT_EQ(read("gpt-oss", "Hm.<|end|>", "<|start|>assistant<|channel|>analysis<|message|>"), "r: Hm.\n");
}

TEST(Families, Granite) {
  EXPECT_EQ(read("granite", "<|tool_call|>[{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}]"), kOslo);
  EXPECT_EQ(read("granite", "Here is my thought process:\nHm.\n\nHere is my response:\nHello."), "r: Hm.\nc: Hello.\n");
  EXPECT_EQ(read("granite", "<think>Hm.</think><response>Hello.</response>"), "r: Hm.\nc: Hello.\n");
}

TEST(Families, ListsBetweenMarkers) {
  const std::string list =
      "[{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}, {\"name\": \"add\", \"arguments\": {\"a\": 1, "
      "\"b\": 2}}]";
  EXPECT_EQ(read("nemotron-v2", "<TOOLCALL>" + list + "</TOOLCALL>"), kOsloAndSum);
  EXPECT_EQ(read("hunyuan", "<think>\nHm.\n</think>\n<answer>\n\u52A9\u624B\uFF1AHi.\n</answer>"), "r: Hm.\nc: Hi.\n");
  EXPECT_EQ(read("hunyuan", "\u52A9\u624B\uFF1AHi.<tool_calls>" + list + "</tool_calls>"),
            std::string("c: Hi.\n") + kOsloAndSum);
  EXPECT_EQ(
      read("apriel", "Hm.\n[BEGIN FINAL RESPONSE]\nHi.\n<tool_calls>" + list + "</tool_calls>\n[END FINAL RESPONSE]"),
      std::string("r: Hm.\nc: Hi.\n") + kOsloAndSum);
  EXPECT_EQ(read("olmo3", "<function_calls>temp(city=\"Oslo\")\nadd(a=1, b=2)</function_calls>"), kOsloAndSum);
  EXPECT_EQ(read("firefunction", " functools" + list), kOsloAndSum);
  EXPECT_EQ(read("phi4-mini", "<|tool_call|>" + list + "<|/tool_call|>"), kOsloAndSum);
  EXPECT_EQ(read("phi4-mini", "functools" + list), kOsloAndSum);
  EXPECT_EQ(read("xlam", list), kOsloAndSum);
  EXPECT_EQ(
      read("apertus",
           "<|inner_prefix|>Hm.<|tools_prefix|>[{\"temp\": {\"city\": \"Oslo\"}}, {\"add\": {\"a\": 1, \"b\": 2}}]"
           "<|tools_suffix|>More.<|inner_suffix|>Done."),
      std::string("r: Hm.More.\nc: Done.\n") + kOsloAndSum);
  EXPECT_EQ(
      read(
          "gigachat",
          "Ok.<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}"),
      std::string("c: Ok.\n") + kOslo);
  EXPECT_EQ(read("gigachat", "<|function_call|>{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}"), kOslo);
}

TEST(Families, Lfm2) {
  EXPECT_EQ(read("lfm2", "<|tool_call_start|>[temp(city=\"Oslo\"), add(a=1, b=2)]<|tool_call_end|>Wait."),
            std::string("c: Wait.\n") + kOsloAndSum);
  EXPECT_EQ(
      read("lfm2", "<|tool_call_start|>[{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}]<|tool_call_end|>"),
      kOslo);
  EXPECT_EQ(read("lfm2.5", "[temp(city='Oslo')]"), kOslo);
  EXPECT_EQ(read("lfm2.5", "[see(x)] and"), "c: [see(x)] and\n");
}

TEST(Families, MiroThinker) {
  EXPECT_EQ(
      read("mirothinker",
           "Ok.\n<use_mcp_tool>\n<server_name>s</server_name>\n<tool_name>temp</tool_name>\n<arguments>\n{\"city\": "
           "\"Oslo\"}\n</arguments>\n</use_mcp_tool>"),
      std::string("c: Ok.\n") + kOslo);
}

TEST(Families, GenericProtocol) {
  EXPECT_EQ(read("plain", "{\"tool_call\": {\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}}"), kOslo);
  EXPECT_EQ(read("chatml",
                 "{\"tool_calls\": [{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}, {\"name\": \"add\", "
                 "\"arguments\": {\"a\": 1, \"b\": 2}}]}"),
            kOsloAndSum);
  EXPECT_EQ(read("gemma", " {\"response\": \"It's \\\"5\\\" \\u00e9\\ud83d\\ude00\\n\"}"),
            "c: It's \"5\" \u00E9\U0001F600\n\n");
  EXPECT_EQ(read("gemma", "{\"response\": \"never ends"), "c: never ends\n");
  EXPECT_EQ(read("gemma", "Plain text."), "c: Plain text.\n");
  EXPECT_EQ(read("gemma", "{\"answer\": 3}"), "c: {\"answer\": 3}\n");
}

}  // namespace
}  // namespace hearth::chat::test
