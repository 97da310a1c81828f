// The interactive chat, through a pseudo-terminal.
#include <csignal>
#include <fstream>

#include "cli/process.h"
#include "support/tiny_model.h"
#include "support/support.h"

namespace hearth::test {
namespace {

class Chat {
 public:
  explicit Chat(std::vector<std::string> options = {}, uint32_t context = 1 << 20)
      : process_(arguments(std::move(options), context), Process::Streams::kTerminal,
                 {"TERM=xterm", "HEARTH_HISTORY=" + history()}) {
    EXPECT_TRUE(sees(">>> "));
  }
  bool sees(const std::string& text) { return process_.wait_for(text); }
  bool answers() { return process_.wait_for_output(); }  // its first text is there
  void type(const std::string& keys) { process_.write(keys); }
  // A line and Return, and its echo.
  void enter(const std::string& line) {
    type(line + "\r");
    EXPECT_TRUE(sees("\n")) << line;
  }
  // Enters a line, waits for all that it must show, and for the next prompt.
  void ask(const std::string& line, std::initializer_list<const char*> shown = {}) {
    enter(line);
    for (const char* text : shown) EXPECT_TRUE(sees(text)) << line;
    EXPECT_TRUE(sees(">>> ")) << line;
  }
  void leave() {
    enter("/bye");
    EXPECT_EQ(finish().code, 0);
  }
  void send(int signal) { process_.send(signal); }
  void resize(unsigned short columns) { process_.resize(columns); }
  Finished finish() { return process_.finish(); }
  std::string history() const { return tiny_.file("state/history"); }

