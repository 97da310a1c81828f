#include "store/ollama_models.h"

#include <fmt/format.h>

#include <fstream>

#include "store/model_name.h"
#include "support/support.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

// A model folder as Ollama lays it out.
class FakeFolder {
 public:
  std::string path() const { return folder_.path().string(); }
  std::vector<std::string> folders() const { return {path()}; }

  // Stores a blob under a made-up digest and returns its entry for a manifest.
  std::string layer(const std::string& kind, const std::string& content) {
    const std::string hex = fmt_digest(++blobs_);
    write(folder_.path() / "blobs" / ("sha256-" + hex), content);
    return R"({"mediaType":"application/vnd.ollama.image.)" + kind + R"(","digest":"sha256:)" + hex + R"(","size":)" +
           std::to_string(content.size()) + "}";
  }

  void manifest(const std::string& path, const std::string& json) { write(folder_.path() / "manifests" / path, json); }

  // A model with these layers (kind, content), whose blobs are numbered from 1.
  void model(const std::string& path, const std::vector<std::pair<std::string, std::string>>& layers) {
    std::string list;
    for (const auto& [kind, content] : layers) {
      if (!list.empty()) list += ',';
      list += layer(kind, content);
    }
    manifest(path, R"({"schemaVersion":2,"config":null,"layers":[)" + list + "]}");
  }

  fs::path blob(int number) const { return folder_.path() / "blobs" / ("sha256-" + fmt_digest(number)); }

 private:
  static std::string fmt_digest(int number) {
    const std::string digits = std::to_string(number);
    return std::string(64 - digits.size(), '0') + digits;
  }
  static void write(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }

  hearth::test::TemporaryFolder folder_;
  int blobs_ = 0;
};

const std::string kLibrary = "registry.ollama.ai/library/";

TEST(ModelName, PartsHaveDefaults) {
  struct Case {
    const char *text, *host, *space, *model, *tag, *display;
  };
  for (const Case& c : {Case{"llama3", "registry.ollama.ai", "library", "llama3", "latest", "llama3:latest"},
                        Case{"llama3.2:3b", "registry.ollama.ai", "library", "llama3.2", "3b", "llama3.2:3b"},
                        Case{"me/m:q4", "registry.ollama.ai", "me", "m", "q4", "me/m:q4"},
                        Case{"hf.co/user/repo:Q4_K_M", "hf.co", "user", "repo", "Q4_K_M", "hf.co/user/repo:Q4_K_M"},
                        Case{"localhost:5000/a/b", "localhost:5000", "a", "b", "latest", "localhost:5000/a/b:latest"},
                        Case{"https://h.org/a/b:c", "h.org", "a", "b", "c", "h.org/a/b:c"}}) {
    const Result<ModelName> name = ModelName::parse(c.text);
    ASSERT_TRUE(name.ok()) << c.text << ": " << name.error().message;
    EXPECT_EQ(name->host, c.host) << c.text;
    EXPECT_EQ(name->space, c.space) << c.text;
    EXPECT_EQ(name->model, c.model) << c.text;
    EXPECT_EQ(name->tag, c.tag) << c.text;
    EXPECT_EQ(name->display(), c.display);
  }
}

TEST(ModelName, NothingThatCouldLeaveTheFolderIsAName) {
  for (const char* text :
       {"",        ":",         "a:", ":a",  "/a",   "a/",    "a//b",     "../a",  "a/../b", "..", ".",
        "a/b/c/d", "a:../../x", "-a", "a b", "a\\b", "a:b:c", "m@sha256", "a.b/m", "a\nb",   "ü",  "~/m"}) {
    EXPECT_FALSE(ModelName::parse(text).ok()) << text;
  }
  EXPECT_TRUE(ModelName::parse(std::string(80, 'a')).ok());
  EXPECT_FALSE(ModelName::parse(std::string(81, 'a')).ok());
}

TEST(Manifest, DigestsAreNothingElse) {
  const std::string hex(64, 'a');
  EXPECT_TRUE(is_digest("sha256:" + hex));
  EXPECT_TRUE(is_digest("sha256-" + hex));
  for (const std::string& text : {std::string(), hex, "sha256:" + hex.substr(1), "sha256:" + hex + "a", "sha512:" + hex,
                                  "sha256:../../" + hex.substr(6), "sha256/" + hex}) {
    EXPECT_FALSE(is_digest(text)) << text;
  }
}

