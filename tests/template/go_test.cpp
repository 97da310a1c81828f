// Go templates by example: the language and Ollama's data. The golden sets have many more cases.
#include <gtest/gtest.h>

#include "chat/ollama_template.h"
#include "template/go_template.h"

namespace hearth::templates {
namespace {

template <class Template, class Render>
std::string outcome(const Result<Template>& compiled, const Render& render) {
  if (!compiled) return "error: " + compiled.error().message;
  const Result<Rendered> rendered = render(*compiled);
  return rendered ? rendered->text : "error: " + rendered.error().message;
}

std::string data(std::string_view source, std::string_view root) {
  return outcome(GoTemplate::parse(source), [&](const GoTemplate& compiled) { return compiled.render_data(root); });
}

std::string chat(std::string_view source, std::string_view request) {
  return outcome(hearth::chat::OllamaTemplate::parse(source),
                 [&](const hearth::chat::OllamaTemplate& compiled) { return compiled.render(request); });
}

TEST(GoTemplate, TrimsWhereItIsTold) {
  EXPECT_EQ(data("a \n {{- 1 -}} \n b {{/* note */}}c{{- /* note */ -}} d", "0"), "a1b cd");
}

TEST(GoTemplate, AssignmentReachesOuterScopes) {
  EXPECT_EQ(data("{{ $x := 1 }}{{ range . }}{{ $x = . }}{{ $y := . }}{{ end }}{{ $x }}", R"(["a", "b"])"), "b");
  EXPECT_EQ(data("{{ if true }}{{ $y := 1 }}{{ end }}{{ $y }}", "0"),
            "error: line 1 of the template: the variable \"$y\" is not defined");
}

TEST(GoTemplate, PrintsAsGoDoes) {
  EXPECT_EQ(data("{{ .f }} {{ .i }} {{ .m }} {{ .l }} {{ .none }} {{ .missing }}",
                 R"({"f": 1000000, "i": {"$int": 1000000}, "m": {"b": 1, "a": "x"}, "l": [null, true], "none": null})"),
            "1e+06 1000000 map[a:x b:1] [<nil> true] <no value> <no value>");
  EXPECT_EQ(data("{{ json . }}", R"({"b": "<&>\u2028", "a": [1.5, 1e21, 1e-7, 100]})"),
            R"({"a":[1.5,1e+21,1e-7,100],"b":"\u003c\u0026\u003e\u2028"})");
  EXPECT_EQ(data(R"({{ printf "%5.1f|%-4s|%q|%03d|%v|%d" 3.14159 "ab" "c" 7 .l "x" }})", R"({"l": ["a", "b"]})"),
            "  3.1|ab  |\"c\"|007|[a b]|%!d(string=x)");
}

TEST(GoTemplate, ComparesOnlyWhatGoCompares) {
  EXPECT_EQ(data("{{ eq .s \"b\" \"a\" }} {{ lt 1 2 }} {{ and 0 (index .l 9) }} {{ or .no \"d\" }}",
                 R"({"s": "a", "l": []})"),
            "true true 0 d");
  EXPECT_EQ(data("\n{{ eq .n 3 }}", R"({"n": 3})"), "error: line 2 of the template: eq cannot compare float64 and int");
}

TEST(GoTemplate, FailsWhereGoFails) {
  EXPECT_EQ(data("{{ .a.b }}", R"({"a": "text"})"),
            "error: line 1 of the template: a value of type string has no field b");
  EXPECT_EQ(data("{{ range .n }}{{ end }}", R"({"n": 3})"),
            "error: line 1 of the template: a range cannot go through a value of type float64");
  EXPECT_EQ(data("{{ nosuch }}", "0"), "error: line 1 of the template: the function \"nosuch\" is not defined");
  EXPECT_EQ(data("{{ slice .s 1 }}", R"({"s": "é"})"),
            "error: line 1 of the template: a slice of a text would cut a character");
}

constexpr std::string_view kTools =
    R"("tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
  "properties": {"b": {"type": ["string", "null"]}, "a": {"type": "integer", "description": "<n>"}}}}}])";

TEST(GoTemplate, GivesToolsAsOllamaDoes) {
  const std::string request =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], " + std::string(kTools) + "}";
  EXPECT_EQ(chat("{{ .Tools }}{{ range .Messages }}{{ end }}", request),
            R"([{"type":"function","function":{"name":"f","description":"","parameters":{"type":"object","properties":)"
            R"({"a":{"type":"integer","description":"\u003cn\u003e"},"b":{"type":["string","null"]}}}}}])");
  EXPECT_EQ(chat("{{ range .Tools }}{{ range $n, $p := .Function.Parameters.Properties }}{{ $n }}:{{ $p.Type }}="
                 "{{ toTypeScriptType $p }};{{ end }}{{ end }}{{ range .Messages }}{{ end }}",
                 request),
            "a:integer=number;b:[string null]=string | null;");
}

TEST(GoTemplate, MergesNeighboursOfOneRole) {
  EXPECT_EQ(chat("{{ .System }}#{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}", R"({"messages": [
    {"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"},
    {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}, {"role": "system", "content": "T"}]})"),
            "S\n\nT#<system>S<user>a\n\nb<tool>1<tool>2<system>T");
}

TEST(GoTemplate, TakesTurnsWhereItKnowsNoMessages) {
  const std::string request = R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "1"},
    {"role": "assistant", "content": "one"}, {"role": "user", "content": "2"}]})";
  EXPECT_EQ(chat("[{{ .System }}|{{ .Prompt }}|{{ .Response }}]", request), "[s|1|one][|2|");
  EXPECT_EQ(chat("({{ .Prompt }})", request), "(1)one(2)") << "the response is appended where it is not mentioned";
}

TEST(GoTemplate, TellsHowToThink) {
  const std::string source = "{{ .Think }},{{ .ThinkLevel }},{{ .IsThinkSet }}{{ range .Messages }}{{ end }}";
  EXPECT_EQ(chat(source, R"({"think": true})"), "true,medium,true");
  EXPECT_EQ(chat(source, R"({"think": "high"})"), "true,high,true");
  EXPECT_EQ(chat(source, R"({"think": false})"), "false,,true");
  EXPECT_EQ(chat(source, "{}"), "false,,false");
}

TEST(GoTemplate, RefusesRequestsThatAreNone) {
  EXPECT_EQ(chat("{{ .Messages }}", R"({"messages": {}})"), "error: the member \"messages\" of the request is no list");
  EXPECT_EQ(chat("{{ .Messages }}", R"({"messages": [{"content": 3}]})"),
            "error: the member \"content\" of a message is no text");
  EXPECT_EQ(chat("{{ .Messages }}", "[]"), "error: the request is no JSON object");
}

}  // namespace
}  // namespace hearth::templates
