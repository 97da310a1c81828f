// Owned objects of the driver: what is taken is given back, also when something fails half-way.
#include "driver/handles.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "fakes.h"

namespace hearth::driver {
namespace {

constexpr size_t kUnit = 2 << 20;  // of the fake GPU's memory

class HandlesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Cuda::load(kFakeCuda, kForever);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    cuda_ = std::move(loaded).value();
  }
  int ask(const char* question) const {
    void* library = ::dlopen(kFakeCuda.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    const int answer = reinterpret_cast<int (*)()>(::dlsym(library, question))();
    ::dlclose(library);
    return answer;
  }
  int allocated() const { return ask("fake_allocated"); }

  std::unique_ptr<const Cuda> cuda_;
};

TEST_F(HandlesTest, MemoryGrowsAndShrinksInGranules) {
  {
    auto memory = DeviceMemory::reserve(*cuda_, 0, 10 * kUnit - 5);
    ASSERT_TRUE(memory.ok()) << memory.error().message;
    EXPECT_EQ(memory->reserved_bytes(), 10 * kUnit);
    EXPECT_EQ(memory->backed_bytes(), 0u);
    EXPECT_EQ(allocated(), 0);
    const CUdeviceptr address = memory->address();
    ASSERT_TRUE(memory->grow(2 * kUnit + 1));
    EXPECT_EQ(allocated(), 3);
    EXPECT_EQ(ask("fake_accessible"), 3);
    ASSERT_TRUE(memory->grow(kUnit)) << "already there";
    EXPECT_EQ(allocated(), 3);
    ASSERT_TRUE(memory->shrink(kUnit + 1));
    EXPECT_EQ(allocated(), 2);
    EXPECT_EQ(ask("fake_accessible"), 2);
    ASSERT_TRUE(memory->grow(10 * kUnit));
    EXPECT_EQ(ask("fake_accessible"), 10);
    EXPECT_EQ(memory->address(), address);
  }
  EXPECT_EQ(allocated(), 0);
}

TEST_F(HandlesTest, GranulesAreAsLargeAsAskedFor) {
  auto memory = DeviceMemory::reserve(*cuda_, 0, 7 * kUnit, 2 * kUnit + 1);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->granule_bytes(), 3 * kUnit);
  EXPECT_EQ(memory->reserved_bytes(), 9 * kUnit);
  ASSERT_TRUE(memory->grow(1));
  EXPECT_EQ(allocated(), 1);
  EXPECT_EQ(memory->backed_bytes(), 3 * kUnit);
}

TEST_F(HandlesTest, WhatCannotGrowStaysAsItWas) {
  const Environment limit("FAKE_CUDA_FREE", "5");
  auto memory = DeviceMemory::reserve(*cuda_, 0, 8 * kUnit);
  ASSERT_TRUE(memory.ok());
  ASSERT_TRUE(memory->grow(2 * kUnit));
  const Status full = memory->grow(8 * kUnit);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().kind, ErrorKind::kNoMemory);
  EXPECT_EQ(memory->backed_bytes(), 2 * kUnit);
  EXPECT_EQ(allocated(), 2);
  {
    const Environment refuse("FAKE_CUDA_ACCESS", "719");
    const Status lost = memory->grow(3 * kUnit);
    EXPECT_EQ(lost.error().kind, ErrorKind::kDeviceLost);
    EXPECT_EQ(allocated(), 2);
  }
  EXPECT_TRUE(memory->grow(5 * kUnit));
}

TEST_F(HandlesTest, MovedMemoryIsFreedOnce) {
  auto memory = DeviceMemory::reserve(*cuda_, 0, kUnit);
  ASSERT_TRUE(memory.ok());
  ASSERT_TRUE(memory->grow(kUnit));
  DeviceMemory taken = std::move(*memory);
  EXPECT_EQ(taken.backed_bytes(), kUnit);
  EXPECT_EQ(memory->backed_bytes(), 0u);
  taken = DeviceMemory();
  EXPECT_EQ(allocated(), 0);
}

