// hearth render: exactly the prompt on standard output, and exit codes that tell wrong usage from a template that
// fails.
#include <gtest/gtest.h>

#include <fstream>

#include "cli/process.h"
#include "support/support.h"

namespace hearth {
namespace {

class Render : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }
  test::Finished render(const std::string& source, const std::string& input, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"render", "--template", file("t", source), "--input", file("i.json", input)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::hearth(arguments);
  }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(Render, WritesThePromptAndNothingElse) {
  const auto result = render("{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}",
                             R"({"messages": [{"role": "user", "content": "é"}]})");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "<user>é\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(Render, TakesTheTimeFromNow) {
  const auto result =
      render("{{ strftime_now('%A %d %B %Y, day %j, %H:%M:%S') }}", "{}", {"--now", "2024-02-29T23:59:58"});
  EXPECT_EQ(result.out, "Thursday 29 February 2024, day 060, 23:59:58");
  EXPECT_EQ(
      render("{{ currentDate }} {{ yesterdayDate }}", "{}", {"--go", "--data", "--now", "2024-03-01T00:00:00"}).out,
      "2024-03-01 2024-02-29");
  for (const char* wrong : {"2024-02-30T00:00:00", "2024-01-01", "2024-01-01T24:00:00", "2024-01-01 00:00:00"}) {
    EXPECT_EQ(render("", "{}", {"--now", wrong}).code, 2) << wrong;
  }
}

TEST_F(Render, RendersGoTemplatesAsOllamaDoes) {
  const std::string request = R"({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]})";
  EXPECT_EQ(render("{{ range .Messages }}[{{ .Role }}: {{ .Content }}]{{ end }}", request, {"--go"}).out,
            "[user: a\n\nb]");
  EXPECT_EQ(render("<{{ .System }}|{{ .Prompt }}>", R"({"prompt": "p", "system": "s"})", {"--go"}).out, "<s|p>");
  EXPECT_EQ(render("{{ .Prompt }}<FILL>{{ .Suffix }}", R"({"prompt": "p", "suffix": "s"})", {"--go"}).out, "p<FILL>s");
  EXPECT_EQ(render("{{ .n }} {{ eq .n 3 }} {{ .f }}", R"({"n": {"$int": 3}, "f": 3000000})", {"--go", "--data"}).out,
            "3 true 3e+06");
}

TEST_F(Render, SaysWhyATemplateFails) {
  const auto syntax = render("\n{% if %}", "{}");
  EXPECT_EQ(syntax.code, 1);
  EXPECT_NE(syntax.err.find("line 2 of the template: an expression is expected"), std::string::npos) << syntax.err;
  const auto raised = render("half {{ raise_exception('Roles must alternate') }}", "{}");
  EXPECT_EQ(raised.code, 1);
  EXPECT_EQ(raised.out, "") << "nothing is written of a prompt that fails";
  EXPECT_NE(raised.err.find("Roles must alternate"), std::string::npos) << raised.err;
  EXPECT_EQ(render("{{ .a.b }}", R"({"a": null})", {"--go", "--data"}).code, 1);
  EXPECT_EQ(render("{{ x }}", "{").code, 1) << "an input that is no JSON";
  EXPECT_EQ(render("{{ x }}", "[]").code, 1) << "an input that is no object";
}

TEST_F(Render, TellsWrongUsage) {
  EXPECT_EQ(render("", "{}", {"--data"}).code, 2);
  EXPECT_EQ(test::hearth({"render", "--template", "t"}).code, 2);
  EXPECT_EQ(test::hearth({"render", "--template", "/nonexistent/t", "--input", "/nonexistent/i"}).code, 1);
}

TEST_F(Render, AModelsOwnTemplateIsRenderedAsAChatWould) {
  const std::string input =
      file("i.json", R"({"messages": [{"role": "user", "content": "Hi"}], "tools": [{"name": "f"}]})");
  const auto result = test::hearth({"render", "--model", "demo", "--input", input});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("<|im_start|>system\nYou can call these functions:\n<tools>")) << result.out;
  EXPECT_TRUE(result.out.ends_with("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")) << result.out;
  EXPECT_EQ(test::hearth({"render", "--input", input}).code, 2);
  EXPECT_EQ(test::hearth({"render", "--model", "demo", "--input", file("j.json", "{}")}).code, 2);
}

}  // namespace
}  // namespace hearth
