// Go templates against Go's own text/template and Ollama's data: templates in the manner of its library with 15
// conversations, and cases of the language (shared/tools/go_templates).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "chat/ollama_template.h"
#include "support/support.h"
#include "template/go_template.h"

namespace hearth::templates {
namespace {

namespace json = boost::json;

std::string read_text(const std::string& path) {
  const auto bytes = test::read_bytes(test::shared(path));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::tm golden_time() {
  std::tm now{};
  now.tm_year = 126;
  now.tm_mday = 2;
  return now;
}

void expect_result(const Result<Rendered>& got, const json::object& expected, const std::string& name) {
  if (expected.contains("error")) {
    EXPECT_FALSE(got) << name << " should fail: " << std::string(expected.at("error").as_string())
                      << "\ngot: " << got->text;
    return;
  }
  ASSERT_TRUE(got) << name << ": " << got.error().message;
  const std::string text(expected.at("text").as_string());
  if (expected.contains("text_json") && got->text == std::string(expected.at("text_json").as_string())) return;
  EXPECT_EQ(got->text, text) << name;
}

template <class Template>
void expect_stage(const Result<Template>& parsed, const json::object& expected, const std::string& name) {
  const bool fails_to_parse = expected.contains("error") && expected.at("stage").as_string() == "parse";
  EXPECT_EQ(parsed.ok(), !fails_to_parse) << name << (parsed ? "" : ": " + parsed.error().message);
}

const std::set<std::string> kLeftOut = {};

TEST(GoGolden, CasesOfTheLanguage) {
  REQUIRE_SHARED("golden/go-templates/language.json");
  const json::value file = json::parse(read_text("golden/go-templates/language.json"));
  const json::value conversations = json::parse(read_text("golden/go-templates/conversations.json"));
  size_t cases = 0;
  for (const json::value& value : file.at("cases").as_array()) {
    const json::object& entry = value.as_object();
    const std::string name(entry.at("name").as_string()), source(entry.at("template").as_string());
    if (kLeftOut.contains(name)) continue;
    ++cases;
    if (entry.contains("conversation")) {
      const auto parsed = chat::OllamaTemplate::parse(source);
      expect_stage(parsed, entry, name);
      const json::value& request = conversations.at("conversations").at(entry.at("conversation").as_string());
      if (parsed) expect_result(parsed->render(json::serialize(request), golden_time()), entry, name);
    } else {
      const auto parsed = GoTemplate::parse(source);
      expect_stage(parsed, entry, name);
      if (parsed) expect_result(parsed->render_data(json::serialize(entry.at("data")), golden_time()), entry, name);
    }
  }
  EXPECT_GT(cases, 180u);
}

TEST(GoGolden, TemplatesOfTheLibrary) {
  REQUIRE_SHARED("golden/go-templates/expected.json");
  const json::value expected = json::parse(read_text("golden/go-templates/expected.json"));
  const json::value conversations = json::parse(read_text("golden/go-templates/conversations.json"));
  size_t renders = 0;
  for (const auto& [name, results] : expected.at("renderings").as_object()) {
    const auto parsed = chat::OllamaTemplate::parse(read_text("golden/go-templates/" + std::string(name) + ".gotmpl"));
    for (const auto& [conversation, result] : results.as_object()) {
      const std::string what = std::string(name) + " " + std::string(conversation);
      ++renders;
      expect_stage(parsed, result.as_object(), what);
      if (!parsed) continue;
      const std::string request = json::serialize(conversations.at("conversations").at(conversation));
      expect_result(parsed->render(request, golden_time()), result.as_object(), what);
    }
  }
  EXPECT_GT(renders, 400u);
}

}  // namespace
}  // namespace hearth::templates
