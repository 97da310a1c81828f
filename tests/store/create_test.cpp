#include "store/create.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/sha256.h"
#include "disk/guard.h"
#include "gguf/file.h"
#include "gguf/writer.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/ollama_models.h"
#include "store/put_blob.h"
#include "support/faults.h"
#include "support/safetensors_writer.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class Create : public testing::Test {
 protected:
  Create() { disk::set_policy({0}); }
  ~Create() override { disk::set_policy({}); }

  Blueprint from_tiny(const std::string& name = "mine") {
    Blueprint plan;
    plan.name = name;
    plan.from_paths = {tiny_.write()};
    return plan;
  }

  Result<std::vector<std::string>> create(const Blueprint& plan) {
    lines_.clear();
    CreateHooks hooks;
    hooks.progress = [&](std::string_view status, const std::string&, uint64_t done, uint64_t total) -> Status {
      EXPECT_LE(done, total);
      lines_.emplace_back(status);
      return {};
    };
    return create_model(plan, folders_, hooks);
  }
  ModelFiles expect_created(const Blueprint& plan) {
    const auto done = create(plan);
    EXPECT_TRUE(done.ok()) << done.error().message;
    const auto found = resolve_name(plan.name, folders_);
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found ? *found : ModelFiles();
  }
  void expect_refused(const Blueprint& plan, const std::string& part, ErrorKind kind) {
    const auto before = files();
    const auto done = create(plan);
    ASSERT_FALSE(done.ok()) << part;
    EXPECT_NE(done.error().message.find(part), std::string::npos) << done.error().message;
    EXPECT_EQ(done.error().kind, kind) << done.error().message;
    EXPECT_EQ(files(), before);
  }

  // Everything in the store but its lock.
  std::set<std::string> files() const {
    std::set<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(store_.path()))
      if (!entry.is_directory() && entry.path().filename() != "lock")
        all.insert(entry.path().lexically_relative(store_.path()).string());
    return all;
  }
  json::object manifest(const std::string& name) const {
    const auto text = read_file((store_ / ("manifests/registry.ollama.ai/library/" + name + "/latest")).string());
    EXPECT_TRUE(text.ok());
    return json::parse(*text).as_object();
  }
  std::string content(const json::value& layer) const {
    const auto text = read_file(blob_path(store_.path().string(), std::string(layer.at("digest").as_string())));
    EXPECT_TRUE(text.ok());
    EXPECT_EQ(text->size(), layer.at("size").to_number<uint64_t>());
    EXPECT_EQ("sha256:" + sha256_hex(*text), layer.at("digest").as_string());
    return *text;
  }

  test::TinyModel tiny_;
  test::TemporaryFolder store_, work_;
  std::vector<std::string> folders_ = {store_.path().string()};
  std::vector<std::string> lines_;
};

