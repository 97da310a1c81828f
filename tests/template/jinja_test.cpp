// The language of Jinja, by example. The golden sets have many more cases; here is what those who read the code want to
// know first, and what only this implementation decides.
#include "template/render_for_test.h"

namespace hearth::templates {
namespace {

constexpr std::string_view kData =
    R"({"s": "Hello World", "n": 3, "l": ["a", "b", "c"], "d": {"b": 1, "items": "own"}})";

TEST(Jinja, TrimsBlocksAsTransformersDoes) {
  EXPECT_EQ(jinja("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(jinja("{{ 1 }}\n{{ 2 }}\n\n"), "1\n2\n");
  EXPECT_EQ(jinja("x  {%- if true -%}  y  {%- endif %}"), "xy");
  EXPECT_EQ(jinja("{{ 'a' }}{# note #}\n b"), "a b");
}

TEST(Jinja, ScopesForgetWhatTheyAssign) {
  EXPECT_EQ(jinja("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}"), "231");
  EXPECT_EQ(jinja("{% if true %}{% set x = 1 %}{% endif %}{{ x }}"), "1");
  EXPECT_EQ(jinja("{% set ns = namespace(x=0) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}"),
            "3");
  EXPECT_EQ(jinja("{% macro m() %}{{ i }}{% endmacro %}{% for i in [1] %}[{{ m() }}]{% endfor %}"), "[]");
  EXPECT_EQ(jinja("{% set z = 5 %}{% macro m() %}{{ z }}{% endmacro %}{% set z = 6 %}{{ m() }}"), "6");
}

TEST(Jinja, UndefinedPrintsNothingAndFailsInside) {
  EXPECT_EQ(jinja("[{{ x }}]{{ x is defined }}{{ x | default('d') }}"), "[]Falsed");
  EXPECT_EQ(jinja("\n\n{{ x.y }}"), "error: line 3 of the template: 'x' is undefined");
  EXPECT_EQ(jinja("{{ d.q.r }}", kData), "error: line 1 of the template: 'dict object' has no attribute 'q'");
}

TEST(Jinja, MethodsComeBeforeEntries) {
  EXPECT_EQ(jinja("{{ d['items'] }} {{ d.items() | list | length }} {{ d.b }}", kData), "own 2 1");
}

TEST(Jinja, ListsMayBeChangedAndMapsMayNot) {
  EXPECT_EQ(jinja("{% set x = [1] %}{% set _ = x.append(2) %}{{ x.pop(0) }}{{ x }}"), "1[2]");
  EXPECT_EQ(jinja("{{ d.update({}) }}", kData),
            "error: line 1 of the template: a template may not change a map, only lists");
}

TEST(Jinja, RendersDoNotChangeTheirInput) {
  const auto compiled = JinjaTemplate::parse("{% set _ = l.append('x') %}{{ l | length }}");
  ASSERT_TRUE(compiled);
  const boost::json::object input = {{"l", {"a"}}};
  EXPECT_EQ(compiled->render(input)->text, "2");
  EXPECT_EQ(compiled->render(input)->text, "2");
}

TEST(Jinja, KeepsAllDigits) {
  EXPECT_EQ(jinja("{{ a }} {{ b }} {{ c | tojson }} {{ d }}",
                  R"({"a": 123456789012345678901234567890, "b": 0.1, "c": 7.2057594037927933e+16, "d": 3.0})"),
            "123456789012345678901234567890 0.1 7.205759403792794e+16 3.0");
  EXPECT_EQ(jinja("{{ 9223372036854775807 + 1 }}"), "error: line 1 of the template: an integer gets too large");
}

// Corners in which Jinja 3.1 and Python decide; the results are theirs.
TEST(Jinja, AgreesWithTheReferenceInCorners) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "64 4 -4 2 3.5"},
      {"{{ 'a' ~ 1 ~ none ~ 2.0 ~ [1, 'x'] }}", "a1None2.0[1, 'x']"},
      {"{% for x in [1] %}{% break %}{% else %}never{% endfor %}", "never"},
      {"{{ ' a b '.rsplit(none, 1) }} {{ ' a  b '.split() }} {{ 'a-b-c'.rsplit('-', 1) }}",
       "[' a', 'b'] ['a', 'b'] ['a-b', 'c']"},
      {"{{ '\u03a3\u0391\u03a3'.lower() }} {{ 'straße' | upper }} {{ \"it's o'neil\" | title }}",
       "σας STRASSE It's O'neil"},
      {"{% for g in [{'k': 1}, {'k': 0}, {'k': 1}] | groupby('k') %}{{ g.grouper }}{{ g.list | length }} {% endfor %}",
       "01 12 "},
      {"{{ ('<' | safe) + '>' }} {{ '<' ~ '>' }} {{ '<' | e }}", "<&gt; <> &lt;"},
      {"{{ [1, 1.0, true, 2] | unique | list }} {{ ['b', 'A'] | sort }} {{ {1: 'a', true: 'b'} }}",
       "[1, 2] ['A', 'b'] {1: 'b'}"},
      {"{% set g = ['a'] | map('upper') %}{{ g | list }}{{ g | list }}", "['A'][]"},
      {"{{ 1e16 }} {{ 1e15 }} {{ 0.00001 }} {{ 1.5e300 }} {{ -0.0 }}", "1e+16 1000000000000000.0 1e-05 1.5e+300 -0.0"},
      {"{{ '%c|%3c' % (233, 'x') }}", "é|  x"},
      {"{{ '%5.1f|%-4s|%+d|%x' % (3.14159, 'a', 5, 255) }} {{ '{:>4}|{:,}|{!r}'.format(1, 1234567, 'q') }}",
       "  3.1|a   |+5|ff    1|1,234,567|'q'"},
      {"{{ {'a': [], 'b': [1, {}]} | tojson(indent=1) }}", "{\n \"a\": [],\n \"b\": [\n  1,\n  {}\n ]\n}"},
      {"{{ 'é\u2028/<' | tojson }} {{ 'é' | tojson(ensure_ascii=true) }}", "\"é\u2028/<\" \"\\u00e9\""},
      {"{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{{ m() }}", "1112"},
      {"{% for x in [[1, [2]]] recursive %}{{ loop.depth }}{{ loop(x) if x is iterable else x }}{% endfor %}",
       "121232"},
      {"{{ 5 is filter }} {{ x is test }} {{ 'upper' is filter }}", "False False True"},
      {"{{ 'a' % [1] }}{{ 'b' % {} }}{{ '%s' % [1] }}", "ab[1]"},
  };
  for (const auto& [source, expected] : cases) EXPECT_EQ(jinja(source), expected) << source;
}

// A text is continued in place where it can be, which what was made of it before must not notice.
TEST(Jinja, TextsThatGrowLeaveTheirEarlierSelves) {
  EXPECT_EQ(
      jinja("{% set a = s + '1' %}{% set b = a + '2' %}{% set c = a + '3' %}{{ a }} {{ b }} {{ c }} {{ b + b + a }}",
            kData),
      "Hello World1 Hello World12 Hello World13 Hello World12Hello World12Hello World1");
  EXPECT_EQ(marked("{% set a = s + '<1>' %}{% set b = a + '<2>' + s %}{% set c = a ~ n ~ s %}{{ a }}|{{ b }}|{{ c "
                   "}}|{{ b[9:] }}",
                   kData),
            "«Hello World»<1>|«Hello World»<1><2>«Hello World»|«Hello World»<1>3«Hello World»|«ld»<1><2>«Hello World»");
  EXPECT_EQ(marked("{% set a = s[:1] + '<>' + s[:1] %}{{ a + a }}{{ a }}", kData), "«H»<>«HH»<>«HH»<>«H»");
}

// Copied each time it grows, this text would take 40 GB.
TEST(Jinja, OneTextThatGrowsCostsNoMoreThanItsLength) {
  const std::string source =
      "{% set ns = namespace(t='') %}{% for i in range(90000) %}{% set ns.t = ns.t ~ '0123456789' %}{% endfor %}{{ "
      "ns.t | length }}";
  EXPECT_EQ(jinja(source), "900000");
}

TEST(Jinja, NamesTheLineOfWhatIsWrong) {
  EXPECT_EQ(jinja("a\n{% if %}"), "error: line 2 of the template: an expression is expected, not \"%}\"");
  EXPECT_EQ(jinja("\n{{ 'open }}"), "error: line 2 of the template: a text in quotes does not end");
  EXPECT_EQ(jinja("{% for x in l %}\n\n{{ raise_exception('no ' ~ x) }}{% endfor %}", kData),
            "error: line 3 of the template: no a");
  EXPECT_EQ(jinja("{% include 'x' %}"),
            "error: line 1 of the template: 'include' needs other templates, and a model has none");
}

TEST(Jinja, UnknownFiltersFailWhereTheyAreReached) {
  EXPECT_EQ(jinja("{% if false %}{{ 1 | nosuch }}{% endif %}ok"), "ok");
  EXPECT_EQ(jinja("{{ 1 | nosuch }}"), "error: line 1 of the template: there is no filter named 'nosuch'");
}

TEST(Jinja, TakesNoTextThatIsNotUtf8) {
  EXPECT_FALSE(JinjaTemplate::parse("\xff"));
  EXPECT_EQ(jinja("{{ s }}", "{\"s\": \"\xff\"}").substr(0, 6), "error:");
  EXPECT_EQ(jinja("{{ s }}", "[1]"), "error: the template's input is no JSON object");
}

}  // namespace
}  // namespace hearth::templates
