// The commands that compute, on a model that the test writes and on a real one.
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "cli/process.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::test {
namespace {

using Args = std::vector<std::string>;

Args operator+(Args a, const Args& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Run, IsRepeatableAndEndsAfterNumPredictTokens) {
  const TinyModel tiny;
  const Args base = {"run", tiny.write(), "hello", "--logit-bias", TinyModel::kNeverEnds, "--num-predict", "20"};
  for (const Args& options : {Args{"--temperature", "0"}, Args{"--seed", "3"}}) {
    const Finished first = hearth(base + options), second = hearth(base + options);
    EXPECT_EQ(first.code, 0) << first.err;
    EXPECT_EQ(first.out, second.out);
    EXPECT_TRUE(first.out.ends_with('\n'));
    EXPECT_GT(first.out.size(), 5u);
    EXPECT_EQ(first.err, TinyModel::kNote);
    EXPECT_EQ(hearth(base + options + Args{"--raw"}).err, "");
  }
  EXPECT_NE(hearth(base + Args{"--seed", "3"}).out, hearth(base + Args{"--seed", "4"}).out);
}

TEST(Run, TakesThePromptFromAPipeBeforeTheWords) {
  const TinyModel tiny;
  const Args options = {"--temperature", "0", "--num-predict", "10"};
  const std::string words = hearth(Args{"run", tiny.write(), "one", "two"} + options).out;
  EXPECT_EQ(hearth(Args{"run", tiny.write()} + options, "one two\n").out, words);
  const std::string both = hearth(Args{"run", tiny.write(), "one\ntwo"} + options).out;
  EXPECT_EQ(hearth(Args{"run", tiny.write(), "two"} + options, "one\n").out, both);
  EXPECT_NE(words, both);
}

// The mark of Windows programs at the start, and their line end, are no part of the text.
TEST(Run, APipeFromWindowsGivesTheSamePrompt) {
  const TinyModel tiny;
  const auto run = [&](const std::string& input) {
    const Finished done =
        hearth({"run", tiny.write(), "--temperature", "0", "--num-predict", "10", "--verbose"}, input);
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_NE(done.err.find("prompt eval count:    6 token(s)\n"), std::string::npos) << done.err;
    return done.out;
  };
  const std::string plain = run("hello");
  for (const char* input : {"hello\n", "hello\r\n", "\xEF\xBB\xBFhello", "\xEF\xBB\xBFhello\r\n"})
    EXPECT_EQ(run(input), plain);
}

TEST(Run, TakesTextsLiterally) {
  const TinyModel tiny;
  const Args options = {"--temperature", "0", "--num-predict", "10", "--logit-bias", TinyModel::kNeverEnds};
  for (const char* text : {"[a, b]", "[]", "\"q\"", "{x}", "%d", "-x", "--help", "größer"}) {
    const Finished word = hearth(Args{"run", tiny.write()} + options + Args{"--", text});
    EXPECT_EQ(word.code, 0) << word.err;
    EXPECT_EQ(word.out, hearth(Args{"run", tiny.write()} + options, text).out) << text;
  }
  EXPECT_EQ(hearth(Args{"run", tiny.write()} + options + Args{"two", "words", "--stop", "[END]", "--stop", "]"}).out,
            hearth(Args{"run", tiny.write()} + options, "two words").out);
}

TEST(Run, ChatTemplatesAreAppliedUnlessRaw) {
  TinyModel tiny;
  const Args options = {"--temperature", "0", "--num-predict", "10", "--logit-bias", TinyModel::kNeverEnds};
  const std::string plain = tiny.write("plain.gguf");
  tiny.chat_template =
      "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>'}}{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  const std::string chat = tiny.write("chat.gguf");
  const std::string as_it_is = hearth(Args{"run", plain, "hi"} + options).out;
  EXPECT_EQ(hearth(Args{"run", chat, "hi", "--raw"} + options).out, as_it_is);
  EXPECT_EQ(hearth(Args{"run", chat, "hi"} + options).out,
            hearth(Args{"run", plain, "<|im_start|>user\nhi<|im_end|><|im_start|>assistant\n"} + options).out);
  EXPECT_NE(hearth(Args{"run", chat, "hi", "--system", "Be brief."} + options).out, as_it_is);
  tiny.chat_template = "this shows nobody's text";
  const Finished unknown = hearth(Args{"run", tiny.write("unknown.gguf"), "hi"} + options);
  EXPECT_EQ(unknown.out, as_it_is);
  EXPECT_NE(unknown.err.find("the chat template does not write what the user says"), std::string::npos) << unknown.err;
}

// The model goes on as behind the same tokens, written out; a user's words are none of them.
TEST(Run, FillsInBetweenTwoTexts) {
  TinyModel tiny;
  tiny.marks = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"};
  const std::string path = tiny.write();
  const Args options = {"--temperature", "0",        "--num-predict", "12",       "--logit-bias", TinyModel::kNeverEnds,
                        "--logit-bias",  "259=-inf", "--logit-bias",  "260=-inf", "--logit-bias", "261=-inf",
                        "--verbose"};
  const Finished filled = hearth(Args{"run", path, "def f(", "--suffix", "):\n"} + options);
  EXPECT_EQ(filled.code, 0) << filled.err;
  EXPECT_EQ(filled.out,
            hearth(Args{"run", path, "--raw", "<|fim_prefix|>def f(<|fim_suffix|>):\n<|fim_middle|>"} + options).out);
  EXPECT_NE(filled.out,
            hearth(Args{"run", path, "--raw", "<|fim_suffix|>):\n<|fim_prefix|>def f(<|fim_middle|>"} + options).out);
  // <s>, three marks and the bytes.
  EXPECT_NE(filled.err.find("prompt eval count:    13 token(s)\n"), std::string::npos) << filled.err;
  const Finished forged = hearth(Args{"run", path, "<|fim_middle|>", "--suffix", ""} + options);
  EXPECT_NE(forged.err.find("prompt eval count:    18 token(s)\n"), std::string::npos) << forged.err;

  const Finished without = hearth({"run", TinyModel().write(), "a", "--suffix", "b"});
  EXPECT_EQ(without.code, 1);
  EXPECT_NE(without.err.find("cannot fill in"), std::string::npos) << without.err;
}

TEST(Run, VerboseReportsTimesRatesAndMemory) {
  const TinyModel tiny;
  const Finished done =
      hearth({"run", tiny.write(), "hello", "--num-predict", "20", "--verbose", "--logit-bias", TinyModel::kNeverEnds});
  for (const char* line : {"total duration:       ", "load duration:        ", "prompt eval count:    6 token(s)\n",
                           "prompt eval duration: ", "prompt eval rate:     ", "eval count:           20 token(s)\n",
                           "eval duration:        ", "eval rate:            ", " tokens/s\n", " GB/s",
                           "memory:               weights ", "cache ", "workspace ", "resident "}) {
    EXPECT_NE(done.err.find(line), std::string::npos) << line << " is not in\n" << done.err;
  }
}

TEST(Run, SaysThatTheContextIsFull) {
  const TinyModel tiny;
  const Finished done = hearth({"run", tiny.write(), "hello", "--ctx", "64", "--logit-bias", TinyModel::kNeverEnds});
  EXPECT_EQ(done.code, 0);
  EXPECT_NE(done.err.find("the context of 64 tokens is full"), std::string::npos) << done.err;
  const Finished longer = hearth({"run", tiny.write(), std::string(100, 'x'), "--ctx", "64"});
  EXPECT_EQ(longer.code, 2);
  EXPECT_NE(longer.err.find("the message does not fit into the context of 64 tokens"), std::string::npos) << longer.err;
}

TEST(Run, RefusesContextsLargerThanTheModelsOrThanMemory) {
  TinyModel tiny;
  tiny.context = 1024;
  const Finished larger = hearth({"run", tiny.write(), "hello", "--ctx", "2048"});
  EXPECT_EQ(larger.code, 2) << larger.err;
  EXPECT_NE(larger.err.find("2048"), std::string::npos) << larger.err;
  EXPECT_NE(larger.err.find("1024"), std::string::npos) << larger.err;
  tiny.context = 1 << 30;
  const Finished huge = hearth({"run", tiny.write("huge.gguf"), "hello", "--ctx", "1073741824", "--kv-type", "f32"});
  EXPECT_EQ(huge.code, 1) << huge.err;
  EXPECT_NE(huge.err.find("needs 256.0 GiB"), std::string::npos) << huge.err;  // 2 * 32 * 4 bytes per token
  EXPECT_NE(huge.err.find("available"), std::string::npos) << huge.err;
}

TEST(Run, EveryInstructionSetAndCacheTypeAnswers) {
  const TinyModel tiny;
  const Args base = {"run", tiny.write(), "hello", "--temperature", "0", "--num-predict", "8"};
  for (const char* isa : {"amx", "avx512", "avx2", "generic"}) {
    const Finished done = hearth(base + Args{"--cpu-isa", isa});
    if (done.code == 1 && done.err.find(isa) != std::string::npos) continue;  // this machine lacks it, and it says so
    EXPECT_EQ(done.code, 0) << done.err;
  }
  for (const char* type : {"f16", "f32"})
    EXPECT_EQ(hearth(base + Args{"--kv-type", type, "--threads", "1"}).code, 0) << type;
  EXPECT_EQ(hearth(base + Args{"--cpu-isa", "neon"}).code, 2);
}

// A run that goes on until it is stopped, after its first text.
class EndlessRun : public Process {
 public:
  explicit EndlessRun(const TinyModel& tiny)
      : Process({"run", tiny.write(), "hello", "--ctx", "1000000", "--logit-bias", TinyModel::kNeverEnds},
                Streams::kNoInput) {
    EXPECT_TRUE(wait_for_output());
  }
};

TEST(Run, SignalsEndItAtOnce) {
  const TinyModel tiny;
  for (const int signal : {SIGINT, SIGTERM}) {
    EndlessRun process(tiny);
    process.send(signal);
    const Finished done = process.finish();
    EXPECT_EQ(done.signal, signal) << done.err;
  }
}

TEST(Run, AClosedPipeEndsItQuietly) {
  const TinyModel tiny;
  EndlessRun process(tiny);
  process.close_output();
  const Finished done = process.finish();
  EXPECT_EQ(done.code, 1);
  EXPECT_EQ(done.err, TinyModel::kNote);
}

TEST(Run, StopsAtAStopString) {
  REQUIRE_SHARED("models/stories260K.gguf");
  const Args base = {
      "run", shared("models/stories260K.gguf"), "Once upon a time", "--temperature", "0", "--num-predict", "40"};
  const std::string all = hearth(base).out;
  EXPECT_NE(all.find("there was a"), std::string::npos) << all;
  const std::string stopped = hearth(base + Args{"--stop", "girl", "--stop", "was a"}).out;
  EXPECT_EQ(stopped, all.substr(0, all.find("was a")) + "\n");
}

TEST(Tokenize, PrintsTheIdsOnOneLine) {
  REQUIRE_SHARED("models/vocab/ggml-vocab-llama-bpe.gguf");
  const std::string model = shared("models/vocab/ggml-vocab-llama-bpe.gguf");
  EXPECT_EQ(hearth({"tokenize", model, "Hello world"}).out, "9906 1917\n");
  EXPECT_EQ(hearth({"tokenize", model, "-"}, "Hello world").out, "9906 1917\n");
  EXPECT_EQ(hearth({"tokenize", model, "Hello world", "--bos"}).out, "128000 9906 1917\n");
  EXPECT_EQ(hearth({"tokenize", model, "<|eot_id|>", "--special"}).out, "128009\n");
  EXPECT_NE(hearth({"tokenize", model, "<|eot_id|>"}).out, "128009\n");
  EXPECT_EQ(hearth({"tokenize", model, ""}).out, "\n");
  EXPECT_EQ(hearth({"tokenize", model, "-"}, "\xff").code, 2);
}

TEST(Tokenize, WorksOnBytes) {
  const TinyModel tiny;
  EXPECT_EQ(hearth({"tokenize", tiny.write(), "az"}).out, "100 125\n");
  EXPECT_EQ(hearth({"tokenize", tiny.write(), "a", "--bos"}).out, "1 100\n");
}

TEST(Logits, AreWrittenForEveryPosition) {
  const TinyModel tiny;
  const std::string tokens = tiny.file("tokens.txt"), out = tiny.file("out.npy");
  std::ofstream(tokens) << "[1, 100, 101\n" + [] {
    std::string more;
    for (int i = 0; i < 300; ++i) more += fmt::format(", {}", 3 + i % 256);  // more than one step
    return more;
  }() + "]";
  const Finished done = hearth({"logits", tiny.write(), "--tokens", tokens, "--out", out});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.out + done.err, "");
  const Npy all = read_npy(out);
  EXPECT_EQ(all.shape, (std::vector<size_t>{303, TinyModel::kVocabulary}));
  // A prefix gives the same first rows: positions do not see what comes after them.
  std::ofstream(tokens) << "1 100 101";
  EXPECT_EQ(hearth({"logits", tiny.write(), "--tokens", tokens, "--out", out}).code, 0);
  const Npy first = read_npy(out);
  EXPECT_EQ(first.shape[0], 3u);
  EXPECT_LT(relative_error(first.values, std::span(all.values).first(first.values.size())), 1e-5);
}