// Manifest and layers as Ollama writes them (server/create.go).
TEST_F(Create, WritesTheLayersOfOllama) {
  Blueprint plan = from_tiny();
  plan.template_text = "{{ .Prompt }}";
  plan.system = "Be brief.";
  plan.parameters = json::parse(R"({"temperature":0.5,"stop":["x"]})").as_object();
  plan.messages = {{"user", "Hi"}, {"assistant", "Ho"}};
  plan.licenses = {"MIT"};
  plan.minimum_version = "0.6.0";
  const ModelFiles found = expect_created(plan);
  EXPECT_EQ(found.template_text, "{{ .Prompt }}");
  EXPECT_EQ(found.system, "Be brief.");
  EXPECT_EQ(found.parameters, (Parameters{{"temperature", "0.5"}, {"stop", "x"}}));
  ASSERT_EQ(found.messages.size(), 2u);
  EXPECT_EQ(found.messages[1].content, "Ho");
  EXPECT_TRUE(gguf::File::open(found.model).ok());

  const json::object written = manifest("mine");
  EXPECT_EQ(written.at("schemaVersion"), 2);
  EXPECT_EQ(written.at("mediaType"), "application/vnd.docker.distribution.manifest.v2+json");
  std::vector<std::string> kinds;
  for (const json::value& layer : written.at("layers").as_array()) {
    kinds.emplace_back(layer.at("mediaType").as_string());
    content(layer);
  }
  const std::string image = "application/vnd.ollama.image.";
  EXPECT_EQ(kinds, (std::vector<std::string>{image + "model", image + "template", image + "system", image + "license",
                                             image + "params", image + "messages"}));
  EXPECT_EQ(written.at("config").at("mediaType"), "application/vnd.docker.container.image.v1+json");
  const json::object config = json::parse(content(written.at("config"))).as_object();
  EXPECT_EQ(config.at("model_format"), "gguf");
  EXPECT_EQ(config.at("model_family"), "llama");
  EXPECT_EQ(config.at("requires"), "0.6.0");
  EXPECT_EQ(config.at("rootfs").at("diff_ids").as_array().size(), kinds.size());
  EXPECT_EQ(lines_.front(), "parsing GGUF");
  EXPECT_EQ(lines_.back(), "writing manifest");
  struct stat status {};
  ASSERT_EQ(::stat(found.model.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644u) << "others read it too";
}

TEST_F(Create, TheFileStaysAndAChangeOfItDoesNotReachTheStore) {
  const Blueprint plan = from_tiny();
  const ModelFiles found = expect_created(plan);
  const auto before = digest_of_file(found.model);
  std::ofstream(plan.from_paths[0], std::ios::app) << "more";
  EXPECT_EQ(*digest_of_file(found.model), *before);
}

TEST_F(Create, FromAModelInheritsItsLayers) {
  Blueprint base = from_tiny("base");
  base.template_text = "{{ .Prompt }}";
  base.system = "Base.";
  base.parameters = json::parse(R"({"top_k":3,"stop":["a"]})").as_object();
  base.licenses = {"MIT"};
  expect_created(base);
  const auto before = files().size();
  Blueprint plan;
  plan.name = "child";
  plan.from_model = "base";
  plan.system = "Child.";
  plan.parameters = json::parse(R"({"top_k":7,"seed":1})").as_object();
  plan.licenses = {"MIT", "Apache"};
  const ModelFiles child = expect_created(plan);
  EXPECT_EQ(child.model, resolve_name("base", folders_)->model);
  EXPECT_EQ(child.system, "Child.");
  EXPECT_EQ(child.template_text, "{{ .Prompt }}");
  EXPECT_EQ(child.parameters, (Parameters{{"top_k", "7"}, {"stop", "a"}, {"seed", "1"}}));
  EXPECT_EQ(files().size(), before + 5) << "system, license, params, config, manifest";
  EXPECT_EQ(manifest("child").at("layers").at(0).at("from"), "base:latest");
}

// A new recipe of the same name: what the old one alone used goes.
TEST_F(Create, ReplacesAModelOfTheSameName) {
  Blueprint plan = from_tiny();
  plan.system = "old";
  expect_created(plan);
  const auto before = files().size();
  plan.name = "MINE";
  plan.system = "new";
  EXPECT_EQ(expect_created(plan).system, "new");
  EXPECT_EQ(files().size(), before);
  EXPECT_EQ(list_models(folders_), (std::vector<std::string>{"mine:latest"}));
}

TEST_F(Create, QuantisesOnTheWay) {
  Blueprint plan = from_tiny();
  plan.quantize = "q8_0";
  const ModelFiles found = expect_created(plan);
  const auto file = gguf::File::open(found.model);
  ASSERT_TRUE(file.ok());
  EXPECT_STREQ((*file)->tensor("output.weight")->format->name, "Q8_0");
  EXPECT_NE(std::find(lines_.begin(), lines_.end(), "quantizing F32 model to Q8_0"), lines_.end());
  plan.name = "twice";
  plan.from_paths = {found.model};
  expect_refused(plan, "quantization is only supported for F16, BF16 and F32", ErrorKind::kUsage);
  plan.quantize = "Q5_X";
  expect_refused(plan, "Q5_X", ErrorKind::kUsage);
}

TEST_F(Create, FromAModelOfAnotherStoreTakesItsFilesAlong) {
  expect_created(from_tiny("base"));
  const test::TemporaryFolder own;
  folders_ = {own.path().string(), store_.path().string()};
  Blueprint plan;
  plan.name = "copy";
  plan.from_model = "base";
  plan.system = "x";
  const ModelFiles found = expect_created(plan);
  EXPECT_TRUE(found.model.starts_with(own.path().string())) << found.model;
  EXPECT_EQ(*digest_of_file(found.model), *digest_of_file(resolve_name("base", folders_)->model));
}

// The safetensors of a real family, as the smallest folder.
class CreateFromFolder : public Create {
 protected:
  void SetUp() override {
    test::SafetensorsWriter writer;
    writer.add_f32("model.embed_tokens.weight", {4, 32}, std::vector<float>(128, 1));
    writer.add_f32("model.norm.weight", {32}, std::vector<float>(32, 1));
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      writer.add_f32(fmt::format("model.layers.0.{}.weight", norm), {32}, std::vector<float>(32, 1));
    for (const char* matrix : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
      writer.add_bf16(fmt::format("model.layers.0.{}.weight", matrix), {32, 32}, std::vector<float>(1024, 0.5f));
    writer.write(path("model.safetensors"));
    put("config.json", R"({"architectures":["LlamaForCausalLM"],"num_hidden_layers":1,"hidden_size":32,)"
                       R"("intermediate_size":32,"num_attention_heads":1,"vocab_size":4,"tie_word_embeddings":true})");
    put("tokenizer.json", R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},)"
                          R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})");
    put("generation_config.json", R"({"do_sample":true,"temperature":0.6,"top_k":20})");
  }
  std::string path(const std::string& name) const { return (work_ / name).string(); }
  void put(const std::string& name, const std::string& text) const { test::write_text(path(name), text); }
  Blueprint from_folder() const {
    Blueprint plan;
    plan.name = "mine";
    plan.from_paths = {work_.path().string()};
    return plan;
  }
};

