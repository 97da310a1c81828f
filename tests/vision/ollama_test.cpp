// Models as Ollama's own converter writes them, text and encoder in one file: the encoder must see what that of the
// usual files does, and the text model what it does without pictures.
#include "vision/ollama.h"

#include "gguf/writer.h"
#include "image/decode.h"
#include "models/model.h"
#include "support/devices.h"
#include "vision/encoder.h"

namespace hearth::vision {
namespace {

using test::shared;

// One tensor of a file, with its values.
struct Named {
  std::string name;
  const quant::Format* format;
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
};
using Tensors = std::vector<Named>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Kind {
  std::string name, text, encoder;     // files
  std::string architecture = {};       // of the text, where Ollama has another name
  Pairs tensors = {};                  // parts of names: the usual ones, Ollama's
  std::vector<std::string> keys = {};  // of clip.vision that are left out
  void (*change)(Tensors& tensors) = nullptr;
  std::vector<int32_t> deepstack = {}, whole = {};  // blocks

  friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

std::string replaced(std::string text, const Pairs& pairs) {
  for (const auto& [old, fresh] : pairs)
    if (const size_t at = text.find(old); at != std::string::npos) text.replace(at, old.size(), fresh);
  return text;
}

void add_tensors(const gguf::File& file, const Pairs& names, Tensors* to) {
  for (const gguf::Tensor& tensor : file.tensors()) {
    Named& named = to->emplace_back(Named{replaced(tensor.name, names), tensor.format, {}, {}});
    named.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dimensions);
    named.bytes.resize(tensor.bytes);
    EXPECT_TRUE(file.read(tensor, 0, named.bytes).ok());
  }
}

Named take(Tensors& tensors, const std::string& name) {
  const auto at = std::ranges::find(tensors, name, &Named::name);
  EXPECT_NE(at, tensors.end()) << name;
  Named taken = std::move(*at);
  tensors.erase(at);
  return taken;
}

// Heads of 16 rows: pairs of neighbours become halves.
void turn_halves(Tensors& tensors) {
  take(tensors, "v.token_embd.img_break");
  for (Named& tensor : tensors) {
    if (!tensor.name.starts_with("v.") ||
        (!tensor.name.ends_with("attn_q.weight") && !tensor.name.ends_with("attn_k.weight")))
      continue;
    const size_t row = tensor.bytes.size() / tensor.shape[1];
    const std::vector<std::byte> from = tensor.bytes;
    for (size_t to = 0; to < tensor.shape[1]; ++to) {
      const size_t at = to % 16, source = to - at + (at < 8 ? 2 * at : 2 * (at - 8) + 1);
      std::copy_n(from.begin() + static_cast<ptrdiff_t>(source * row), row,
                  tensor.bytes.begin() + static_cast<ptrdiff_t>(to * row));
    }
  }
}

// One matrix for both frames; queries, keys and values apart.
void join_frames(Tensors& tensors) {
  const Named first = take(tensors, "v.patch_embed.weight"), second = take(tensors, "v.patch_embed.weight.1");
  const uint64_t side = first.shape[0], planes = first.shape[2] * first.shape[3];
  Named both{"v.patch_embed.weight", first.format, {side, side, 2, planes}, {}};
  const auto plane = static_cast<ptrdiff_t>(first.bytes.size() / planes);
  for (ptrdiff_t i = 0; i < static_cast<ptrdiff_t>(planes); ++i)
    for (const Named* frame : {&first, &second})
      both.bytes.insert(both.bytes.end(), frame->bytes.begin() + i * plane, frame->bytes.begin() + (i + 1) * plane);
  tensors.push_back(std::move(both));
  for (const char* kind : {"weight", "bias"})
    for (int block = 0; block < 4; ++block) {
      Named all = take(tensors, fmt::format("v.blk.{}.attn_qkv.{}", block, kind));
      const auto part = static_cast<ptrdiff_t>(all.bytes.size() / 3);
      all.shape.back() /= 3;
      for (int i = 0; i < 3; ++i)
        tensors.push_back({fmt::format("v.blk.{}.attn_{}.{}", block, "qkv"[i], kind),
                           all.format,
                           all.shape,
                           {all.bytes.begin() + i * part, all.bytes.begin() + (i + 1) * part}});
    }
}

void set_keys(const gguf::File& text, const gguf::File& encoder, const Kind& kind, gguf::Writer* writer) {
  const std::string old(text.string_or("general.architecture", ""));
  const std::string fresh = kind.architecture.empty() ? old : kind.architecture;
  for (const auto& [key, value] : text.metadata()) {
    if (key == old + ".rope.dimension_sections" && kind.name == "qwen3vl") continue;
    writer->set(key.starts_with(old + ".") ? fresh + key.substr(old.size()) : key, value);
  }
  writer->set_string("general.architecture", fresh);
  const std::string prefix = "clip.vision.";
  for (const auto& [key, value] : encoder.metadata()) {
    if (key == "clip.rope.freq_base") writer->set(fresh + ".vision.rope.freq_base", value);
    if (!key.starts_with(prefix) || key == "clip.vision.projector_type") continue;
    const std::string name = key.substr(prefix.size());
    if (std::ranges::find(kind.keys, name) != kind.keys.end()) continue;
    writer->set(fresh + (name == "spatial_merge_size" && fresh == "mistral3" ? "." : ".vision.") + name, value);
  }
  const auto numbers = [&](const char* name, const std::vector<int32_t>& of) {
    if (!of.empty())
      writer->set(fresh + ".vision." + name, gguf::Value::numbers(gguf::Type::kI32, std::as_bytes(std::span(of))));
  };
  numbers("deepstack_visual_indexes", kind.deepstack);
  numbers("fullatt_block_indexes", kind.whole);
}

std::shared_ptr<const gguf::File> open(const std::string& path) {
  const auto file = gguf::File::open(path);
  EXPECT_TRUE(file.ok()) << file.error().message;
  return file.ok() ? *file : nullptr;
}

std::shared_ptr<const gguf::File> written(const Kind& kind, const test::TemporaryFolder& folder) {
  const auto text = open(shared("models/" + kind.text).string());
  const auto encoder = open(shared("models/vision/" + kind.encoder).string());
  Tensors tensors;
  add_tensors(*text, {}, &tensors);
  add_tensors(*encoder, kind.tensors, &tensors);
  if (kind.change != nullptr) kind.change(tensors);
  gguf::Writer writer;
  set_keys(*text, *encoder, kind, &writer);
  for (const Named& tensor : tensors) writer.add_tensor(tensor.name, *tensor.format, tensor.shape);
  const std::string path = (folder / "ollama.gguf").string();
  EXPECT_TRUE(writer.begin(path).ok());
  for (const Named& tensor : tensors) EXPECT_TRUE(writer.write(tensor.bytes).ok());
  EXPECT_TRUE(writer.finish().ok());
  return open(path);
}

image::Picture photo() {
  const auto file = test::read_bytes(shared("golden/vision/images/photo.png"));
  return *image::decode(std::as_bytes(std::span(file)));
}

struct Seen {
  std::vector<float> embeddings;
  std::vector<std::string> texts;
  uint32_t rows = 0, columns = 0, deep = 0, width = 0;
};

Seen seen_by(const std::shared_ptr<const gguf::File>& file) {
  Seen seen;
  const auto device = *cpu::create_device({.threads = 1});
  EXPECT_TRUE(Encoder::estimate(*file, *device).ok());
  const auto encoder = Encoder::load(file, *device);
  EXPECT_TRUE(encoder.ok()) << encoder.error().message;
  if (!encoder.ok()) return seen;
  const Views views = (*encoder)->prepare(photo());
  std::vector<std::vector<float>> embeddings;
  for (const image::Picture& view : views.pictures) {
    auto one = (*encoder)->encode(view);
    EXPECT_TRUE(one.ok()) << one.error().message;
    embeddings.push_back(one ? std::move(*one) : std::vector<float>());
  }
  for (const Piece& piece : (*encoder)->assemble(views, std::move(embeddings))) {
    seen.embeddings.insert(seen.embeddings.end(), piece.embeddings.begin(), piece.embeddings.end());
    if (!piece.text.empty()) seen.texts.push_back(piece.text);
    seen.rows += piece.rows, seen.columns += piece.columns;
  }
  seen.deep = (*encoder)->deep();
  seen.width = (*encoder)->width();
  return seen;
}

// Without the embeddings that end rows of 5 tokens: texts do so in Ollama's files.
std::vector<float> without_row_ends(const Seen& seen) {
  std::vector<float> all;
  for (size_t at = 0, token = 0; at < seen.embeddings.size(); at += seen.width, ++token)
    if (token % 6 != 5)
      all.insert(all.end(), seen.embeddings.begin() + static_cast<ptrdiff_t>(at),
                 seen.embeddings.begin() + static_cast<ptrdiff_t>(at + seen.width));
  return all;
}

// Of heads whose numbers stand in another order, sums are made in another order.
double most_difference(const Kind& kind) {
  return kind.name == "mistral3" ? 1e-4 : 1e-6;
}

class EncoderOfOllama : public testing::TestWithParam<Kind> {};

TEST_P(EncoderOfOllama, SeesWhatTheUsualFileSees) {
  const Kind& kind = GetParam();
  REQUIRE_SHARED("models/vision/" + kind.encoder);
  const test::TemporaryFolder folder;
  const auto file = written(kind, folder);
  ASSERT_TRUE(has_encoder(*file));
  Seen expected = seen_by(open(shared("models/vision/" + kind.encoder).string()));
  const Seen seen = seen_by(file);
  if (kind.name == "mistral3") {
    expected.embeddings = without_row_ends(expected);
    expected.texts = {"[IMG_BREAK]", "[IMG_BREAK]", "[IMG_BREAK]", "[IMG_END]"};
  }
  ASSERT_EQ(seen.embeddings.size(), expected.embeddings.size());
  EXPECT_LE(test::relative_error(seen.embeddings, expected.embeddings), most_difference(kind));
  EXPECT_EQ(seen.texts, expected.texts);
  EXPECT_EQ(seen.rows, expected.rows);
  EXPECT_EQ(seen.columns, expected.columns);
  EXPECT_EQ(seen.deep, expected.deep);
}

TEST_P(EncoderOfOllama, ReadsTextAsTheUsualFileDoes) {
  const Kind& kind = GetParam();
  REQUIRE_SHARED("models/vision/" + kind.encoder);
  const test::TemporaryFolder folder;
  const auto device = *cpu::create_device({.threads = 1});
  const auto file = written(kind, folder), usual = open(shared("models/" + kind.text).string());
  const models::LoadOptions options{.context = 64, .batch_rows = 64, .logit_rows = 1};
  const auto model = models::Model::load(file, *device, options),
             expected = models::Model::load(usual, *device, options);
  ASSERT_TRUE(model.ok()) << model.error().message;
  ASSERT_TRUE(expected.ok()) << expected.error().message;
  ASSERT_EQ((*model)->spec().ropes.size(), (*expected)->spec().ropes.size());
  for (size_t i = 0; i < (*expected)->spec().ropes.size(); ++i)
    EXPECT_EQ((*model)->spec().ropes[i].axis, (*expected)->spec().ropes[i].axis);
}

const Pairs kQwen3{{"v.patch_embd", "v.patch_embed"},
                   {"v.position_embd", "v.pos_embed"},
                   {"v.post_ln", "v.merger.norm"},
                   {"mm.0", "v.merger.linear_fc1"},
                   {"mm.2", "v.merger.linear_fc2"},
                   {".ffn_up", ".mlp.linear_fc1"},
                   {".ffn_down", ".mlp.linear_fc2"},
                   {".ln1", ".norm1"},
                   {".ln2", ".norm2"},
                   {"deepstack.1.fc", "deepstack_merger.0.linear_fc"},
                   {"deepstack.2.fc", "deepstack_merger.1.linear_fc"},
                   {"deepstack.1.norm", "deepstack_merger.0.norm"},
                   {"deepstack.2.norm", "deepstack_merger.1.norm"}};
// As Ollama names them since 2026.
const Pairs kNewer{{"v.patch_embd", "v.patch_embed"},
                   {"v.post_ln", "v.merger.norm"},
                   {"mm.0", "v.merger.linear_fc1"},
                   {"mm.2", "v.merger.linear_fc2"},
                   {"deepstack.1.fc", "deepstack.0.linear_fc"},
                   {"deepstack.2.fc", "deepstack.1.linear_fc"},
                   {"deepstack.1.norm", "deepstack.0.norm"},
                   {"deepstack.2.norm", "deepstack.1.norm"}};
const std::vector<std::string> kStatistics{"image_mean", "image_std"};

INSTANTIATE_TEST_SUITE_P(Files, EncoderOfOllama,
                         testing::Values(Kind{.name = "gemma3",
                                              .text = "tiny/gemma3.gguf",
                                              .encoder = "mmproj-gemma3.gguf",
                                              .tensors = {{"v.patch_embd", "v.patch_embedding"},
                                                          {"v.position_embd", "v.position_embedding"},
                                                          {"v.post_ln", "v.post_layernorm"},
                                                          {".ln1", ".layer_norm1"},
                                                          {".ln2", ".layer_norm2"},
                                                          {".attn_out", ".attn_output"},
                                                          {".ffn_up", ".mlp.fc1"},
                                                          {".ffn_down", ".mlp.fc2"},
                                                          {"mm.input_projection", "mm.mm_input_projection"},
                                                          {"mm.soft_emb_norm", "mm.mm_soft_emb_norm"}},
                                              .keys = kStatistics},
                                         Kind{.name = "gemma4",
                                              .text = "tiny2/gemma4-moe.gguf",
                                              .encoder = "mmproj-gemma4.gguf",
                                              .keys = {"image_mean", "image_std", "image_size"}},
                                         Kind{.name = "mistral3",
                                              .text = "tiny2/mistral3.gguf",
                                              .encoder = "mmproj-mistral3.gguf",
                                              .tensors = {{"v.patch_embd", "v.patch_conv"},
                                                          {"v.pre_ln", "v.encoder_norm"},
                                                          {".attn_out", ".attn_output"},
                                                          {".ln1", ".attn_norm"},
                                                          {".ln2", ".ffn_norm"},
                                                          {"mm.1", "mm.linear_1"},
                                                          {"mm.2", "mm.linear_2"},
                                                          {"mm.patch_merger", "mm.patch_merger.merging_layer"},
                                                          {"mm.input_norm", "mm.norm"}},
                                              .keys = {"image_mean", "image_std", "attention.layer_norm_epsilon"},
                                              .change = turn_halves},
                                         Kind{.name = "qwen25vl",
                                              .text = "tiny2/qwen2vl.gguf",
                                              .encoder = "mmproj-qwen2.5vl.gguf",
                                              .architecture = "qwen25vl",
                                              .tensors = {{"v.patch_embd.weight.1", "v.patch_embd_1.weight"},
                                                          {"v.patch_embd.weight", "v.patch_embd_0.weight"},
                                                          {"v.post_ln", "v.merger.ln_q"},
                                                          {"mm.0", "v.merger.mlp.0"},
                                                          {"mm.2", "v.merger.mlp.2"}},
                                              .keys = {"image_mean", "image_std", "image_size", "n_wa_pattern"},
                                              .whole = {1, 3}},
                                         Kind{.name = "qwen3vl",
                                              .text = "vision/text-qwen3vl.gguf",
                                              .encoder = "mmproj-qwen3vl.gguf",
                                              .tensors = kQwen3,
                                              .keys = {"image_mean", "image_std", "image_size"},
                                              .change = join_frames,
                                              .deepstack = {1, 2}},
                                         Kind{.name = "newer_qwen3vl",
                                              .text = "vision/text-qwen3vl.gguf",
                                              .encoder = "mmproj-qwen3vl.gguf",
                                              .tensors = kNewer,
                                              .keys = {"image_size"},
                                              .change = join_frames,
                                              .deepstack = {1, 2}},
                                         Kind{.name = "qwen35",
                                              .text = "tiny2/qwen35.gguf",
                                              .encoder = "mmproj-qwen3.5.gguf",
                                              .tensors = kQwen3,
                                              .keys = {"image_mean", "image_std", "image_size",
                                                       "attention.layer_norm_epsilon"},
                                              .change = join_frames}),
                         [](const auto& test) { return test.param.name; });

// A kind that is not known is told by its name, and does not keep the text model from its work.
TEST(EncodersOfOllama, AnUnknownKindIsNamed) {
  REQUIRE_SHARED("models/vision/mmproj-gemma3.gguf");
  const test::TemporaryFolder folder;
  const auto file =
      written({.name = "llama4", .text = "tiny/gemma3.gguf", .encoder = "mmproj-gemma3.gguf", .architecture = "llama4"},
              folder);
  EXPECT_TRUE(has_encoder(*file));
  const auto device = *cpu::create_device({.threads = 1});
  const auto encoder = Encoder::load(file, *device);
  ASSERT_FALSE(encoder.ok());
  EXPECT_EQ(encoder.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(encoder.error().message.find("'llama4'"), std::string::npos) << encoder.error().message;
}

// The files that an independent program makes.
class MadeForOllama : public testing::TestWithParam<Kind> {};

TEST_P(MadeForOllama, SeesWhatTheUsualFileSees) {
  const Kind& kind = GetParam();
  const std::string tool = "tools/tiny2/ollama.py";
  REQUIRE_SHARED(tool);
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    test::note_skipped();
    GTEST_SKIP() << "python3-numpy is not installed";
  }
  const test::TemporaryFolder folder;
  const std::string out = (folder / "ollama.gguf").string(), encoder = shared("models/vision/" + kind.encoder).string();
  const std::string command = fmt::format("/usr/bin/python3 -B '{}' {} '{}' '{}' '{}'", shared(tool).string(),
                                          kind.name, shared("models/" + kind.text).string(), out, encoder);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  Seen expected = seen_by(open(encoder));
  if (kind.name == "mistral3") expected.embeddings = without_row_ends(expected);
  const Seen seen = seen_by(open(out));
  ASSERT_EQ(seen.embeddings.size(), expected.embeddings.size());
  EXPECT_LE(test::relative_error(seen.embeddings, expected.embeddings), most_difference(kind));
}

INSTANTIATE_TEST_SUITE_P(Files, MadeForOllama,
                         testing::Values(Kind{"gemma3", "tiny/gemma3.gguf", "mmproj-gemma3.gguf"},
                                         Kind{"mistral3", "tiny2/mistral3.gguf", "mmproj-mistral3.gguf"},
                                         Kind{"qwen25vl", "tiny2/qwen2vl.gguf", "mmproj-qwen2.5vl.gguf"}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hearth::vision
