// Models on demand: shared loads, kept for a while, let go for others.
#include "fleet/fleet.h"

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "base/log.h"
#include "device/types.h"
#include "engine/event_queue.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::fleet {
namespace {

using Taken = Result<std::shared_ptr<Fleet::Lease>>;

class FleetTest : public testing::Test {
 protected:
  FleetTest() {
    set_log_level(LogLevel::kWarn);
    options_.model.gpu = GpuPolicy::kOff;
    options_.model.threads = 1;
    tiny_.context = 4096;
    tiny_.write();
  }

  // The same small model under any name.
  store::ModelFiles named(const std::string& name, const std::string& file = "tiny.gguf") const {
    store::ModelFiles found;
    found.name = name;
    found.model = tiny_.file(file);
    return found;
  }

  Fleet& start() {
    fleet_ = std::make_unique<Fleet>(options_);
    return *fleet_;
  }
  // Counts what the fleet tells, by the model: before start().
  void count() {
    options_.loaded = [this](const std::string& model, const char* why, std::chrono::nanoseconds) {
      if (std::string_view(why) != "failed") ++loads_of(model);
    };
    options_.let_go = [this](const std::string& model, const char* why) {
      if (std::string_view(why) == "room") ++made_room_of(model);
    };
  }
  std::atomic<uint64_t>& loads_of(const std::string& model) { return at(loads_, model); }
  std::atomic<uint64_t>& made_room_of(const std::string& model) { return at(made_room_, model); }
  Taken use(const std::string& name, const LoadWish& wish = {},
            std::optional<std::chrono::nanoseconds> keep_alive = {}) {
    std::promise<Taken> taken;
    fleet_->use(named(name), wish, keep_alive, [&](Taken lease) { taken.set_value(std::move(lease)); });
    return taken.get_future().get();
  }
  // Models go on a thread of the fleet's: waits until these are left.
  void wait_until_running(const std::vector<std::string>& names) {
    std::vector<std::string> running;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    do {
      running.clear();
      for (const RunningModel& model : fleet_->running()) running.push_back(model.found.name);
      std::this_thread::yield();
    } while (running != names && std::chrono::steady_clock::now() < end);
    EXPECT_EQ(running, names);
  }

  test::TinyModel tiny_;
  FleetOptions options_;

 private:
  using Counts = std::map<std::string, std::atomic<uint64_t>>;
  std::atomic<uint64_t>& at(Counts& counts, const std::string& model) {
    const std::lock_guard lock(mutex_);
    return counts[model];
  }
  std::mutex mutex_;
  Counts loads_, made_room_;

