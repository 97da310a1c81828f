// Moves, new models and cleaning up in which each call to the system fails once, or is the last before the process is
// killed: no model is lost, nothing is half there, and doing it again completes it.
#include "support/faults.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/sha256.h"
#include "disk/guard.h"
#include "store/create.h"
#include "store/gc.h"
#include "store/move.h"
#include "store/ollama_models.h"
#include "store/pins.h"
#include "store/tiers.h"
#include "support/support.h"
#include "support/tiny_model.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

using test::Fault;
using test::is_killed_at;

constexpr int kMost_calls = 200;

struct Kind {
  const char* call;
  std::vector<int> codes;
};
const Kind kKinds[] = {{"open", {ENOSPC}},       {"write", {ENOSPC, EDQUOT, EIO, 0}},
                       {"fsync", {ENOSPC, EIO}}, {"rename", {ENOSPC, EIO}},
                       {"unlink", {EIO}},        {"fallocate", {ENOSPC, EDQUOT}}};

class FaultyStores : public testing::Test {
 protected:
  FaultyStores() {
    disk::set_policy({0});
    ::setenv("HEARTH_STORES", fmt::format("hot={},pool={}", hot(), pool()).c_str(), 1);
  }
  ~FaultyStores() override {
    ::unsetenv("HEARTH_STORES");
    disk::set_policy({});
  }
  std::string hot() const { return (folder_ / "hot").string(); }
  std::string pool() const { return (folder_ / "pool").string(); }

  void put_blob(const std::string& content) const {
    fs::create_directories(hot() + "/blobs");
    std::ofstream(hot() + "/blobs/sha256-" + sha256_hex(content)) << content;
  }
  void put_model(const std::string& name, const std::vector<std::string>& contents) const {
    std::string layers;
    for (const std::string& content : contents) {
      put_blob(content);
      layers += fmt::format(R"({}{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{}","size":{}}})",
                            layers.empty() ? "" : ",", sha256_hex(content), content.size());
    }
    const fs::path path = fs::path(hot()) / "manifests/registry.ollama.ai/library" / name / "latest";
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "{\"layers\":[" << layers << "]}";
  }
  void begin_anew() const {
    fs::remove_all(hot());
    fs::remove_all(pool());
    put_model("a", {"weights of a", "shared"});
    put_model("b", {"shared"});
    const std::string folders[] = {hot()};
    ASSERT_TRUE(pin_model("a", folders));
  }
  // All that is under a final name is whole, and each manifest has its files.
  void expect_sound(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      bool whole = false;
      for (const std::string& store : {hot(), pool()}) {
        const auto manifest = find_manifest(store, *ModelName::parse(name));
        if (!manifest) continue;
        whole = true;
        const auto parsed = parse_manifest(*read_file(*manifest));
        ASSERT_TRUE(parsed);
        for (const Layer& layer : parsed->layers)
          EXPECT_TRUE(fs::exists(blob_in(store, layer.digest))) << name << " in " << store;
      }
      EXPECT_TRUE(whole) << name << " is lost";
    }
    for (const std::string& store : {hot(), pool()})
      for (const auto& entry : files_of(store + "/blobs"))
        if (entry.filename().string().size() == 7 + 64) {
          EXPECT_EQ("sha256-" + sha256_hex(*read_file(entry.string())), entry.filename());
        }
    EXPECT_TRUE(disk::promises(hot()).empty());
  }
  static std::string blob_in(const std::string& store, const std::string& digest) {
    return store + "/blobs/sha256-" + digest.substr(7);
  }
  static std::vector<fs::path> files_of(const std::string& folder) {
    std::vector<fs::path> files;
    std::error_code failed;
    for (fs::recursive_directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed))
      if (it->is_regular_file()) files.push_back(it->path());
    return files;
  }
  // By names in both stores, without what lies beside the models.
  std::set<std::string> blobs(const std::string& store) const {
    std::set<std::string> names;
    for (const fs::path& path : files_of(store + "/blobs"))
      if (!path.filename().string().starts_with(".hearth-probe-")) names.insert(path.filename());
    return names;
  }

  test::TemporaryFolder folder_;
};