TEST_F(HandlesTest, ContextsAreReleasedAndTheOneBeforeComesBack) {
  CUcontext seen = nullptr;
  {
    auto context = Context::retain(*cuda_, 0);
    ASSERT_TRUE(context.ok()) << context.error().message;
    EXPECT_EQ(ask("fake_context_users"), 1);
    {
      const CurrentContext current(*context);
      EXPECT_TRUE(current.status());
      const auto memory = context->memory();
      ASSERT_TRUE(memory.ok()) << memory.error().message;
      EXPECT_EQ(memory->total_bytes - memory->free_bytes, size_t{1} << 30);
    }
    EXPECT_EQ(cuda_->cuCtxGetCurrent(&seen), CUDA_SUCCESS);
    EXPECT_EQ(seen, nullptr);
    EXPECT_FALSE(context->memory().ok()) << "no context is current";
  }
  EXPECT_EQ(ask("fake_context_users"), 0);
}

TEST_F(HandlesTest, AContextThatCannotBeOpenedSaysWhy) {
  const Environment refuse("FAKE_CUDA_CONTEXT", "46");
  const auto context = Context::retain(*cuda_, 0);
  ASSERT_FALSE(context.ok());
  EXPECT_NE(context.error().message.find("compute mode"), std::string::npos) << context.error().message;
  EXPECT_EQ(Context::retain(*cuda_, 3).error().kind, ErrorKind::kNoDevice);
}

TEST_F(HandlesTest, StreamsTellStickyErrorsFromBusyOnes) {
  auto stream = Stream::create(*cuda_);
  ASSERT_TRUE(stream.ok());
  EXPECT_TRUE(*stream->idle());
  {
    const Environment busy("FAKE_CUDA_STREAM", "600");
    EXPECT_FALSE(*stream->idle());
  }
  const Environment lost("FAKE_CUDA_STREAM", "700");
  EXPECT_EQ(stream->idle().error().kind, ErrorKind::kDeviceLost);
  EXPECT_EQ(stream->synchronize().error().kind, ErrorKind::kDeviceLost);
}

TEST_F(HandlesTest, WaitingForAStreamAsksForAWhileBeforeItSleeps) {
  using namespace std::chrono_literals;
  auto stream = Stream::create(*cuda_);
  ASSERT_TRUE(stream.ok());
  const auto counts = [&] { return std::pair(ask("fake_stream_queries"), ask("fake_stream_waits")); };
  counts();
  ASSERT_TRUE(stream->synchronize());
  EXPECT_EQ(counts(), std::pair(0, 1)) << "sleeps at once";
  ASSERT_TRUE(stream->synchronize(1h));
  EXPECT_EQ(counts(), std::pair(1, 0)) << "has ended already";
  {
    const Environment busy("FAKE_CUDA_BUSY_QUERIES", "5");
    ASSERT_TRUE(stream->synchronize(1h));
    EXPECT_EQ(counts(), std::pair(6, 0)) << "ends while it asks";
  }
  {
    const Environment busy("FAKE_CUDA_BUSY_QUERIES", "1000000000");
    ASSERT_TRUE(stream->synchronize(20ms));
    const auto [queries, waits] = counts();
    EXPECT_GT(queries, 0);
    EXPECT_EQ(waits, 1) << "sleeps when it takes too long";
  }
  const Environment lost("FAKE_CUDA_STREAM", "700");
  EXPECT_EQ(stream->synchronize(1h).error().kind, ErrorKind::kDeviceLost);
  EXPECT_EQ(counts(), std::pair(1, 0)) << "does not ask a broken context again";
}

TEST_F(HandlesTest, AModuleThatIsRejectedBringsTheCompilersWords) {
  const auto module = Module::load(*cuda_, "no PTX");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(module.error().message.find("line 7: unknown word"), std::string::npos) << module.error().message;
}

}  // namespace
}  // namespace hearth::driver