TEST(Logits, BadTokensAreRefusedAndNothingIsLeftBehind) {
  const TinyModel tiny;
  const std::string tokens = tiny.file("tokens.txt"), out = tiny.file("out.npy");
  const auto code_of = [&](const std::string& text) {
    std::ofstream(tokens) << text;
    return hearth({"logits", tiny.write(), "--tokens", tokens, "--out", out}).code;
  };
  EXPECT_EQ(code_of("1 259"), 2);
  EXPECT_EQ(code_of("1 -1"), 2);
  EXPECT_EQ(code_of("one two"), 1);
  EXPECT_EQ(code_of(""), 1);
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(out).parent_path())) {
    EXPECT_EQ(entry.path().string().find(".npy"), std::string::npos) << entry.path();
  }
  EXPECT_EQ(hearth({"logits", tiny.write(), "--tokens", tokens, "--out", "/nowhere/x.npy"}).code, 1);
}

TEST(Logits, ASignalLeavesNoUnfinishedFile) {
  const TinyModel tiny;
  const std::string model = tiny.write(), tokens = tiny.file("tokens.txt"), out = tiny.file("out.npy");
  std::ofstream list(tokens);
  for (int i = 0; i < 200000; ++i) list << 3 + i % 256 << '\n';  // far more than can be done in the time of this test
  list.close();
  const auto results = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(out).parent_path())) {
      count += entry.path().string().find(".npy") != std::string::npos ? 1 : 0;
    }
    return count;
  };
  Process process({"logits", model, "--tokens", tokens, "--out", out});
  for (int i = 0; i < 1000 && results() == 0; ++i) ::usleep(10000);
  EXPECT_EQ(results(), 1) << "the unfinished file";
  process.send(SIGINT);
  EXPECT_EQ(process.finish().signal, SIGINT);
  EXPECT_EQ(results(), 0);
}

