// What is learned from templates of no known family, and that it is never wrong.
#include "chat/learn.h"

#include <boost/json.hpp>
#include <map>

#include "chat/byte_tokenizer.h"
#include "chat/chat_model.h"
#include "chat/chat_testing.h"
#include "chat/samples.h"
#include "support/support.h"

namespace hearth::chat::test {
namespace {

namespace json = boost::json;

// A template that lists the tools, and writes each turn as <<ROLE>>text<<end>>; `calls` writes those of a message m.
std::string template_with(const std::string& calls) {
  return "{% if tools %}{% for t in tools %}{{ t | tojson }}\n{% endfor %}{% endif %}"
         "{% for m in messages %}<<{{ m.role }}>>\n{{ m.content }}" +
         calls + "<<end>>\n{% endfor %}{% if add_generation_prompt %}<<assistant>>\n{% endif %}";
}
std::string for_each_call(const std::string& call) {
  return "{% for c in m.tool_calls %}{% set f = c.function %}" + call + "{% endfor %}";
}

ChatModel model_of(const std::string& jinja, std::vector<SpecialToken> vocabulary = {}) {
  return ChatModel({.jinja = jinja, .vocabulary = std::move(vocabulary)}, std::make_shared<ByteTokenizer>());
}

std::string answer_of(const ChatModel& model, const std::string& answer) {
  Parser parser(model.format(), {.tools = tools()});
  Collector collector;
  for (const char& byte : answer) parser.feed({{&byte, 1}}, collector.sink());
  parser.finish(Ending::kStop, collector.sink());
  return summary(collector.message());
}

struct Invented {
  const char* name;
  std::string jinja;
  const char* answer;  // a model's, with two calls and text before them
};

const Invented kInvented[] = {
    {"json with names of its own, in a section",
     template_with("{% if m.tool_calls %}<do>{% for c in m.tool_calls %}<one>{\"use\": \"{{ c.function.name }}\", "
                   "\"with\": {{ c.function.arguments | tojson }}}</one>{% endfor %}</do>{% endif %}"),
     "Checking.<do><one>{\"use\": \"temp\", \"with\": {\"city\": \"Oslo\"}}</one>"
     "<one>{\"use\":\"add\", \"with\": {\"a\": 1}}</one></do>"},
    {"a list of json behind one mark",
     template_with("{% if m.tool_calls %}[[CALL]][{% for c in m.tool_calls %}{\"call\": \"{{ c.id }}\", \"tool\": \"{{ "
                   "c.function.name }}\", "
                   "\"args\": {{ c.function.arguments | tojson }}}"
                   "{% if not loop.last %}, {% endif %}{% endfor %}]{% endif %}"),
     "Checking.[[CALL]][{\"call\": \"x1\", \"tool\": \"temp\", \"args\": {\"city\": \"Oslo\"}}, "
     "{\"tool\": \"add\", \"args\": {\"a\": 1}}]"},
    {"the name as an attribute, then json",
     template_with(for_each_call("\n<run what=\"{{ f.name }}\">\n{{ f.arguments | tojson }}\n</run>")),
     "Checking.\n<run what=\"temp\">\n{\"city\": \"Oslo\"}\n</run>\n<run what=\"add\">{\"a\": 1}</run>"},
    {"an id, the name, then json",
     template_with(for_each_call("<run #{{ c.id }} = {{ f.name }}>{{ f.arguments | tojson }}</run>")),
     "Checking.<run #x1 = temp>{\"city\": \"Oslo\"}</run><run #x2 = add>{\"a\": 1}</run>"},
    {"tags for arguments",
     template_with(for_each_call("<act {{ f.name }}>\n{% for k, v in f.arguments.items() %}<p {{ k }}>\n"
                                 "{{ v if v is string else v | tojson }}\n</p>\n{% endfor %}</act>\n")),
     "Checking.\n<act temp>\n<p city>\nOslo\n</p>\n</act>\n<act add>\n<p a>\n1\n</p>\n</act>\n"},
    {"tags for names and for values",
     template_with("{% if m.tool_calls %}<calls>" +
                   for_each_call("<call>{{ f.name }}{% for k, v in f.arguments.items() %}<k>{{ k }}</k><v>"
                                 "{{ v if v is string else v | tojson }}</v>{% endfor %}</call>") +
                   "</calls>{% endif %}"),
     "Checking.<calls><call>temp<k>city</k><v>Oslo</v></call><call>add<k>a</k><v>1</v></call></calls>"},
    {"tags with json in them",
     template_with(for_each_call("<invoke name='{{ f.name }}'>{% for k, v in f.arguments.items() %}<arg name='{{ k }}'>"
                                 "{{ v | tojson }}</arg>{% endfor %}</invoke>")),
     "Checking.<invoke name='temp'><arg name='city'>\"Oslo\"</arg></invoke>"
     "<invoke name='add'><arg name='a'>1</arg></invoke>"},
    {"python behind a mark",
     template_with("{% if m.tool_calls %}<py>[{% for c in m.tool_calls %}{{ c.function.name }}("
                   "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson }}"
                   "{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %}, {% endif %}{% endfor %}]"
                   "</py>{% endif %}"),
     "Checking.<py>[temp(city=\"Oslo\"), add(a=1)]</py>"},
    {"words, then json",
     template_with(for_each_call("\nAction: {{ f.name }}\nAction Input: {{ f.arguments | tojson }}")),
     "Checking.\nAction: temp\nAction Input: {\"city\": \"Oslo\"}\nAction: add\nAction Input: {\"a\": 1}"},
    {"text in a wrapper",
     "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}{% for m in messages %}<<{{ m.role }}>>\n"
     "{% if m.content %}<say>{{ m.content }}</say>{% endif %}" +
         for_each_call("<use>{{ {'name': f.name, 'arguments': f.arguments} | tojson }}</use>") +
         "<<end>>\n{% endfor %}{% if add_generation_prompt %}<<assistant>>\n{% endif %}",
     "<say>Checking.</say><use>{\"name\": \"temp\", \"arguments\": {\"city\": \"Oslo\"}}</use>"
     "<use>{\"name\": \"add\", \"arguments\": {\"a\": 1}}</use>"},
    {"the name as the only key", template_with(for_each_call("<go>{{ {f.name: f.arguments} | tojson }}</go>")),
     "Checking.<go>{\"temp\": {\"city\": \"Oslo\"}}</go><go>{\"add\": {\"a\": 1}}</go>"},
};

TEST(Learn, InventedFormatsAreReadAsTheirTemplatesWriteThem) {
  for (const Invented& one : kInvented) {
    const ChatModel model = model_of(one.jinja);
    EXPECT_STREQ(model.format().family->name, "learned") << one.name;
    EXPECT_FALSE(model.generic_tools()) << one.name;
    EXPECT_EQ(answer_of(model, one.answer), "c: Checking.\nt: temp {\"city\":\"Oslo\"}\nt: add {\"a\":1}\n")
        << one.name << ": " << model.format().reason;
    EXPECT_EQ(answer_of(model, "Just text."), "c: Just text.\n") << one.name;
  }
}

TEST(Learn, MarksThatAreTokensCountOnlyAsTokens) {
  const ChatModel model = model_of(kInvented[0].jinja, {{1, "<do>"}, {2, "<one>"}, {3, "</one>"}, {4, "</do>"}});
  EXPECT_STREQ(model.format().family->name, "learned");
  const std::string call = "{\"use\": \"temp\", \"with\": {\"city\": \"Oslo\"}}";
  EXPECT_EQ(answer_of(model, "<do><one>" + call + "</one></do>"), "c: <do><one>" + call + "</one></do>\n");
  Parser parser(model.format(), {.tools = tools()});
  Collector collector;
  for (const Piece& piece : {Piece{"", 1}, Piece{"", 2}, Piece{call}, Piece{"", 3}, Piece{"", 4}})
    parser.feed(piece, collector.sink());
  parser.finish(Ending::kStop, collector.sink());
  EXPECT_EQ(summary(collector.message()), "t: temp {\"city\":\"Oslo\"}\n");
}

TEST(Learn, WordsThatOpenACallAreTextWhereNoneFollows) {
  const ChatModel model = model_of(kInvented[8].jinja);
  EXPECT_EQ(answer_of(model, "I took Action: nothing."), "c: I took Action: nothing.\n");
  EXPECT_EQ(answer_of(model, "Action: unknown\nAction Input: {}"), "c: Action: unknown\nAction Input: {}\n");
}

TEST(Learn, IdsAreTheModelsOwn) {
  for (const int which : {1, 3}) {
    const ChatModel model = model_of(kInvented[which].jinja);
    Parser parser(model.format(), {.tools = tools()});
    Collector collector;
    parser.feed({kInvented[which].answer}, collector.sink());
    parser.finish(Ending::kStop, collector.sink());
    EXPECT_EQ(collector.message().calls.at(0).id, "x1") << kInvented[which].name;
  }
}

TEST(Learn, MarksOfReasoningAreLearnedToo) {
  const std::string thinks =
      "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}{% for m in messages %}<<{{ m.role }}>>\n"
      "{% if m.reasoning_content %}<ponder>{{ m.reasoning_content }}</ponder>\n{% endif %}{{ m.content }}" +
      for_each_call("<use>{{ {'name': f.name, 'arguments': f.arguments} | tojson }}</use>") +
      "<<end>>\n{% endfor %}{% if add_generation_prompt %}<<assistant>>\n{% endif %}";
  EXPECT_EQ(answer_of(model_of(thinks), "<ponder>Hm.</ponder>\nYes.<use>{\"name\": \"now\", \"arguments\": {}}</use>"),
            "r: Hm.\nc: Yes.\nt: now {}\n");
  const std::string no_calls =
      "{% for m in messages %}<<{{ m.role }}>>\n{% if m.reasoning_content %}<ponder>{{ m.reasoning_content "
      "}}</ponder>\n"
      "{% endif %}{{ m.content }}<<end>>\n{% endfor %}{% if add_generation_prompt %}<<assistant>>\n{% endif %}";
  const ChatModel model = model_of(no_calls);
  EXPECT_TRUE(model.generic_tools());
  EXPECT_EQ(answer_of(model, "<ponder>Hm.</ponder>\n{\"response\": \"Yes.\"}"), "r: Hm.\nc: Yes.\n");
}

TEST(Learn, OllamasTemplatesTeachAsWell) {
  const ChatModel model(
      {.ollama = "{{ range .Tools }}{{ . }}\n{{ end }}{{ range .Messages }}<<{{ .Role }}>>{{ .Content }}"
                 "{{ range .ToolCalls }}<run {{ .Function.Name }}>{{ .Function.Arguments }}</run>{{ end }}"
                 "<<end>>\n{{ end }}<<assistant>>"},
      std::make_shared<ByteTokenizer>());
  EXPECT_STREQ(model.format().family->name, "learned") << model.format().reason;
  EXPECT_EQ(answer_of(model, "Checking.<run temp>{\"city\":\"Oslo\"}</run><run now>{}</run>"),
            "c: Checking.\nt: temp {\"city\":\"Oslo\"}\nt: now {}\n");
}

// What ends the turns of the template ends answers, though no list of ends has it.
TEST(Learn, TheEndOfTurnEndsAnswers) {
  const auto tokenizer = std::make_shared<ByteTokenizer>(std::vector<std::string>{"<<end>>"});
  const ChatModel model({.jinja = kInvented[0].jinja, .vocabulary = {{256, "<<end>>"}}}, tokenizer);
  EXPECT_EQ(model.stops(), std::vector<std::string>{"<<end>>"});
}

// The generic protocol remains where the template's own calls could not be read back.
TEST(Learn, WhatCannotBeReadBackIsNotLearned) {
  const std::pair<const char*, std::string> odd[] = {
      {"calls that are numbered", for_each_call("<call{{ loop.index }}>{{ f.name }}: {{ f.arguments | tojson }}")},
      {"no mark before a name", for_each_call("{{ f.name }} {{ f.arguments | tojson }}\n")},
      {"arguments without marks", for_each_call("<c>{{ f.name }}{% for k, v in f.arguments.items() %} {{ k }} {{ v }}"
                                                "{% endfor %}</c>")},
      {"arguments cut short", for_each_call("<c>{{ f.name }} {{ (f.arguments | tojson)[:20] }}</c>")},
      {"only the first call", "{% if m.tool_calls %}<c>{{ m.tool_calls[0].function.name }}{% endif %}"},
  };
  for (const auto& [name, calls] : odd) {
    const ChatModel model = model_of(template_with(calls));
    EXPECT_TRUE(model.generic_tools()) << name << ": " << model.format().reason;
    EXPECT_STREQ(model.format().family->name, "plain") << name;
  }
}

// A template with a family's mark, but calls of another form, which the family's reader takes for none.
TEST(Learn, AMarkAloneDoesNotMakeAFamily) {
  const ChatModel model =
      model_of(template_with(for_each_call("<tool_call>{{ f.name }} <- {{ f.arguments | tojson }}</tool_call>")));
  EXPECT_EQ(answer_of(model, "<tool_call>temp <- {\"city\": \"Oslo\"}</tool_call>"), "t: temp {\"city\":\"Oslo\"}\n");
}

// Golden templates whose family is taken away: what stands before their calls, "" where the generic protocol remains.
const std::map<std::string, std::string> kLearned = {
    {"Apertus-8B-Instruct", "<|tools_prefix|>"},
    {"Apriel-1.6-15b-Thinker-fixed", "<tool_calls>"},
    {"Bielik-11B-v3.0-Instruct", "<tool_call>"},
    {"CohereForAI-c4ai-command-r-plus-tool_use", ""},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "<|START_ACTION|>"},
    {"GLM-4.6", "<tool_call>"},
    {"GLM-4.7-Flash", "<tool_call>"},
    {"GigaChat3.1-10B-A1.8B", "<|function_call|>"},
    {"Kimi-K2-Instruct", ""},
    {"LFM2-8B-A1B", ""},
    {"MiMo-VL", "<tool_call>"},
    {"MiroThinker", ""},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "<tool_call>"},
    {"Qwen-QwQ-32B", "<tool_call>"},
    {"Qwen-Qwen2.5-7B-Instruct", "<tool_call>"},
    {"Qwen-Qwen3-0.6B", "<tool_call>"},
    {"Qwen3-Coder", "<tool_call> <function="},
    {"Reka-Edge", ""},
    {"StepFun3.5-Flash", "<tool_call> <function="},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", ""},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", ""},
    {"deepseek-ai-DeepSeek-V3.1", ""},
    {"deepseek-ai-DeepSeek-V4", ""},
    {"fireworks-ai-llama-3-firefunction-v2", "functools"},
    {"google-gemma-2-2b-it", ""},
    {"llama-cpp-deepseek-r1", ""},
    {"llama-cpp-rwkv-world", ""},
    {"meetkai-functionary-medium-v3.1", ""},
    {"meetkai-functionary-medium-v3.2", ""},
    {"meta-llama-Llama-3.1-8B-Instruct", "(nothing)"},
    {"meta-llama-Llama-3.2-3B-Instruct", "(nothing)"},
    {"mistralai-Ministral-3-14B-Reasoning-2512", "[TOOL_CALLS]"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "[TOOL_CALLS]"},
    {"moonshotai-Kimi-K2", ""},
    {"openai-gpt-oss-120b", ""},
    {"unsloth-Apriel-1.5", "<tool_calls>"},
    {"unsloth-mistral-Devstral-Small-2507", "[TOOL_CALLS]"},
};

