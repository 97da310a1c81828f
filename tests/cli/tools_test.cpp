// Tools on the command line: the demonstration model calls one, a command answers, the model goes on.
#include <fstream>

#include "cli/process.h"
#include "cli/tool_command.h"
#include "support/support.h"

namespace hearth::cli {
namespace {

using Args = std::vector<std::string>;
using test::Finished;
using test::hearth;
using test::TemporaryFolder;

std::string tools_file(const TemporaryFolder& folder) {
  const std::string path = folder / "tools.json";
  std::ofstream(path) << R"([{"type": "function", "function": {"name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}])";
  return path;
}
Args ask(const std::string& tools) {
  return {"run", "demo", "--gpu", "off", "--temperature", "0", "--tools", tools, "What is the weather in Oslo?"};
}

TEST(Tools, CallsArePrinted) {
  const TemporaryFolder folder;
  const Finished done = hearth(ask(tools_file(folder)));
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out.find(R"({"id": "call_)"), 0u) << done.out;
  EXPECT_NE(done.out.find(R"("name": "get_weather", "arguments": {"city": "Oslo"}})"), std::string::npos) << done.out;
}

// The model would ask for Oslo.
TEST(Tools, ArgumentsAreHeldToTheSchema) {
  const TemporaryFolder folder;
  const std::string path = folder / "tools.json";
  std::ofstream(path) << R"([{"type": "function", "function": {"name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]}}}])";
  const Finished done = hearth(ask(path));
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out.find("Oslo"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find(R"("name": "get_weather", "arguments": {"city": ")"), std::string::npos) << done.out;
}

TEST(Tools, ACommandRunsThemUntilTheModelAnswers) {
  const TemporaryFolder folder;
  const std::string seen = folder / "seen";
  Args args = ask(tools_file(folder));
  args.insert(args.end(),
              {"--tool-command", "cat > " + seen + R"(; echo '{"temperature": 12, "condition": "sunny"}')"});
  const Finished done = hearth(args);
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out, "It is sunny in Oslo, 12 degrees.\n");
  EXPECT_NE(done.err.find(R"(calls get_weather {"city": "Oslo"})"), std::string::npos) << done.err;
  std::ifstream in(seen);
  const std::string call{std::istreambuf_iterator<char>(in), {}};
  EXPECT_NE(call.find(R"("arguments": {"city": "Oslo"}})"), std::string::npos) << call;
}

TEST(Tools, ControlCEndsTheCommandAndNotTheChat) {
  const TemporaryFolder folder;
  test::Process chat({"run", "demo", "--gpu", "off", "--temperature", "0", "--tools", tools_file(folder),
                      "--tool-command", "sleep 600"},
                     test::Process::Streams::kTerminal, {"TERM=xterm", "HEARTH_HISTORY=/dev/null"});
  EXPECT_TRUE(chat.wait_for(">>> "));
  chat.write("What is the weather in Oslo?\r");
  EXPECT_TRUE(chat.wait_for("calls get_weather"));
  chat.write("\x03");
  EXPECT_TRUE(chat.wait_for(">>> "));
  chat.write("What is the capital of France?\r");
  EXPECT_TRUE(chat.wait_for("Paris"));
  EXPECT_TRUE(chat.wait_for(">>> "));
  chat.write("/bye\r");
  EXPECT_EQ(chat.finish().code, 0);
}

TEST(Tools, WhatIsNoListOfToolsIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder / "tools.json";
  for (const char* text : {"{", "3", R"([{"function": {}}])"}) {
    std::ofstream(path) << text;
    const Finished done = hearth(ask(path));
    EXPECT_EQ(done.code, 2) << text;
    EXPECT_NE(done.err.find("tools.json"), std::string::npos) << done.err;
  }
  EXPECT_EQ(hearth({"run", "demo", "hi", "--tool-command", "true"}).code, 2);
}

TEST(ToolCommand, GivesWhatTheCommandWrites) {
  EXPECT_EQ(run_tool_command("cat", "{}").value(), "{}");
  EXPECT_EQ(run_tool_command("printf 'a\\nb\\n\\n'", "{}").value(), "a\nb\n");
  EXPECT_EQ(run_tool_command("printf '\\377'", "{}").value(), "\uFFFD");
}

TEST(ToolCommand, AFailureIsAResultToo) {
  EXPECT_EQ(run_tool_command("echo no; exit 3", "{}").value(), "error: the tool failed (exit code 3): no");
  EXPECT_EQ(run_tool_command("kill -9 $$", "{}").value(), "error: the tool failed (signal 9)");
}

// More in both directions than a pipe holds, and a command that does not read.
TEST(ToolCommand, NeitherSideWaitsForTheOther) {
  const std::string large(1 << 19, 'x');
  EXPECT_EQ(run_tool_command("cat", large).value(), large);
  EXPECT_EQ(run_tool_command("true", large).value(), "");
  EXPECT_EQ(run_tool_command("head -c 3000000 /dev/zero | tr '\\0' y", "").value().size(), size_t{1} << 20)
      << "cut at its limit";
}

TEST(Thinking, AWordThatIsNoneOfThemIsRefused) {
  const Finished done = hearth({"run", "demo", "hi", "--think", "maybe"});
  EXPECT_EQ(done.code, 2);
  EXPECT_NE(done.err.find("on, off, low, medium, high or hide"), std::string::npos) << done.err;
}

}  // namespace
}  // namespace hearth::cli
