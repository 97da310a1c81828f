// The engine over a model on a GPU and the host: layers move, memory is given back, the GPU is lost, and answers
// stay what they are.
#include "engine/placed_model.h"

#include <latch>
#include <thread>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "models/small_model.h"
#include "support/fake_gpu.h"

namespace hearth::engine::test {
namespace {

using hearth::test::FakeCard;
using hearth::test::FakeGpu;
using hearth::test::SmallModel;

class Placed : public testing::Test {
 protected:
  std::vector<DeviceFactory> factories() {
    std::vector<DeviceFactory> all = {[this]() -> Result<std::unique_ptr<device::Device>> {
                                        if (++opened_ > openings_) {
                                          all_sent_.wait();
                                          return no_opening_;
                                        }
                                        return std::unique_ptr<device::Device>(new FakeGpu(card_));
                                      },
                                      [] { return cpu::create_device({.threads = 1, .isa = ""}); }};
    if (second_card_ != nullptr)
      all.insert(all.begin() + 1, [this]() -> Result<std::unique_ptr<device::Device>> {
        ++second_openings_;
        if (blocked_) {
          opening_.count_down();
          may_open_.wait();
        }
        return std::unique_ptr<device::Device>(new FakeGpu(second_card_));
      });
    return all;
  }

  Engine& start(PlacedOptions options = {}) {
    options.load = {.context = 128, .batch_rows = 32, .logit_rows = 8, .pages = 32};
    options.rebalance = {.grow_margin_bytes = 4096, .grow_after_ms = 4, .hold_ms = hold_ms_, .interval_ms = 2};
    engine_.reset();
    placed_.reset();
    auto placed = PlacedModel::load(file_, factories(), options);
    EXPECT_TRUE(placed.ok()) << (placed.ok() ? "" : placed.error().message);
    placed_ = std::move(*placed);
    engine_ = std::make_unique<Engine>(placed_->backend(), std::make_shared<FakeTokenizer>(),
                                       EngineOptions{.max_sequences = 4, .step_rows = 16});
    return *engine_;
  }

