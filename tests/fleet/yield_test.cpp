// Room on a card for other programs: on the GPU that is here, which is a simulated one (tests/CMakeFiles.txt).
#include <algorithm>
#include <future>

#include "cuda/cuda_device.h"
#include "driver/cuda.h"
#include "fleet/card_memory.h"
#include "fleet/fleet.h"
#include "fleet/gpus.h"
#include "fleet/lease_file.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::fleet {
namespace {

using Taken = Result<std::shared_ptr<Fleet::Lease>>;

class Yield : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    const auto cuda = driver::Cuda::open();
    if (!cuda::has_kernels() || !cuda.ok() || (*cuda)->cuDeviceGetCount(&count) != CUDA_SUCCESS || count == 0)
      GTEST_SKIP() << "no GPU, and none is simulated";
    ::setenv("HEARTH_LEASE_DIR", (folder_ / "leases").c_str(), 1);
    options_.model.threads = 1;
    options_.keep_alive = std::chrono::hours(1);
    tiny_.context = 4096;
    tiny_.write();
    fleet_ = std::make_unique<Fleet>(options_);
  }

  Taken use(const std::string& name) {
    store::ModelFiles found;
    found.name = name;
    found.model = tiny_.file("tiny.gguf");
    std::promise<Taken> taken;
    fleet_->use(found, {}, {}, [&](Taken lease) { taken.set_value(std::move(lease)); });
    return taken.get_future().get();
  }
  RunningModel running(const std::string& name) const {
    std::vector<RunningModel> all = fleet_->running();
    return *std::ranges::find(all, name, [](const RunningModel& model) { return model.found.name; });
  }
  static uint64_t free_bytes() { return card_memory().at(0).free_bytes; }
  Result<GpuLease> yield(uint64_t bytes) {
    return fleet_->yield({.bytes = bytes, .gpu = 0, .deadline = std::chrono::seconds(60), .holder = "a test"});
  }
  static void wait_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(condition());
  }

  const test::TemporaryFolder folder_;
  test::TinyModel tiny_;
  FleetOptions options_;
  std::unique_ptr<Fleet> fleet_;
};

TEST_F(Yield, IdleModelsGoFirstAndNothingGrowsIntoALease) {
  ASSERT_TRUE(use("idle").ok());
  const Taken busy = use("busy");
  ASSERT_TRUE(busy.ok());
  EXPECT_TRUE(running("busy").devices.wholly_on_gpu()) << running("busy").devices.warning();
  const uint64_t before = free_bytes(), idle = running("idle").devices.gpu_bytes();
  ASSERT_GT(idle, 0u);
  const auto lease = yield(before + idle / 2);
  ASSERT_TRUE(lease.ok()) << lease.error().message;
  ASSERT_EQ(lease->how.size(), 1u);
  EXPECT_EQ(lease->how[0].find("unloaded idle ("), 0u) << lease->how[0];
  EXPECT_GE(lease->free_bytes, lease->bytes);
  EXPECT_GT(lease->freed_bytes, 0u);
  EXPECT_TRUE(running("busy").devices.wholly_on_gpu()) << "which was not needed";

  ASSERT_TRUE(use("later").ok());
  EXPECT_FALSE(running("later").devices.wholly_on_gpu()) << "the room is promised";
  EXPECT_NE(running("later").devices.warning().find(" is promised to other programs"), std::string::npos)
      << running("later").devices.warning();
  EXPECT_EQ(fleet_->leases().size(), 1u);
  EXPECT_TRUE(fleet_->end_lease(lease->id));
  EXPECT_FALSE(fleet_->end_lease(lease->id));
  wait_until([&] { return card_book()->kept_free(lease->card) == 0; });
  fleet_->unload("later");
  wait_until([&] { return fleet_->running().size() == 1; });
  ASSERT_TRUE(use("after").ok());
  EXPECT_TRUE(running("after").devices.wholly_on_gpu()) << running("after").devices.warning();
}

TEST_F(Yield, AModelInUseMovesLayersAndGoesOn) {
  const Taken lease = use("a");
  ASSERT_TRUE(lease.ok());
  const uint64_t before = free_bytes(), held = running("a").devices.gpu_bytes();
  const auto given = yield(before + held / 3);
  ASSERT_TRUE(given.ok()) << given.error().message;
  ASSERT_FALSE(given->how.empty());
  EXPECT_NE(given->how[0].find("layers of a to the CPU"), std::string::npos) << given->how[0];
  EXPECT_LT(running("a").devices.layers_on_gpu(), running("a").devices.layers.size());
  EXPECT_EQ(running("a").devices.cause.id, "gpu-memory-full");
  EXPECT_NE(running("a").devices.warning().find(" of it promised to other programs"), std::string::npos)
      << running("a").devices.warning();
}

TEST_F(Yield, LocksOnTheCardsLeaseFileAreHeeded) {
  const Taken lease = use("a");
  ASSERT_TRUE(lease.ok());
  EXPECT_TRUE(running("a").devices.wholly_on_gpu()) << "leases end with their fleet";
  const CardMemory card = card_memory().at(0);
  auto file = LeaseFile::open(lease_folder(), card.id, true);
  ASSERT_TRUE(file.ok()) << file.error().message;
  const uint64_t mib = (card.free_bytes + running("a").devices.gpu_bytes() / 2) >> 20;
  ASSERT_TRUE(file->claim(mib, card.total_bytes >> 20));
  wait_until([&] { return running("a").devices.layers_on_gpu() < running("a").devices.layers.size(); });
}

TEST_F(Yield, MoreThanACardHasIsRefused) {
  const auto refused = yield(uint64_t{1} << 50);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(refused.error().message.find("no GPU asked for has 1048576.0 GiB in all: GPU 0"), 0u)
      << refused.error().message;
  EXPECT_EQ(fleet_->renew_lease("nothing", std::chrono::minutes(1)).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace hearth::fleet
