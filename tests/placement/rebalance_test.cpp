// Layers that come and go with other programs' memory: at once when they must, slowly back, and never to and fro.
#include "placement/rebalance.h"

#include <algorithm>
#include <random>

#include "placement/gpus.h"
#include "support/support.h"

namespace hearth::placement::test {
namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
constexpr uint64_t kTotal = 6 * kGiB, kReserve = 200 * kMiB;

// A card and a model whose layers move as the rebalancer says.
class Running {
 public:
  explicit Running(uint64_t others = 0) {
    ModelSizes sizes;
    sizes.layers.assign(32, {120 * kMiB, 0, 16 * kMiB});
    sizes.output = sizes.embedding = 100 * kMiB;
    sizes.workspace = 80 * kMiB;
    sizes_.assign(2, sizes);
    devices_ = {{.name = "GPU 0", .total = kTotal, .reserve = kReserve, .granularity = 2 * kMiB},
                {.name = "CPU", .host = true, .total = 64 * kGiB, .free = 64 * kGiB}};
    std::vector<DeviceState> then = devices_;
    then[0].free = kTotal - others;
    arrangement_ = plan(sizes_, then);
  }

  uint64_t taken() const { return shares_of(arrangement_, sizes_, devices_)[0].total(); }
  void hold() { rebalancer_.hold(now_ms_); }
  uint32_t layers() const {
    const auto on_gpu = [](const LayerDevices& on) { return on.layer == 0; };
    return static_cast<uint32_t>(std::ranges::count_if(arrangement_.layers, on_gpu)) + (arrangement_.output == 0);
  }
  uint64_t free(uint64_t others) const { return kTotal > taken() + others ? kTotal - taken() - others : 0; }

  // A second passes; others have so much. True: something moved.
  bool second(uint64_t others, uint64_t give_back = 0) {
    now_ms_ += 1000;
    const auto target =
        rebalancer_.decide(arrangement_, sizes_, devices_, {now_ms_, {free(others), 64 * kGiB}, give_back});
    if (target) arrangement_ = *target;
    return target.has_value();
  }
  // The same second: somebody made room for it.
  bool made_free(uint64_t others) {
    const auto target =
        rebalancer_.decide(arrangement_, sizes_, devices_,
                           {.now_ms = now_ms_, .free_bytes = {free(others), 64 * kGiB}, .made_free = true});
    if (target) arrangement_ = *target;
    return target.has_value();
  }
  int seconds(int count, uint64_t others) {
    int moves = 0;
    for (int i = 0; i < count; ++i) moves += second(others) ? 1 : 0;
    return moves;
  }
  int64_t now_ms() const { return now_ms_; }