class FaultyMoves : public FaultyStores {
 protected:
  Status move() const {
    const auto moved = move_model("a", *find_tier("pool"));
    return moved ? Status() : Status(moved.error());
  }
  void expect_completed() const {
    const Status again = move();
    ASSERT_TRUE(again) << again.error().message;
    expect_sound({"a", "b"});
    const auto collected = collect_garbage(hot(), 0);
    ASSERT_TRUE(collected) << collected.error().message;
    EXPECT_EQ(blobs(hot()), std::set<std::string>{"sha256-" + sha256_hex("shared")});
    EXPECT_EQ(blobs(pool()),
              (std::set<std::string>{"sha256-" + sha256_hex("shared"), "sha256-" + sha256_hex("weights of a")}));
    EXPECT_FALSE(find_manifest(hot(), *ModelName::parse("a")));
    EXPECT_TRUE(pinned_models(pool()).contains("a:latest"));
  }
};

TEST_F(FaultyMoves, EveryCallFailsOnce) {
  for (const Kind& kind : kKinds) {
    for (const int code : kind.codes) {
      int seen = 0;
      for (int nth = 1; nth < kMost_calls; ++nth) {
        SCOPED_TRACE(fmt::format("{} {} errno {}", kind.call, nth, code));
        begin_anew();
        {
          Fault fault(kind.call, nth, code);
          const Status done = move();
          if (!fault.happened()) {
            ASSERT_TRUE(done) << done.error().message;
            break;
          }
          ++seen;
        }
        expect_sound({"a", "b"});
        expect_completed();
      }
      EXPECT_GT(seen, 0) << kind.call;
    }
  }
}

TEST_F(FaultyMoves, AreKilledAtEveryCall) {
  int kills = 0;
  for (int nth = 1; nth < kMost_calls; ++nth) {
    SCOPED_TRACE(nth);
    begin_anew();
    if (!is_killed_at(nth, [&] { (void)move().ok(); })) break;
    ++kills;
    expect_sound({"a", "b"});
    expect_completed();
  }
  EXPECT_GT(kills, 10);
}

TEST_F(FaultyStores, GarbageThatCannotBeDeletedKeepsNothingElse) {
  begin_anew();
  for (const char* content : {"x", "y", "z"}) put_blob(content);
  {
    Fault fault("unlink", 2, EACCES);
    const auto freed = collect_garbage(hot(), 0);
    ASSERT_FALSE(freed);
    EXPECT_NE(freed.error().message.find("sha256-"), std::string::npos) << freed.error().message;
  }
  EXPECT_EQ(find_garbage(hot(), 0)->paths.size(), 1u);
  ASSERT_TRUE(collect_garbage(hot(), 0));
  expect_sound({"a", "b"});
  EXPECT_EQ(blobs(hot()).size(), 2u);
}

TEST_F(FaultyStores, CollectionsAreKilledAtEveryCall) {
  for (int nth = 1;; ++nth) {
    begin_anew();
    for (const char* content : {"x", "y", "z"}) put_blob(content);
    const bool killed = is_killed_at(nth, [&] { (void)collect_garbage(hot(), 0).ok(); });
    expect_sound({"a", "b"});
    if (!killed) {
      EXPECT_EQ(nth, 4) << "one deletion each";
      return;
    }
    ASSERT_TRUE(collect_garbage(hot(), 0));
    EXPECT_EQ(blobs(hot()).size(), 2u);
  }
}

TEST_F(FaultyStores, NewModelsAreKilledAtEveryCall) {
  const test::TinyModel tiny;
  const std::string gguf = tiny.write();
  const std::string folders[] = {hot()};
  const auto create = [&] {
    Blueprint plan;
    plan.name = "made";
    plan.from_paths = {gguf};
    plan.system = "Be brief.";
    return create_model(plan, folders, {});
  };
  int kills = 0;
  for (int nth = 1; nth < kMost_calls; ++nth) {
    SCOPED_TRACE(nth);
    begin_anew();
    if (!is_killed_at(nth, [&] { (void)create().ok(); })) break;
    ++kills;
    expect_sound({"a", "b"});
    const auto again = create();
    ASSERT_TRUE(again) << again.error().message;
    expect_sound({"a", "b", "made"});
    for (const auto& entry : fs::directory_iterator(hot() + "/hearth/staging"))
      EXPECT_TRUE(entry.path().filename().string().starts_with(".hearth-probe-")) << entry.path() << " stays";
    ASSERT_TRUE(collect_garbage(hot(), 0));
    for (const fs::path& path : files_of(hot() + "/blobs"))
      EXPECT_EQ(path.filename().string().size(), 71u) << path << " is half there";
  }
  EXPECT_GT(kills, 10);
}

}  // namespace
}  // namespace hearth::store