  static Request request(int index) {
    Request request;
    for (int i = 0; i < 20 + index; ++i) request.prompt.push_back(1 + (i * 7 + index) % 29);
    request.options.temperature = 0.8f;
    request.options.seed = index;
    request.options.num_predict = 40;
    return request;
  }
  std::vector<Event> answer_all(const std::function<void()>& meanwhile = [] {}) {
    std::vector<Receiver> receivers(8);
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(engine_->submit(request(i), receivers[i].sink()).ok());
    meanwhile();
    std::vector<Event> events;
    for (Receiver& receiver : receivers) {
      events.push_back(receiver.wait());
      EXPECT_TRUE(receiver.exactly_one_final());
    }
    return events;
  }
  // A minute is far more than anything here takes; without it a fault would hang the test instead of failing it.
  static void wait_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "what was waited for never came";
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  const std::shared_ptr<const gguf::File> file_ = SmallModel("llama").open();
  const std::shared_ptr<FakeCard> card_ = std::make_shared<FakeCard>();
  std::shared_ptr<FakeCard> second_card_;  // null: there is one
  std::atomic<int> second_openings_ = 0;
  std::atomic<bool> blocked_ = false;  // whoever opens the second one waits
  std::latch opening_{1}, may_open_{1};
  std::atomic<int> opened_ = 0, openings_ = 1000;
  Error no_opening_ = error(ErrorKind::kIo, "no GPU answers");  // after those
  std::latch all_sent_{1};  // until then no opening fails: a broken engine takes no requests
  int64_t hold_ms_ = 20;
  std::unique_ptr<PlacedModel> placed_;
  std::unique_ptr<Engine> engine_;  // ends first
};

TEST_F(Placed, AnswersStayTheSameWhileLayersMove) {
  start();
  const std::vector<Event> expected = answer_all();
  start();
  std::mt19937_64 random(hearth::test::seed());
  const std::vector<Event> moved = answer_all([&] {
    for (int i = 0; i < 30; ++i) {
      const auto bit = [&] { return static_cast<uint32_t>(random() % 2); };
      const uint32_t first = bit(), second = bit();
      EXPECT_TRUE(engine_->rebalance({{{first, first}, {second, second}}, bit(), bit()}).ok());
    }
  });
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(moved[i].tokens, expected[i].tokens) << "request " << i;
}

TEST_F(Placed, OnlyPagesThatAreReadAgainMoveWithTheirLayers) {
  hold_ms_ = int64_t{24} * 3600 * 1000;
  start();
  const auto answer = [&](uint32_t tokens) {
    Request one = request(0);
    one.prompt.resize(tokens, 3);
    one.options.num_predict = 2;
    Receiver receiver;
    EXPECT_TRUE(engine_->submit(one, receiver.sink()).ok());
    return receiver.wait();
  };
  const auto fetched_by_a_move = [&] {
    const int before = card_->pages_fetched;
    EXPECT_TRUE(engine_->rebalance(placement::all_on(1, 2)).ok());
    const int fetched = card_->pages_fetched - before;
    EXPECT_TRUE(engine_->rebalance(placement::all_on(0, 2)).ok());
    return fetched;
  };
  constexpr int kLayers = 2;
  answer(20);  // ends in its first page, which nobody else can use
  EXPECT_EQ(fetched_by_a_move(), 0);
  const Event first = answer(70);  // two full pages that the next one shares
  EXPECT_EQ(fetched_by_a_move(), 2 * kLayers);
  const Event again = answer(70);
  EXPECT_EQ(again.usage.prompt_tokens_cached, 64u);
  EXPECT_EQ(again.tokens, first.tokens);
}

TEST_F(Placed, GivesMemoryBackAndHoldsBackForAWhile) {
  hold_ms_ = int64_t{24} * 3600 * 1000;
  start();
  ASSERT_GT(card_->taken_bytes, 0u);
  ASSERT_TRUE(engine_->give_back(card_->taken_bytes).ok());
  EXPECT_EQ(card_->taken_bytes, 0u);
  const DeviceStatus away = engine_->devices();
  EXPECT_EQ(away.layers_on_gpu(), 0u);
  EXPECT_EQ(away.changes, 1u);
  EXPECT_EQ(away.last_change.find("memory was given back: 3/3 layers on CPU ("), 0u) << away.last_change;
}

TEST_F(Placed, TakesMemoryAgainWhenNobodyWantsIt) {
  start();
  const uint64_t all = card_->taken_bytes;
  ASSERT_TRUE(engine_->give_back(all).ok());
  wait_until([&] { return engine_->devices().changes == 2; });  // by the engine, while it is idle
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_EQ(card_->taken_bytes, all);
}

TEST_F(Placed, TakesAtOnceWhatWasMadeFreeForIt) {
  hold_ms_ = int64_t{24} * 3600 * 1000;
  start();
  const uint64_t all = card_->taken_bytes;
  ASSERT_TRUE(engine_->give_back(all).ok());
  ASSERT_TRUE(engine_->take_free().ok());
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_EQ(card_->taken_bytes, all);
}

TEST_F(Placed, StatusFollowsWhatMoves) {
  PlacedOptions options;
  options.reserve_bytes = 1 << 20;  // more than the model takes
  start(std::move(options));
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_EQ(engine_->devices().changes, 0u);
  EXPECT_EQ(engine_->devices().warning(), "");
  card_->others_bytes = card_->total_bytes - card_->taken_bytes;
  wait_until([&] { return engine_->devices().changes == 1; });
  const DeviceStatus away = engine_->devices();
  EXPECT_EQ(away.layers_on_gpu(), 0u);
  EXPECT_EQ(away.last_change.find("other programs need memory: 3/3 layers on CPU ("), 0u) << away.last_change;
  EXPECT_EQ(away.warning().find("the model runs on the CPU: GPU 0 (fake) has "), 0u) << away.warning();
  card_->others_bytes = 0;
  wait_until([&] { return engine_->devices().changes == 2; });
  const DeviceStatus back = engine_->devices();
  EXPECT_TRUE(back.wholly_on_gpu());
  EXPECT_EQ(back.last_change.find("memory became free: 3/3 layers on GPU 0 (fake)"), 0u) << back.last_change;
  EXPECT_EQ(back.warning(), "");
  EXPECT_EQ(back.memory().weights, away.memory().weights);
  EXPECT_EQ(back.memory().cache, away.memory().cache);
}

TEST_F(Placed, StatusCanBeReadWhileLayersMove) {
  start();
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) EXPECT_EQ(engine_->devices().layers.size(), 3u);
  });
  for (uint32_t i = 0; i < 40; ++i)
    EXPECT_TRUE(engine_->rebalance({{{i % 2, i % 2}, {i / 2 % 2, i / 2 % 2}}, i % 2, i / 3 % 2}).ok());
  done = true;
  reader.join();
}

