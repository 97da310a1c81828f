#include "gguf/file.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "gguf/draft.h"
#include "support/support.h"

namespace hearth::gguf {
namespace {

using test::array_value;
using test::Draft;
using test::raw;
using test::raw_string;
using test::string_value;
using test::value_of;

// Keeps the bytes alive beside the File that views them.
struct Parsed {
  explicit Parsed(const Draft& draft) : bytes(draft.bytes()), file(File::parse(test::as_bytes(bytes), "model.gguf")) {}
  const File* operator->() const { return file.value().get(); }
  std::string bytes;
  Result<std::shared_ptr<const File>> file;
};

void write(const std::filesystem::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

TEST(GgufFile, ReadsMetadataAndTensorsOfVersions2And3) {
  for (const uint32_t version : {2u, 3u}) {
    Draft draft;
    draft.version = version;
    const Parsed file(draft);
    ASSERT_TRUE(file.file.ok()) << file.file.error().message;
    EXPECT_EQ(file->version(), version);
    EXPECT_EQ(*file->get_string("general.architecture"), "llama");
    EXPECT_EQ(*file->get_u64("llama.block_count"), 7u);
    ASSERT_EQ(file->tensors().size(), 2u);
    const Tensor* a = file->tensor("a.weight");
    ASSERT_NE(a, nullptr);
    EXPECT_STREQ(a->format->name, "Q8_0");
    EXPECT_EQ(a->shape, (std::array<uint64_t, 4>{32, 2, 1, 1}));
    EXPECT_EQ(a->bytes, 68u);
    const std::vector<uint8_t> content = test::tensor_bytes(*file.file.value(), *a);
    EXPECT_EQ(std::string(content.begin(), content.end()), file.bytes.substr(a->offset, 68));
    EXPECT_EQ(file->tensor("b.weight")->offset, a->offset + 96);
    EXPECT_EQ(file->tensor("c.weight"), nullptr);
    EXPECT_EQ(file->file_bytes(), file.bytes.size());
  }
}

TEST(GgufFile, ReadsEveryMetadataType) {
  Draft draft;
  draft.metadata = {{"u8", value_of<uint8_t>(0, 200)},
                    {"i8", value_of<int8_t>(1, -100)},
                    {"u16", value_of<uint16_t>(2, 60000)},
                    {"i16", value_of<int16_t>(3, -30000)},
                    {"u32", value_of<uint32_t>(4, 4000000000u)},
                    {"i32", value_of<int32_t>(5, -2000000000)},
                    {"f32", value_of<float>(6, 0.5f)},
                    {"bool", value_of<uint8_t>(7, 1)},
                    {"string", string_value("text with \n and ü")},
                    {"u64", value_of<uint64_t>(10, std::numeric_limits<uint64_t>::max())},
                    {"i64", value_of<int64_t>(11, std::numeric_limits<int64_t>::min())},
                    {"f64", value_of<double>(12, 1e300)},
                    {"numbers", array_value(5, 3, raw(int32_t{1}) + raw(int32_t{-2}) + raw(int32_t{3}))},
                    {"floats", array_value(6, 2, raw(1.5f) + raw(-2.5f))},
                    {"strings", array_value(8, 3, raw_string("one") + raw_string("") + raw_string("three"))},
                    {"empty", array_value(8, 0, "")}};
  const Parsed file(draft);
  ASSERT_TRUE(file.file.ok()) << file.file.error().message;
  EXPECT_EQ(file->find("u8")->as_u64(), 200u);
  EXPECT_EQ(file->find("i8")->as_i64(), -100);
  EXPECT_EQ(file->find("i8")->as_u64(), std::nullopt) << "negative";
  EXPECT_EQ(file->find("u16")->as_i64(), 60000);
  EXPECT_EQ(file->find("i16")->as_i64(), -30000);
  EXPECT_EQ(file->find("u32")->as_u64(), 4000000000u);
  EXPECT_EQ(file->find("i32")->as_f64(), -2e9);
  EXPECT_EQ(file->find("f32")->as_f64(), 0.5);
  EXPECT_EQ(file->find("f32")->as_u64(), std::nullopt) << "floats are not whole numbers";
  EXPECT_EQ(file->find("bool")->as_bool(), true);
  EXPECT_EQ(file->find("u8")->as_bool(), std::nullopt);
  EXPECT_EQ(file->find("string")->as_string(), "text with \n and ü");
  EXPECT_EQ(file->find("string")->as_u64(), std::nullopt);
  EXPECT_EQ(file->find("u64")->as_u64(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(file->find("u64")->as_i64(), std::nullopt) << "does not fit";
  EXPECT_EQ(file->find("i64")->as_i64(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(file->find("f64")->as_f64(), 1e300);
  const Value& numbers = *file->find("numbers");
  EXPECT_TRUE(numbers.is_array());
  EXPECT_EQ(numbers.element_type(), Type::kI32);
  ASSERT_EQ(numbers.size(), 3u);
  EXPECT_EQ(numbers.at_i64(1), -2);
  EXPECT_EQ(numbers.at_f64(2), 3.0);
  EXPECT_EQ(file->find("floats")->at_f64(1), -2.5);
  const auto strings = file->find("strings")->as_strings();
  EXPECT_EQ(std::vector<std::string_view>(strings.begin(), strings.end()),
            (std::vector<std::string_view>{"one", "", "three"}));
  EXPECT_EQ(file->find("empty")->size(), 0u);
}

TEST(GgufFile, TypedLookUpsSayWhatIsWrong) {
  const Parsed file{Draft()};
  EXPECT_EQ(file->u64_or("llama.block_count", 1), 7u);
  EXPECT_EQ(file->u64_or("llama.missing", 1), 1u);
  EXPECT_EQ(file->string_or("general.architecture", "x"), "llama");
  EXPECT_EQ(file->f64_or("llama.block_count", 0), 7.0);
  EXPECT_EQ(file->bool_or("general.architecture", true), true) << "another type: the fallback";
  EXPECT_EQ(file->get_u64("llama.missing").error().message, "model.gguf: metadata 'llama.missing' is missing");
  EXPECT_EQ(file->get_u64("general.architecture").error().message,
            "model.gguf: metadata 'general.architecture' is of type string, a whole number, not negative, is needed");
}

TEST(GgufFile, AlignmentComesFromTheMetadata) {
  Draft draft;
  draft.alignment = 256;
  draft.metadata.emplace_back("general.alignment", value_of<uint32_t>(4, 256));
  draft.tensors[1].offset = 256;
  const Parsed file(draft);
  ASSERT_TRUE(file.file.ok()) << file.file.error().message;
  EXPECT_EQ(file->tensor("a.weight")->offset % 256, 0u);
}

struct Malformed {
  const char* what;
  void (*damage)(Draft&);
  const char* message;
};

const Malformed kMalformed[] = {
    {"foreign", [](Draft& d) { d.magic = "ABCD"; }, "not a GGUF file: it starts with 41 42 43 44"},
    {"version 1", [](Draft& d) { d.version = 1; }, "byte 4: GGUF version 1; versions 2 and 3 are supported"},
    {"version 4", [](Draft& d) { d.version = 4; }, "GGUF version 4"},
    {"version 0", [](Draft& d) { d.version = 0; }, "GGUF version 0"},
    {"big-endian", [](Draft& d) { d.version = 0x03000000; }, "big-endian GGUF file (version 3)"},
    {"too many tensors", [](Draft& d) { d.tensor_count = 1000; }, "byte 8: 1000 tensors cannot be"},
    {"absurd tensor count", [](Draft& d) { d.tensor_count = ~uint64_t{0}; }, "18446744073709551615 tensors cannot be"},
    {"absurd metadata count", [](Draft& d) { d.metadata_count = uint64_t{1} << 62; }, "byte 16: 4611686018427387904"},
    {"one tensor more than there are", [](Draft& d) { d.tensor_count = 3; }, "byte "},
    {"one key less than there are", [](Draft& d) { d.metadata_count = 1; }, "byte "},
    {"unknown metadata type", [](Draft& d) { d.metadata[1].second = value_of<uint32_t>(13, 7); },
     "metadata 'llama.block_count' has the unknown type 13"},
    {"key twice", [](Draft& d) { d.metadata[1] = d.metadata[0]; }, "metadata key 'general.architecture' appears twice"},
    {"empty key", [](Draft& d) { d.metadata[0].first = ""; }, "metadata key 0 has 0 bytes"},
    {"bool 2", [](Draft& d) { d.metadata[1].second = value_of<uint8_t>(7, 2); }, "holds the bool 2"},
    {"bool 3 in an array", [](Draft& d) { d.metadata[1].second = array_value(7, 2, "\1\3"); }, "holds the bool 3"},
    {"string beyond the end",
     [](Draft& d) { d.metadata[1].second = raw(uint32_t{8}) + raw(uint64_t{1} << 40); }, "needs 1099511627776 bytes"},
    {"string length overflows",
     [](Draft& d) { d.metadata[1].second = raw(uint32_t{8}) + raw(~uint64_t{0}); }, "needs 18446744073709551615 bytes"},
    {"array of arrays", [](Draft& d) { d.metadata[1].second = array_value(9, 1, ""); },
     "metadata 'llama.block_count' is an array of arrays"},
    {"array of unknown type", [](Draft& d) { d.metadata[1].second = array_value(77, 1, ""); }, "unknown type 77"},
    {"absurd array length", [](Draft& d) { d.metadata[1].second = array_value(4, uint64_t{1} << 62, ""); },
     "the array 'llama.block_count' has 4611686018427387904 elements"},
    {"absurd string array length", [](Draft& d) { d.metadata[1].second = array_value(8, ~uint64_t{0}, ""); },
     "the array 'llama.block_count' has 18446744073709551615 elements"},
    {"string array with a bad length",
     [](Draft& d) { d.metadata[1].second = array_value(8, 2, raw_string("a") + raw(~uint64_t{0})); },
     "string 1 of 2 of the array 'llama.block_count' goes beyond the end"},
    {"alignment 0", [](Draft& d) { d.metadata[1] = {"general.alignment", value_of<uint32_t>(4, 0)}; },
     "general.alignment is 0"},
    {"alignment 48", [](Draft& d) { d.metadata[1] = {"general.alignment", value_of<uint32_t>(4, 48)}; },
     "general.alignment is 48; a power of two"},
    {"alignment is text", [](Draft& d) { d.metadata[1] = {"general.alignment", string_value("32")}; },
     "'general.alignment' is not a whole number"},
    {"split.no beyond the count", [](Draft& d) { d.metadata[1] = {"split.no", value_of<uint16_t>(2, 4)}; },
     "'split.no' is 4 and 'split.count' 1"},
    {"tensor twice", [](Draft& d) { d.tensors[1].name = "a.weight"; }, "tensor 'a.weight' appears twice"},
    {"tensor without a name", [](Draft& d) { d.tensors[1].name = ""; }, "a tensor's name has 0 bytes"},
    {"five dimensions", [](Draft& d) { d.tensors[0].shape = {32, 1, 1, 1, 1}; }, "has 5 dimensions; at most 4"},
    {"dimension 0", [](Draft& d) { d.tensors[0].shape = {32, 0}; }, "dimension 1 of tensor 'a.weight' is 0"},
    {"values overflow", [](Draft& d) { d.tensors[0].shape = {1ull << 32, 1ull << 32}; }, "tensor 'a.weight' is too large"},
    {"bytes overflow", [](Draft& d) { d.tensors[1].shape = {1ull << 62}; }, "its bytes do not fit"},
    {"unknown tensor type", [](Draft& d) { d.tensors[0].type = 999; }, "tensor 'a.weight' is of type 999 (unknown)"},
    {"withdrawn tensor type", [](Draft& d) { d.tensors[0].type = 31; }, "of type 31 (Q4_0_4_4, withdrawn: use Q4_0)"},
    {"row with a broken block", [](Draft& d) { d.tensors[0].shape = {33, 2}; },
     "rows of tensor 'a.weight' have 33 values, not whole Q8_0 blocks of 32"},
    {"unaligned offset", [](Draft& d) { d.tensors[1].offset = 100; }, "'b.weight' is at offset 100, which is not a multiple"},
    {"overlap", [](Draft& d) { d.tensors[1].offset = 64; }, "tensors 'a.weight' and 'b.weight' overlap"},
    {"offset overflows", [](Draft& d) { d.data = std::string(128, 'x'), d.tensors[1].offset = ~uint64_t{0} & ~uint64_t{31}; },
     "the offset of tensor 'b.weight' does not fit"},
    {"data cut by a byte", [](Draft& d) { d.data = std::string(115, 'x'); }, "tensor 'b.weight' is at bytes"},
    {"no data", [](Draft& d) { d.data = "x"; }, "the file is cut or damaged: tensor 'a.weight' is at bytes"},
    {"control characters stay out of messages", [](Draft& d) { d.tensors[0].name = "\x1b[2J", d.tensors[0].type = 999; },
     "tensor '\\x1b[2J'"},
};

TEST(GgufFile, MalformedFilesAreRefusedWithAReason) {
  for (const Malformed& c : kMalformed) {
    Draft draft;
    c.damage(draft);
    const Parsed file(draft);
    ASSERT_FALSE(file.file.ok()) << c.what;
    const std::string& message = file.file.error().message;
    EXPECT_NE(message.find(c.message), std::string::npos) << c.what << ": " << message;
    EXPECT_EQ(message.find("model.gguf: "), 0u) << c.what << ": " << message;
  }
}

TEST(GgufFile, AFileCutAnywhereIsRefused) {
  Draft draft;
  draft.metadata.emplace_back("strings", array_value(8, 2, raw_string("one") + raw_string("two")));
  const std::string bytes = draft.bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    EXPECT_FALSE(File::parse(test::as_bytes(cut), "cut").ok()) << size;
  }
  EXPECT_TRUE(File::parse(test::as_bytes(bytes), "whole").ok());
}

TEST(GgufFile, DamagedBytesNeverCrashTheReader) {
  const std::string good = Draft().bytes();
  std::mt19937_64 random(hearth::test::seed());
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (uint64_t n = 1 + random() % 4; n > 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto file = File::parse(test::as_bytes(bytes), "damaged");
    if (!file.ok()) continue;
    for (const Tensor& tensor : (*file)->tensors()) EXPECT_LE(tensor.offset + tensor.bytes, bytes.size());
  }
}

TEST(GgufFile, ForeignFilesAreNamed) {
  const std::pair<std::string, const char*> kForeign[] = {
      {"", "the file is empty"},
      {"lmgg\1", "GGML file, the format before GGUF"},
      {"tjgg\1", "GGJT file"},
      {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
      {std::string("PK\3\4\0\0", 6), "ZIP archive (a PyTorch checkpoint"},
      {"\x80\x02\x8a\x0a", "Python pickle"},
      {raw(uint64_t{40}) + "{\"__metadata__\":{}}", "safetensors"},
      {"\n<!DOCTYPE html><html>", "HTML page"},
      {"<HTML>", "HTML page"},
      {"{\"error\":\"not found\"}", "JSON"},
      {std::string(100, '\0'), "starts with zeros"},
      {"FUGG", "wrong byte order"},
      {"GG", "starts with 47 47 instead"},
  };
  for (const auto& [bytes, message] : kForeign) {
    const auto file = File::parse(test::as_bytes(bytes), "f");
    ASSERT_FALSE(file.ok()) << message;
    EXPECT_NE(file.error().message.find(message), std::string::npos) << file.error().message;
  }
}

TEST(GgufFile, MissingFileAndFolder) {
  const hearth::test::TemporaryFolder folder;
  EXPECT_EQ(File::open(folder / "absent.gguf").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(File::open(folder.path()).error().kind, ErrorKind::kIo);
}

TEST(GgufFile, AFileWithoutTensorsMayEndEarly) {
  Draft draft;
  draft.tensors.clear();
  std::string bytes = draft.bytes();
  bytes.resize(bytes.find_last_not_of('\0') + 4);  // without the padding
  EXPECT_TRUE(File::parse(test::as_bytes(bytes), "vocabulary").ok());
}

// A set of three parts; the first holds the metadata, the tensors are spread.
std::vector<Draft> split_set() {
  std::vector<Draft> parts(3);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) parts[i].metadata.clear();
    parts[i].metadata.emplace_back("split.no", value_of<uint16_t>(2, static_cast<uint16_t>(i)));
    parts[i].metadata.emplace_back("split.count", value_of<uint16_t>(2, 3));
    parts[i].metadata.emplace_back("split.tensors.count", value_of<int32_t>(5, 2));
  }
  parts[0].tensors = {};
  parts[1].tensors.resize(1);
  parts[2].tensors = {{"b.weight", {5}, 0, 0, 20}};
  parts[2].data = std::string(20, 'b');
  return parts;
}

std::string part_name(size_t i) { return "m-0000" + std::to_string(i + 1) + "-of-00003.gguf"; }

void write_set(const std::vector<Draft>& parts, const hearth::test::TemporaryFolder& folder) {
  for (size_t i = 0; i < parts.size(); ++i) write(folder / part_name(i), parts[i].bytes());
}

TEST(GgufFile, ASplitSetIsOneFile) {
  const hearth::test::TemporaryFolder folder;
  write_set(split_set(), folder);
  const auto file = File::open(folder / part_name(0));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*(*file)->get_u64("llama.block_count"), 7u);
  ASSERT_EQ((*file)->tensors().size(), 2u);
  EXPECT_EQ(test::tensor_bytes(**file, *(*file)->tensor("a.weight"))[0], 'x');
  EXPECT_EQ(test::tensor_bytes(**file, *(*file)->tensor("b.weight"))[19], 'b');
}

// Metadata and names are the reader's own; weights of any part that was cut are an error that names it.
TEST(GgufFile, AFileThatIsCutLaterKeepsItsMetadata) {
  const hearth::test::TemporaryFolder folder;
  write_set(split_set(), folder);
  const auto file = File::open(folder / part_name(0));
  ASSERT_TRUE(file.ok()) << file.error().message;
  const Tensor &a = *(*file)->tensor("a.weight"), &b = *(*file)->tensor("b.weight");
  const uint8_t* mapped = *(*file)->map(b);
  EXPECT_EQ(mapped[19], 'b');
  EXPECT_TRUE((*file)->check_mapped());
  for (size_t i = 0; i < 3; ++i) std::filesystem::resize_file(folder / part_name(i), 1);
  EXPECT_EQ(*(*file)->get_string("general.architecture"), "llama");
  EXPECT_EQ((*file)->tensor("a.weight"), &a);
  EXPECT_EQ(a.name, "a.weight");
  std::vector<std::byte> bytes(a.bytes);
  const Status read = (*file)->read(a, 0, bytes);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, (folder / part_name(1)).string() + " became shorter while it was read; get it again");
  EXPECT_EQ(mapped[19], 0) << "no SIGBUS";
  const Status broken = (*file)->check_mapped();
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find(part_name(2)), std::string::npos) << broken.error().message;
}

TEST(GgufFile, VocabulariesLargerThanWhatIsReadAtOnceAreWhole) {
  const hearth::test::TemporaryFolder folder;
  Draft draft;
  std::string texts;
  constexpr uint64_t kCount = 200000;
  for (uint64_t i = 0; i < kCount; ++i) texts += raw_string("token " + std::to_string(i));
  draft.metadata.emplace_back("long", string_value(std::string(3 << 20, 'z')));
  draft.metadata.emplace_back("texts", array_value(8, kCount, texts));
  draft.metadata.emplace_back("last", value_of<uint32_t>(4, 77));
  write(folder / "m.gguf", draft.bytes());
  const auto file = File::open(folder / "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*(*file)->get_string("long"), std::string(3 << 20, 'z'));
  const auto found = (*file)->find("texts")->as_strings();
  ASSERT_EQ(found.size(), kCount);
  for (uint64_t i = 0; i < kCount; ++i) ASSERT_EQ(found[i], "token " + std::to_string(i));
  EXPECT_EQ(*(*file)->get_u64("last"), 77u);
  EXPECT_EQ(test::tensor_bytes(**file, *(*file)->tensor("b.weight")), std::vector<uint8_t>(20, 'x'));
}

TEST(GgufFile, DefectiveSplitSetsAreRefused) {
  struct Case {
    const char* what;
    void (*damage)(std::vector<Draft>&);
    size_t opened;
    const char* message;
  };
  const Case kCases[] = {
      {"not the first", [](std::vector<Draft>&) {}, 1, "is part 2 of 3 of a split model; open the first, "},
      {"wrong order", [](std::vector<Draft>& p) { std::swap(p[1], p[2]); }, 0, "should be part 2 of 3, but says that it is part 3 of 3"},
      {"missing", [](std::vector<Draft>& p) { p.pop_back(); }, 0, "m-00003-of-00003.gguf: part 3 of 3 of the split model is missing"},
      {"lost tensor", [](std::vector<Draft>& p) { p[1].tensors.clear(); }, 0, "'split.tensors.count' is 2, but the 3 parts hold 1 tensors"},
      {"tensor in two parts", [](std::vector<Draft>& p) { p[2].tensors[0].name = "a.weight"; }, 0, "m-00003-of-00003.gguf: byte "},
  };
  for (const Case& c : kCases) {
    const hearth::test::TemporaryFolder folder;
    std::vector<Draft> parts = split_set();
    c.damage(parts);
    write_set(parts, folder);
    const auto file = File::open(folder / part_name(c.opened));
    ASSERT_FALSE(file.ok()) << c.what;
    EXPECT_NE(file.error().message.find(c.message), std::string::npos) << c.what << ": " << file.error().message;
  }
}

TEST(GgufFile, ARenamedPartSaysWhatItsNameMustBe) {
  const hearth::test::TemporaryFolder folder;
  write(folder / "model.gguf", split_set()[0].bytes());
  const auto file = File::open(folder / "model.gguf");
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("must end in -00001-of-00003.gguf"), std::string::npos) << file.error().message;
}

TEST(GgufFile, ReadsRealFiles) {
  REQUIRE_SHARED("models/vocab/ggml-vocab-llama-bpe.gguf");
  const auto file = File::open(hearth::test::shared("models/vocab/ggml-vocab-llama-bpe.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ((*file)->find("tokenizer.ggml.tokens")->size(), 128256u);
  EXPECT_EQ((*file)->find("tokenizer.ggml.merges")->as_strings()[0], "Ġ Ġ");
}

}  // namespace
}  // namespace hearth::gguf
