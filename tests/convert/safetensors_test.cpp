// Weights in safetensors files: good ones of every type, and hostile ones.
#include "convert/safetensors.h"

#include <boost/json.hpp>
#include <cmath>

#include "base/file.h"
#include "convert/checkpoint.h"
#include "convert/plan.h"
#include "support/safetensors_writer.h"
#include "support/support.h"

namespace hearth::convert {
namespace {

using test::SafetensorsWriter;
using test::TemporaryFolder;
using test::write_text;

std::string file_of(const std::string& header, const std::string& data = "") {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header + data;
}

void expect_refused(const std::string& bytes, const std::string& part) {
  const TemporaryFolder folder;
  const std::string path = (folder / "model.safetensors").string();
  write_text(path, bytes);
  const auto file = SafetensorsFile::open(path);
  ASSERT_FALSE(file.ok()) << part;
  EXPECT_NE(file.error().message.find(part), std::string::npos) << file.error().message;
  EXPECT_NE(file.error().message.find(path), std::string::npos) << file.error().message;
}

TEST(Safetensors, HostileHeadersAreRefused) {
  expect_refused("", "no safetensors file");
  expect_refused("1234567", "no safetensors file");
  expect_refused(std::string(8, '\xff'), "does not begin with its header's size");
  expect_refused(file_of("{}").substr(0, 9), "cut off inside its header");
  expect_refused(file_of("[]"), "no JSON object");
  expect_refused(file_of("{"), "no valid JSON");
  const auto tensor = [](const std::string& fields) { return R"({"a":{)" + fields + "}}"; };
  expect_refused(file_of(R"({"a":1})"), "tensor 'a' is no JSON object");
  expect_refused(file_of(tensor(R"("shape":[1],"data_offsets":[0,4])")), "tensor 'a' has no type");
  expect_refused(file_of(tensor(R"("dtype":"F3","shape":[1],"data_offsets":[0,4])")), "is of type F3");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])")), "makes no sense");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])")),
                 "makes no sense");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])")), "dimensions");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,5])"), "12345"), "do not fit");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "1234"), "do not fit");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), "1234"), "no pair");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,1e99])"), "1234"), "no whole numbers");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), "1234"), "cut off");
  expect_refused(
      file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616])"),
              "1234"),
      "no whole numbers");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "12345678"), "leaves a gap");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), "12345678"), "follow its last");
  expect_refused(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                         R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                         "1234"),
                 "overlaps");
  expect_refused(file_of(R"({"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234"), "no usable name");
}

TEST(Safetensors, EveryTypeIsDecoded) {
  SafetensorsWriter writer;
  writer.add("f64", "F64", {1}, std::string("\0\0\0\0\0\0\xf8\x3f", 8));
  writer.add_f32("f32", {1}, {1.5f});
  writer.add_f16("f16", {1}, {1.5f});
  writer.add_bf16("bf16", {1}, {1.5f});
  writer.add("e4m3", "F8_E4M3", {1}, "\x3c");
  writer.add("e5m2", "F8_E5M2", {1}, "\x3e");
  writer.add("scalar", "F32", {}, std::string("\0\0\xc0\x3f", 4));
  const TemporaryFolder folder;
  writer.write((folder / "a.safetensors").string());
  const auto file = SafetensorsFile::open((folder / "a.safetensors").string());
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ((*file)->tensors().size(), 7u);
  for (const Safetensor& tensor : (*file)->tensors()) {
    float value = 0;
    tensor.dtype->decode((*file)->bytes(tensor), 1, &value);
    EXPECT_EQ(value, 1.5f) << tensor.name;
  }
}

// The values of the paper's table: largest, smallest, subnormal, no infinities.
TEST(Safetensors, E4m3IsTheFormatOfThePaper) {
  const auto value = [](int bits) {
    float out = 0;
    const auto byte = static_cast<std::byte>(bits);
    find_dtype("F8_E4M3")->decode(&byte, 1, &out);
    return out;
  };
  EXPECT_EQ(value(0x7e), 448);
  EXPECT_EQ(value(0xfe), -448);
  EXPECT_TRUE(std::isnan(value(0x7f)));
  EXPECT_EQ(value(0x08), std::ldexp(1.0f, -6));
  EXPECT_EQ(value(0x01), std::ldexp(1.0f, -9));
  EXPECT_EQ(value(0x00), 0);
  EXPECT_EQ(value(0x38), 1);
}

TEST(SafetensorsIndex, NeverLeavesTheFolder) {
  for (const char* name : {"../secret.safetensors", "/etc/model.safetensors", "a/b.safetensors", "..", "",
                           ".hidden.safetensors", "a\\b.safetensors", "model.bin"}) {
    const std::string text =
        boost::json::serialize(boost::json::object{{"weight_map", boost::json::object{{"a", name}}}});
    const auto files = parse_index(text, "index.json");
    ASSERT_FALSE(files.ok()) << name;
    EXPECT_NE(files.error().message.find("no safetensors file of the folder"), std::string::npos);
  }
  EXPECT_FALSE(parse_index("{}", "index.json").ok());
  EXPECT_FALSE(parse_index(R"({"weight_map":{}})", "index.json").ok());
  EXPECT_FALSE(parse_index(R"({"weight_map":{"a":1}})", "index.json").ok());
}

class CheckpointFolder : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& tensor) {
    SafetensorsWriter writer;
    writer.add_f32(tensor, {1}, {1});
    writer.write((folder_ / name).string());
  }
  void expect_refused(const std::string& part) {
    const auto checkpoint = Checkpoint::open(folder_.path().string());
    ASSERT_FALSE(checkpoint.ok()) << part;
    EXPECT_NE(checkpoint.error().message.find(part), std::string::npos) << checkpoint.error().message;
  }
  TemporaryFolder folder_;
};

