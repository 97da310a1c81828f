// Pictures of every kind against the pixels that another program made of them, and files that must be refused.
#include "image/decode.h"

#include <boost/json.hpp>

#include "base/file.h"
#include "support/npz.h"

namespace hearth::image {
namespace {

using test::shared;

constexpr const char* kFolder = "golden/vision/images/";

std::span<const std::byte> bytes_of(const std::vector<uint8_t>& file) {
  return std::as_bytes(std::span(file));
}

boost::json::object index() {
  const auto text = read_file(shared(std::string(kFolder) + "images.json").string());
  EXPECT_TRUE(text.ok());
  return boost::json::parse(*text).as_object();
}

Result<Picture> decode_shared(std::string_view name, const Limits& limits = {}) {
  return decode(bytes_of(test::read_bytes(shared(kFolder + std::string(name)))), limits);
}

TEST(Decode, GivesThePixelsOfEveryKindUpright) {
  REQUIRE_SHARED("golden/vision/images/images.json");
  const auto pixels = test::read_npz(shared(std::string(kFolder) + "pixels.npz"));
  const boost::json::object all = index();
  ASSERT_GE(all.at("images").as_object().size(), 30u);
  for (const auto& [name, entry] : all.at("images").as_object()) {
    const auto picture = decode_shared(name);
    ASSERT_TRUE(picture.ok()) << name << ": " << picture.error().message;
    const test::Bytes& expected = pixels.at(std::string(name));
    ASSERT_EQ(picture->height, expected.shape[0]) << name;
    ASSERT_EQ(picture->width, expected.shape[1]) << name;
    double difference = 0;
    for (size_t i = 0; i < picture->rgb.size(); ++i) difference += std::abs(picture->rgb[i] - expected.values[i]);
    difference /= static_cast<double>(picture->rgb.size());
    EXPECT_LE(difference, entry.at("mean_difference_at_most").to_number<double>()) << name;
  }
}

TEST(Decode, RefusesWhatIsBrokenByName) {
  REQUIRE_SHARED("golden/vision/images/images.json");
  const boost::json::object all = index();
  for (const char* list : {"refuse", "refuse_or_show_in_part"})
    for (const auto& name : all.at(list).as_array()) {
      const auto picture = decode_shared(name.as_string());
      ASSERT_FALSE(picture.ok()) << name;
      EXPECT_NE(picture.error().message.find("picture"), std::string::npos) << picture.error().message;
    }
  EXPECT_EQ(decode_shared("bomb.png").error().kind, ErrorKind::kTooLong);
  EXPECT_NE(decode_shared("bomb.png").error().message.find("60000 x 60000"), std::string::npos);
  EXPECT_EQ(decode_shared("text.png").error().kind, ErrorKind::kUnsupported);
}

TEST(Decode, KeepsToTheLimits) {
  REQUIRE_SHARED("golden/vision/images/images.json");
  for (const char* name : {"photo.png", "baseline.jpg", "lossy.webp", "palette.gif", "rgb.bmp"}) {
    EXPECT_TRUE(decode_shared(name).ok()) << name;
    EXPECT_EQ(decode_shared(name, {.pixels = 600}).error().kind, ErrorKind::kTooLong) << name;
    EXPECT_EQ(decode_shared(name, {.side = 20}).error().kind, ErrorKind::kTooLong) << name;
    EXPECT_EQ(decode_shared(name, {.file_bytes = 300}).error().kind, ErrorKind::kTooLong) << name;
  }
}

// A picture of which a part is missing is none: a model would describe what it does not see.
TEST(Decode, RefusesEveryCut) {
  REQUIRE_SHARED("golden/vision/images/images.json");
  for (const auto& [name, spare] : std::map<std::string, size_t>{// bytes at the end that no picture needs
                                                                 {"palette.gif", 1},
                                                                 {"rgb.bmp", 3},
                                                                 {"photo.png", 0},
                                                                 {"baseline.jpg", 0},
                                                                 {"progressive.jpg", 0},
                                                                 {"lossy.webp", 0}}) {
    const std::vector<uint8_t> file = test::read_bytes(shared(kFolder + name));
    ASSERT_TRUE(decode(bytes_of(file)).ok()) << name;
    for (size_t size = 0; size < file.size() - spare; size += 1 + file.size() / 300) {
      const auto picture = decode(std::as_bytes(std::span(file).first(size)));
      EXPECT_FALSE(picture.ok()) << name << ": " << size << " of " << file.size();
    }
    EXPECT_FALSE(decode(std::as_bytes(std::span(file).first(file.size() - spare - 1))).ok()) << name;
  }
}

// Whatever is cut off or changed: an error, or some picture; never more.
TEST(Decode, SurvivesEveryCutAndManyChanges) {
  REQUIRE_SHARED("golden/vision/images/images.json");
  std::mt19937_64 random(test::seed());
  for (const char* name : {"palette.png", "turned-6.jpg", "progressive.jpg", "lossy.webp", "frames.gif", "rgb.bmp"}) {
    const std::vector<uint8_t> file = test::read_bytes(shared(std::string(kFolder) + name));
    const Limits limits{.pixels = 1 << 20};
    for (size_t size = 0; size < file.size(); size += 1 + file.size() / 300)
      (void)decode(bytes_of(std::vector<uint8_t>(file.begin(), file.begin() + static_cast<ptrdiff_t>(size))), limits);
    for (int round = 0; round < 300; ++round) {
      std::vector<uint8_t> changed = file;
      for (int i = 0; i < 4; ++i)
        changed[random() % (i < 2 ? std::min<size_t>(64, file.size()) : file.size())] = static_cast<uint8_t>(random());
      (void)decode(bytes_of(changed), limits);
    }
  }
}

// Headers alone, which need nothing that lies elsewhere.
TEST(Decode, BelievesNoHeader) {
  const std::vector<uint8_t> bmp{'B',  'M',  70, 0, 0,    0,    0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0,
                                 0x10, 0x27, 0,  0, 0x10, 0x27, 0, 0, 1, 0, 24, 0, 0, 0, 0,  0, 0, 0,
                                 0,    0,    0,  0, 0,    0,    0, 0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0};
  EXPECT_EQ(decode(bytes_of(bmp)).error().kind, ErrorKind::kTooLong) << "10000 x 10000";
  const std::vector<uint8_t> gif{'G', 'I', 'F', '8', '9', 'a', 0xff, 0xff, 0xff, 0xff, 0, 0, 0};
  EXPECT_FALSE(decode(bytes_of(gif)).ok());
  EXPECT_FALSE(is_picture(bytes_of({'h', 'e', 'l', 'l', 'o'})));
  EXPECT_TRUE(is_picture(bytes_of(gif)));
}

}  // namespace
}  // namespace hearth::image