TEST_F(Placed, WhatIsPromisedIsTaken) {
  uint64_t missing = 0;
  for (const bool whole : {true, false}) {
    card_->others_bytes = missing;
    start();
    const DeviceStatus::Device gpu = engine_->devices().devices[0];
    EXPECT_EQ(engine_->devices().wholly_on_gpu(), whole);
    EXPECT_GT(gpu.promised_bytes, 0u) << engine_->devices().placement();
    EXPECT_EQ(gpu.promised_bytes, gpu.taken_bytes);
    EXPECT_EQ(gpu.taken_bytes, card_->taken_bytes);
    missing = card_->total_bytes - card_->taken_bytes + (64 << 10);
  }
}

TEST_F(Placed, MemoryTakenAtAnyAllocationOfTheLoadLeavesFewerLayersThere) {
  start();
  const std::vector<Event> expected = answer_all();
  const int allocations = card_->allocations;
  ASSERT_GT(allocations, 5);
  // Room for a part of the model.
  card_->others_take_bytes = card_->total_bytes - card_->taken_bytes + (64 << 10);
  for (int at = 0; at < allocations; ++at) {
    card_->others_bytes = 0;
    card_->allocations_until_taken = at;
    start();
    const DeviceStatus status = engine_->devices();
    EXPECT_GT(status.layers_on_gpu(), 0u) << "at allocation " << at;
    EXPECT_LT(status.layers_on_gpu(), 3u) << "at allocation " << at;
    EXPECT_EQ(what_of(status.cause).find("GPU 0 (fake) has "), 0u) << what_of(status.cause);
    EXPECT_EQ(answer_all()[0].tokens, expected[0].tokens) << "at allocation " << at;
    card_->others_bytes = 0;
    wait_until([&] { return engine_->devices().wholly_on_gpu(); });
  }
}

TEST_F(Placed, ALoadThatFailsForAMomentIsWholeAllTheSame) {
  card_->allocations_to_fail = kPlansWithAllFree - 1;
  start();
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_EQ(engine_->devices().warning(), "");
}

TEST_F(Placed, MemoryThatCannotBeHadThoughItIsSaidToBeFreeMeansFewerLayersThenTheHost) {
  start();
  card_->total_bytes = card_->taken_bytes * 3 / 2;  // half of which is enough for a part
  card_->allocations_to_fail = kPlansWithAllFree;
  hold_ms_ = int64_t{24} * 3600 * 1000;
  start();
  EXPECT_GT(engine_->devices().layers_on_gpu(), 0u);
  EXPECT_LT(engine_->devices().layers_on_gpu(), 3u);
  EXPECT_EQ(engine_->devices().cause.id, "gpu-memory-not-to-be-had");
  EXPECT_NE(what_of(engine_->devices().cause).find("could not be had"), std::string::npos);

  card_->allocations_to_fail = 1000;
  start();
  EXPECT_EQ(engine_->devices().layers_on_gpu(), 0u);
  EXPECT_LE(1000 - card_->allocations_to_fail, kPlansWithAllFree + kSmallerPlans);
  EXPECT_EQ(engine_->devices().cause.id, "gpu-memory-not-to-be-had");
  EXPECT_NE(what_of(engine_->devices().cause).find("could not be had"), std::string::npos);
  hold_ms_ = 20;
  card_->allocations_to_fail = 1000;
  start();
  card_->allocations_to_fail = 0;
  wait_until([&] { return engine_->devices().wholly_on_gpu(); });
}

TEST_F(Placed, WithoutMovesALoadThatGoesOnFailingIsAnError) {
  PlacedOptions options;
  options.load = {.context = 128, .batch_rows = 32, .logit_rows = 8, .pages = 32};
  options.moves = false;
  card_->allocations_to_fail = 1000;
  const auto placed = PlacedModel::load(file_, factories(), options);
  ASSERT_FALSE(placed.ok());
  EXPECT_EQ(placed.error().kind, ErrorKind::kNoMemory);
  EXPECT_EQ(1000 - card_->allocations_to_fail, kPlansWithAllFree);
  EXPECT_EQ(card_->taken_bytes, 0u);
}