TEST_F(CreateFromFolder, ConvertsAndTakesTheSamplingAlong) {
  Blueprint plan = from_folder();
  plan.parameters = json::parse(R"({"top_k":5})").as_object();
  const ModelFiles found = expect_created(plan);
  EXPECT_EQ(found.parameters, (Parameters{{"temperature", "0.6"}, {"top_k", "5"}}));
  EXPECT_EQ(lines_.front(), "converting model");
  const auto file = gguf::File::open(found.model);
  ASSERT_TRUE(file.ok());
  EXPECT_STREQ((*file)->tensor("blk.0.ffn_up.weight")->format->name, "BF16");
  plan.name = "small";
  plan.quantize = "Q4_0";
  EXPECT_STREQ((*gguf::File::open(expect_created(plan).model))->tensor("blk.0.ffn_up.weight")->format->name, "Q4_0");
  EXPECT_TRUE(fs::is_empty(store_ / "hearth/staging"));
}

// As a client uploads them: blobs, and their names in the request.
TEST_F(CreateFromFolder, FromUploadedFiles) {
  Blueprint plan;
  plan.name = "mine";
  for (const auto& entry : fs::directory_iterator(work_.path())) {
    const auto text = read_file(entry.path().string());
    const std::string digest = digest_of_text(*text);
    ASSERT_TRUE(put_blob(folders_[0], digest, *text));
    plan.from_blobs.emplace_back(entry.path().filename().string(), digest);
  }
  expect_created(plan);
  for (const char* name : {"../config.json", "/etc/passwd", "a/../../b", "", "a\\b", "./x"}) {
    plan.from_blobs = {{name, "sha256:" + std::string(64, '0')}};
    expect_refused(plan, "file path must be relative", ErrorKind::kUsage);
  }
  plan.from_blobs = {{"model.gguf", "sha256:" + std::string(64, '0')}};
  expect_refused(plan, "is not there; upload it first", ErrorKind::kNotFound);
  plan.from_blobs = {{"model.gguf", "sha256:../../../etc/passwd"}};
  expect_refused(plan, "is no digest", ErrorKind::kUsage);
  const std::string junk = "no model";
  ASSERT_TRUE(put_blob(folders_[0], digest_of_text(junk), junk));
  plan.from_blobs = {{"model.gguf", digest_of_text(junk)}};
  expect_refused(plan, "supplied file was not in GGUF format", ErrorKind::kUsage);
}

