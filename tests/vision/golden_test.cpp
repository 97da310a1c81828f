// Every family of encoders against what independent programs computed: the pixels that the encoder must see, bit for
// bit, the embeddings of a view, whole pictures, and logits of text behind a picture.
#include <boost/json.hpp>

#include "base/file.h"
#include "image/decode.h"
#include "models/model.h"
#include "support/devices.h"
#include "support/npz.h"
#include "vision/encoder.h"

namespace hearth::vision {
namespace {

using test::shared;
using test::TestDevice;

constexpr const char* kIndex = "golden/vision/index.json";
const char* const kFamilies[] = {"llava",   "llava-next", "granite",  "gemma3",   "qwen2vl",  "qwen2.5vl", "qwen3vl",
                                 "qwen3.5", "pixtral",    "mistral3", "idefics3", "internvl", "minicpmv",  "gemma4"};

const boost::json::object& index() {
  static const boost::json::object all = [] {
    const auto text = read_file(shared(kIndex).string());
    EXPECT_TRUE(text.ok());
    return boost::json::parse(*text).as_object();
  }();
  return all;
}

std::string text(const boost::json::value& value) {
  return std::string(value.as_string());
}

std::filesystem::path golden(const boost::json::value& name) {
  return shared("golden/vision/" + text(name));
}

image::Picture picture_of(const std::string& name) {
  const auto file = test::read_bytes(shared("golden/vision/images/" + name));
  auto picture = image::decode(std::as_bytes(std::span(file)));
  EXPECT_TRUE(picture.ok()) << name;
  return std::move(*picture);
}

image::Picture as_picture(const test::Bytes& pixels) {
  return {static_cast<uint32_t>(pixels.shape[1]), static_cast<uint32_t>(pixels.shape[0]), pixels.values};
}

class GoldenVision : public testing::TestWithParam<std::tuple<TestDevice, const char*>> {
 protected:
  void SetUp() override {
    REQUIRE_SHARED(kIndex);
    case_ = index().at("models").at(std::get<1>(GetParam())).as_object();
    device_ = std::get<0>(GetParam()).make();
    const auto file = gguf::File::open(shared("models/vision/" + text(case_.at("mmproj"))).string());
    ASSERT_TRUE(file.ok()) << file.error().message;
    auto encoder = Encoder::load(*file, *device_);
    ASSERT_TRUE(encoder.ok()) << encoder.error().message;
    encoder_ = std::move(*encoder);
  }

  std::vector<std::vector<float>> encode_together(const std::vector<image::Picture>& pictures) {
    std::vector<const image::Picture*> views;
    for (const image::Picture& picture : pictures) views.push_back(&picture);
    std::vector<std::vector<float>> all;
    for (auto& embeddings : encoder_->encode(views)) {
      EXPECT_TRUE(embeddings.ok()) << embeddings.error().message;
      if (embeddings) all.push_back(std::move(*embeddings));
    }
    return all;
  }

