// Many users of several models on one card and on two, while everything happens at once: requests are cancelled, cards
// are lost, memory comes and goes, layers move. Every request ends once, and what it was given is what it gets alone.
#include <atomic>
#include <random>
#include <thread>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "engine/placed_model.h"
#include "models/small_model.h"
#include "support/fake_gpu.h"

namespace hearth::engine::test {
namespace {

using hearth::test::FakeCard;
using hearth::test::FakeGpu;
using hearth::test::SmallModel;

struct Scene {
  size_t engines, cards;
};

class Storm : public testing::TestWithParam<Scene> {
 protected:
  static constexpr size_t kSubmitters = 200, kKinds = 20;
  static constexpr uint32_t kRunning = 64;

  struct One {
    std::unique_ptr<PlacedModel> placed;
    std::unique_ptr<Engine> engine;  // ends first
  };

  One load(const std::vector<std::shared_ptr<FakeCard>>& cards) {
    std::vector<DeviceFactory> factories;
    for (const auto& card : cards)
      factories.push_back([card] { return Result<std::unique_ptr<device::Device>>(std::make_unique<FakeGpu>(card)); });
    PlacedOptions options;
    options.host = host_->join(2);
    factories.push_back([host = options.host] { return cpu::create_device({.host = host, .isa = ""}); });
    options.book = book_;
    options.reserve_bytes = 64 << 10;
    options.load = {.context = 96, .batch_rows = 128, .logit_rows = kRunning, .sequences = kRunning, .pages = 200};
    options.rebalance = {.grow_margin_bytes = 4096, .grow_after_ms = 4, .hold_ms = 20, .interval_ms = 2};
    auto placed = PlacedModel::load(file_, std::move(factories), std::move(options));
    EXPECT_TRUE(placed.ok()) << (placed.ok() ? "" : placed.error().message);
    One one{std::move(*placed), nullptr};
    one.engine = std::make_unique<Engine>(one.placed->backend(), std::make_shared<FakeTokenizer>(),
                                          EngineOptions{.max_sequences = kRunning, .step_rows = 128});
    return one;
  }

  static Request request(size_t kind) {
    Request request;
    for (size_t i = 0; i < 10 + 3 * kind; ++i)
      request.prompt.push_back(static_cast<Token>(1 + (i * 7 + kind % 4) % 29));
    request.user = kind % 3 == 0 ? "a" : "b";
    request.options.temperature = 0.8f;
    request.options.seed = static_cast<int64_t>(kind);
    request.options.num_predict = 20;
    return request;
  }

  const std::shared_ptr<const gguf::File> file_ = SmallModel("llama").open();
  const std::shared_ptr<HostOwner> host_ = std::make_shared<HostOwner>(2);
  const std::shared_ptr<CardBook> book_ = std::make_shared<CardBook>();
};

TEST_P(Storm, EveryRequestEndsOnceWithWhatItGetsAlone) {
  std::vector<std::vector<Token>> expected(kKinds);
  {
    const One alone = load({});
    for (size_t kind = 0; kind < kKinds; ++kind) {
      Receiver receiver;
      ASSERT_TRUE(alone.engine->submit(request(kind), receiver.sink()).ok());
      expected[kind] = receiver.wait().tokens;
    }
  }
  std::vector<std::shared_ptr<FakeCard>> cards;
  for (size_t i = 0; i < GetParam().cards; ++i) {
    cards.push_back(std::make_shared<FakeCard>());
    cards.back()->name = "GPU " + std::to_string(i) + " (fake)";
  }
  std::vector<One> all;
  for (size_t i = 0; i < GetParam().engines; ++i) all.push_back(load(cards));
  const uint64_t seed = hearth::test::seed();

  std::atomic<size_t> left = kSubmitters, ended = 0, failed = 0, cancelled = 0;
  std::jthread weather([&, random = std::mt19937_64(seed)]() mutable {
    const auto below = [&](uint64_t bound) { return random() % bound; };
    std::vector<uint64_t> steps(all.size(), 0);
    // A loss while another is mended twice over is one that nobody gets over: all go on first.
    const auto all_go_on = [&] {
      for (size_t i = 0; i < all.size(); ++i)
        if (all[i].engine->stats().steps < steps[i]) return false;
      return true;
    };
    for (size_t losses = 0; left > 0;) {
      FakeCard& card = *cards[below(cards.size())];
      Engine& engine = *all[below(all.size())].engine;
      if (below(4) == 0) card.others_bytes = card.total_bytes - below(4 << 20);
      if (below(3) == 0) card.others_bytes = 0;
      if (below(6) == 0) (void)engine.give_back(below(1 << 20));  // kNoMemory and the like are its to say
      if (losses < 6 && ended > losses * kSubmitters / 8 && all_go_on()) {
        ++card.losses, ++losses;
        for (size_t i = 0; i < all.size(); ++i) steps[i] = all[i].engine->stats().steps + 5;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1 + below(4)));
    }
  });
  std::vector<std::thread> submitters;
  for (size_t i = 0; i < kSubmitters; ++i)
    submitters.emplace_back([&, i, random = std::mt19937_64(seed + 1 + i)]() mutable {
      const std::shared_ptr<void> leaves(nullptr, [&](void*) { --left; });  // also after an assertion that fails
      for (int round = 0; round < 2; ++round) {
        const size_t kind = random() % kKinds;
        Engine& engine = *all[random() % all.size()].engine;
        Receiver receiver;
        const auto id = engine.submit(request(kind), receiver.sink());
        ASSERT_TRUE(id.ok()) << id.error().message;
        const bool cancels = random() % 5 == 0;
        if (cancels) {
          receiver.wait_for_tokens(random() % 8);
          engine.cancel(*id);
        }
        const Event last = receiver.wait();
        ++ended;
        EXPECT_TRUE(receiver.exactly_one_final());
        std::vector<Token> same = expected[kind];
        ASSERT_LE(last.tokens.size(), same.size());
        if (last.finish == FinishReason::kError) {
          ++failed;
          EXPECT_EQ(last.error->kind, ErrorKind::kDeviceLost) << last.error->message;
        } else if (last.finish == FinishReason::kCancelled) {
          ++cancelled;
          EXPECT_TRUE(cancels);
        }
        if (last.finish == FinishReason::kError || last.finish == FinishReason::kCancelled)
          same.resize(last.tokens.size());
        EXPECT_EQ(last.tokens, same) << "kind " << kind;
      }
    });
  for (std::thread& submitter : submitters) submitter.join();
  weather.join();
  EXPECT_EQ(ended, 2 * kSubmitters);
  EXPECT_GT(cancelled, 0u);
  for (const auto& card : cards) card->others_bytes = 0;
  for (One& one : all) {
    EXPECT_FALSE(one.engine->broken().has_value());
    EXPECT_TRUE(one.engine->drain(std::chrono::steady_clock::now() + std::chrono::minutes(1)));
    const Stats stats = one.engine->stats();
    EXPECT_EQ(stats.running + stats.waiting, 0u);
    EXPECT_EQ(stats.pages_free, stats.pages_total) << "a page leaked";
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, Storm, testing::Values(Scene{1, 1}, Scene{2, 1}, Scene{3, 2}), [](const auto& scene) {
  return std::to_string(scene.param.engines) + "_on_" + std::to_string(scene.param.cards);
});

}  // namespace
}  // namespace hearth::engine::test
