// Placement as a user meets it, on simulated machines: a card that other programs use too, two cards, experts, memory
// promised and taken, and a GPU that is lost.
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "cli/simulated_gpu.h"

namespace hearth::test {
namespace {

using Args = std::vector<std::string>;

// The scenario "6 GB card, mistral-7b shape, 2.5 GB taken by others" at a 64th: a card of 96 MiB, other programs with
// 40 MiB, and a model of 8 layers (with the output) that needs nearly all of the card. Its cache is what takes the
// memory, so that it computes fast.
class Placement : public SimulatedGpu {
 protected:
  static constexpr const char* kLaptop = "tiny-laptop";
  static constexpr const char* kGpu = "GPU 0 (NVIDIA Tiny Laptop GPU)";
  static constexpr const char* kContext = "49152";

  Placement() {
    tiny_.layers = 7;
    model_ = tiny_.write();
  }

  // Other programs of the laptop, until the file `left()` exists.
  std::string others() const {
    return "take mib=26 name=/opt/google/chrome/chrome until-file=" + left() +
           ";take mib=10 name=/usr/share/code/code until-file=" + left();
  }
  std::string left() const { return tiny_.file("left"); }
  void others_leave() const { std::ofstream(left()) << "\n"; }

  Args run(const Args& more = {}) const {
    Args args = {"run", model_,          "hello", "--raw",         "--ctx", kContext,       "--threads",
                 "1",   "--temperature", "0",     "--num-predict", "6",     "--logit-bias", TinyModel::kNeverEnds};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  Args bench(const Args& more = {}) const {
    Args args = {"bench", model_, "-p", "4", "-n", "2", "-r", "1", "--ctx", kContext, "--threads", "1", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }

  // "3/8 layers on GPU 0 (...)".
  static std::string where(const std::string& text) { return text.substr(0, text.find(')') + 1); }
  // "3/8 layers on GPU 0 (...), ..." -> 9; -1: no such text.
  static int layers_on_gpu(const std::string& text) {
    const size_t at = text.find(std::string("/8 layers on ") + kGpu);
    if (at == std::string::npos) return -1;
    const size_t start = text.find_last_not_of("0123456789", at - 1) + 1;
    return std::stoi(text.substr(start, at - start));
  }

  TinyModel tiny_;
  std::string model_;
};

TEST_F(Placement, PlanTellsWhatTheLoadWillDoAndWhatWouldHelp) {
  const Finished plan = on(kLaptop, others(), {"plan", model_, "--ctx", kContext});
  ASSERT_EQ(plan.code, 0) << plan.err;
  const int planned = layers_on_gpu(plan.out);
  EXPECT_GT(planned, 1) << plan.out;
  EXPECT_LT(planned, 7) << plan.out;
  for (const char* part :
       {"What would help:", "closing chrome (26 MiB) frees 26 MiB: 8/8 layers", "--ctx 16384 instead of 49152"})
    EXPECT_NE(plan.out.find(part), std::string::npos) << part << " in\n" << plan.out;

  const Finished loaded = on(kLaptop, others(), run({"--verbose"}));
  ASSERT_EQ(loaded.code, 0) << loaded.err;
  EXPECT_NE(loaded.err.find("placement:            " + where(plan.out)), std::string::npos)
      << loaded.err << "\nplanned:\n"
      << plan.out;
  EXPECT_NE(loaded.err.find("load rate:"), std::string::npos) << loaded.err;
}

TEST_F(Placement, OneLineSaysWhatWouldHelpAndRequireRefuses) {
  const Finished automatic = on(kLaptop, others(), run());
  ASSERT_EQ(automatic.code, 0) << automatic.err;
  EXPECT_EQ(std::ranges::count(automatic.err, '\n'), 1) << automatic.err;
  EXPECT_EQ(automatic.err.find("warning: "), 0u) << automatic.err;
  const Finished required = on(kLaptop, others(), run({"--gpu", "require"}));
  EXPECT_EQ(required.code, 3) << required.err;
  EXPECT_EQ(required.out, "");
  for (const char* part : {"the whole model needs ", "to give (others hold 40 MiB)", "closing ", "8/8 layers"}) {
    EXPECT_NE(automatic.err.find(part), std::string::npos) << part << " in\n" << automatic.err;
    EXPECT_NE(required.err.find(part), std::string::npos) << part << " in\n" << required.err;
  }
  const Finished alone = on(kLaptop, "", run({"--gpu", "require"}));
  EXPECT_EQ(alone.code, 0) << alone.err;
  EXPECT_EQ(alone.err, "");
  EXPECT_EQ(alone.out, automatic.out) << "the same tokens wherever the layers are";
}

// The chat on a terminal.
class Conversation {
 public:
  Conversation(Args args, std::vector<std::string> environment, const std::string& history)
      : process_((args.erase(args.begin() + 2), args), Process::Streams::kTerminal,
                 (environment.insert(environment.end(), {"TERM=xterm", "NO_COLOR=1", "HEARTH_HISTORY=" + history}),
                  environment)) {}
  bool sees(const std::string& text) { return process_.wait_for(text); }
  bool has_seen(const std::string& text) const { return process_.shown().find(text) != std::string::npos; }
  void type(const std::string& keys) { process_.write(keys); }
  void enter(const std::string& line) {
    type(line + "\r");
    EXPECT_TRUE(sees("\n")) << line;
  }
  Finished finish() { return process_.finish(); }
  Finished leave() {
    enter("/bye");
    return finish();
  }

 private:
  Process process_;
};

// What a program asks of the simulated driver, to wait for what it does when nothing of it is shown.
class DriverCalls {
 public:
  explicit DriverCalls(std::string file) : file_(std::move(file)) {}
  std::string variable() const { return "HEARTH_SIM_TRACE=" + file_; }

  int count(const std::string& function) const {
    std::ifstream trace(file_);
    int count = 0;
    for (std::string line; std::getline(trace, line);) count += line.starts_with(function) ? 1 : 0;
    return count;
  }
  // False if they do not come.
  bool wait_until(const std::string& function, int calls) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);  // however busy the machine is
    while (count(function) < calls) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

 private:
  const std::string file_;
};

// What was said, without prompts, notes and escape codes: the lines after each echo.
std::vector<std::string> answers(const std::string& shown, const std::vector<std::string>& questions) {
  std::vector<std::string> found;
  size_t at = 0;
  for (const std::string& question : questions) {
    at = shown.find(question + "\r\n", at);
    if (at == std::string::npos) break;
    at += question.size() + 2;
    std::string answer = shown.substr(at, shown.find(">>> ", at) - at);
    for (size_t note; (note = answer.find("note: ")) != std::string::npos;)
      answer.erase(note, answer.find('\n', note) + 1 - note);
    found.push_back(answer);
  }
  return found;
}

TEST_F(Placement, LayersComeBackWhenTheOthersLeaveAndAnswersStayTheSame) {
  const Args args = run();
  const DriverCalls calls(tiny_.file("calls"));
  std::vector<std::string> environment = machine(kLaptop, others());
  environment.push_back(calls.variable());
  Conversation moved(args, environment, tiny_.file("history"));
  ASSERT_TRUE(moved.sees("layers run on the CPU: "));
  ASSERT_TRUE(moved.sees(">>> "));
  moved.enter("one question");
  ASSERT_TRUE(moved.sees(">>> "));
  const int allocations = calls.count("cuMemCreate");
  others_leave();
  // The move begins, and the next answer comes after it.
  ASSERT_TRUE(calls.wait_until("cuMemCreate", allocations + 1));
  moved.enter("another question");
  ASSERT_TRUE(moved.sees(std::string("note: memory became free: 8/8 layers on ") + kGpu));
  ASSERT_TRUE(moved.sees(">>> "));
  moved.enter("a third question");
  ASSERT_TRUE(moved.sees(">>> "));
  const Finished done = moved.leave();
  EXPECT_EQ(done.code, 0);
  const size_t first = done.out.find("note: memory became free");
  EXPECT_EQ(done.out.find("note: ", first + 1), std::string::npos) << "it moved to and fro: " << done.out;

  Conversation quiet(args, machine(kLaptop), tiny_.file("history"));
  std::vector<std::string> questions = {"one question", "another question", "a third question"};
  for (const std::string& question : questions) {
    ASSERT_TRUE(quiet.sees(">>> "));
    quiet.enter(question);
  }
  ASSERT_TRUE(quiet.sees(">>> "));
  const Finished expected = quiet.leave();
  EXPECT_EQ(expected.out.find("layers run on the CPU"), std::string::npos) << expected.out;
  ASSERT_EQ(answers(done.out, questions).size(), 3u) << done.out;
  EXPECT_EQ(answers(done.out, questions), answers(expected.out, questions));
}

TEST_F(Placement, LayersGiveWayWhenAnotherProgramTakesMemoryAndDoNotFlap) {
  const std::string come = tiny_.file("come");
  const DriverCalls calls(tiny_.file("calls"));
  std::vector<std::string> environment =
      machine(kLaptop, "take mib=26 name=game file=" + come + " until-file=" + left());
  environment.push_back(calls.variable());
  Conversation chat(run(), environment, tiny_.file("history"));
  ASSERT_TRUE(chat.sees(">>> "));
  const auto start = std::chrono::steady_clock::now();
  const int releases = calls.count("cuMemRelease");
  std::ofstream(come) << "\n";
  ASSERT_TRUE(calls.wait_until("cuMemRelease", releases + 1));
  chat.enter("one question");
  ASSERT_TRUE(chat.sees("note: other programs need memory: "));
  ASSERT_TRUE(chat.sees("layers on CPU"));
  ASSERT_TRUE(chat.sees(">>> "));
  others_leave();
  // Looks, one in a second: after five it would come back if it did not hold.
  ASSERT_TRUE(calls.wait_until("cuMemGetInfo", calls.count("cuMemGetInfo") + 9));
  chat.enter("another question");
  ASSERT_TRUE(chat.sees(">>> "));
  const Finished done = chat.leave();
  EXPECT_EQ(done.code, 0);
  // On a machine so slow that the half minute is over, it may have come back, but not before.
  const bool back = done.out.find("memory became free") != std::string::npos;
  EXPECT_TRUE(!back || std::chrono::steady_clock::now() - start >= std::chrono::seconds(30)) << done.out;
}

TEST_F(Placement, WhatIsPromisedIsTaken) {
  for (const auto& [profile, faults] : {std::pair(std::string(kLaptop), std::string()),
                                        {kLaptop, others()},
                                        {std::string(kLaptop) + ",vmm=0", others()}}) {
    const Finished done = on(profile, faults, bench());
    ASSERT_EQ(done.code, 0) << done.err;
    const boost::json::value report = boost::json::parse(done.out);
    const boost::json::object& memory = report.at("memory").as_object();
    const boost::json::object& gpu = memory.at("devices").at(0).as_object();
    EXPECT_EQ(gpu.at("device"), kGpu);
    EXPECT_GT(gpu.at("promised").as_int64(), 20 << 20);
    EXPECT_EQ(gpu.at("promised"), gpu.at("taken")) << done.out;
    EXPECT_EQ(memory.at("promised"), gpu.at("promised"));
    EXPECT_EQ(memory.at("taken"), gpu.at("taken"));
    const int64_t on_gpu = report.at("layers_on_gpu").as_int64();
    EXPECT_EQ(faults.empty(), on_gpu == 8) << done.out;
    EXPECT_GT(on_gpu, 1);
    EXPECT_EQ(done.err.find("promised"), std::string::npos) << done.err;
  }
  const Finished disturbed = on(kLaptop, "take mib=8 call=cuMemCreate#6", bench());
  EXPECT_EQ(disturbed.code, 0) << disturbed.err;
  EXPECT_NE(disturbed.err.find("the plan promised"), std::string::npos) << disturbed.err;
}

TEST_F(Placement, MemoryTakenWhileItLoadsLeavesTheLayersThatStillFit) {
  for (const int allocation : {1, 6, 12}) {
    const std::string taken = "take mib=40 name=game call=cuMemCreate#" + std::to_string(allocation);
    const Finished done = on(kLaptop, taken, run({"--verbose"}));
    EXPECT_EQ(done.code, 0) << done.err;
    const int layers = layers_on_gpu(done.err);
    EXPECT_GT(layers, 0) << done.err;
    EXPECT_LT(layers, 8) << done.err;
    EXPECT_NE(done.err.find("to give (others hold 44 MiB)"), std::string::npos) << done.err;
    const Finished required = on(kLaptop, taken, run({"--gpu", "require"}));
    EXPECT_EQ(required.code, 3) << required.err;
    EXPECT_NE(required.err.find("to give (others hold 44 MiB)"), std::string::npos) << required.err;
  }
}

TEST_F(Placement, LayersComeBackAfterALoadThatFoundTheMemoryTaken) {
  Conversation chat(run(), machine(kLaptop, "take mib=40 name=game call=cuMemCreate#6 until-file=" + left()),
                    tiny_.file("history"));
  ASSERT_TRUE(chat.sees("layers run on the CPU: "));
  ASSERT_TRUE(chat.sees(">>> "));
  others_leave();
  for (int i = 0; i < 1000; ++i) {  // an answer each, until the layers are back
    chat.enter("hello");
    ASSERT_TRUE(chat.sees(">>> "));
    if (chat.has_seen(std::string("note: memory became free: 8/8 layers on ") + kGpu)) break;
  }
  const Finished done = chat.leave();
  EXPECT_NE(done.out.find("note: memory became free: 8/8 layers on "), std::string::npos) << done.out;
}

TEST_F(Placement, ExpertsGoToTheCpuBeforeLayersOnDemand) {
  tiny_.layers = 4;
  tiny_.experts = 128;  // 3 MiB of a layer
  const std::string model = tiny_.write("experts.gguf");
  const auto run_experts = [&](const std::string& profile, const Args& more) {
    Args args = {"run",      model,           "hello", "--raw",         "--ctx", "512",          "--threads",
                 "1",        "--temperature", "0",     "--num-predict", "4",     "--logit-bias", TinyModel::kNeverEnds,
                 "--verbose"};
    args.insert(args.end(), more.begin(), more.end());
    return on(profile, "", args);
  };
  const std::string small = "tiny-laptop,memory_mib=52";
  const Finished whole = run_experts(kLaptop, {});
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_NE(whole.err.find(std::string("5/5 layers on ") + kGpu), std::string::npos) << whole.err;
  const Finished layers = run_experts(small, {});
  EXPECT_EQ(layers.err.find(std::string("5/5 layers on ") + kGpu), std::string::npos) << layers.err;
  const Finished last = run_experts(small, {"--experts-last"});
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_NE(last.err.find(std::string("5/5 layers on ") + kGpu), std::string::npos) << last.err;
  EXPECT_NE(last.err.find("0/5 layers on CPU"), std::string::npos) << last.err;
  EXPECT_NE(last.err.find(" with the experts of "), std::string::npos) << last.err;
  EXPECT_NE(last.err.find("warning: the experts of "), std::string::npos) << last.err;
  EXPECT_EQ(last.out, whole.out);
  EXPECT_EQ(run_experts(small, {"--experts-last", "--gpu", "require"}).code, 3);
}

TEST_F(Placement, TwoGpusShareAModelThatFitsOnNeither) {
  const Args args = {"run",
                     model_,
                     "hello",
                     "--ctx",
                     "32768",
                     "--temperature",
                     "0",
                     "--num-predict",
                     "6",
                     "--logit-bias",
                     TinyModel::kNeverEnds,
                     "--threads",
                     "1",
                     "--verbose"};
  const Finished both = on("tiny-two,memory_mib=64", "", args);
  ASSERT_EQ(both.code, 0) << both.err;
  EXPECT_NE(both.err.find("/8 layers on GPU 0 (NVIDIA Tiny GPU A)"), std::string::npos) << both.err;
  EXPECT_NE(both.err.find("/8 layers on GPU 1 (NVIDIA Tiny GPU B)"), std::string::npos) << both.err;
  const Finished one = on(kLaptop, "", args);
  EXPECT_EQ(both.out, one.out);
}

// NVML counts all of the machine's GPUs, CUDA those that it shows.
TEST_F(Placement, ReadsTheMemoryOfTheGpuThatCudaShows) {
  const std::string others = "take mib=20 device=0 name=game;take mib=23 device=1 name=chrome";
  const auto plan = [&](const std::string& visible) {
    return on(machine("tiny-two,memory_mib=64", others, "CUDA_VISIBLE_DEVICES=" + visible),
              {"plan", model_, "--ctx", "24576"});
  };
  const Finished one = plan("1");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_NE(one.out.find("/8 layers on GPU 0 (NVIDIA Tiny GPU B), "), std::string::npos) << one.out;
  EXPECT_NE(one.out.find("closing chrome (23 MiB) frees 23 MiB: "), std::string::npos) << one.out;
  for (const char* hidden : {"game", "GPU 1", "Tiny GPU A"})
    EXPECT_EQ(one.out.find(hidden), std::string::npos) << hidden << " in\n" << one.out;
  const Finished turned = plan("1,0");
  for (const char* part : {"/8 layers on GPU 0 (NVIDIA Tiny GPU B), ", "/8 layers on GPU 1 (NVIDIA Tiny GPU A), ",
                           "closing chrome (23 MiB) frees 23 MiB", "closing game (20 MiB) frees 20 MiB"})
    EXPECT_NE(turned.out.find(part), std::string::npos) << part << " in\n" << turned.out;
}

TEST_F(Placement, AGpuThatIsNotNeededIsLeftAlone) {
  const TinyModel small;
  const Finished done = on("tiny-two", "", {"bench", small.write(), "-p", "2", "-n", "1", "-r", "1", "--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const boost::json::value report = boost::json::parse(done.out);
  EXPECT_EQ(report.at("memory").at("devices").as_array().size(), 2u) << "one GPU and the CPU: " << done.out;
}

TEST_F(Placement, ALostGpuIsMadeAnewBetweenTwoAnswers) {
  const std::string leaks = tiny_.file("leaks");
  const Args args = run();
  std::vector<std::string> environment = machine(kLaptop, "sticky launch=300");
  environment.push_back("HEARTH_SIM_LEAKS=" + leaks);
  Conversation chat(args, environment, tiny_.file("history"));
  ASSERT_TRUE(chat.sees(">>> "));
  chat.enter("one question");
  ASSERT_TRUE(chat.sees("hearth: ")) << "the error of the answer that was under way";
  ASSERT_TRUE(chat.sees(">>> "));
  chat.enter("another question");
  ASSERT_TRUE(chat.sees(" was lost and made anew in "));
  ASSERT_TRUE(chat.sees(std::string(" s: 8/8 layers on ") + kGpu));
  ASSERT_TRUE(chat.sees(">>> "));
  const Finished done = chat.leave();
  EXPECT_EQ(done.code, 0) << done.out;

  // The question that failed is not part of the conversation.
  Conversation quiet(args, machine(kLaptop), tiny_.file("history"));
  ASSERT_TRUE(quiet.sees(">>> "));
  quiet.enter("another question");
  ASSERT_TRUE(quiet.sees(">>> "));
  const std::vector<std::string> question = {"another question"};
  EXPECT_EQ(answers(done.out, question), answers(quiet.leave().out, question));
  const std::vector<uint8_t> leaked = std::filesystem::exists(leaks) ? read_bytes(leaks) : std::vector<uint8_t>();
  EXPECT_EQ(std::string(leaked.begin(), leaked.end()), "");
}

TEST_F(Placement, AGpuThatDoesNotComeBackEndsTheChatWithTheCause) {
  // Off the bus; or there, but NVIDIA documents that after a bad kernel the process must end.
  for (const char* fault : {"lost launch=300", "sticky launch=300; no-reset"}) {
    SCOPED_TRACE(fault);
    Conversation chat(run(), machine(kLaptop, fault), tiny_.file("history"));
    ASSERT_TRUE(chat.sees(">>> "));
    chat.enter("one question");
    ASSERT_TRUE(chat.sees("hearth: "));
    chat.type("another question\r");  // if it is still there
    const Finished done = chat.finish();
    EXPECT_EQ(done.code, 1) << done.out;
    EXPECT_NE(done.out.find("could not be made anew"), std::string::npos) << done.out;
  }
}

TEST_F(Placement, AGpuThatDoesNotComeBackEndsARunWithItsOneError) {
  const Finished done = on(kLaptop, "sticky launch=300; no-reset", run({"--num-predict", "60"}));
  EXPECT_EQ(done.code, 1) << done.err;
  size_t errors = 0;
  for (size_t at = done.err.find("hearth: "); at != std::string::npos; at = done.err.find("hearth: ", at + 1)) ++errors;
  EXPECT_EQ(errors, 1u) << done.err;
  EXPECT_NE(done.err.find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << done.err;
}

TEST_F(Placement, ASlowLoadShowsItsProgress) {
  const std::string demo = (std::filesystem::path(HEARTH_BINARY).parent_path() / "demo.gguf").string();
  Process process({"run", demo, "hello", "--num-predict", "1"}, Process::Streams::kTerminal,
                  machine("tiny-laptop", "slow-copy mib-per-s=1"));
  EXPECT_TRUE(process.wait_for("loading demo.gguf on the GPU ["));
  EXPECT_EQ(process.finish().code, 0);
}

}  // namespace
}  // namespace hearth::test
