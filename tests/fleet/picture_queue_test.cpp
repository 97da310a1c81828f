// Pictures of several requests on their way through one encoder, which a fake plays: it stops where a test wants it.
#include "fleet/picture_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <latch>

#include "base/error.h"

namespace hearth::fleet {
namespace {

using Passes = std::vector<std::vector<uint32_t>>;

// A view of so many rows, which its width tells.
image::Picture view(uint32_t rows) {
  return {rows, 1, {}};
}

class PictureQueueTest : public testing::Test {
 protected:
  // What becomes of a picture of views of these rows.
  std::future<Result<PictureQueue::Embeddings>> add(const std::vector<uint32_t>& rows, PictureQueue::Id* id = nullptr) {
    std::vector<image::Picture> views;
    for (const uint32_t one : rows) views.push_back(view(one));
    auto result = std::make_shared<std::promise<Result<PictureQueue::Embeddings>>>();
    const PictureQueue::Id added =
        queue_->add(std::move(views), [result](auto embeddings) { result->set_value(std::move(embeddings)); });
    if (id != nullptr) *id = added;
    return result->get_future();
  }
  // A first picture holds the encoder until go(): what is added meanwhile waits.
  void hold() {
    first_ = add({kHold});
    held_.wait();
  }
  void go() { go_.count_down(); }

  std::vector<vision::Encoder::Embeddings> encode(PictureQueue::Views views) {
    std::vector<uint32_t> rows;
    std::vector<vision::Encoder::Embeddings> all;
    for (const image::Picture* one : views) {
      rows.push_back(one->width);
      if (one->width == kBroken)
        all.emplace_back(error(ErrorKind::kUnsupported, "broken"));
      else
        all.emplace_back(std::vector<float>{static_cast<float>(one->width)});
    }
    passes_.push_back(rows);
    if (rows[0] == kHold) {
      held_.count_down();
      go_.wait();
    }
    return all;
  }

  static constexpr uint32_t kHold = vision::kRows_together, kBroken = 13;
  Passes passes_;  // of the queue's thread, until it has ended
  std::latch held_{1}, go_{1};
  std::future<Result<PictureQueue::Embeddings>> first_;
  std::optional<PictureQueue> queue_{std::in_place,
                                     PictureQueue::Encode{[](const image::Picture& one) { return one.width; },
                                                          [this](PictureQueue::Views views) { return encode(views); }}};
};

TEST_F(PictureQueueTest, SmallViewsOfSeveralRequestsGoTogether) {
  hold();
  auto tiles = add({100, 200, 300});
  auto small = add({400});
  auto large = add({1000});
  auto last = add({20});
  go();
  EXPECT_EQ(*tiles.get(), (PictureQueue::Embeddings{{100}, {200}, {300}}));
  EXPECT_EQ(*small.get(), (PictureQueue::Embeddings{{400}}));
  EXPECT_EQ(*large.get(), (PictureQueue::Embeddings{{1000}}));
  EXPECT_EQ(*last.get(), (PictureQueue::Embeddings{{20}}));
  queue_.reset();
  EXPECT_EQ(passes_, (Passes{{kHold}, {100, 200, 300, 400}, {1000, 20}}));
}

TEST_F(PictureQueueTest, ViewsOfOnePictureMayTakeSeveralPasses) {
  hold();
  auto tiles = add({600, 600, 5000, 600});
  go();
  EXPECT_EQ(*tiles.get(), (PictureQueue::Embeddings{{600}, {600}, {5000}, {600}}));
  queue_.reset();
  EXPECT_EQ(passes_, (Passes{{kHold}, {600}, {600}, {5000}, {600}}));
}

TEST_F(PictureQueueTest, WhoIsWithdrawnOrBrokenDisturbsNobody) {
  hold();
  PictureQueue::Id unwanted = 0;
  auto before = add({100});
  auto gone = add({200, 201}, &unwanted);
  auto broken = add({300, kBroken, 301});
  auto behind = add({400});
  queue_->withdraw(unwanted);
  const auto withdrawn = gone.get();
  ASSERT_FALSE(withdrawn.ok());
  EXPECT_EQ(withdrawn.error().kind, ErrorKind::kCancelled);
  go();
  EXPECT_TRUE(before.get().ok());
  EXPECT_EQ(broken.get().error().message, "broken");
  EXPECT_TRUE(behind.get().ok());
  queue_.reset();
  EXPECT_EQ(passes_, (Passes{{kHold}, {100, 300, kBroken, 301}, {400}}));
}

TEST_F(PictureQueueTest, WhoIsWithdrawnWhileItIsEncodedGetsOneAnswer) {
  PictureQueue::Id id = 0;
  auto held = add({kHold, 50}, &id);
  held_.wait();
  auto other = add({60});
  queue_->withdraw(id);
  EXPECT_EQ(held.get().error().kind, ErrorKind::kCancelled);
  go();
  EXPECT_EQ(*other.get(), (PictureQueue::Embeddings{{60}}));
  queue_.reset();
  EXPECT_EQ(passes_, (Passes{{kHold}, {60}}));
}

TEST_F(PictureQueueTest, AtItsEndAllGetAnAnswer) {
  hold();
  auto waiting = add({100});
  std::thread end([&] { queue_.reset(); });
  go();
  end.join();
  EXPECT_TRUE(first_.get().ok());
  const auto result = waiting.get();  // whether it came to it or not
  EXPECT_TRUE(result.ok() || result.error().kind == ErrorKind::kCancelled);
}

}  // namespace
}  // namespace hearth::fleet