TEST_F(Placed, AGpuThatWasNotNeededIsUsedWhenTheFirstOnesMemoryIsTaken) {
  second_card_ = std::make_shared<FakeCard>();
  card_->others_take_bytes = card_->total_bytes;
  card_->allocations_until_taken = 3;
  start();
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_EQ(card_->taken_bytes, 0u);
  EXPECT_GT(second_card_->taken_bytes, 0u);
}

TEST_F(Placed, AGpuThatWasNotNeededTakesLayersWhenTheFirstOnesMemoryIsTakenLater) {
  start();
  const std::vector<Event> expected = answer_all();
  second_card_ = std::make_shared<FakeCard>();
  second_card_->name = "GPU 1 (fake)";
  start();
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_EQ(second_card_->devices, 0) << "its context is in nobody's way";
  const std::vector<Event> moved = answer_all([&] {
    ASSERT_TRUE(engine_->rebalance(placement::all_on(1, 2)).ok());  // the host
    card_->others_bytes = card_->total_bytes;
    wait_until([&] { return second_card_->taken_bytes > 0 && engine_->devices().wholly_on_gpu(); });
  });
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(moved[i].tokens, expected[i].tokens) << "request " << i;
  const DeviceStatus status = engine_->devices();
  ASSERT_EQ(status.devices.size(), 3u);
  EXPECT_EQ(status.devices[1].name, "GPU 1 (fake)");
  EXPECT_EQ(status.layers, (std::vector<uint32_t>{1, 1, 1}));
  EXPECT_GT(status.devices[1].memory.cache, 0u);
  EXPECT_EQ(answer_all()[0].tokens, expected[0].tokens);
}

TEST_F(Placed, ALostGpuThatDoesNotComeBackIsReplacedByOneThatWasNotNeeded) {
  start();
  const std::vector<Event> expected = answer_all();
  second_card_ = std::make_shared<FakeCard>();
  openings_ = opened_ + 1;
  all_sent_.count_down();
  start();
  card_->ops_until_lost = 60;
  answer_all();
  EXPECT_FALSE(engine_->broken().has_value());
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
  EXPECT_GT(second_card_->taken_bytes, 0u);
  EXPECT_EQ(answer_all()[0].tokens, expected[0].tokens);
}

TEST_F(Placed, MemoryTakenWhileALostGpuIsMadeAnewLeavesFewerLayersThere) {
  start();
  const std::vector<Event> expected = answer_all();
  card_->others_take_bytes = card_->total_bytes - card_->taken_bytes + (64 << 10);
  card_->allocations_until_taken = 4;
  card_->ops_until_lost = 60;
  answer_all();
  EXPECT_FALSE(engine_->broken().has_value());
  EXPECT_GT(engine_->devices().layers_on_gpu(), 0u);
  EXPECT_LT(engine_->devices().layers_on_gpu(), 3u);
  EXPECT_EQ(answer_all()[0].tokens, expected[0].tokens);
  card_->others_bytes = 0;
  wait_until([&] { return engine_->devices().wholly_on_gpu(); });
}

TEST_F(Placed, AGpuWithoutMemoryToOpenItIsLeftOut) {
  start();
  const std::vector<Event> expected = answer_all();
  no_opening_ = error(ErrorKind::kNoMemory, "no room for a context");
  openings_ = opened_.load();
  all_sent_.count_down();
  card_->ops_until_lost = 60;
  answer_all();
  EXPECT_FALSE(engine_->broken().has_value());
  EXPECT_EQ(engine_->devices().layers_on_gpu(), 0u);
  EXPECT_EQ(what_of(engine_->devices().cause), "no room for a context");
  EXPECT_EQ(answer_all()[0].tokens, expected[0].tokens);
}

