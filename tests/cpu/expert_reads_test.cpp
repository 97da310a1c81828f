// Of a layer's experts only the chosen ones are read: the weights' pages are closed, and those that a step opens are
// counted.
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "base/checked.h"
#include "cpu/cpu_device.h"
#include "support/support.h"

namespace hearth::test {
namespace {

constexpr size_t kPage = 4096;

// Memory whose pages are closed until somebody reads them.
class Closed {
 public:
  explicit Closed(size_t bytes) : bytes_(round_up(bytes, kPage)) {
    void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    data_ = static_cast<std::byte*>(at);
  }
  ~Closed() {
    if (closed_ == this) open();
    ::munmap(data_, bytes_);
  }
  Closed(const Closed&) = delete;

  std::byte* data() const { return data_; }
  void close() {
    closed_ = this;
    pages_ = 0;
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, &before_);
    CHECK(::mprotect(data_, bytes_, PROT_NONE) == 0);
  }
  // Returns how many bytes have been opened since close().
  size_t open() {
    CHECK(::mprotect(data_, bytes_, PROT_READ | PROT_WRITE) == 0);
    ::sigaction(SIGSEGV, &before_, nullptr);
    closed_ = nullptr;
    return pages_ * kPage;
  }

 private:
  static void on_fault(int, siginfo_t* info, void*) {
    auto* const at = static_cast<std::byte*>(info->si_addr);
    if (closed_ == nullptr || at < closed_->data_ || at >= closed_->data_ + closed_->bytes_) {
      ::signal(SIGSEGV, SIG_DFL);  // somebody else's: it faults again
      return;
    }
    std::byte* const page = closed_->data_ + (at - closed_->data_) / ptrdiff_t{kPage} * ptrdiff_t{kPage};
    ::mprotect(page, kPage, PROT_READ | PROT_WRITE);
    ++pages_;
  }

  static inline Closed* closed_ = nullptr;
  static inline std::atomic<size_t> pages_ = 0;  // threads that fault in one page at once count it twice
  const size_t bytes_;
  std::byte* data_ = nullptr;
  struct sigaction before_ = {};
};

struct Shape {
  const char* format;
  uint32_t experts, used, rows;
  bool copied;  // as a device lays them out
};

// Bytes that a step reads of the weights, and bytes of the experts that it needs.
std::pair<size_t, size_t> reads(const Shape& shape) {
  constexpr uint32_t kWidth = 512, kInner = 768;
  const auto device = std::move(*cpu::create_device({.threads = 1}));
  const quant::Format& format = *quant::find_name(shape.format);
  const size_t one = kInner * format.bytes(kWidth), whole = round_up(shape.experts * one, 256);
  Closed weights(3 * whole), source(whole);
  device::ExpertsArgs args;
  device::Matrix* const matrices[] = {&args.gate, &args.up, &args.down};
  for (size_t i = 0; i < 3; ++i) {
    std::byte* const to = weights.data() + i * whole;
    const bool down = i == 2;
    device::Matrix& matrix = *matrices[i];
    matrix = {&format, reinterpret_cast<const uint8_t*>(to), shape.experts * (down ? kWidth : kInner),
              down ? kInner : kWidth};
    if (!shape.copied) continue;  // zeros are weights in every format
    matrix.data = reinterpret_cast<const uint8_t*>(source.data());
    matrix = *device->upload_matrix(matrix, shape.experts, to);
  }
  std::vector<float> logits(size_t{shape.rows} * shape.experts), out(size_t{shape.rows} * kWidth);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(i * 7919 % 1009) / 100;  // no row like another
  std::vector<bool> needed(shape.experts);
  for (uint32_t row = 0; row < shape.rows; ++row) {
    std::vector<std::pair<float, uint32_t>> order;
    for (uint32_t e = 0; e < shape.experts; ++e) order.emplace_back(-logits[row * shape.experts + e], e);
    std::ranges::sort(order);
    for (uint32_t i = 0; i < shape.used; ++i) needed[order[i].second] = true;
  }
  args.logits = logits.data();
  args.experts = shape.experts;
  args.used = shape.used;
  args.out = out.data();
  args.in = {nullptr, kWidth, device->operand_forms(args.up) | device->operand_forms(args.gate)};
  std::vector<std::byte> operand(shape.rows * device->operand_bytes(args.in.forms, kWidth) + 64);
  args.in.data = operand.data() + (64 - reinterpret_cast<uintptr_t>(operand.data()) % 64) % 64;
  const std::vector<int32_t> tokens(shape.rows), pages(1);
  device::Batch batch;
  batch.tokens = tokens;
  batch.sequences = {{0, shape.rows, 0, pages}};
  weights.close();
  device->begin(batch);
  device->experts(args);
  EXPECT_TRUE(device->finish().ok());
  return {weights.open(), static_cast<size_t>(std::ranges::count(needed, true)) * 3 * one};
}

TEST(ExpertReads, AreThoseOfTheChosenOnes) {
  for (const bool copied : {false, true})
    for (const char* format : {"Q8_0", "Q4_K", "MXFP4", "F16"})
      for (const Shape& shape :
           {Shape{format, 32, 4, 1, copied}, {format, 16, 1, 1, copied}, {format, 32, 2, 3, copied}}) {
        const auto [read, needed] = reads(shape);
        EXPECT_GE(read, needed);
        EXPECT_LE(static_cast<double>(read), 1.1 * static_cast<double>(needed))
            << format << ", " << shape.used << " of " << shape.experts << " experts, " << shape.rows << " rows";
      }
}

}  // namespace
}  // namespace hearth::test
