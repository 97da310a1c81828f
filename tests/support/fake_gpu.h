// A device that behaves as a GPU does towards models and the engine: weights are copied into its own memory,
// which is limited, counted in grains and shared with others; it can be lost at a chosen op. Computes with
// another device.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "base/checked.h"
#include "base/error.h"
#include "cpu/cpu_device.h"
#include "device/device.h"
#include "support/support.h"

namespace hearth::test {

// The card itself, which stays when a device on it is lost and made anew.
struct FakeCard {
  std::string name = "GPU 0 (fake)";
  uint64_t total_bytes = uint64_t{1} << 30;
  uint64_t granularity_bytes = 4096;
  std::atomic<uint64_t> others_bytes = 0;    // taken by other processes
  std::atomic<uint64_t> taken_bytes = 0;     // by devices on it
  std::atomic<int64_t> ops_until_lost = -1;  // counts down with every op; at 0 the device is lost; -1: never
  std::atomic<int> devices = 0;              // alive
  std::atomic<int> losses = 0;               // each takes all devices that were there
  std::atomic<int> looks = 0;                // whether a device is still there
  std::mutex allocating;
  // Counts down with every allocation; at 0 other processes come to have `others_take_bytes`; -1: never.
  std::atomic<int64_t> allocations_until_taken = -1;
  uint64_t others_take_bytes = 0;
  std::atomic<int> allocations_to_fail = 0;  // whatever is free
  std::atomic<int> pages_fetched = 0;        // of a layer's cache, to go elsewhere
  std::atomic<int> allocations = 0;          // that were tried
};

class FakeGpu final : public device::Device {
 public:
  // Computes on the CPU, on one thread.
  explicit FakeGpu(std::shared_ptr<FakeCard> card, const std::string& isa = "") : card_(std::move(card)) {
    // Of a host of its own: a card takes no turns of this one's.
    const auto owner = std::make_shared<HostOwner>(1, [] { return AvailableMemory{UINT64_MAX, "the fake card"}; });
    auto inner = cpu::create_device({.host = owner->join(1), .isa = isa});
    EXPECT_TRUE(inner.ok());
    inner_ = std::move(*inner);
    ++card_->devices;
    losses_ = card_->losses;
  }
  FakeGpu(std::shared_ptr<FakeCard> card, std::unique_ptr<device::Device> inner)
      : card_(std::move(card)), inner_(std::move(inner)) {
    ++card_->devices;
    losses_ = card_->losses;
  }
  ~FakeGpu() override {
    CHECK(buffers_.empty());
    card_->taken_bytes -= scratch_;
    --card_->devices;
  }

  device::Facts facts() const override {
    return {card_->name, card_->total_bytes, card_->granularity_bytes, uint64_t{100} << 30, -1, card_->name};
  }
  Result<device::Buffer> alloc(size_t bytes) override {
    TRY(alive());
    ++card_->allocations;
    if (card_->allocations_until_taken >= 0 && card_->allocations_until_taken-- == 0)
      card_->others_bytes = card_->others_take_bytes;
    if (card_->allocations_to_fail > 0) {
      --card_->allocations_to_fail;
      return error(ErrorKind::kNoMemory, "GPU 0 (fake): {} bytes could not be had", bytes);
    }
    const std::lock_guard lock(card_->allocating);
    const uint64_t grains = round_up(std::max<size_t>(bytes, 1), card_->granularity_bytes);
    if (grains > free_bytes())
      return error(ErrorKind::kNoMemory, "GPU 0 (fake): {} bytes needed, {} available", grains, free_bytes());
    ASSIGN_OR_RETURN(device::Buffer buffer, inner_->alloc(grains));
    std::byte* data = buffer.data();
    buffers_[data] = std::move(buffer);
    card_->taken_bytes += grains;
    allocated_ += grains;
    return device::Buffer(this, data, grains);
  }
  uint64_t free_bytes() const override {
    const uint64_t used = card_->others_bytes + card_->taken_bytes;
    return card_->total_bytes > used ? card_->total_bytes - used : 0;
  }
  uint64_t allocated_bytes() const override { return allocated_ + scratch_; }
  bool reads_host_memory() const override { return false; }
  Status upload(std::span<const std::byte> from, std::byte* to) override {
    card_->looks += from.empty() ? 1 : 0;
    TRY(alive());
    return inner_->upload(from, to);
  }
  Status download(const std::byte* from, std::span<std::byte> to) override {
    TRY(alive());
    return inner_->download(from, to);
  }