 private:
  std::vector<std::string> arguments(std::vector<std::string> options, uint32_t context) {
    tiny_.context = context;
    // One thread: on a busy machine two that wait for each other take a hundred times as long.
    options.insert(options.begin(), {"run", tiny_.write(), "--logit-bias", TinyModel::kNeverEnds, "--threads", "1"});
    return options;
  }
  TinyModel tiny_;
  Process process_;
};

std::string read_history(const Chat& chat) {
  const std::vector<uint8_t> bytes = read_bytes(chat.history());
  return {bytes.begin(), bytes.end()};
}

TEST(Chat, AnswersAndLeaves) {
  Chat chat({"--num-predict", "5", "--verbose"});
  chat.ask("hello", {"eval count:           5 token(s)"});
  chat.leave();
}

TEST(Chat, ControlDAndExitLeaveToo) {
  Chat first;
  first.type("\x04");
  EXPECT_EQ(first.finish().code, 0);
  Chat second;
  second.enter("/exit");
  EXPECT_EQ(second.finish().code, 0);
}

TEST(Chat, ControlCStopsTheAnswerAndNotTheProgram) {
  Chat chat({"--ctx", "1000000"});
  chat.enter("hello");
  EXPECT_TRUE(chat.answers());
  chat.type("\x03");
  EXPECT_TRUE(chat.sees(">>> "));
  chat.ask("/set parameter num_predict 3");
  chat.ask("/set verbose");
  chat.ask("again", {"eval count:           3 token(s)"});
  chat.leave();
}

TEST(Chat, ControlCAtThePromptDropsTheLine) {
  Chat chat({"--num-predict", "3", "--verbose"});
  chat.type("never sent");
  EXPECT_TRUE(chat.sees("sent"));
  chat.type("\x03");
  EXPECT_TRUE(chat.sees("/bye leaves"));
  EXPECT_TRUE(chat.sees(">>> "));
  chat.enter("hi");
  EXPECT_TRUE(chat.sees("prompt eval count:    3 token(s)"));  // <s>hi
  chat.leave();
}

TEST(Chat, SigtermEndsIt) {
  Chat at_prompt;
  at_prompt.send(SIGTERM);
  EXPECT_EQ(at_prompt.finish().signal, SIGTERM);
  Chat answering({"--ctx", "1000000"});
  answering.enter("hello");
  EXPECT_TRUE(answering.answers());
  answering.send(SIGTERM);
  EXPECT_EQ(answering.finish().signal, SIGTERM);
}

TEST(Chat, TripleQuotesHoldSeveralLines) {
  Chat chat({"--num-predict", "3", "--verbose"});
  chat.enter("\"\"\"ab");
  EXPECT_TRUE(chat.sees("... "));
  chat.ask("cd\"\"\"", {"prompt eval count:    6 token(s)"});  // <s> a b newline c d
  chat.enter("/clear");
  for (const char* line : {"\"\"\"", "abc", "\"\"\""}) chat.enter(line);
  EXPECT_TRUE(chat.sees("prompt eval count:    5 token(s)"));  // <s> a b c newline
  EXPECT_TRUE(chat.sees(">>> "));
  chat.leave();
}

TEST(Chat, SettingsAreShownAndMistakesExplained) {
  Chat chat;
  chat.enter("/set parameter temperature 0.25");
  chat.enter("/set parameter stop END");
  chat.enter("/show parameters");
  EXPECT_TRUE(chat.sees("num_ctx             4096"));
  EXPECT_TRUE(chat.sees("temperature         0.25"));
  EXPECT_TRUE(chat.sees("stop                \"END\""));
  chat.enter("/set system You are a \"pirate\".");
  chat.enter("/show system");
  EXPECT_TRUE(chat.sees("You are a \"pirate\"."));
  chat.enter("/show info");
  EXPECT_TRUE(chat.sees("architecture        llama"));
  chat.enter("/show template");
  EXPECT_TRUE(chat.sees("no chat template"));
  chat.enter("/?");
  EXPECT_TRUE(chat.sees("/clear"));
  chat.enter("/set parameter temperature hot");
  EXPECT_TRUE(chat.sees("temperature is \"hot\", but must be a number of at least 0"));
  chat.enter("/set parameter num_ctx 5");
  EXPECT_TRUE(chat.sees("--ctx"));
  chat.enter("/frobnicate");
  EXPECT_TRUE(chat.sees("unknown command \"/frobnicate\"; /? lists them"));
  chat.leave();
}

TEST(Chat, RemembersTheConversationUntilItIsCleared) {
  Chat chat({"--num-predict", "3", "--verbose"});
  chat.ask("abc", {"prompt eval count:    4 token(s)"});
  chat.ask("/clear");
  chat.ask("defg", {"prompt eval count:    5 token(s)"});
  chat.leave();
  EXPECT_NE(read_history(chat).find("defg"), std::string::npos);
}

constexpr const char* kAsksForMarks = "\x1b[?2004h";
constexpr const char* kNoMarks = "\x1b[?2004l";

std::string paste(const std::string& text) {
  return "\x1b[200~" + text + "\x1b[201~";
}

TEST(Chat, APasteOfSeveralLinesIsOneMessage) {
  Chat chat({"--num-predict", "3", "--verbose"});
  chat.type(paste("ab\ncd"));
  EXPECT_TRUE(chat.sees("cd")) << "it is shown, and can be changed before it is sent";
  chat.type("e\r");
  EXPECT_TRUE(chat.sees(kNoMarks)) << "before the answer";
  EXPECT_TRUE(chat.sees("prompt eval count:    7 token(s)"));  // <s> a b newline c d e
  EXPECT_TRUE(chat.sees(kAsksForMarks));
  EXPECT_TRUE(chat.sees("\n>>> ")) << "nothing between the line and the prompt";
  chat.ask("/clear");
  chat.type("x\x1b[200~y\r\nz\x1b[31m\r\x04\x1b[20");  // the mark of the end comes in two parts
  chat.type("1~\r");
  EXPECT_TRUE(chat.sees("prompt eval count:    12 token(s)"));  // <s> x y newline z, 5 of the colour, newline, ^D
  EXPECT_TRUE(chat.sees("\n>>> "));
  chat.leave();
  EXPECT_NE(read_history(chat).find("ab\\ncde\n"), std::string::npos) << read_history(chat);
}

TEST(Chat, AHugePasteIsOneMessage) {
  Chat chat({"--num-predict", "1", "--verbose", "--ctx", "64"});
  chat.type(paste(std::string(200'000, 'x') + "\nend") + "\r");
  EXPECT_TRUE(chat.sees("the message does not fit into the context of 64 tokens"));
  EXPECT_TRUE(chat.sees(">>> "));
  chat.ask("ab", {"prompt eval count:    3 token(s)"});
  chat.leave();
}

TEST(Chat, ATextOfSeveralLinesThatBeginsWithASlashIsNoCommand) {
  Chat chat({"--num-predict", "3", "--verbose"});
  chat.type(paste("/*a\n*/") + "\r");
  EXPECT_TRUE(chat.sees("prompt eval count:    7 token(s)"));
  EXPECT_TRUE(chat.sees("\n>>> "));
  chat.leave();
}

TEST(Chat, BlanksBehindACommandDoNotMatter) {
  Chat chat;
  chat.enter("/set parameter temperature 0.25 \t");
  chat.enter("/show parameters ");
  EXPECT_TRUE(chat.sees("temperature         0.25"));
  chat.enter("/bye ");
  EXPECT_EQ(chat.finish().code, 0);
}

TEST(Chat, AByteThatIsNoUtf8DoesNotSwallowReturn) {
  Chat chat({"--num-predict", "3", "--verbose"});
  chat.type("a\xe9\r");                                        // é in Latin-1
  EXPECT_TRUE(chat.sees("prompt eval count:    5 token(s)"));  // <s> a and the three bytes of U+FFFD
  EXPECT_TRUE(chat.sees(">>> "));
  chat.ask("/clear");
  chat.ask("\xc3\xa9", {"prompt eval count:    3 token(s)"});
  chat.leave();
}

// Nobody could continue a process that leads its session, so the system does not stop this one.
TEST(Chat, LeavesTheTerminalWhenItIsStoppedAndTakesItAgain) {
  Chat chat;
  chat.type("typed");
  EXPECT_TRUE(chat.sees("typed"));
  chat.type("\x1a");
  for (const char* shown : {kNoMarks, kAsksForMarks, ">>> ", "typed"}) EXPECT_TRUE(chat.sees(shown)) << shown;
  chat.send(SIGCONT);  // after a SIGSTOP, which nobody can note
  for (const char* shown : {kAsksForMarks, ">>> ", "typed"}) EXPECT_TRUE(chat.sees(shown)) << shown;
  chat.type("\x15");
  chat.leave();
}

TEST(Chat, DrawsTheLineAgainWhenTheTerminalChangesItsSize) {
  Chat chat;
  chat.type(std::string(30, 'x') + "end");
  EXPECT_TRUE(chat.sees("end"));
  chat.resize(20);
  for (const char* shown : {"\x1b[1A\r\x1b[J", ">>> ", "end"}) EXPECT_TRUE(chat.sees(shown)) << shown;
  chat.type("\x15");
  chat.leave();
}

TEST(Chat, LeavesTheTerminalAsItWasHoweverItEnds) {
  for (const int signal : {SIGTERM, SIGHUP}) {
    Chat chat;
    chat.send(signal);
    const Finished done = chat.finish();
    EXPECT_EQ(done.signal, signal);
    EXPECT_GT(done.out.rfind(kNoMarks) + 1, done.out.rfind(kAsksForMarks) + 1) << signal;
  }
  Chat chat;
  chat.type("\x04");
  const std::string out = chat.finish().out;
  EXPECT_GT(out.rfind(kNoMarks) + 1, out.rfind(kAsksForMarks) + 1);
}

TEST(Chat, ForgetsTheOldestWhenTheContextIsFull) {
  Chat chat({"--ctx", "64", "--num-predict", "2"});
  chat.ask(std::string(30, 'x'));
  // With the first, more than 64 less the room for an answer.
  chat.ask(std::string(30, 'y'), {"the oldest 2 messages are forgotten"});
  chat.ask(std::string(80, 'z'), {"the context of 64 tokens"});
  chat.leave();
}

}  // namespace
}  // namespace hearth::test
