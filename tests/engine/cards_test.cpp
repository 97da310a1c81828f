// Whole engines, two and three, on the GPUs that are here: simulated ones (tests/CMakeLists.txt), whose memory others
// take and give back, and which are lost, when this test says so. HEARTH_ENGINE_FAULTS is the folder of the files by
// which it says so; without it the GPUs are left in peace.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cpu/cpu_device.h"
#include "cuda/cuda_device.h"
#include "driver/cuda.h"
#include "engine/engine.h"
#include "engine/fake_model.h"
#include "engine/placed_model.h"
#include "models/small_model.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

using hearth::test::SmallModel;

int gpu_count() {
  const auto cuda = driver::Cuda::open();
  int count = 0;
  if (!cuda::has_kernels() || !cuda.ok() || (*cuda)->cuDeviceGetCount(&count) != CUDA_SUCCESS) return 0;
  return count;
}

class Cards : public testing::TestWithParam<size_t> {
 protected:
  struct One {
    std::unique_ptr<PlacedModel> placed;
    std::unique_ptr<Engine> engine;  // ends first
  };

  void SetUp() override {
    // Before the driver is opened: what an earlier run has left would be faults at once.
    if (const char* folder = std::getenv("HEARTH_ENGINE_FAULTS"); folder != nullptr) faults_ = folder;
    gpus_ = gpu_count();
    if (gpus_ == 0) GTEST_SKIP() << "no GPU, and none is simulated";
  }

  One load(const std::string& holder) {
    auto one = try_load(holder, gpus_);
    EXPECT_TRUE(one.ok()) << (one.ok() ? "" : one.error().message);
    return std::move(*one);
  }
  Result<One> try_load(const std::string& holder, int gpus) {
    std::vector<DeviceFactory> factories;
    for (int ordinal = 0; ordinal < gpus; ++ordinal)
      factories.push_back([ordinal, holder] { return cuda::create_device({.ordinal = ordinal, .holder = holder}); });
    PlacedOptions options;
    options.host = host_->join(2);
    factories.push_back([host = options.host] { return cpu::create_device({.host = host, .isa = ""}); });
    options.book = book_;
    options.reserve_bytes = 2 << 20;
    options.load = {.context = 96, .batch_rows = 64, .logit_rows = 8, .sequences = 8, .pages = 32};
    options.rebalance = {.grow_margin_bytes = 1 << 20, .grow_after_ms = 20, .hold_ms = 50, .interval_ms = 10};
    One one;
    ASSIGN_OR_RETURN(one.placed, PlacedModel::load(file_, std::move(factories), std::move(options)));
    one.engine = std::make_unique<Engine>(one.placed->backend(), std::make_shared<FakeTokenizer>(),
                                          EngineOptions{.max_sequences = 4, .step_rows = 32});
    return one;
  }

  static Request request(int index) {
    Request request;
    for (int i = 0; i < 20 + index; ++i) request.prompt.push_back(1 + (i * 7 + index) % 29);
    request.options.temperature = 0;
    request.options.num_predict = 12;
    return request;
  }
  // Of every engine the answers to all requests, sent at once. Who may fail does so for a lost GPU; an engine that has
  // found out before that it lost its own refuses them.
  std::vector<std::vector<Event>> answer(
      std::vector<One>& all, const std::function<void()>& meanwhile = [] {}) {
    struct Asked {
      Receiver receiver;
      std::optional<Error> refusal;
    };
    std::vector<std::vector<Asked>> asked(all.size());
    for (size_t n = 0; n < all.size(); ++n)
      for (int i = 0; i < 6; ++i) {
        Asked& one = asked[n].emplace_back();
        if (const auto id = all[n].engine->submit(request(i), one.receiver.sink()); !id.ok()) one.refusal = id.error();
      }
    meanwhile();
    std::vector<std::vector<Event>> events(all.size());
    for (size_t n = 0; n < all.size(); ++n)
      for (Asked& one : asked[n]) {
        Event event;
        event.error = one.refusal;
        events[n].push_back(one.refusal ? event : one.receiver.wait());
        EXPECT_TRUE(one.refusal || one.receiver.exactly_one_final());
      }
    return events;
  }
  static int failures(const std::vector<std::vector<Event>>& events, const std::vector<Event>& expected) {
    int failed = 0;
    for (const std::vector<Event>& of_one : events)
      for (size_t i = 0; i < of_one.size(); ++i) {
        if (of_one[i].error) {
          EXPECT_EQ(of_one[i].error->kind, ErrorKind::kDeviceLost) << of_one[i].error->message;
          ++failed;
        } else {
          EXPECT_EQ(of_one[i].tokens, expected[i].tokens) << "request " << i;
        }
      }
    return failed;
  }