TEST_F(Placed, MemoryTakenWhileLayersMoveChangesNoAnswer) {
  start();
  const std::vector<Event> expected = answer_all();
  const uint64_t all = card_->taken_bytes;
  const placement::Arrangement on_gpu = placement::all_on(0, 2), on_host = placement::all_on(1, 2);
  hold_ms_ = int64_t{24} * 3600 * 1000;  // nothing moves but what the test moves
  start();
  card_->others_take_bytes = card_->total_bytes;
  for (int at = 0;; ++at) {
    ASSERT_TRUE(engine_->rebalance(on_host).ok());
    card_->allocations_until_taken = at;
    const Status moved = engine_->rebalance(on_gpu);
    card_->others_bytes = 0;
    EXPECT_EQ(answer_all()[0].tokens, expected[0].tokens) << "at allocation " << at;
    if (moved) break;
    EXPECT_EQ(moved.error().kind, ErrorKind::kNoMemory);
    ASSERT_TRUE(engine_->rebalance(on_host).ok());
    EXPECT_EQ(card_->taken_bytes, 0u) << "at allocation " << at;
  }
  card_->allocations_until_taken = -1;
  EXPECT_EQ(card_->taken_bytes, all);
}

TEST_F(Placed, APlanThatIsRefusedLoadsNothing) {
  PlacedOptions options;
  options.load = {.context = 128, .batch_rows = 32, .logit_rows = 8, .pages = 32};
  options.review = [](const Proposal&) -> Result<Cause> { return error(ErrorKind::kRefused, "no"); };
  const auto placed = PlacedModel::load(file_, factories(), std::move(options));
  ASSERT_FALSE(placed.ok());
  EXPECT_EQ(placed.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(card_->taken_bytes, 0u);
  EXPECT_EQ(card_->devices, 0);
}

TEST_F(Placed, WithoutMovesNothingLeavesTheGpu) {
  PlacedOptions options;
  options.moves = false;
  start(std::move(options));
  const auto given = engine_->give_back(1 << 20);
  ASSERT_FALSE(given.ok());
  EXPECT_EQ(given.error().kind, ErrorKind::kUnsupported);
  card_->others_bytes = card_->total_bytes;
  wait_until([&, before = card_->looks.load()] { return card_->looks > before + 5; });  // is it still there?
  answer_all();
  EXPECT_TRUE(engine_->devices().wholly_on_gpu());
}

TEST_F(Placed, LayersComeBackWhenOthersLeave) {
  card_->others_bytes = card_->total_bytes;
  start();
  EXPECT_EQ(card_->taken_bytes, 0u);
  const std::vector<Event> on_host = answer_all();
  card_->others_bytes = 0;
  wait_until([&] { return card_->taken_bytes > 0; });
  const std::vector<Event> on_gpu = answer_all();
  for (size_t i = 0; i < on_host.size(); ++i) EXPECT_EQ(on_gpu[i].tokens, on_host[i].tokens);
}

TEST_F(Placed, ALostGpuIsMadeAnewAndOnlyWhatRanOnItFails) {
  start();
  const std::vector<Event> expected = answer_all();
  for (int op = 0; op < 200; op += 23) {
    start();
    card_->ops_until_lost = op;
    int failed = 0;
    const std::vector<Event> events = answer_all();
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].finish == FinishReason::kError) {
        ++failed;
        ASSERT_TRUE(events[i].error.has_value());
        EXPECT_EQ(events[i].error->kind, ErrorKind::kDeviceLost);
      } else {
        EXPECT_EQ(events[i].tokens, expected[i].tokens) << "request " << i << ", lost at op " << op;
      }
    }
    EXPECT_GE(failed, 1);
    EXPECT_EQ(engine_->stats().devices_lost, 1u);
    EXPECT_FALSE(engine_->broken().has_value());
    EXPECT_GT(engine_->devices().recovery.count(), 0);
    EXPECT_EQ(engine_->devices().last_change.find("GPU 0 (fake) was lost and made anew in "), 0u)
        << engine_->devices().last_change;
    const std::vector<Event> after = answer_all();
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(after[i].tokens, expected[i].tokens);
    EXPECT_EQ(card_->devices, 1) << "the lost one is gone";
  }
}

