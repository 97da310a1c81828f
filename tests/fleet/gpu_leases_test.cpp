// What is to be kept free of a card for others, as they take it and give it back.
#include "fleet/gpu_leases.h"

#include <gtest/gtest.h>

namespace hearth::fleet {
namespace {

using std::chrono::seconds;

class GpuLeasesTest : public testing::Test {
 protected:
  static constexpr uint64_t kTotal = 16000;

  // The card with so much in the hands of others and of ours, `at` so many seconds after the start.
  void look(uint64_t others, uint64_t ours, int at = 0) {
    const CardMemory card{0, "GPU-a", "GPU 0 (a)", kTotal, kTotal - others - ours, {}};
    leases_.look({card}, {{"GPU-a", ours}}, start_ + seconds(at));
  }
  void lease(const std::string& id, uint64_t bytes, int until = 100) {
    GpuLease lease;
    lease.id = id;
    lease.card = "GPU-a";
    lease.bytes = bytes;
    leases_.add(lease, start_ + seconds(until));
  }
  uint64_t kept() const { return kept_.contains("GPU-a") ? kept_.at("GPU-a") : 0; }

  const GpuLeases::Time start_ = GpuLeases::Time() + seconds(1000);
  std::map<std::string, uint64_t> kept_;
  GpuLeases leases_{[this](const std::string& card, uint64_t bytes) { kept_[card] = bytes; }};
};

TEST_F(GpuLeasesTest, WhatAProgramTakesOfItsLeaseIsNoLongerKept) {
  look(1000, 8000);
  lease("a", 6000);
  look(1000, 8000);
  EXPECT_EQ(kept(), 6000u);
  look(1000, 5000);  // ours gave way, which nobody has taken
  EXPECT_EQ(kept(), 6000u);
  look(5000, 5000);
  EXPECT_EQ(kept(), 2000u);
  look(8000, 5000);  // more than it was promised
  EXPECT_EQ(kept(), 0u);
  look(1000, 5000);  // and gone again, while the lease lasts
  EXPECT_EQ(kept(), 6000u);
}

TEST_F(GpuLeasesTest, AnEndedLeaseKeepsNothing) {
  lease("a", 6000, 10);
  lease("b", 3000, 100);
  look(0, 0);
  EXPECT_EQ(kept(), 9000u);
  look(0, 0, 11);
  EXPECT_EQ(kept(), 3000u);
  EXPECT_FALSE(leases_.end("a"));
  EXPECT_TRUE(leases_.end("b"));
  look(0, 0, 12);
  EXPECT_EQ(kept(), 0u);
  EXPECT_TRUE(leases_.empty());
}

TEST_F(GpuLeasesTest, ALaterLeaseComesBesideWhatIsLeftOfAnEarlierOne) {
  lease("a", 6000);
  look(0, 0);
  look(5000, 0);
  lease("b", 3000);
  look(5000, 0);
  EXPECT_EQ(kept(), 4000u) << "1000 of the first and all of the second";
  EXPECT_TRUE(leases_.renew("b", {}, start_ + seconds(500)));
  EXPECT_FALSE(leases_.renew("c", {}, start_ + seconds(500)));
  look(0, 0, 200);
  EXPECT_EQ(kept(), 3000u) << "the first is over, and what its program held is free";
}

TEST_F(GpuLeasesTest, LocksOfALeaseFileCountAsLongAsTheyAreHeld) {
  leases_.claim("GPU-a", 2000);
  look(0, 4000);
  EXPECT_EQ(kept(), 2000u);
  EXPECT_TRUE(leases_.list().empty());
  look(1500, 4000);
  EXPECT_EQ(kept(), 500u);
  leases_.claim("GPU-a", 3000);
  look(1500, 4000);
  EXPECT_EQ(kept(), 1500u);
  leases_.claim("GPU-a", 0);
  look(1500, 4000);
  EXPECT_EQ(kept(), 0u);
}

TEST_F(GpuLeasesTest, WhoHoldsALeaseAndLocksForItIsCountedOnce) {
  GpuLease lease;
  lease.id = "a", lease.card = "GPU-a", lease.bytes = 2000, lease.locked = true;
  leases_.add(lease, start_ + seconds(100));
  leases_.claim("GPU-a", 2000);
  look(0, 4000);
  EXPECT_EQ(kept(), 2000u);
  leases_.claim("GPU-a", 5000);  // 3000 of somebody else
  look(0, 4000);
  EXPECT_EQ(kept(), 5000u);
}

}  // namespace
}  // namespace hearth::fleet