  void fault(const std::string& name) const { std::ofstream(faults_ / (name + std::to_string(GetParam()))) << "now\n"; }
  static void wait_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "what was waited for never came";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  std::filesystem::path faults_;
  int gpus_ = 0;
  const std::shared_ptr<const gguf::File> file_ = SmallModel("llama").open();
  const std::shared_ptr<HostOwner> host_ = std::make_shared<HostOwner>(2);
  const std::shared_ptr<CardBook> book_ = std::make_shared<CardBook>();
};

TEST_P(Cards, AnswersStayTheSameThroughShrinkageGrowthAndLoss) {
  std::vector<One> all;
  for (size_t i = 0; i < GetParam(); ++i) all.push_back(load("model " + std::to_string(i)));
  for (const One& one : all) EXPECT_TRUE(one.engine->devices().wholly_on_gpu()) << one.engine->devices().warning();
  const std::vector<Event> expected = answer(all)[0];
  EXPECT_EQ(failures(answer(all), expected), 0);
  if (faults_.empty()) return;

  fault("take");
  EXPECT_EQ(failures(answer(all), expected), 0);
  for (const One& one : all) wait_until([&] { return one.engine->devices().layers_on_gpu() == 0; });
  EXPECT_EQ(all[0].engine->devices().cause.id, "gpu-memory-full");
  EXPECT_EQ(failures(answer(all), expected), 0);

  fault("free");
  for (const One& one : all) wait_until([&] { return one.engine->devices().wholly_on_gpu(); });
  EXPECT_EQ(failures(answer(all), expected), 0);

  failures(answer(all, [&] { fault("lost"); }), expected);
  for (One& one : all) {
    // One whose answers were all there before asks at its next look.
    wait_until([&] { return one.engine->stats().devices_lost == 1; });
    wait_until([&] { return one.engine->devices().wholly_on_gpu(); });
    EXPECT_FALSE(one.engine->broken().has_value());
  }
  EXPECT_EQ(failures(answer(all), expected), 0);
}

// Faults come by the simulator's script here: an answer is right or is one clear error, afterwards an engine answers as
// before or says that it is broken, and a model that cannot be loaded any more says so.
TEST_P(Cards, AnAnswerIsRightOrOneClearErrorWhateverFails) {
  std::vector<One> all;
  all.push_back(std::move(*try_load("model on the CPU", 0)));
  const std::vector<Event> expected = answer(all)[0];
  all.clear();
  for (size_t i = 0; i < GetParam(); ++i) {
    auto one = try_load("model " + std::to_string(i), gpus_);
    if (one)
      all.push_back(std::move(*one));
    else
      EXPECT_EQ(one.error().kind, ErrorKind::kDeviceLost) << one.error().message;
  }
  for (int round = 0; round < 3; ++round) {
    failures(answer(all), expected);
    std::erase_if(all, [](const One& one) { return one.engine->broken().has_value(); });
  }
  for (const One& one : all) EXPECT_FALSE(one.engine->devices().placement().empty());
}

INSTANTIATE_TEST_SUITE_P(Engines, Cards, testing::Values(2, 3));

}  // namespace
}  // namespace hearth::engine::test