 private:
  std::vector<ModelSizes> sizes_;
  std::vector<DeviceState> devices_;
  Arrangement arrangement_;
  Rebalancer rebalancer_{RebalanceOptions{}};
  int64_t now_ms_ = 0;
};

TEST(Rebalance, BringsLayersBackWhenTheOthersLeave) {
  Running running(kGiB * 5 / 2);
  const uint32_t before = running.layers();
  ASSERT_LT(before, 33u);
  EXPECT_EQ(running.seconds(60, kGiB * 5 / 2), 0) << "nothing has changed";
  EXPECT_EQ(running.seconds(5, 0), 0) << "it may be gone for a moment only";
  EXPECT_EQ(running.seconds(5, 0), 1);
  EXPECT_EQ(running.layers(), 33u);
  EXPECT_EQ(running.seconds(60, 0), 0);
}

TEST(Rebalance, TakesAtOnceWhatWasMadeFreeForIt) {
  Running running(kGiB * 5 / 2);
  running.hold();
  EXPECT_FALSE(running.made_free(kGiB * 5 / 2)) << "nothing came free";
  EXPECT_TRUE(running.made_free(0));
  EXPECT_EQ(running.layers(), 33u);
}

TEST(Rebalance, GivesWayAtOnceWhenMemoryRunsShort) {
  Running running;
  ASSERT_EQ(running.layers(), 33u);
  const uint64_t others = running.free(0) - 50 * kMiB;  // others leave 50 MiB
  EXPECT_TRUE(running.second(others));
  EXPECT_LT(running.layers(), 33u);
  EXPECT_GE(running.free(others), kReserve);
  EXPECT_EQ(running.seconds(100, others), 0) << "and stays there";
}

TEST(Rebalance, GivesBackWhatIsAskedForAndDoesNotTakeItAgainAtOnce) {
  Running running;
  const uint64_t before = running.taken();
  EXPECT_TRUE(running.second(0, kGiB));
  EXPECT_LE(running.taken(), before - kGiB);
  EXPECT_GT(running.taken(), before - kGiB - 300 * kMiB) << "and not much more";
  EXPECT_EQ(running.seconds(29, 0), 0) << "it was asked for by someone";
  EXPECT_EQ(running.seconds(10, 0), 1) << "who did not come";
  EXPECT_EQ(running.layers(), 33u);
}

TEST(Rebalance, GivesEverythingBack) {
  Running running;
  EXPECT_TRUE(running.second(0, 100 * kGiB));
  EXPECT_EQ(running.taken(), 0u);
}

TEST(Rebalance, ProgramsThatComeAndGoQuicklyMoveNothing) {
  Running running(kGiB * 5 / 2);
  int moves = 0;
  for (int i = 0; i < 100; ++i) moves += running.seconds(3, 0) + running.seconds(3, kGiB * 5 / 2);
  EXPECT_EQ(moves, 0);
}

// Over random curves of the others' memory: layers come back at most once in a hold time after they gave way,
// and under steady conditions everything comes to rest.
TEST(Rebalance, NeverFlaps) {
  std::mt19937_64 random(hearth::test::seed());
  for (int curve = 0; curve < 20; ++curve) {
    Running running(random() % (3 * kGiB));
    int64_t gave_way_ms = -1'000'000;
    uint64_t others = random() % (4 * kGiB);
    const uint64_t speed = 1 + random() % (800 * kMiB);
    for (int i = 0; i < 400; ++i) {
      if (random() % 10 == 0) others = random() % 4 == 0 ? random() % (5 * kGiB) : others;
      others = std::min(kTotal, others + random() % speed);
      others -= std::min(others, random() % speed);
      others = std::min(others, kTotal - running.taken());  // no one gets what is taken
      const uint32_t before = running.layers();
      if (!running.second(others)) continue;
      if (running.layers() > before) {
        ASSERT_GE(running.now_ms() - gave_way_ms, RebalanceOptions().hold_ms);
        ASSERT_GE(running.free(others), kReserve + RebalanceOptions().grow_margin_bytes);
      } else {
        gave_way_ms = running.now_ms();
      }
    }
    EXPECT_LE(running.seconds(120, others), 2) << "comes to rest";
    EXPECT_EQ(running.seconds(300, others), 0) << "and rests";
  }
}

// From anywhere to anywhere: each step changes the tables or one layer or unit of bound ones, nothing comes to a GPU
// before all has gone to the host that shall, and the last step is the target.
TEST(Rebalance, MovesOneLayerOrUnitAtATime) {
  std::mt19937_64 random(hearth::test::seed());
  constexpr uint32_t kHost = 2, kLayers = 6;
  const auto any = [&] { return static_cast<uint32_t>(random() % (kHost + 1)); };
  for (int i = 0; i < 500; ++i) {
    Arrangement at{{}, any(), any()}, target{{}, any(), any()};
    std::vector<LayerSizes> sizes(kLayers);
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      sizes[layer].bound = layer > 0 && random() % 3 == 0;
      at.layers.push_back({any(), any()});
      target.layers.push_back({any(), any()});
      if (!sizes[layer].bound) continue;
      at.layers[layer].layer = at.layers[layer - 1].layer;
      target.layers[layer].layer = target.layers[layer - 1].layer;
    }
    bool growing = false;
    for (int steps = 0; !(at == target); ++steps) {
      ASSERT_LE(steps, 2 * static_cast<int>(kLayers + 1)) << "it does not arrive";
      const Arrangement next = one_move(at, target, sizes, kHost);
      uint32_t units = at.embedding != next.embedding || at.output != next.output ? 1 : 0;
      const auto look = [&](uint32_t from, uint32_t to) {
        if (from == to) return;
        growing |= to != kHost;
        EXPECT_TRUE(to != kHost || !growing) << "memory is taken before it is given";
      };
      const auto changed_before = [&](size_t layer) {
        for (const size_t first = first_of_unit(sizes, layer); layer-- > first;)
          if (!(at.layers[layer] == next.layers[layer])) return true;
        return false;
      };
      look(at.embedding, next.embedding);
      look(at.output, next.output);
      for (uint32_t layer = 0; layer < kLayers; ++layer) {
        units += at.layers[layer] == next.layers[layer] || changed_before(layer) ? 0 : 1;
        EXPECT_TRUE(!sizes[layer].bound || next.layers[layer].layer == next.layers[layer - 1].layer);
        look(at.layers[layer].layer, next.layers[layer].layer);
        look(at.layers[layer].experts, next.layers[layer].experts);
      }
      EXPECT_EQ(units, 1u);
      at = next;
    }
    EXPECT_EQ(one_move(at, target, sizes, kHost), target);
  }
}

TEST(Rebalance, WaitsAfterAMoveThatFailed) {
  Running running(kGiB * 5 / 2);
  EXPECT_EQ(running.seconds(4, 0), 0);
  running.hold();
  EXPECT_EQ(running.seconds(29, 0), 0);
  EXPECT_EQ(running.seconds(10, 0), 1);
}

TEST(Rebalance, SmallCardsKeepLessFree) {
  EXPECT_EQ(reserve_on(24 * kGiB), kReserve_bytes);
  EXPECT_EQ(reserve_on(6 * kGiB), kReserve_bytes);
  EXPECT_EQ(reserve_on(64 * kMiB), 2 * kMiB);
  EXPECT_EQ(grow_margin_on(6 * kGiB), RebalanceOptions().grow_margin_bytes) << "the whole margin from 6 GiB on";
  EXPECT_EQ(grow_margin_on(96 * kMiB), 4 * kMiB);
}

TEST(Rebalance, SmallChangesMoveNothing) {
  std::mt19937_64 random(hearth::test::seed());
  Running running(2 * kGiB);
  running.seconds(120, 2 * kGiB);
  int moves = 0;
  for (int i = 0; i < 2000; ++i) moves += running.second(2 * kGiB - 40 * kMiB + random() % (80 * kMiB)) ? 1 : 0;
  EXPECT_EQ(moves, 0);
}

}  // namespace
}  // namespace hearth::placement::test