TEST_F(Create, RefusesWhatMakesNoSense) {
  Blueprint plan = from_tiny("../evil");
  expect_refused(plan, "no valid model name", ErrorKind::kUsage);
  plan.name = "a/b/c/d";
  expect_refused(plan, "no valid model name", ErrorKind::kUsage);
  plan.name = "mine";
  plan.parameters = json::parse(R"({"tempreature":1})").as_object();
  expect_refused(plan, "did you mean 'temperature'?", ErrorKind::kUsage);
  plan.parameters = json::parse(R"({"stop":[1]})").as_object();
  expect_refused(plan, "a list of texts", ErrorKind::kUsage);
  plan.parameters.clear();
  plan.from_paths = {work_.path().string()};
  expect_refused(plan, "neither a GGUF file nor a config.json", ErrorKind::kNotFound);
  plan.from_paths = {(work_ / "absent.gguf").string()};
  expect_refused(plan, "no such file", ErrorKind::kNotFound);
  plan.from_paths.clear();
  expect_refused(plan, "neither 'from' or 'files'", ErrorKind::kUsage);
  plan.from_model = "absent";
  expect_refused(plan, "model 'absent' not found", ErrorKind::kNotFound);
}

TEST_F(Create, EndsWhereItsUserWantsItTo) {
  const Blueprint plan = from_tiny();
  const auto before = files();
  for (const char* at : {"parsing GGUF", "hashing tiny.gguf", "writing manifest"}) {
    CreateHooks hooks;
    hooks.progress = [&](std::string_view status, const std::string&, uint64_t, uint64_t) -> Status {
      return status == at ? Status(Error{ErrorKind::kCancelled, "enough"}) : Status();
    };
    const auto done = create_model(plan, folders_, hooks);
    ASSERT_FALSE(done.ok()) << at;
    EXPECT_EQ(files(), before) << at;
  }
}

// Every call fails once: nothing is left, nothing is lost, and the next try succeeds.
TEST_F(Create, EveryWriteFailsOnce) {
  Blueprint old = from_tiny("other");
  old.system = "other";
  expect_created(old);
  const auto before = files();
  Blueprint plan = from_tiny();
  plan.system = "Be brief.";
  plan.quantize = "Q8_0";
  for (const char* call : {"open", "write", "fsync", "rename", "fallocate"}) {
    for (const int code : {ENOSPC, EIO}) {
      int failures = 0;
      for (int nth = 1; nth < 60; ++nth) {
        bool happened = false, done = false;
        {
          const test::Fault fault(call, nth, code);
          done = create_model(plan, folders_, {}).ok();
          happened = fault.happened();
        }
        if (!happened) break;
        ++failures;
        const bool there = resolve_name("mine", folders_).ok();
        EXPECT_TRUE(resolve_name("other", folders_).ok()) << call << " " << nth;
        // The last fsync, of the manifest's folder, fails when the model is there already, whole.
        if (!there) {
          EXPECT_FALSE(done && !there) << call << " " << nth;
          EXPECT_EQ(files(), before) << call << " " << nth << " " << code;
        }
        if (there) {
          ASSERT_TRUE(remove_model("mine", folders_).ok());
        }
      }
      if (call != std::string("fallocate")) {
        EXPECT_GT(failures, 2) << call;
      }
      ASSERT_LT(failures, 59);
    }
  }
  EXPECT_TRUE(disk::promises(store_.path().string()).empty());
}

}  // namespace
}  // namespace hearth::store
