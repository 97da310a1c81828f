#include "batch/runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>

#include "support/support.h"

namespace hearth::batch {
namespace {

using std::chrono::milliseconds;

int64_t wall_ms() {
  return std::chrono::system_clock::now().time_since_epoch() / milliseconds(1);
}

// A server that answers at once, or as a test says, on threads of its own.
class FakeServer {
 public:
  ~FakeServer() {
    for (std::thread& thread : threads_) thread.join();
  }
  Host host() {
    Host host;
    host.ask = [this](const Request& request, const std::string&, std::function<void(Reply)> done) -> Cancel {
      const std::lock_guard lock(mutex_);
      const int64_t now = ++running_;
      most_ = std::max(most_, now);
      ++asked_[request.body];
      const auto cancelled = std::make_shared<std::atomic<bool>>(false);
      threads_.emplace_back([this, request, done = std::move(done), cancelled] {
        const Reply reply = answer ? answer(request) : good("yes");
        for (int i = 0; hold && i < 5000 && !*cancelled; ++i) std::this_thread::sleep_for(milliseconds(1));
        --running_;
        done(*cancelled ? Reply{499, ""} : reply);
      });
      return [cancelled] { *cancelled = true; };
    };
    host.seat = [this](const std::string& model, std::function<void(Result<Seat>)> done) {
      if (missing.contains(model)) return done(Error{ErrorKind::kNotFound, "no such model"});
      const std::lock_guard lock(mutex_);
      loads.push_back(model);
      done(Seat{nullptr, model, 4, 1});
    };
    host.identify = [](const std::string& name) -> Result<std::string> { return name; };
    host.others = [this](const std::string&) { return others; };
    host.room = [this]() -> Status {
      if (full) return Error{ErrorKind::kNoSpace, "full"};
      return {};
    };
    host.tell = [](const std::string&) {};
    host.ended = [this](int64_t) { ++ended; };
    return host;
  }
  static Reply good(const std::string& text) {
    return {200, R"({"choices":[{"message":{"content":")" + text + R"("},"finish_reason":"stop"}]})"};
  }
  int64_t most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }
  size_t asked_twice() {
    const std::lock_guard lock(mutex_);
    size_t twice = 0;
    for (const auto& [body, count] : asked_) twice += count > 1;
    return twice;
  }

  std::function<Reply(const Request&)> answer;
  std::vector<std::string> loads;
  std::set<std::string> missing;
  std::atomic<int> ended = 0;
  std::atomic<bool> full = false, hold = false;
  Others others;

 private:
  std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::map<std::string, int> asked_;
  std::atomic<int64_t> running_ = 0;
  int64_t most_ = 0;
};

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    auto sql = open_sqlite(folder_ / "batch.db");
    EXPECT_TRUE(sql);
    queue_ = std::make_unique<Queue>(std::move(sql).value(), wall_ms);
  }
  int64_t submit(const std::string& workflow, int64_t items, const std::string& key = "job") {
    const Where where = [](const std::string&) { return ""; };
    auto read = workflow_from_json(boost::json::parse(workflow), where);
    EXPECT_TRUE(read) << read.error().message;
    const auto compiled = compile(*read, where);
    EXPECT_TRUE(compiled) << compiled.error().message;
    std::vector<StepPlan> plan;
    for (const Planned& one : (*compiled)->plan) {
      StepPlan step{one.name, read->steps[one.step].model, {}, static_cast<int64_t>(plan.size()) << 32, 1};
      for (const auto& [name, needed] : one.needs) step.needs.push_back(needed);
      plan.push_back(step);
    }
    JobInfo job{.key = key, .owner = "ann", .name = "w", .spec = workflow, .info = "{}"};
    const auto begun = queue_->begin_job(job);
    EXPECT_TRUE(begun);
    std::vector<NewItem> list;
    for (int64_t i = 0; i < items; ++i) list.push_back({std::to_string(i), "{\"n\":" + std::to_string(i) + "}"});
    EXPECT_TRUE(queue_->add_items(begun->job, list, plan));
    EXPECT_TRUE(queue_->release_job(begun->job));
    return begun->job;
  }
  RunnerOptions options() const { return {.worker = "w", .node = "n", .bounds = {}, .quiet_ms = 100, .backoff_ms = 1}; }
  bool wait(const std::function<bool()>& until, int seconds = 20) {
    for (int i = 0; i < seconds * 100; ++i) {
      if (until()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  bool wait_for_end(int64_t job) {
    return wait([&] { return queue_->job(job)->state == "done"; });
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Queue> queue_;
  FakeServer server_;
};

constexpr const char* kDebate = R"({"name":"w","step":[
  {"name":"pro","model":"a","prompt":"For {{ item.n }}"},
  {"name":"con","model":"b","prompt":"Against {{ item.n }} {{ pro.text }}"},
  {"name":"judge","model":"a","prompt":"{{ item.n }} {{ pro.text }} {{ con.text }}"}]})";