  boost::json::object case_;
  std::shared_ptr<device::Device> device_;
  std::unique_ptr<Encoder> encoder_;
};

TEST_P(GoldenVision, EmbeddingsOfAView) {
  const auto pixels = test::read_npz(golden(case_.at("pixels")));
  for (const auto& entry : case_.at("encode").as_array()) {
    const auto embeddings = encoder_->encode(as_picture(pixels.at(text(entry.at("pixels")))));
    ASSERT_TRUE(embeddings.ok()) << embeddings.error().message;
    const auto expected = test::read_npy(golden(entry.at("embeddings")));
    ASSERT_EQ(embeddings->size(), expected.values.size());
    EXPECT_EQ(expected.shape[1], encoder_->width() * (1 + encoder_->deep()));
    EXPECT_LE(test::relative_error(*embeddings, expected.values), entry.at("relative_error_at_most").as_double());
  }
}

TEST_P(GoldenVision, WholePictures) {
  if (!case_.contains("assembled")) return;  // a view is the whole picture
  for (const auto& entry : case_.at("assembled").as_array()) {
    const Views views = encoder_->prepare(picture_of(text(entry.at("picture"))));
    const std::vector<Piece> pieces = encoder_->assemble(views, encode_together(views.pictures));
    ASSERT_EQ(pieces.size(), 1u);
    const auto expected = test::read_npy(golden(entry.at("embeddings")));
    ASSERT_EQ(pieces[0].embeddings.size(), expected.values.size());
    EXPECT_LE(test::relative_error(pieces[0].embeddings, expected.values),
              entry.at("relative_error_at_most").as_double());
  }
}

// The text model reads the embeddings that were given, so that errors of the encoder count once only.
TEST_P(GoldenVision, LogitsBehindAPicture) {
  const auto before = boost::json::value_to<std::vector<int32_t>>(index().at("before"));
  const auto after = boost::json::value_to<std::vector<int32_t>>(index().at("after"));
  const auto file = gguf::File::open(shared("models/" + text(case_.at("text_model"))).string());
  ASSERT_TRUE(file.ok()) << file.error().message;
  auto model = models::Model::load(
      *file, *device_,
      {.context = 256, .batch_rows = 192, .logit_rows = 8, .pages = 16, .cache = device::CacheType::kF32});
  ASSERT_TRUE(model.ok()) << model.error().message;
  const size_t talks = case_.at("talk").as_array().size();
  for (size_t i = 0; i < talks; ++i) {
    const auto& talk = case_.at("talk").at(i);
    const auto embeddings = test::read_npy(golden(case_.at("encode").at(i).at("embeddings")));
    const auto rows = static_cast<uint32_t>(embeddings.shape[0]), first = static_cast<uint32_t>(before.size());
    std::vector<int32_t> tokens = before;
    tokens.resize(first + rows);
    tokens.insert(tokens.end(), after.begin(), after.end());
    device::Batch batch;
    batch.tokens = tokens;
    const std::vector<int32_t> pages{3, 1, 7, 2, 9, 4, 0, 5};
    batch.sequences = {{0, batch.rows(), 0, std::span(pages).first((tokens.size() + 31) / 32)}};
    batch.embedded = {{first, rows, embeddings.values.data(), encoder_->deep()}};
    if (encoder_->see_each_other()) batch.ahead = {{first, rows, first + rows}};
    if (const auto* grid = talk.as_object().if_contains("grid")) {
      const auto columns = static_cast<uint32_t>(grid->at(0).as_int64()),
                 high = static_cast<uint32_t>(grid->at(1).as_int64());
      for (uint32_t at = 0; at < tokens.size(); ++at) {
        const uint32_t in = at - first, behind = first + std::max(columns, high) + in - rows;
        if (at < first)
          batch.places.push_back({at, at, at});
        else if (in < rows)
          batch.places.push_back({first, first + in / columns, first + in % columns});
        else
          batch.places.push_back({behind, behind, behind});
      }
    }
    for (uint32_t row = first + rows; row < batch.rows(); ++row) batch.logit_rows.push_back(row);
    std::vector<float> logits(after.size() * (*model)->spec().vocabulary);
    const Status status = (*model)->forward(batch, logits);
    ASSERT_TRUE(status.ok()) << status.error().message;
    const auto expected = test::read_npy(golden(talk.at("logits")));
    EXPECT_LE(test::relative_error(logits, expected.values), talk.at("relative_error_at_most").as_double());
  }
}

// Whatever is counted before a picture is encoded, its text and embeddings are as many.
TEST_P(GoldenVision, OutlinesAreAsLongAsWhatIsEncoded) {
  const auto file = gguf::File::open(shared("models/vision/" + text(case_.at("mmproj"))).string());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const image::Picture picture = picture_of("small.png");
  const Views views = encoder_->prepare(picture);
  const std::vector<Piece> pieces = encoder_->assemble(views, encode_together(views.pictures));
  const auto outline = Encoder::outline(**file, picture);
  ASSERT_TRUE(outline.ok()) << outline.error().message;
  EXPECT_EQ(outline->values, encoder_->width() * (1 + encoder_->deep()));
  ASSERT_EQ(outline->pieces.size(), pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(outline->pieces[i].text, pieces[i].text);
    EXPECT_EQ(outline->pieces[i].embeddings.size(), pieces[i].embeddings.size());
  }
}

// Rows of a view do not depend on what was encoded before.
TEST_P(GoldenVision, TheSameTwiceIsTheSameToTheBit) {
  if (std::get<1>(GetParam()) == std::string_view("gemma4")) return;  // its views are always large
  const image::Picture view = encoder_->prepare(picture_of("small.png")).pictures[0];
  const auto once = encoder_->encode(view);
  ASSERT_TRUE(once.ok()) << once.error().message;
  (void)encoder_->encode(encoder_->prepare(picture_of("square.png")).pictures[0]);
  const auto twice = encoder_->encode(view);
  ASSERT_TRUE(twice.ok());
  EXPECT_EQ(*once, *twice);
}

// Views of different sizes in one pass over the weights.
TEST_P(GoldenVision, TogetherAsAloneToTheBit) {
  const auto pixels = test::read_npz(golden(case_.at("pixels")));
  std::vector<image::Picture> views;
  std::vector<std::vector<float>> alone;
  for (const auto& entry : case_.at("encode").as_array())
    views.push_back(as_picture(pixels.at(text(entry.at("pixels")))));
  views.push_back(views[0]);
  for (const image::Picture& view : views) {
    const auto embeddings = encoder_->encode(view);
    ASSERT_TRUE(embeddings.ok()) << embeddings.error().message;
    alone.push_back(*embeddings);
  }
  const uint64_t passes = encoder_->passes();
  EXPECT_EQ(encode_together(views), alone);
  EXPECT_EQ(encoder_->passes(), passes + 1);
}

// However little time a step may take: keys and values of all rows first, then the rest of each block, some rows a
// step.
TEST_P(GoldenVision, InSmallStepsAsInOneToTheBit) {
  const auto pixels = test::read_npz(golden(case_.at("pixels")));
  std::vector<image::Picture> views;
  uint32_t rows = 0;
  for (const auto& entry : case_.at("encode").as_array()) {
    views.push_back(as_picture(pixels.at(text(entry.at("pixels")))));
    rows += encoder_->rows_of(views.back());
  }
  const auto file = gguf::File::open(shared("models/vision/" + text(case_.at("mmproj"))).string());
  ASSERT_TRUE(file.ok()) << file.error().message;
  auto hurried = Encoder::load(*file, *device_, [] { return std::chrono::nanoseconds(1); });
  ASSERT_TRUE(hurried.ok()) << hurried.error().message;
  const auto at_ease = encode_together(views);
  const uint64_t steps = encoder_->steps();
  std::swap(encoder_, *hurried);
  EXPECT_EQ(encode_together(views), at_ease);
  if (rows <= device::kPage_tokens) return;
  // Of every block at least one more.
  EXPECT_GE(encoder_->steps(), steps + encoder_->spec().layers);
}

TEST_P(GoldenVision, ARunTakesNoMoreThanWasEstimated) {
  const auto pixels = test::read_npz(golden(case_.at("pixels")));
  const auto file = gguf::File::open(shared("models/vision/" + text(case_.at("mmproj"))).string());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto estimate = Encoder::estimate(**file, *device_);
  ASSERT_TRUE(estimate.ok()) << estimate.error().message;
  const image::Picture view = as_picture(pixels.at(text(case_.at("encode").at(0).at("pixels"))));
  const std::vector<image::Picture> views(std::max(1u, kRows_together / encoder_->rows_of(view)), view);
  encode_together(views);
  EXPECT_LE(encoder_->run_bytes(), estimate->run);
}

INSTANTIATE_TEST_SUITE_P(Devices, GoldenVision,
                         testing::Combine(testing::ValuesIn(test::all_devices()), testing::ValuesIn(kFamilies)),
                         [](const auto& test) {
                           std::string name = std::get<0>(test.param).name + "_" + std::get<1>(test.param);
                           std::ranges::replace(name, '-', '_');
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

class GoldenPixels : public testing::TestWithParam<const char*> {};

TEST_P(GoldenPixels, AreTheAuthorsBitForBit) {
  REQUIRE_SHARED(kIndex);
  const boost::json::object& about = index().at("models").at(GetParam()).as_object();
  const auto file = gguf::File::open(shared("models/vision/" + text(about.at("mmproj"))).string());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto device = test::reference_device().make();
  const auto encoder = Encoder::load(*file, *device);
  ASSERT_TRUE(encoder.ok()) << encoder.error().message;
  const auto pixels = test::read_npz(golden(about.at("pixels")));
  for (const auto& [name, entry] : about.at("preprocess").as_object()) {
    const Views views = (*encoder)->prepare(picture_of(std::string(name)));
    const auto& sizes = entry.at("sizes").as_array();
    ASSERT_EQ(views.pictures.size(), sizes.size()) << name;
    if (const auto* grid = entry.as_object().if_contains("grid"); grid != nullptr && sizes.size() > 1) {
      EXPECT_EQ(views.columns, grid->at(0).as_int64()) << name;
      EXPECT_EQ(views.rows, grid->at(1).as_int64()) << name;
    }
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_EQ(views.pictures[i].width, sizes[i].at(0).as_int64()) << name;
      EXPECT_EQ(views.pictures[i].height, sizes[i].at(1).as_int64()) << name;
      const auto stored = pixels.find(std::string(name) + "/" + std::to_string(i));
      const bool is_view = !entry.as_object().contains("stored");
      if (!is_view || stored == pixels.end()) continue;
      EXPECT_EQ(views.pictures[i].rgb, stored->second.values) << name << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenPixels, testing::ValuesIn(kFamilies), [](const auto& test) {
  std::string name = test.param;
  std::ranges::replace(name, '-', '_');
  std::ranges::replace(name, '.', '_');
  return name;
});

TEST(GoldenVisionIndex, HasNoFamilyThatIsNotTested) {
  REQUIRE_SHARED(kIndex);
  for (const auto& entry : index().at("models").as_object())
    EXPECT_NE(std::ranges::find(kFamilies, std::string_view(entry.key())), std::end(kFamilies)) << entry.key();
}

}  // namespace
}  // namespace hearth::vision