TEST(OllamaModels, FindsAModelWithAllItBrings) {
  FakeFolder store;
  store.model(kLibrary + "llama3.2/3b",
              {{"model", "weights"},
               {"template", "{{ .Prompt }}"},
               {"system", "Be brief."},
               {"params", R"({"stop":["<a>","<b>"],"temperature":0.5,"top_k":10,"penalize_newline":true})"},
               {"messages", R"([{"role":"user","content":"hi"}])"},
               {"license", "MIT"},
               {"projector", "vision"}});
  const Result<ModelFiles> files = resolve_argument("llama3.2:3b", store.folders());
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(files->name, "llama3.2:3b");
  EXPECT_EQ(files->model, store.blob(1));
  EXPECT_EQ(files->template_text, "{{ .Prompt }}");
  EXPECT_EQ(files->system, "Be brief.");
  EXPECT_EQ(
      files->parameters,
      (Parameters{
          {"stop", "<a>"}, {"stop", "<b>"}, {"temperature", "0.5"}, {"top_k", "10"}, {"penalize_newline", "true"}}));
  ASSERT_EQ(files->messages.size(), 1u);
  EXPECT_EQ(files->messages[0].content, "hi");
  EXPECT_EQ(files->projector, store.blob(7));
}

TEST(OllamaModels, NamesMatchWithoutCaseAndWithDefaults) {
  FakeFolder store;
  store.model(kLibrary + "Llama3/latest", {{"model", "weights"}});
  store.model("hf.co/Me/Repo/Q4_K_M", {{"model", "other"}});
  for (const char* name : {"llama3", "LLAMA3", "library/llama3:latest", "registry.ollama.ai/library/Llama3:LATEST"}) {
    const auto files = resolve_argument(name, store.folders());
    ASSERT_TRUE(files.ok()) << files.error().message;
    EXPECT_EQ(files->model, store.blob(1)) << name;
    EXPECT_EQ(files->name, "Llama3:latest") << "it is one model, by one name";
  }
  EXPECT_EQ(resolve_argument("hf.co/me/repo:q4_k_m", store.folders())->model, store.blob(2));
}

TEST(OllamaModels, FoldersAreSearchedInOrder) {
  FakeFolder first, second;
  second.model(kLibrary + "a/latest", {{"model", "in the second"}});
  const std::vector<std::string> folders = {first.path(), second.path()};
  EXPECT_EQ(resolve_argument("a", folders)->model, second.blob(1));
  first.model(kLibrary + "a/latest", {{"model", "in the first"}});
  EXPECT_EQ(resolve_argument("a", folders)->model, first.blob(1));
}

TEST(OllamaModels, AnExistingFileWins) {
  FakeFolder store;
  const hearth::test::TemporaryFolder here;
  std::ofstream(here / "llama3") << "x";
  const auto files = resolve_argument(here / "llama3", store.folders());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->model, here / "llama3");
  EXPECT_EQ(resolve_argument(here / "absent.gguf", store.folders()).error().message,
            "cannot open " + (here / "absent.gguf").string() + ": no such file");
  EXPECT_EQ(resolve_argument(here.path(), store.folders()).error().message,
            "cannot open " + here.path().string() + ": it is a directory");
}

