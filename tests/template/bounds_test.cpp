// Hostile templates: each ends with an error that names the limit it met.
#include "template/go_template.h"
#include "template/limits.h"
#include "template/render_for_test.h"

namespace hearth::templates {
namespace {

std::string repeated(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

void expect_limit(const std::string& source, std::string_view words) {
  const std::string result = jinja(source);
  EXPECT_NE(result.find(words), std::string::npos) << result.substr(0, 300);
  EXPECT_EQ(result.substr(0, 6), "error:");
}

TEST(Bounds, OfNesting) {
  expect_limit("{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}", "nested too deeply");
  expect_limit("{{ " + repeated("not ", 100'000) + "1 }}", "nested too deeply");
  expect_limit("{{ " + repeated("-", 100'000) + "1 }}", "nested too deeply");
  expect_limit("{{ " + repeated("[", 100'000) + repeated("]", 100'000) + "}}", "nested too deeply");
  expect_limit("{{ " + repeated("a(", 100'000) + repeated(")", 100'000) + "}}", "nested too deeply");
  expect_limit("{{ 1" + repeated("+1", 100'000) + " }}", "too long");
  expect_limit("{{ a" + repeated(".b", 100'000) + " }}", "too long");
  expect_limit("{{ a" + repeated("|e", 100'000) + " }}", "too long");
  expect_limit(repeated("{% if 1 %}", 100'000), "nested too deeply");
  expect_limit("{% set " + repeated("(", 100'000) + repeated(")", 100'000) + " = 1 %}", "nested too deeply");
  expect_limit("{{ 1" + repeated(" if 1 else 1", 100'000) + " }}", "nested too deeply");
}

TEST(Bounds, OfCalls) {
  expect_limit("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself too deeply");
  expect_limit("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "calls itself too deeply");
  expect_limit("{% block b %}{{ self.b() }}{% endblock %}", "calls itself too deeply");
}

TEST(Bounds, OfStepsAndMemory) {
  expect_limit("{% for a in range(100000) %}{% set x = range(100000) %}{% endfor %}", "too much memory");
  expect_limit("{% set r = range(100000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}", "too many steps");
  expect_limit("{% set l = [0] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}", "too much memory");
  expect_limit("{% set ns = namespace(x='aaaaaaaa') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
               "too long");
  expect_limit("{{ 'a' * 999999999999 }}", "too large");
  expect_limit("{{ [1] * 60000000 }}", "too much memory");
  expect_limit("{{ range(100001) }}", "range() has more than");
  expect_limit("{{ '%9999999999d' % 1 }}", "a format asks for more");
  expect_limit("{{ 'a' | center(9999999999) }}", "too long");
  expect_limit("{% for a in range(99999) %}{{ 'a' * 100000 }}{% endfor %}", "too");
}

TEST(Bounds, OfValuesInsideThemselves) {
  expect_limit("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "nested too deeply");
  expect_limit("{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", "nested too deeply");
  expect_limit("{% set l = [] %}{% set m = [] %}{% set _ = l.append(m) %}{% set _ = m.append(l) %}{{ l == m }}",
               "nested too deeply");
}

TEST(Bounds, OfTheInput) {
  const std::string deep = "{\"a\": " + repeated("[", 100'000) + repeated("]", 100'000) + "}";
  EXPECT_NE(jinja("{{ a }}", deep).find("error:"), std::string::npos);
  EXPECT_FALSE(JinjaTemplate::parse(std::string(kMaxTemplateBytes + 1, 'a')));
  EXPECT_FALSE(GoTemplate::parse(std::string(kMaxTemplateBytes + 1, 'a')));
}

std::string go(const std::string& source, std::string_view data) {
  const auto compiled = GoTemplate::parse(source);
  if (!compiled) return compiled.error().message;
  const auto rendered = compiled->render_data(data);
  return rendered ? rendered->text.substr(0, 100) : rendered.error().message;
}

TEST(Bounds, OfGoTemplates) {
  EXPECT_NE(go(repeated("{{ if 1 }}", 100'000), "1").find("nested too deeply"), std::string::npos);
  EXPECT_NE(go(repeated("{{ if 1 }}{{ else if 1 }}", 1) + repeated("{{ else if 1 }}", 100'000), "1")
                .find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(go("{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}", "1").find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(go("{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}", "1").find("too deeply"),
            std::string::npos);
  EXPECT_NE(go("{{ printf \"%999999999d\" 1 }}", "1").find("a format asks for more"), std::string::npos);
  const std::string items = "[" + repeated("1,", 20'000) + "1]";
  EXPECT_NE(go("{{ range . }}{{ range $ }}{{ end }}{{ end }}", items).find("too many steps"), std::string::npos);
  EXPECT_NE(go("{{ $x := \"aaaaaaaa\" }}{{ range . }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}", items).find("too"),
            std::string::npos);
}

}  // namespace
}  // namespace hearth::templates