 protected:
  std::unique_ptr<Fleet> fleet_;  // ends first: it counts
};

TEST_F(FleetTest, RequestsForOneModelShareOneLoadAndItsEngine) {
  Fleet& fleet = start();
  constexpr size_t kUsers = 5;
  std::vector<std::promise<Taken>> taken(kUsers);
  for (auto& one : taken) fleet.use(named("a"), {}, {}, [&](Taken lease) { one.set_value(std::move(lease)); });
  std::set<engine::Engine*> engines;
  for (auto& one : taken) {
    const Taken lease = one.get_future().get();
    ASSERT_TRUE(lease.ok()) << lease.error().message;
    engines.insert((**lease)->engine.get());
  }
  EXPECT_EQ(engines.size(), 1u);
  EXPECT_EQ(fleet.running().size(), 1u);
}

TEST_F(FleetTest, OfTooManyTheOneThatWasUsedLongestAgoGoes) {
  options_.most_models = 2;
  start();
  for (const char* name : {"a", "b", "a", "c"}) ASSERT_TRUE(use(name).ok());
  wait_until_running({"a", "c"});
}

TEST_F(FleetTest, WhatIsInUseIsNotLetGoForAnother) {
  options_.most_models = 1;
  Fleet& fleet = start();
  Taken lease = use("a");
  ASSERT_TRUE(lease.ok());
  std::promise<Taken> other;
  fleet.use(named("b"), {}, {}, [&](Taken taken) { other.set_value(std::move(taken)); });
  EXPECT_FALSE(fleet.unload("c"));
  EXPECT_EQ(fleet.running().front().found.name, "a");
  lease = Error{ErrorKind::kCancelled, "given back"};
  EXPECT_TRUE(other.get_future().get().ok());
  wait_until_running({"b"});
}

TEST_F(FleetTest, AModelThatIsKeptForNoTimeGoesWithItsLastUser) {
  Fleet& fleet = start();
  {
    const Taken lease = use("a", {}, std::chrono::nanoseconds(0));
    ASSERT_TRUE(lease.ok());
    EXPECT_EQ(fleet.running().size(), 1u);
  }
  wait_until_running({});
}

TEST_F(FleetTest, UnloadedIsWhatNobodyUses) {
  Fleet& fleet = start();
  ASSERT_TRUE(use("a").ok());
  EXPECT_TRUE(fleet.running().front().expires.has_value());
  EXPECT_TRUE(fleet.unload("A"));
  wait_until_running({});
  EXPECT_FALSE(fleet.unload("a"));
}

// The tokens of an answer to a prompt of so many letters, or nothing where it is refused.
std::vector<text::Token> answer_of(engine::Engine& engine, size_t letters, int tokens,
                                   const std::function<void()>& meanwhile) {
  engine::Request request;
  request.prompt.assign(letters, 70);
  request.options.temperature = 0;
  request.options.num_predict = tokens;
  request.ignore_eos = true;
  engine::EventQueue queue;
  if (!engine.submit(std::move(request), queue.sink())) return {};
  meanwhile();
  std::vector<text::Token> all;
  for (bool over = false; !over;) {
    const auto event = queue.pop(std::chrono::seconds(60));
    if (!event) return {};
    all.insert(all.end(), event->tokens.begin(), event->tokens.end());
    over = event->finish.has_value();
  }
  return all;
}

TEST_F(FleetTest, AWishForALargerContextGrowsTheCacheUnderThoseWhoAnswer) {
  start();
  const LoadWish small{.context = 64}, large{.context = 256}, smaller{.context = 32};
  const Taken first = use("a", small);
  ASSERT_TRUE(first.ok());
  engine::Engine& engine = *(**first)->engine;
  const std::vector<text::Token> alone = answer_of(engine, 20, 40, [] {});
  EXPECT_EQ(alone.size(), 40u);
  EXPECT_TRUE(answer_of(engine, 100, 1, [] {}).empty()) << "there is no room for it yet";

  engine::Engine* grown = nullptr;
  const std::vector<text::Token> meanwhile = answer_of(engine, 20, 40, [&] {
    const Taken second = use("a", large);
    ASSERT_TRUE(second.ok());
    grown = (**second)->engine.get();
  });
  EXPECT_EQ(grown, &engine) << "nothing is loaded, although the first user is still there";
  EXPECT_EQ(meanwhile, alone);
  EXPECT_EQ(fleet_->running().front().context, 256u);
  EXPECT_EQ(answer_of(engine, 100, 40, [] {}).size(), 40u);
  EXPECT_EQ(engine.stats().pages_total, 256u / device::kPage_tokens * options_.parallel);

  ASSERT_TRUE(use("a", smaller).ok());
  wait_until_running({"a"});
  EXPECT_EQ(fleet_->running().front().context, 256u);
}

TEST_F(FleetTest, WhoComesWhileTheCacheGrowsAndNeedsLessHasWhatItGrewTo) {
  Fleet& fleet = start();
  const Taken first = use("a", {.context = 64});
  ASSERT_TRUE(first.ok());
  // The cache grows between two steps, so a reader that does not come back holds the growth up.
  std::promise<void> reads, may_read_on, over;
  bool held = false;
  engine::Request request;
  request.prompt = {70};
  request.options.num_predict = 2;
  const auto reader = [&](const engine::Event& event) {
    if (!std::exchange(held, true)) {
      reads.set_value();
      may_read_on.get_future().wait();
    }
    if (event.finish) over.set_value();
  };
  ASSERT_TRUE((**first)->engine->submit(std::move(request), reader).ok());
  reads.get_future().wait();
  std::map<uint32_t, std::promise<Taken>, std::greater<>> taken;
  for (const uint32_t context : {256, 128, 96}) {
    fleet.use(named("a"), {.context = context}, {}, [&one = taken[context]](Taken l) { one.set_value(std::move(l)); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the growth has begun: without it the test says less
  }
  may_read_on.set_value();
  over.get_future().wait();
  for (auto& [context, one] : taken) {
    const Taken lease = one.get_future().get();
    ASSERT_TRUE(lease.ok()) << lease.error().message;
    EXPECT_EQ((**lease)->context_tokens, 256u);
  }
  ASSERT_TRUE(use("a", {.context = 200}).ok());
  EXPECT_EQ(fleet.running().front().context, 256u);
}

TEST_F(FleetTest, WhereTheCacheCannotGrowTheModelIsLoadedAgainOnce) {
  tiny_.long_rope = true;
  tiny_.write();
  start();
  const LoadWish small{.context = 64}, large{.context = 256};
  engine::Engine* before = nullptr;
  {
    const Taken taken = use("a", small);
    ASSERT_TRUE(taken.ok());
    before = (**taken)->engine.get();
    EXPECT_TRUE((**taken)->grow(256).error().message.find("encoded in another way") != std::string::npos);
    EXPECT_EQ((**taken)->context_tokens, 64u);
    EXPECT_EQ(answer_of(*before, 20, 10, [] {}).size(), 10u) << "it works on";
  }
  const Taken after = use("a", large);
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ((**after)->context_tokens, 256u);
  for (const LoadWish& wish : {small, large}) {
    const Taken again = use("a", wish);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ((**again)->engine, (**after)->engine) << "not back and forth";
  }
  wait_until_running({"a"});
}

TEST_F(FleetTest, AModelThatCannotBeLoadedIsAnErrorForAllWhoWait) {
  Fleet& fleet = start();
  std::promise<Taken> taken;
  fleet.use(named("a", "absent.gguf"), {}, {}, [&](Taken lease) { taken.set_value(std::move(lease)); });
  const Taken lease = taken.get_future().get();
  ASSERT_FALSE(lease.ok());
  EXPECT_EQ(lease.error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(fleet.running().empty());
  EXPECT_TRUE(use("a").ok());
}

// Two clients that ask for two models in turn, each as soon as it has its answer, with room for one.
TEST_F(FleetTest, ModelsThatAreWantedInTurnAreLoadedOncePerSliceAndNotOncePerRequest) {
  options_.most_models = 1;
  options_.slice = std::chrono::milliseconds(400);
  count();
  Fleet& fleet = start();
  constexpr auto kFor = std::chrono::seconds(3);
  const auto start = std::chrono::steady_clock::now();
  std::array<std::atomic<uint64_t>, 2> answers{};
  const auto client = [&](size_t index, const std::string& name) {
    while (std::chrono::steady_clock::now() - start < kFor) {
      ASSERT_TRUE(use(name).ok());
      ++answers[index];
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // of a client between two questions
    }
  };
  std::jthread first(client, 0, "a");
  client(1, "b");
  first.join();
  const uint64_t loads = loads_of("a") + loads_of("b");
  EXPECT_GE(loads, 2u);
  EXPECT_GT(answers[0] + answers[1], 4 * loads) << answers[0] << " and " << answers[1] << " answers";
  std::map<std::string, uint64_t> avoided = fleet.loads_avoided();
  EXPECT_GT(avoided["a"] + avoided["b"], 0u);
}

TEST_F(FleetTest, WhoHasWaitedForLongestGetsThePlaceBeforeTheSliceIsOver) {
  options_.most_models = 1;
  options_.slice = std::chrono::hours(1);
  options_.most_wait = std::chrono::milliseconds(200);
  count();
  start();
  Taken lease = use("a");
  std::promise<Taken> other;
  fleet_->use(named("b"), {}, {}, [&](Taken taken) { other.set_value(std::move(taken)); });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (made_room_of("a") == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  lease = Error{ErrorKind::kCancelled, "given back"};
  EXPECT_TRUE(other.get_future().get().ok());
  EXPECT_EQ(made_room_of("a"), 1u);
}

TEST_F(FleetTest, AKeptModelStaysAsItWasLoadedWhateverElseIsAskedFor) {
  options_.most_models = 1;
  options_.keep_alive = std::chrono::nanoseconds(0);
  count();
  Fleet& fleet = start();
  fleet.keep(named("kept"), {.context = 64, .gpu_layers = {}, .threads = {}, .parallel = 2, .kv_type = "f32"});
  for (const char* name : {"a", "b"}) ASSERT_TRUE(use(name).ok());
  ASSERT_TRUE(use("kept", {}, std::chrono::seconds(1)).ok());
  wait_until_running({"kept"});
  const RunningModel kept = fleet.running().front();
  EXPECT_EQ(kept.context, 64u) << "a request without a wish shares it";
  EXPECT_FALSE(kept.expires.has_value());
  EXPECT_EQ(loads_of("kept"), 1u);
  EXPECT_TRUE(fleet.unload("kept"));
  wait_until_running({});
}

TEST_F(FleetTest, ALoadThatIsSettledStaysAsItIsForThoseWithoutAWish) {
  start();
  LoadWish settled{.context = 64, .kv_type = "f32"};
  settled.settled = true;
  ASSERT_TRUE(use("a", settled).ok());
  ASSERT_TRUE(use("a").ok());  // whose default is more
  EXPECT_EQ(fleet_->running().front().context, 64u);
  ASSERT_TRUE(use("a", {.context = 128}).ok());
  wait_until_running({"a"});
  EXPECT_EQ(fleet_->running().front().context, 128u);
}

TEST_F(FleetTest, AnotherTypeOfCacheIsAnotherLoad) {
  count();
  start();
  ASSERT_TRUE(use("a").ok());
  const uint64_t before = fleet_->running().front().devices.memory().cache;
  const LoadWish exact{.kv_type = "f32"};
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(use("a", exact).ok());
  wait_until_running({"a"});
  EXPECT_GT(fleet_->running().front().devices.memory().cache, before);
  EXPECT_EQ(loads_of("a"), 2u);
}

TEST_F(FleetTest, TellsWhatItLoadsAndLetsGoAndWhy) {
  std::mutex mutex;
  std::vector<std::string> told;
  const auto tell = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    told.push_back(text);
  };
  options_.most_models = 1;
  options_.loaded = [&](const std::string& model, const char* why, std::chrono::nanoseconds took) {
    EXPECT_GT(took.count(), 0);
    tell("+" + model + " " + why);
  };
  options_.let_go = [&](const std::string& model, const char* why) { tell("-" + model + " " + why); };
  start();
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("a", {.kv_type = "f32"}).ok());
  ASSERT_TRUE(use("b", {}, std::chrono::nanoseconds(0)).ok());
  wait_until_running({});
  ASSERT_TRUE(use("c").ok());
  fleet_->unload("c");
  wait_until_running({});
  EXPECT_EQ(told, (std::vector<std::string>{"+a request", "-a replaced", "+a again", "-a room", "+b request", "-b idle",
                                            "+c request", "-c asked"}));
}

TEST_F(FleetTest, TooManyWhoWaitAreRefused) {
  options_.queue = 1;
  options_.most_models = 1;
  Fleet& fleet = start();
  Taken lease = use("a");
  ASSERT_TRUE(lease.ok());
  std::promise<Taken> first;
  fleet.use(named("b"), {}, {}, [&](Taken taken) { first.set_value(std::move(taken)); });
  const Taken refused = use("b");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kBusy);
  lease = refused;
  EXPECT_TRUE(first.get_future().get().ok());
}

TEST_F(FleetTest, AtItsEndWhoWaitsIsTold) {
  options_.most_models = 1;
  Fleet& fleet = start();
  Taken lease = use("a");
  ASSERT_TRUE(lease.ok());
  std::promise<Taken> other;
  fleet.use(named("b"), {}, {}, [&](Taken taken) { other.set_value(std::move(taken)); });
  std::thread ends([&] { fleet_.reset(); });
  const Taken refused = other.get_future().get();
  lease = refused;
  ends.join();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace hearth::fleet