TEST(OllamaModels, NotFoundSaysWhereAndWhatIsThere) {
  FakeFolder store;
  const auto empty = resolve_argument("nope", store.folders());
  EXPECT_EQ(empty.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(empty.error().message,
            "'nope' is neither a file nor a model in " + store.path() + " (absent); models there: none");
  for (int i = 10; i < 22; ++i) store.model(fmt::format("{}m{}/latest", kLibrary, i), {{"model", "w"}});
  const std::string message = resolve_argument("nope", store.folders()).error().message;
  EXPECT_NE(message.find("models there: m10:latest, m11:latest, "), std::string::npos) << message;
  EXPECT_NE(message.find("m19:latest and 2 more"), std::string::npos) << message;
  EXPECT_EQ(list_models(store.folders()).size(), 12u);
}

TEST(OllamaModels, ANameNeverOpensAPath) {
  FakeFolder store;
  const hearth::test::TemporaryFolder here;
  std::ofstream(here / "model.gguf") << "x";
  const std::string path = here / "model.gguf";
  const fs::path before = fs::current_path();
  fs::current_path(here.path());
  for (const std::string& name :
       {path, "../" + here.path().filename().string() + "/model.gguf", std::string("./model.gguf"),
        std::string("model.gguf"), "file://" + path, std::string("model.gguf\0", 11), std::string("a/../../model.gguf"),
        std::string("/etc/passwd"), std::string("../x"), std::string()}) {
    const auto files = resolve_name(name, store.folders());
    EXPECT_FALSE(files.ok()) << name;
  }
  EXPECT_TRUE(resolve_argument("model.gguf", store.folders()).ok()) << "on a command line it is a file";
  fs::current_path(before);
}

TEST(OllamaModels, WhatAModelBringsAlongNeverStopsIt) {
  struct Case {
    const char *kind, *content;
    size_t notes;
  };
  for (const Case& c : {Case{"params", "null", 0},
                        {"params", R"({"a":{},"b":null,"c":[null,{}],"top_k":40})", 0},
                        {"params", "[]", 1},
                        {"params", "{", 1},
                        {"params", "", 1},
                        {"messages", "null", 0},
                        {"messages", "{}", 1},
                        {"messages", R"([{"role":1}])", 1}}) {
    FakeFolder store;
    store.model(kLibrary + "m/latest", {{"model", "w"}, {c.kind, c.content}});
    const auto files = resolve_name("m", store.folders());
    ASSERT_TRUE(files.ok()) << c.content << ": " << files.error().message;
    EXPECT_EQ(files->notes.size(), c.notes) << c.kind << " " << c.content;
    const bool has_one = std::string_view(c.content).find("top_k") != std::string_view::npos;
    EXPECT_EQ(files->parameters, has_one ? (Parameters{{"top_k", "40"}}) : Parameters());
  }
  FakeFolder store;
  store.model(kLibrary + "m/latest", {{"model", "w"}, {"system", "Be brief."}, {"projector", "p"}});
  fs::remove(store.blob(2));
  fs::remove(store.blob(3));
  const auto files = resolve_name("m", store.folders());
  ASSERT_TRUE(files.ok()) << files.error().message;
  ASSERT_EQ(files->notes.size(), 2u);
  EXPECT_NE(files->notes[0].find("the system that comes with the model is ignored"), std::string::npos)
      << files->notes[0];
}

TEST(OllamaModels, TextsLoseTheirByteOrderMark) {
  FakeFolder store;
  store.model(kLibrary + "m/latest", {{"model", "w"},
                                      {"system",
                                       "\xEF\xBB\xBF"
                                       "Be brief."},
                                      {"params",
                                       "\xEF\xBB\xBF"
                                       R"({"top_k":40})"}});
  const auto files = resolve_name("m", store.folders());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->system, "Be brief.");
  EXPECT_EQ(files->parameters.size(), 1u);
}

TEST(OllamaModels, BlobsMayHaveTheirOldNames) {
  FakeFolder store;
  store.model(kLibrary + "m/latest", {{"model", "weights"}});
  std::string old = store.blob(1).string();
  old.replace(old.rfind("sha256-"), 7, "sha256:");
  fs::rename(store.blob(1), old);
  const auto files = resolve_name("m", store.folders());
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(files->model, old);
}

