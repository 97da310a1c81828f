#include "gguf/writer.h"

#include <cstring>

#include "gguf/draft.h"
#include "gguf/file.h"
#include "support/support.h"

namespace hearth::gguf {
namespace {

std::vector<uint8_t> random_bytes(size_t size, std::mt19937_64& random) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

bool same(const Value& a, const Value& b) {
  const auto bytes_equal = std::ranges::equal(a.bytes(), b.bytes());
  return a.type() == b.type() && a.element_type() == b.element_type() && a.size() == b.size() && bytes_equal &&
         a.as_string() == b.as_string() && std::ranges::equal(a.as_strings(), b.as_strings());
}

TEST(GgufWriter, WhatIsWrittenIsRead) {
  const hearth::test::TemporaryFolder folder;
  const std::string path = folder / "m.gguf";
  std::mt19937_64 random(hearth::test::seed());
  const std::vector<int16_t> numbers = {1, -2, 3};
  const std::vector<uint8_t> a = random_bytes(3 * 2 * 34, random), b = random_bytes(7 * 4, random);

  Writer writer;
  writer.set_string("general.architecture", "first");
  writer.set_u32("x.count", 5);
  writer.set_f32("x.scale", 0.25f);
  writer.set_bool("x.flag", true);
  writer.set_strings("x.names", {"a", "", "c"});
  writer.set("x.numbers", Value::numbers(Type::kI16, std::as_bytes(std::span(numbers))));
  writer.set_string("general.architecture", "llama");  // replaces, in place
  writer.add_tensor("a", *quant::find_name("Q8_0"), std::vector<uint64_t>{32, 2, 3});
  writer.add_tensor("b", *quant::find_name("F32"), std::vector<uint64_t>{7});
  ASSERT_TRUE(writer.begin(path).ok());
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(a)).first(100)).ok());  // in pieces
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(a)).subspan(100)).ok());
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(b))).ok());
  EXPECT_FALSE(std::filesystem::exists(path)) << "visible before it is whole";
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(std::filesystem::file_size(path), writer.file_bytes());

  const auto file = File::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ((*file)->metadata()[0].first, "general.architecture");
  EXPECT_EQ(*(*file)->get_string("general.architecture"), "llama");
  EXPECT_EQ(*(*file)->get_u64("x.count"), 5u);
  EXPECT_EQ((*file)->find("x.count")->type(), Type::kU32);
  EXPECT_EQ(*(*file)->get_f64("x.scale"), 0.25);
  EXPECT_TRUE((*file)->bool_or("x.flag", false));
  EXPECT_EQ((*file)->find("x.names")->as_strings()[2], "c");
  EXPECT_EQ((*file)->find("x.numbers")->at_i64(1), -2);
  ASSERT_EQ((*file)->tensors().size(), 2u);
  EXPECT_EQ((*file)->tensor("a")->shape, (std::array<uint64_t, 4>{32, 2, 3, 1}));
  EXPECT_EQ(std::memcmp(test::tensor_bytes(**file, *(*file)->tensor("a")).data(), a.data(), a.size()), 0);
  EXPECT_EQ(std::memcmp(test::tensor_bytes(**file, *(*file)->tensor("b")).data(), b.data(), b.size()), 0);
}

TEST(GgufWriter, AlignmentIsKept) {
  const hearth::test::TemporaryFolder folder;
  const std::string path = folder / "m.gguf";
  Writer writer;
  writer.set_u32("general.alignment", 4096);
  const float values[] = {1, 2, 3};
  for (const char* name : {"a", "b"}) writer.add_tensor(name, *quant::find_name("F32"), std::vector<uint64_t>{3});
  ASSERT_TRUE(writer.begin(path).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(writer.write(std::as_bytes(std::span(values))).ok());
  ASSERT_TRUE(writer.finish().ok());
  const auto file = File::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ((*file)->tensor("b")->offset, 8192u);
}

TEST(GgufWriter, AnUnfinishedFileLeavesNothing) {
  const hearth::test::TemporaryFolder folder;
  {
    Writer writer;
    writer.add_tensor("a", *quant::find_name("F32"), std::vector<uint64_t>{3});
    ASSERT_TRUE(writer.begin(folder / "m.gguf").ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Every real file at hand, copied through reader and writer, holds the same again.
TEST(GgufWriter, CopiesRealFiles) {
  REQUIRE_SHARED("models/tiny/llama.gguf");
  const hearth::test::TemporaryFolder folder;
  for (const char* name : {"models/tiny/llama.gguf", "models/tiny/mixtral.gguf", "models/vocab/ggml-vocab-gpt-2.gguf"}) {
    const auto from = File::open(hearth::test::shared(name));
    ASSERT_TRUE(from.ok()) << from.error().message;
    Writer writer;
    for (const auto& [key, value] : (*from)->metadata()) writer.set(key, value);
    for (const Tensor& t : (*from)->tensors()) {
      writer.add_tensor(t.name, *t.format, std::span(t.shape).first(static_cast<size_t>(t.dimensions)));
    }
    const std::string path = folder / "copy.gguf";
    ASSERT_TRUE(writer.begin(path).ok());
    for (const Tensor& t : (*from)->tensors()) {
      const std::vector<uint8_t> bytes = test::tensor_bytes(**from, t);
      ASSERT_TRUE(writer.write(std::as_bytes(std::span(bytes))).ok());
    }
    ASSERT_TRUE(writer.finish().ok());

    const auto to = File::open(path);
    ASSERT_TRUE(to.ok()) << to.error().message;
    ASSERT_EQ((*to)->metadata().size(), (*from)->metadata().size());
    for (size_t i = 0; i < (*to)->metadata().size(); ++i) {
      EXPECT_EQ((*to)->metadata()[i].first, (*from)->metadata()[i].first);
      EXPECT_TRUE(same((*to)->metadata()[i].second, (*from)->metadata()[i].second)) << (*to)->metadata()[i].first;
    }
    ASSERT_EQ((*to)->tensors().size(), (*from)->tensors().size());
    for (size_t i = 0; i < (*to)->tensors().size(); ++i) {
      const Tensor &t = (*to)->tensors()[i], &f = (*from)->tensors()[i];
      EXPECT_EQ(t.name, f.name);
      EXPECT_EQ(t.shape, f.shape);
      EXPECT_EQ(test::tensor_bytes(**to, t), test::tensor_bytes(**from, f)) << t.name;
    }
  }
}

}  // namespace
}  // namespace hearth::gguf