// A GPU that was left alone may take long to wake: nobody waits for it.
TEST_F(Placed, StepsGoOnWhileASpareGpuOpens) {
  start();
  const std::vector<Event> expected = answer_all();
  second_card_ = std::make_shared<FakeCard>();
  second_card_->name = "GPU 1 (fake)";
  PlacedOptions options;
  options.reserve_bytes = 1 << 20;
  start(options);
  ASSERT_EQ(second_card_->devices, 0) << "not needed";
  blocked_ = true;
  card_->others_bytes = card_->total_bytes;
  opening_.wait();
  const std::vector<Event> meanwhile = answer_all();
  EXPECT_EQ(second_card_->devices, 0) << "it still opens";
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(meanwhile[i].tokens, expected[i].tokens);
  blocked_ = false;
  may_open_.count_down();
  wait_until([&] { return engine_->devices().wholly_on_gpu(); });
  EXPECT_EQ(second_card_->devices, 1);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(answer_all()[i].tokens, expected[i].tokens);
}

TEST_F(Placed, AModelThatEndsWaitsForASpareGpuThatOpens) {
  second_card_ = std::make_shared<FakeCard>();
  second_card_->name = "GPU 1 (fake)";
  PlacedOptions options;
  options.reserve_bytes = 1 << 20;
  start(options);
  blocked_ = true;
  card_->others_bytes = card_->total_bytes;
  opening_.wait();
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    may_open_.count_down();
  });
  engine_.reset();
  placed_.reset();
  EXPECT_EQ(second_card_->devices, 0) << "it was closed again";
}

// Several models on one card: a loss that one of them meets is everybody's.
class Neighbours : public Placed {
 protected:
  struct Neighbour {
    std::unique_ptr<PlacedModel> placed;
    std::unique_ptr<Engine> engine;  // ends first
  };

  Neighbour load(bool moves = true) {
    PlacedOptions options;
    options.moves = moves;
    options.book = book_;
    options.reserve_bytes = kReserve_bytes;
    options.load = {.context = 128, .batch_rows = 32, .logit_rows = 8, .pages = 32};
    options.rebalance = {.grow_margin_bytes = 4096, .grow_after_ms = 4, .hold_ms = hold_ms_, .interval_ms = 2};
    auto placed = PlacedModel::load(file_, factories(), options);
    EXPECT_TRUE(placed.ok()) << (placed.ok() ? "" : placed.error().message);
    Neighbour neighbour{std::move(*placed), nullptr};
    neighbour.engine = std::make_unique<Engine>(neighbour.placed->backend(), std::make_shared<FakeTokenizer>(),
                                                EngineOptions{.max_sequences = 4, .step_rows = 16});
    return neighbour;
  }
  static void answer(Neighbour& neighbour) {
    Receiver receiver;
    EXPECT_TRUE(neighbour.engine->submit(request(0), receiver.sink()).ok());
    EXPECT_EQ(receiver.wait().error, std::nullopt);
  }
  static uint64_t changes(const Neighbour& neighbour) { return neighbour.engine->devices().changes; }
  // So many looks of every engine, in which nothing may happen.
  void expect_rest(const std::vector<Neighbour>& neighbours, int looks) {
    std::vector<uint64_t> before;
    for (const Neighbour& neighbour : neighbours) before.push_back(changes(neighbour));
    const int all = looks * static_cast<int>(neighbours.size());
    wait_until([&, start = card_->looks.load()] { return card_->looks > start + all; });
    for (size_t i = 0; i < neighbours.size(); ++i) EXPECT_EQ(changes(neighbours[i]), before[i]) << "neighbour " << i;
  }
  // Until nothing has moved for several times as long as anything waits here.
  void settle(const std::vector<Neighbour>& neighbours) const {
    uint64_t moves = UINT64_MAX;
    wait_until([&] {
      uint64_t now = 0;
      for (const Neighbour& neighbour : neighbours) now += changes(neighbour);
      std::this_thread::sleep_for(std::chrono::milliseconds(5 * hold_ms_));
      return now == std::exchange(moves, now);
    });
  }
  uint64_t free() const { return card_->total_bytes - card_->taken_bytes - card_->others_bytes; }

