// The engine over a real model: eight prompts at once, cut into chunks and sharing pages, get the
// same tokens as each alone, in one piece, without the engine.
#include <numeric>

#include "cpu/cpu_device.h"
#include "engine/alone.h"
#include "engine/engine.h"
#include "engine/fake_model.h"
#include "gguf/file.h"
#include "models/model.h"
#include "support/support.h"

namespace hearth::engine::test {
namespace {

constexpr const char* kModel = "models/stories260K.gguf";

class RealModel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    REQUIRE_SHARED(kModel);
    auto file = gguf::File::open(hearth::test::shared(kModel).string());
    ASSERT_TRUE(file.ok()) << file.error().message;
    file_ = *file;
    // One thread: on a busy machine two that wait for each other make this test a hundred times slower.
    auto device = cpu::create_device({.threads = 1, .isa = GetParam()});
    ASSERT_TRUE(device.ok()) << device.error().message;
    device_ = std::move(*device);
    auto tokenizer = text::Tokenizer::load(*file_);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    tokenizer_ = std::move(*tokenizer);
  }

  std::unique_ptr<models::Model> load(uint32_t pages) {
    models::LoadOptions options;
    options.context = 256;
    options.pages = pages;
    auto model = models::Model::load(file_, *device_, options);
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    return model.ok() ? std::move(*model) : nullptr;
  }

  Request request(const std::string& text, int index) const {
    Request request;
    request.prompt = tokenizer_->encode(text, {});
    request.options.temperature = index % 2 == 0 ? 0.0f : 0.8f;
    request.options.seed = index;
    request.options.num_predict = 60;
    return request;
  }

  std::vector<text::Token> alone(models::Model& model, const Request& request) const {
    std::vector<int32_t> pages(model.options().pages);
    std::iota(pages.rbegin(), pages.rend(), 0);  // the last page first: not the order that an engine uses
    return answer_alone(model, *tokenizer_, request, pages);
  }

  std::shared_ptr<const gguf::File> file_;
  std::unique_ptr<device::Device> device_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

TEST_P(RealModel, EightAtOnceGetTheSameTokensAsAlone) {
  const std::string start =
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. ";
  const std::vector<std::string> prompts = {start,
                                            start + "One day",
                                            start + "Her mother said",
                                            start + "One day, she saw a big red ball. It was",
                                            "The dog",
                                            "Tom and his friend Ben went to the",
                                            "a",
                                            "The sun was bright and the sky was blue. " + start};
  std::vector<Request> requests;
  for (const std::string& text : prompts) requests.push_back(request(text, static_cast<int>(requests.size())));

  std::vector<std::vector<text::Token>> expected;
  {
    const auto model = load(8);
    ASSERT_NE(model, nullptr);
    for (const Request& one : requests) expected.push_back(alone(*model, one));
  }
  for (const uint32_t pages : {64u, 10u}) {  // plenty, and so few that sequences are preempted
    const auto model = load(pages);
    ASSERT_NE(model, nullptr);
    Engine engine(backend_of(*model), tokenizer_, {.max_sequences = 8, .queue = 8, .step_rows = 24});
    std::vector<Receiver> receivers(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) ASSERT_TRUE(engine.submit(requests[i], receivers[i].sink()).ok());
    for (size_t i = 0; i < requests.size(); ++i) {
      const Event event = receivers[i].wait();
      EXPECT_EQ(event.tokens, expected[i]) << "prompt " << i << " with " << pages << " pages";
      EXPECT_FALSE(event.text.empty());
    }
    EXPECT_EQ(engine.stats().pages_free, pages);
    EXPECT_GT(engine.stats().tokens_cached, 0u);
    if (pages == 10) {
      EXPECT_GT(engine.stats().preemptions, 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, RealModel, testing::ValuesIn(cpu::supported_isas()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace hearth::engine::test