TEST_F(CheckpointFolder, NamesWhatIsMissing) {
  expect_refused("there are no safetensors files");
  write_text((folder_ / "pytorch_model.bin").string(), "x");
  expect_refused("PyTorch's form");
  put("model-00001-of-00002.safetensors", "a");
  expect_refused("1 of 2 safetensors files are there");
  write_text((folder_ / "model.safetensors.index.json").string(),
             R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  expect_refused("model-00002-of-00002.safetensors is missing");
  put("model-00002-of-00002.safetensors", "a");
  expect_refused("is in");
  put("model-00002-of-00002.safetensors", "b");
  const auto checkpoint = Checkpoint::open(folder_.path().string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_NE(checkpoint->find("b").file, nullptr);
  EXPECT_EQ(checkpoint->find("c").file, nullptr);
  EXPECT_EQ(checkpoint->bytes(), 8u);
}

TEST_F(CheckpointFolder, LeavesMistralsOwnFilesAlone) {
  put("consolidated.safetensors", "x");
  expect_refused("Mistral's own form");
  put("model.safetensors", "a");
  const auto checkpoint = Checkpoint::open(folder_.path().string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->tensors().size(), 1u);
}

// --- FP8

class Fp8 : public testing::Test {
 protected:
  // Four rows of six numbers, all one (0x38), and scales of this shape that count up from one.
  std::vector<float> rows(const std::string& scale_name, const std::vector<uint64_t>& scale_shape,
                          uint64_t block_rows = 0, uint64_t block_columns = 0) {
    SafetensorsWriter writer;
    writer.add("m.weight", "F8_E4M3", {4, 6}, std::string(24, '\x38'));
    uint64_t count = 1;
    for (const uint64_t n : scale_shape) count *= n;
    std::vector<float> scales(count);
    for (uint64_t i = 0; i < count; ++i) scales[i] = static_cast<float>(i + 1);
    writer.add_f32(scale_name, scale_shape, scales);
    writer.add_f32("m.input_scale", {}, {7});
    writer.write((folder_ / "model.safetensors").string());
    auto checkpoint = Checkpoint::open(folder_.path().string());
    EXPECT_TRUE(checkpoint.ok());
    Plan plan(*checkpoint, "llama", block_rows, block_columns);
    status_ = plan.matrix("x.weight", "m.weight", 4, 6);
    if (!status_) return {};
    EXPECT_TRUE(plan.finish().ok());
    std::vector<float> out(24);
    decode_rows(plan.targets()[0], 0, 4, out.data());
    return out;
  }
  TemporaryFolder folder_;
  Status status_;
};

TEST_F(Fp8, HasAScaleForTheWholeMatrix) {
  for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{}, {1}, {1, 1}})
    EXPECT_EQ(rows("m.weight_scale", shape), std::vector<float>(24, 1)) << shape.size();
}

TEST_F(Fp8, HasAScaleForEachRow) {
  for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{4}, {4, 1}}) {
    const auto values = rows("m.weight_scale", shape);
    ASSERT_EQ(values.size(), 24u);
    for (size_t i = 0; i < 24; ++i) EXPECT_EQ(values[i], static_cast<float>(i / 6 + 1));
  }
}

// Blocks of 3 x 4: the last ones are smaller.
TEST_F(Fp8, HasAScaleForEachBlock) {
  const auto values = rows("m.weight_scale_inv", {2, 2}, 3, 4);
  ASSERT_EQ(values.size(), 24u);
  for (size_t row = 0; row < 4; ++row)
    for (size_t column = 0; column < 6; ++column)
      EXPECT_EQ(values[row * 6 + column], static_cast<float>(row / 3 * 2 + column / 4 + 1)) << row << " " << column;
}

TEST_F(Fp8, ScalesThatFitNothingAreRefused) {
  EXPECT_TRUE(rows("m.weight_scale_inv", {2, 2}).empty());  // no block size is known
  EXPECT_NE(status_.error().message.find("fits no scale"), std::string::npos) << status_.error().message;
  EXPECT_TRUE(rows("m.weight_scale_inv", {3, 2}, 3, 4).empty());
  EXPECT_TRUE(rows("m.other", {1}).empty());
  EXPECT_NE(status_.error().message.find("'m.weight_scale'"), std::string::npos) << status_.error().message;
}

}  // namespace
}  // namespace hearth::convert