TEST(Learn, PublishedTemplatesWithoutTheirFamilyAreLearnedOrGeneric) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const auto text_of = [](const std::string& path) {
    const auto bytes = hearth::test::read_bytes(hearth::test::shared(path));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  const std::vector<Message> answers = {
      {.role = "assistant",
       .content = {},
       .calls = {{.id = "abcdefgh1", .name = "temp", .arguments = R"({"city":"Oslo"})"}}},
      {.role = "assistant",
       .content = {},
       .calls = {{.id = "abcdefgh2", .name = "add", .arguments = R"({"a":1.5,"b":-2})"}}},
      {.role = "assistant", .content = {}, .calls = {{.id = "abcdefgh3", .name = "now", .arguments = "{}"}}},
      {.role = "assistant", .content = "Sure: <b>.", .calls = {}}};
  std::map<std::string, std::string> learned_marks;
  const json::value expected = json::parse(text_of("golden/templates/expected.json"));
  for (const auto& [name, value] : expected.at("renderings").as_object()) {
    const std::string text = text_of("golden/templates/" + std::string(name) + ".jinja");
    const auto renderer = make_jinja_renderer(text, {.bos = "<s>", .eos = "</s>"});
    const Capabilities can = probe(**renderer);
    const auto format = learn(**renderer, can, recognise({.template_text = text, .family = "plain"}), {});
    std::string& marks = learned_marks[name];
    if (!format || !format->family->tools()) continue;
    for (const std::string_view section : format->family->markup.sections) marks += std::string(section) + " ";
    for (const Opener& opener : format->family->markup.openers) marks += opener.text;
    if (format->family->markup.bare != nullptr) marks += "(nothing)";
    Samples samples(**renderer, can);
    ASSERT_TRUE(samples.find_borders());
    for (const Message& answer : answers) {
      const auto written = samples.body(answer);
      ASSERT_TRUE(written) << name;
      Parser parser(*format, {.tools = tools()});
      Collector collector;
      parser.feed({*written}, collector.sink());
      parser.finish(Ending::kStop, collector.sink());
      EXPECT_EQ(summary(collector.message()), summary(answer)) << name << ": " << *written;
    }
  }
  EXPECT_EQ(learned_marks, kLearned);
}

}  // namespace
}  // namespace hearth::chat::test