  static constexpr uint64_t kReserve_bytes = 64 << 10;
  const std::shared_ptr<CardBook> book_ = std::make_shared<CardBook>();
  // Sends all requests to each; gives their answers, neighbour by neighbour.
  static std::vector<std::vector<Event>> answer_all(std::vector<Neighbour>& neighbours) {
    std::vector<std::vector<Receiver>> receivers(neighbours.size());
    for (size_t n = 0; n < neighbours.size(); ++n) {
      receivers[n] = std::vector<Receiver>(8);
      for (int i = 0; i < 8; ++i) EXPECT_TRUE(neighbours[n].engine->submit(request(i), receivers[n][i].sink()).ok());
    }
    std::vector<std::vector<Event>> events(neighbours.size());
    for (size_t n = 0; n < neighbours.size(); ++n)
      for (Receiver& receiver : receivers[n]) {
        events[n].push_back(receiver.wait());
        EXPECT_TRUE(receiver.exactly_one_final());
      }
    return events;
  }
};

TEST_F(Neighbours, ALossReachesIdleOnesToo) {
  for (const bool moves : {true, false}) {
    std::vector<Neighbour> neighbours;
    for (int i = 0; i < 3; ++i) neighbours.push_back(load(moves));
    ++card_->losses;
    for (Neighbour& neighbour : neighbours)
      wait_until([&] { return neighbour.engine->devices().recovery.count() > 0; });
    for (const std::vector<Event>& events : answer_all(neighbours))
      for (const Event& event : events) EXPECT_FALSE(event.error.has_value());
    for (Neighbour& neighbour : neighbours) EXPECT_EQ(neighbour.engine->stats().devices_lost, 1u);
  }
}

TEST_F(Neighbours, TheOneThatIsIdleGivesWay) {
  hold_ms_ = int64_t{24} * 3600 * 1000;
  for (const size_t busy : {0, 1, 2}) {
    card_->others_bytes = 0;
    std::vector<Neighbour> neighbours;
    for (int i = 0; i < 3; ++i) neighbours.push_back(load());
    const uint64_t each = card_->taken_bytes / 3;
    answer(neighbours[busy]);
    answer(neighbours[(busy + 1) % 3]);
    const size_t idle = (busy + 2) % 3;
    card_->others_bytes += free() - kReserve_bytes / 4;
    wait_until([&] { return changes(neighbours[idle]) == 1; });
    expect_rest(neighbours, 10);
    EXPECT_TRUE(neighbours[busy].engine->devices().wholly_on_gpu());
    EXPECT_TRUE(neighbours[(busy + 1) % 3].engine->devices().wholly_on_gpu());
    EXPECT_GE(free(), kReserve_bytes);
    // More than that one has: the next one follows, and the one that computed last is last.
    card_->others_bytes += free() + each / 2;
    wait_until([&] { return changes(neighbours[busy]) == 1; });
    expect_rest(neighbours, 10);
    EXPECT_TRUE(neighbours[(busy + 1) % 3].engine->devices().wholly_on_gpu());
  }
}

TEST_F(Neighbours, MemoryForOneIsTakenByOne) {
  std::vector<Neighbour> neighbours;
  for (int i = 0; i < 2; ++i) neighbours.push_back(load());
  const uint64_t each = card_->taken_bytes / 2;
  for (const size_t busy : {0, 1}) {
    card_->others_bytes = card_->total_bytes;
    for (Neighbour& neighbour : neighbours)
      wait_until([&] { return neighbour.engine->devices().layers_on_gpu() == 0; });
    answer(neighbours[busy]);
    card_->others_bytes = card_->total_bytes - each - kReserve_bytes - 8192;
    const auto whole = [](const Neighbour& neighbour) { return neighbour.engine->devices().wholly_on_gpu(); };
    wait_until([&] { return std::ranges::any_of(neighbours, whole); });
    expect_rest(neighbours, 30);
    EXPECT_GE(free(), kReserve_bytes);
    EXPECT_EQ(std::ranges::count_if(neighbours, whole), 1);
    uint32_t layers = 0;
    for (const Neighbour& neighbour : neighbours) layers += neighbour.engine->devices().layers_on_gpu();
    EXPECT_EQ(layers, 3u) << "the other one has not tried";
  }
}