TEST(Logits, AreTheReferences) {
  REQUIRE_SHARED("golden/logits/index.json");
  const TinyModel tiny;  // for its folder
  const std::string index = [] {
    const auto bytes = read_bytes(shared("golden/logits/index.json"));
    return std::string(bytes.begin(), bytes.end());
  }();
  const size_t open = index.find('['), close = index.find(']');
  const std::string tokens = tiny.file("tokens.json"), out = tiny.file("out.npy");
  std::ofstream(tokens) << index.substr(open, close - open + 1);
  ASSERT_EQ(
      hearth({"logits", shared("models/tiny/llama.gguf"), "--tokens", tokens, "--out", out, "--kv-type", "f32"}).code,
      0);
  EXPECT_LT(relative_error(read_npy(out).values, read_npy(shared("golden/logits/llama.npy")).values), 2e-4);
}

TEST(Perplexity, OfAModelThatKnowsNothingIsTheSizeOfItsVocabulary) {
  TinyModel tiny;
  tiny.uniform = true;
  const std::string text = tiny.file("text.txt");
  std::ofstream(text) << std::string(1000, 'x');
  const Finished done = hearth({"perplexity", tiny.write(), text, "--ctx", "128"});
  EXPECT_EQ(done.out, "perplexity: 259.0000 +/- 0.0000 (441 tokens scored in 7 windows of 128)\n") << done.err;
  const Finished shorter = hearth({"perplexity", tiny.write(), text, "--ctx", "2048"});
  EXPECT_EQ(shorter.code, 2);
  EXPECT_NE(shorter.err.find("has 1001 tokens"), std::string::npos) << shorter.err;
}

}  // namespace
}  // namespace hearth::test