  device::OperandForms operand_forms(const device::Matrix& weight) const override {
    return inner_->operand_forms(weight);
  }
  size_t operand_bytes(device::OperandForms forms, uint32_t width) const override {
    return inner_->operand_bytes(forms, width);
  }
  size_t page_bytes(const device::CacheShape& shape) const override { return inner_->page_bytes(shape); }
  Status supports(const device::CacheShape& shape) const override { return inner_->supports(shape); }
  void page_to_neutral(const device::CacheShape& shape, const std::byte* page, std::byte* neutral) const override {
    ++card_->pages_fetched;
    inner_->page_to_neutral(shape, page, neutral);
  }
  void page_from_neutral(const device::CacheShape& shape, const std::byte* neutral, std::byte* page) const override {
    inner_->page_from_neutral(shape, neutral, page);
  }
  uint64_t scratch_bytes(const device::StepShape& most) const override {
    return round_up(uint64_t{most.rows} * 64, card_->granularity_bytes);
  }
  Status reserve(const device::StepShape& most) override {
    TRY(alive());
    const uint64_t wanted = most.rows == 0 ? 0 : std::max(scratch_, scratch_bytes(most));
    card_->taken_bytes += wanted - scratch_;
    scratch_ = wanted;
    return inner_->reserve(most);
  }

  void begin(const device::Batch& batch) override {
    op([&] { inner_->begin(batch); });
  }
  void embed(const device::EmbedArgs& args) override {
    op([&] { inner_->embed(args); });
  }
  void norm(const device::NormArgs& args) override {
    op([&] { inner_->norm(args); });
  }
  void project(const device::Operand& in, uint32_t rows, std::span<const device::Projection> outs) override {
    op([&] { inner_->project(in, rows, outs); });
  }
  void project_heads(const device::HeadProjection& args) override {
    op([&] { inner_->project_heads(args); });
  }
  void rotate_append(const device::RotateAppendArgs& args) override {
    op([&] { inner_->rotate_append(args); });
  }
  void attention(const device::AttentionArgs& args) override {
    op([&] { inner_->attention(args); });
  }
  void mix(const device::MixArgs& args) override {
    op([&] { inner_->mix(args); });
  }
  void convolve(const device::ConvolveArgs& args) override {
    op([&] { inner_->convolve(args); });
  }
  void scan(const device::ScanArgs& args) override {
    op([&] { inner_->scan(args); });
  }
  void activate(const device::ActivateArgs& args) override {
    op([&] { inner_->activate(args); });
  }
  void experts(const device::ExpertsArgs& args) override {
    op([&] { inner_->experts(args); });
  }
  void soft_cap(float* values, uint32_t rows, uint32_t width, float cap) override {
    op([&] { inner_->soft_cap(values, rows, width, cap); });
  }
  void clamp(float* values, uint32_t rows, uint32_t width, float least, float most) override {
    op([&] { inner_->clamp(values, rows, width, least, most); });
  }
  uint32_t most_candidates() const override { return inner_->most_candidates(); }
  void candidates(const device::CandidatesArgs& args) override {
    op([&] { inner_->candidates(args); });
  }
  Status finish() override {
    TRY(alive());
    return inner_->finish();
  }

 private:
  template <class Op>
  void op(const Op& run) {
    if (card_->ops_until_lost >= 0 && card_->ops_until_lost-- == 0) ++card_->losses;
    if (alive()) run();
  }
  Status alive() const {
    if (losses_ == card_->losses) return {};
    return error(ErrorKind::kDeviceLost, "GPU 0 (fake) is lost: an illegal address was encountered");
  }
  void free(std::byte* data, size_t bytes) override {
    buffers_.erase(data);
    card_->taken_bytes -= bytes;
    allocated_ -= bytes;
  }

  const std::shared_ptr<FakeCard> card_;
  std::unique_ptr<device::Device> inner_;
  std::map<std::byte*, device::Buffer> buffers_;
  uint64_t allocated_ = 0, scratch_ = 0;
  int losses_ = 0;  // of the card, when this was made
};

}  // namespace hearth::test