TEST(OllamaModels, DefectiveModelsAreRefusedWithAReason) {
  struct Case {
    const char* what;
    void (*make)(FakeFolder&, const std::string& path);
    const char* message;
  };
  const Case kCases[] = {
      {"no JSON", [](FakeFolder& s, const std::string& p) { s.manifest(p, "{\"layers\": ["); }, "it is no valid JSON"},
      {"a list", [](FakeFolder& s, const std::string& p) { s.manifest(p, "[]"); }, "it is no JSON object"},
      {"no layers", [](FakeFolder& s, const std::string& p) { s.manifest(p, "{}"); }, "it has no list of layers"},
      {"layer of text", [](FakeFolder& s, const std::string& p) { s.manifest(p, R"({"layers":["x"]})"); },
       "a layer is no JSON object"},
      {"path in a digest",
       [](FakeFolder& s, const std::string& p) {
         s.manifest(
             p,
             R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../../etc/passwd"}]})");
       },
       "a layer's digest is not sha256"},
      {"negative size",
       [](FakeFolder& s, const std::string& p) {
         s.manifest(p, R"({"layers":[{"mediaType":"x","digest":"sha256:)" + std::string(64, 'a') + R"(","size":-1}]})");
       },
       "a layer's size is no number of bytes"},
      {"deep nesting", [](FakeFolder& s, const std::string& p) { s.manifest(p, std::string(100000, '[')); },
       "it is no valid JSON"},
      {"missing blob",
       [](FakeFolder& s, const std::string& p) {
         s.model(p, {{"model", "weights"}});
         fs::remove(s.blob(1));
       },
       "model 'bad:latest' is incomplete"},
      {"cut blob",
       [](FakeFolder& s, const std::string& p) {
         s.model(p, {{"model", "weights"}});
         fs::resize_file(s.blob(1), 3);
       },
       "has 3 bytes instead of 7"},
      {"no weights",
       [](FakeFolder& s, const std::string& p) {
         s.model(p, {{"template", "x"}});
       },
       "the manifest lists no weights"},
      {"cloud model",
       [](FakeFolder& s, const std::string& p) {
         s.manifest(p, R"({"config":)" + s.layer("x", R"({"remote_host":"cloud.example","remote_model":"big"})") +
                           R"(,"layers":[]})");
       },
       "it stands for the cloud model cloud.example/big"},
      {"adapter",
       [](FakeFolder& s, const std::string& p) {
         s.model(p, {{"model", "w"}, {"adapter", "a"}});
       },
       "needs an adapter (LoRA)"},
      {"safetensors",
       [](FakeFolder& s, const std::string& p) {
         s.model(p, {{"tensor", "w"}});
       },
       "stored as safetensors"},
  };
  for (const Case& c : kCases) {
    FakeFolder store;
    c.make(store, kLibrary + "bad/latest");
    const auto files = resolve_argument("bad", store.folders());
    ASSERT_FALSE(files.ok()) << c.what;
    EXPECT_NE(files.error().message.find(c.message), std::string::npos) << c.what << ": " << files.error().message;
  }
}

TEST(OllamaModels, FoldersComeFromTheEnvironment) {
  ::setenv("OLLAMA_MODELS", "/models/here", 1);
  ::setenv("HOME", "/home/me", 1);
  ::unsetenv("XDG_DATA_HOME");
  EXPECT_EQ(model_folders(),
            (std::vector<std::string>{"/models/here", "/home/me/.ollama/models", "/usr/share/ollama/.ollama/models",
                                      "/home/me/.local/share/hearth/models"}))
      << "the last is hearth's own";
  ::unsetenv("OLLAMA_MODELS");
  EXPECT_EQ(model_folders().front(), "/home/me/.ollama/models");
}

// Ollama's own code for prompts and answers, by name; a configuration that cannot be read keeps no model from running.
TEST(OllamaModels, TheConfigurationNamesRendererAndParser) {
  FakeFolder store;
  const auto add = [&](const std::string& name, const std::string& configuration) {
    store.manifest(kLibrary + name, R"({"config":)" + store.layer("config", configuration) + R"(,"layers":[)" +
                                        store.layer("model", "w") + "]}");
  };
  add("named/latest", R"({"model_format":"gguf","renderer":"qwen3-coder","parser":"qwen3.5"})");
  add("odd/latest", R"({"renderer":3})");
  const auto named = resolve_name("named", store.folders());
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->renderer, "qwen3-coder");
  EXPECT_EQ(named->parser, "qwen3.5");
  EXPECT_TRUE(named->notes.empty());
  const auto odd = resolve_name("odd", store.folders());
  ASSERT_TRUE(odd) << odd.error().message;
  EXPECT_EQ(odd->renderer, "");
  ASSERT_EQ(odd->notes.size(), 1u);
  EXPECT_NE(odd->notes[0].find("the configuration that comes with the model is ignored"), std::string::npos);
}

}  // namespace
}  // namespace hearth::store