// Two and three models on two cards while other programs come and go: no answer changes, and all comes to rest.
TEST_F(Neighbours, AnswersStayTheSameWhileMemoryComesAndGoesOnTwoCards) {
  start();
  const std::vector<Event> expected = Placed::answer_all();
  engine_.reset();
  placed_.reset();
  second_card_ = std::make_shared<FakeCard>();
  second_card_->name = "GPU 1 (fake)";
  std::mt19937_64 random(hearth::test::seed());
  for (const size_t count : {2, 3}) {
    std::vector<Neighbour> neighbours;
    for (size_t i = 0; i < count; ++i) neighbours.push_back(load());
    std::atomic<bool> done = false;
    std::jthread others([&] {
      while (!done) {
        for (const auto& card : {card_, second_card_})
          card->others_bytes = card->total_bytes - random() % (3 * count * (256 << 10));
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    });
    for (int round = 0; round < 5; ++round)
      for (const std::vector<Event>& of_one : answer_all(neighbours))
        for (size_t i = 0; i < of_one.size(); ++i) EXPECT_EQ(of_one[i].tokens, expected[i].tokens) << "request " << i;
    done = true;
    others.join();
    for (const auto& card : {card_, second_card_}) card->others_bytes = 0;
    for (Neighbour& neighbour : neighbours) wait_until([&] { return neighbour.engine->devices().wholly_on_gpu(); });
    settle(neighbours);  // a move may be under way that was decided on what was free before
    for (Neighbour& neighbour : neighbours) wait_until([&] { return neighbour.engine->devices().wholly_on_gpu(); });
    expect_rest(neighbours, 30);
  }
}

TEST_F(Neighbours, EachGetsOverALossOnceAndAnswersStayTheSame) {
  start();
  const std::vector<Event> expected = Placed::answer_all();
  engine_.reset();
  placed_.reset();
  for (const size_t count : {2, 3}) {
    for (int op = 0; op < 300; op += 43) {
      std::vector<Neighbour> neighbours;
      for (size_t i = 0; i < count; ++i) neighbours.push_back(load());
      card_->ops_until_lost = op;
      const std::vector<std::vector<Event>> events = answer_all(neighbours);
      for (Neighbour& neighbour : neighbours) {
        wait_until([&] { return neighbour.engine->devices().recovery.count() > 0; });
        EXPECT_EQ(neighbour.engine->stats().devices_lost, 1u);
        EXPECT_FALSE(neighbour.engine->broken().has_value());
        EXPECT_TRUE(neighbour.engine->devices().wholly_on_gpu());
      }
      for (const std::vector<Event>& of_one : events)
        for (size_t i = 0; i < of_one.size(); ++i) {
          if (of_one[i].finish == FinishReason::kError)
            EXPECT_EQ(of_one[i].error->kind, ErrorKind::kDeviceLost);
          else
            EXPECT_EQ(of_one[i].tokens, expected[i].tokens) << "request " << i << ", lost at op " << op;
        }
      const std::vector<std::vector<Event>> after = answer_all(neighbours);
      for (const std::vector<Event>& of_one : after)
        for (size_t i = 0; i < of_one.size(); ++i) EXPECT_EQ(of_one[i].tokens, expected[i].tokens);
      EXPECT_EQ(card_->devices, static_cast<int>(count)) << "those that were lost are gone";
    }
  }
}

TEST_F(Placed, WithoutAnotherGpuItSaysSoAndRefuses) {
  openings_ = 1;
  start();
  card_->ops_until_lost = 60;
  for (const Event& event : answer_all([&] { all_sent_.count_down(); })) EXPECT_EQ(event.finish, FinishReason::kError);
  EXPECT_EQ(opened_, 3) << "two attempts";
  wait_until([&] { return engine_->broken().has_value(); });
  EXPECT_NE(engine_->broken()->message.find("no GPU answers"), std::string::npos) << engine_->broken()->message;
  const auto refused = engine_->submit(request(0), Receiver().sink());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kDeviceLost);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it goes on looking at free memory
  EXPECT_EQ(engine_->give_back(1).error().kind, ErrorKind::kDeviceLost);
  EXPECT_EQ(engine_->stats().devices_lost, 1u);
  const DeviceStatus status = engine_->devices();
  EXPECT_EQ(status.layers_on_gpu(), 0u);
  EXPECT_FALSE(status.wholly_on_gpu());
  EXPECT_EQ(status.placement(), "");
  EXPECT_EQ(status.memory().total(), 0u);
  EXPECT_EQ(status.warning().find("the model is on no device: no GPU answers; "), 0u) << status.warning();
}

}  // namespace
}  // namespace hearth::engine::test