TEST_F(RunnerTest, DrainsModelByModel) {
  const int64_t job = submit(kDebate, 50);
  server_.hold = true;  // so that the first answers are not there before the last question
  {
    Runner runner(*queue_, server_.host(), options());
    EXPECT_TRUE(wait([&] { return server_.most() == 4; }));
    server_.hold = false;
    ASSERT_TRUE(wait_for_end(job));
    EXPECT_TRUE(wait([&] { return runner.work().finished == 150; }));
  }
  EXPECT_EQ(server_.loads, (std::vector<std::string>{"a", "b", "a"}));
  EXPECT_EQ(server_.most(), 4);
  EXPECT_EQ(server_.asked_twice(), 0u);
  EXPECT_EQ(server_.ended, 1);
}

TEST_F(RunnerTest, AnEditedWorkflowRunsOnlyWhatDependsOnTheEdit) {
  const int64_t first = submit(kDebate, 5);
  Runner runner(*queue_, server_.host(), options());
  ASSERT_TRUE(wait_for_end(first));
  std::string edited = kDebate;
  edited.replace(edited.find("Against"), 7, "Contra!");
  const int64_t second = submit(edited, 5, "edited");
  runner.wake();
  ASSERT_TRUE(wait_for_end(second));
  EXPECT_GE(runner.work().cached, 5u) << "the first step of each item";
}

TEST_F(RunnerTest, WhatPassesIsTriedAgainAndWhatDoesNotFails) {
  std::atomic<int> calls = 0;
  server_.answer = [&](const Request& request) -> Reply {
    if (request.body.find("For 1\"") != std::string::npos) return {400, R"({"error":{"message":"too long"}})"};
    if (request.body.find("For 2\"") != std::string::npos && ++calls < 3) return {500, "oops"};
    return FakeServer::good("yes");
  };
  const int64_t job = submit(R"({"name":"w","step":[{"name":"pro","model":"a","prompt":"For {{ item.n }}"}]})", 4);
  Runner runner(*queue_, server_.host(), options());
  ASSERT_TRUE(wait_for_end(job));
  EXPECT_EQ(queue_->counts(job)->of("done"), 3);
  EXPECT_EQ(calls, 3);
  std::string error;
  ASSERT_TRUE(queue_->results(job, 1, 1, [&](const StepResult& one) { error = one.error; }));
  EXPECT_EQ(error, "too long");
}

TEST_F(RunnerTest, OnErrorSkipsOrFallsBack) {
  server_.answer = [](const Request& request) -> Reply {
    return request.model == "bad" ? Reply{400, R"({"error":"no"})"} : FakeServer::good("fine");
  };
  const int64_t job = submit(R"({"name":"w","step":[
    {"name":"s","model":"bad","prompt":"x","on_error":"skip"},
    {"name":"f","model":"bad","prompt":"y {{ s.text }}","on_error":"fallback:good"}]})",
                             2);
  Runner runner(*queue_, server_.host(), options());
  ASSERT_TRUE(wait_for_end(job));
  EXPECT_EQ(queue_->counts(job)->of("done"), 4);
  std::map<std::string, std::string> outputs;
  ASSERT_TRUE(queue_->results(job, 0, 1, [&](const StepResult& one) { outputs[one.name] = one.output; }));
  EXPECT_NE(outputs["s"].find("skipped"), std::string::npos);
  EXPECT_NE(outputs["f"].find("fine"), std::string::npos);
}

TEST_F(RunnerTest, AModelThatIsGoneFailsItsStepsAndOthersGoOn) {
  server_.missing = {"b"};
  const int64_t job = submit(kDebate, 3);
  Runner runner(*queue_, server_.host(), options());
  ASSERT_TRUE(wait_for_end(job));
  EXPECT_EQ(queue_->counts(job)->of("done"), 3);
  EXPECT_EQ(queue_->counts(job)->of("failed"), 6);
}

TEST_F(RunnerTest, PeopleGoFirstAndWhatRanIsNotCounted) {
  server_.hold = true;
  const int64_t job = submit(kDebate, 8);
  Runner runner(*queue_, server_.host(), options());
  ASSERT_TRUE(wait([&] { return queue_->counts(job)->of("leased") == 4; }));
  server_.others = {.running = 1, .other_model = true, .quiet_ms = 0};
  runner.wake();
  ASSERT_TRUE(wait([&] { return queue_->counts(job)->of("leased") == 0; }));
  EXPECT_EQ(runner.work().preempted, 4u);
  server_.hold = false;
  server_.others = {};
  runner.wake();
  ASSERT_TRUE(wait_for_end(job));
  EXPECT_EQ(queue_->counts(job)->of("done"), 24);
}

TEST_F(RunnerTest, AFullDiskPausesAndCancellingStopsWhatRuns) {
  server_.full = true;
  const int64_t job = submit(kDebate, 4);
  Runner runner(*queue_, server_.host(), options());
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(queue_->counts(job)->of("ready"), 4);
  server_.hold = true;
  server_.full = false;
  runner.wake();
  ASSERT_TRUE(wait([&] { return queue_->counts(job)->of("leased") > 0; }));
  ASSERT_TRUE(queue_->cancel(job));
  runner.wake();
  EXPECT_TRUE(wait([&] { return queue_->counts(job)->of("cancelled") == 12; }));
}

}  // namespace
}  // namespace hearth::batch
