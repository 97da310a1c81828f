// Garbage, damage, moves, tiers and the outlook of a store.
#include <gtest/gtest.h>
#include <utime.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/sha256.h"
#include "disk/guard.h"
#include "store/cold_models.h"
#include "store/gc.h"
#include "store/move.h"
#include "store/ollama_models.h"
#include "store/pins.h"
#include "store/room.h"
#include "store/tiers.h"
#include "store/usage.h"
#include "store/verify.h"
#include "support/support.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

class Keeping : public testing::Test {
 protected:
  Keeping() {
    disk::set_policy({0});
    ::setenv("HEARTH_STORES", fmt::format("hot={},pool={}", hot(), pool()).c_str(), 1);
  }
  ~Keeping() override {
    ::unsetenv("HEARTH_STORES");
    disk::set_policy({});
  }
  std::string hot() const { return (folder_ / "hot").string(); }
  std::string pool() const { return (folder_ / "pool").string(); }

  std::string put_blob(const std::string& store, const std::string& content) const {
    const std::string digest = sha256_hex(content);
    fs::create_directories(store + "/blobs");
    std::ofstream(store + "/blobs/sha256-" + digest) << content;
    return digest;
  }
  std::string blob(const std::string& store, const std::string& content) const {
    return store + "/blobs/sha256-" + sha256_hex(content);
  }
  void put_model(const std::string& store, const std::string& name, const std::vector<std::string>& contents) const {
    std::string layers;
    for (const std::string& content : contents)
      layers += fmt::format(R"({}{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{}","size":{}}})",
                            layers.empty() ? "" : ",", put_blob(store, content), content.size());
    const fs::path path = fs::path(store) / "manifests/registry.ollama.ai/library" / name / "latest";
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "{\"layers\":[" << layers << "]}";
  }
  void make_old(const std::string& path) const {
    const std::time_t long_ago = std::time(nullptr) - 10 * kGarbage_age_s;
    const utimbuf times{long_ago, long_ago};
    ASSERT_EQ(::utime(path.c_str(), &times), 0);
  }
  std::vector<std::string> models(const std::string& store) const {
    const std::string folders[] = {store};
    return list_models(folders);
  }

  test::TemporaryFolder folder_;
};

// The age of a file follows from its last change of any kind, which no test can set: an age of zero stands for it.
TEST_F(Keeping, GarbageIsWhatNoManifestNamesAndIsOld) {
  put_model(hot(), "a", {"weights of a", "shared"});
  put_blob(hot(), "of nobody");
  std::ofstream(hot() + "/blobs/notes.txt") << "not a blob";
  std::ofstream(blob(hot(), "shared") + ".partial-abcdef") << "of a process that died";
  make_old(blob(hot(), "of nobody"));
  EXPECT_TRUE(find_garbage(hot(), kGarbage_age_s)->paths.empty()) << "a rename into the folder is a change too";
  EXPECT_GT(find_garbage(hot(), kGarbage_age_s)->young_bytes, 0u);
  const auto garbage = find_garbage(hot(), 0);
  ASSERT_TRUE(garbage) << garbage.error().message;
  EXPECT_EQ(std::set<std::string>(garbage->paths.begin(), garbage->paths.end()),
            (std::set<std::string>{blob(hot(), "of nobody"), blob(hot(), "shared") + ".partial-abcdef"}));
  ASSERT_TRUE(collect_garbage(hot(), 0));
  EXPECT_FALSE(fs::exists(blob(hot(), "of nobody")));
  EXPECT_TRUE(fs::exists(blob(hot(), "shared")));
  EXPECT_TRUE(fs::exists(hot() + "/blobs/notes.txt"));
}

TEST_F(Keeping, NothingIsGarbageWhileAManifestCannotBeRead) {
  put_model(hot(), "a", {"weights of a"});
  put_blob(hot(), "of nobody");
  std::ofstream(hot() + "/manifests/registry.ollama.ai/library/a/broken") << "{oops";
  const auto garbage = collect_garbage(hot(), 0);
  ASSERT_FALSE(garbage);
  EXPECT_NE(garbage.error().message.find("a/broken"), std::string::npos) << garbage.error().message;
  EXPECT_TRUE(fs::exists(blob(hot(), "of nobody")));
}

TEST_F(Keeping, LinkedFilesFreeNothing) {
  put_blob(hot(), std::string(100'000, 'x'));
  fs::create_hard_link(blob(hot(), std::string(100'000, 'x')), folder_ / "elsewhere");
  EXPECT_EQ(find_garbage(hot(), 0)->bytes, 0u);
  EXPECT_GE(find_garbage(hot(), 0)->shared_bytes, 100'000u);
}

TEST_F(Keeping, WhatAProgramHasOpenIsNoGarbage) {
  for (const char* content : {"mapped", "open", "idle"}) put_blob(hot(), content);
  const auto file = InputFile::open(blob(hot(), "open"));
  std::optional<MappedFile> mapped;
  {
    const auto closed = InputFile::open(blob(hot(), "mapped"));
    mapped.emplace(*MappedFile::map(*closed));
  }
  EXPECT_EQ(find_garbage(hot(), 0)->paths, std::vector<std::string>{blob(hot(), "idle")});
  EXPECT_GT(find_garbage(hot(), 0)->used_bytes, 0u);
  mapped.reset();
  EXPECT_EQ(find_garbage(hot(), 0)->paths.size(), 2u) << "and it is when nobody has it any more";
}

TEST_F(Keeping, WhatAnotherStoreLacksIsNoGarbage) {
  put_model(pool(), "a", {"there", "missing"});
  put_blob(hot(), "there");
  put_blob(hot(), "missing");
  fs::remove(blob(pool(), "missing"));
  EXPECT_EQ(find_garbage(hot(), 0)->paths, std::vector<std::string>{blob(hot(), "there")});
  std::ofstream(pool() + "/manifests/registry.ollama.ai/library/a/broken") << "{oops";
  EXPECT_FALSE(find_garbage(hot(), 0)) << "any manifest may name it";
}

TEST_F(Keeping, NothingIsGarbageWhileAPinnedModelHasNoManifest) {
  put_model(hot(), "a", {"weights of a"});
  const std::string folders[] = {hot()};
  ASSERT_TRUE(pin_model("a", folders));
  EXPECT_TRUE(find_garbage(hot(), 0)->paths.empty());
  fs::remove(hot() + "/manifests/registry.ollama.ai/library/a/latest");
  const auto garbage = collect_garbage(hot(), 0);
  ASSERT_FALSE(garbage);
  EXPECT_NE(garbage.error().message.find("hearth store unpin a:latest"), std::string::npos) << garbage.error().message;
  EXPECT_TRUE(fs::exists(blob(hot(), "weights of a")));
  ASSERT_TRUE(unpin_model("a", folders));
  EXPECT_TRUE(collect_garbage(hot(), 0));
  EXPECT_FALSE(fs::exists(blob(hot(), "weights of a")));
}

TEST_F(Keeping, ColdIsWhatNobodyUsedForLong) {
  for (const char* name : {"a", "b", "c", "d"}) put_model(hot(), name, {std::string("weights of ") + name});
  const auto names = [&](int64_t unused_s) {
    std::vector<std::string> list;
    for (const ColdModel& model : cold_models(hot(), unused_s, {"d:latest"})) list.push_back(model.name);
    return list;
  };
  EXPECT_EQ(names(3600), std::vector<std::string>()) << "they have just come";
  for (const char* name : {"a", "b", "c", "d"})
    make_old(hot() + "/manifests/registry.ollama.ai/library/" + name + "/latest");
  EXPECT_EQ(names(3600), (std::vector<std::string>{"a:latest", "b:latest", "c:latest"})) << "d is loaded";
  note_uses(hot(), {"a:latest"});
  EXPECT_EQ(names(3600), (std::vector<std::string>{"b:latest", "c:latest"}));
  EXPECT_EQ(names(0).back(), "a:latest") << "the coldest first";
  const std::string folders[] = {hot()};
  ASSERT_TRUE(pin_model("b", folders));
  EXPECT_EQ(names(3600), std::vector<std::string>{"c:latest"});
  ::setenv("HEARTH_MOVE_COLD", "pool=168h", 1);
  EXPECT_EQ((*cold_rule())->unused_s, 168 * 3600);
  for (const char* wrong : {"pool", "pool=long", "pool=-1s", "nowhere=1h"}) {
    ::setenv("HEARTH_MOVE_COLD", wrong, 1);
    EXPECT_FALSE(cold_rule()) << wrong;
  }
  ::unsetenv("HEARTH_MOVE_COLD");
}

TEST_F(Keeping, APinMovesWithItsModel) {
  put_model(hot(), "a", {"weights of a"});
  const std::string folders[] = {hot()};
  ASSERT_TRUE(pin_model("a", folders));
  ASSERT_TRUE(move_model("a", *find_tier("pool")));
  EXPECT_EQ(pinned_models(pool()), std::set<std::string>{"a:latest"});
  EXPECT_TRUE(pinned_models(hot()).empty());
}

TEST_F(Keeping, DamageIsFoundWithTheModelsThatHaveIt) {
  put_model(hot(), "a", {"weights of a", "shared"});
  put_model(hot(), "b", {"weights of b", "shared"});
  uint64_t last = 0;
  const auto well = verify_store(hot(), 2, [&](uint64_t done, uint64_t) {
    last = done;
    return Status();
  });
  ASSERT_TRUE(well);
  EXPECT_EQ(well->files, 3u);
  EXPECT_EQ(last, well->bytes);
  EXPECT_TRUE(well->damages.empty());
  std::ofstream(blob(hot(), "shared")) << "sharef";
  fs::remove(blob(hot(), "weights of b"));
  const auto damaged = verify_store(hot(), 2, {});
  ASSERT_EQ(damaged->damages.size(), 2u);
  for (const Damage& damage : damaged->damages) {
    const bool shared = damage.path == blob(hot(), "shared");
    EXPECT_EQ(damage.models,
              (shared ? std::vector<std::string>{"a:latest", "b:latest"} : std::vector<std::string>{"b:latest"}));
    EXPECT_EQ(damage.why, shared ? "has another content than its name says" : "is missing");
  }
}

TEST_F(Keeping, ModelsMoveAndWhatTheyShareStaysWithTheOthers) {
  put_model(hot(), "a", {"weights of a", "shared"});
  put_model(hot(), "b", {"weights of b", "shared"});
  const auto reader = InputFile::open(blob(hot(), "weights of a"));
  const auto moved = move_model("a", *find_tier("pool"));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->from, "hot");
  EXPECT_EQ(models(hot()), std::vector<std::string>{"b:latest"});
  EXPECT_EQ(models(pool()), std::vector<std::string>{"a:latest"});
  EXPECT_TRUE(fs::exists(blob(hot(), "shared")));
  EXPECT_TRUE(fs::exists(blob(pool(), "shared")));
  EXPECT_FALSE(fs::exists(blob(hot(), "weights of a")));
  std::string content(12, ' ');
  EXPECT_TRUE(reader->read(0, std::as_writable_bytes(std::span(content))));
  EXPECT_EQ(content, "weights of a") << "who reads goes on";
  EXPECT_EQ(resolve_name("a", model_folders())->model, blob(pool(), "weights of a"));
  EXPECT_EQ(move_model("a", *find_tier("pool"))->from, "pool") << "nothing to do";
  EXPECT_EQ(move_model("c", *find_tier("pool")).error().kind, ErrorKind::kNotFound);
}

TEST_F(Keeping, DamagedModelsDoNotMove) {
  put_model(hot(), "a", {"weights of a"});
  std::ofstream(blob(hot(), "weights of a")) << "WEIGHTS of a";
  const auto moved = move_model("a", *find_tier("pool"));
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().kind, ErrorKind::kInvalidData);
  EXPECT_EQ(models(hot()).size(), 1u);
  EXPECT_TRUE(models(pool()).empty());
  EXPECT_FALSE(fs::exists(blob(pool(), "weights of a")));
}

TEST_F(Keeping, StoresAreNamedAndAdded) {
  EXPECT_EQ(find_tier("pool")->folder, pool());
  EXPECT_EQ(find_tier(hot() + "/")->name, "hot");
  EXPECT_NE(find_tier("cold").error().message.find("hot ("), std::string::npos);
  for (const char* wrong : {"hot", "hot=", "=/a", "hot=relative", "h o=/a", "../x=/a"})
    EXPECT_FALSE(parse_tiers(wrong)) << wrong;
  EXPECT_EQ(parse_tiers("a=/x,b=/x/\nc=/y")->size(), 2u) << "no folder twice";
  EXPECT_FALSE(add_tier((folder_ / "third").string())) << "the variable says which there are";
  ::unsetenv("HEARTH_STORES");
  ::setenv("OLLAMA_MODELS", hot().c_str(), 1);
  const auto added = add_tier((folder_ / "third" / "models").string());
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ(added->name, "third");
  EXPECT_EQ(find_tier("third")->folder, (folder_ / "third" / "models").string());
  EXPECT_FALSE(add_tier("relative"));
  ::unsetenv("OLLAMA_MODELS");
}

TEST_F(Keeping, AFullDiskHasThreeWaysOut) {
  put_model(hot(), "large", {std::string(3'000'000, 'x')});
  fs::create_directories(pool());
  const Error refused{ErrorKind::kNoSpace, "pull x needs much; see elsewhere", "see elsewhere"};
  const std::string text = with_ways_out(refused, "x", hot(), 1 << 20).message;
  EXPECT_TRUE(text.starts_with("pull x needs much; 1. make room: ")) << text;
  EXPECT_NE(text.find("hearth store move --all --to pool"), std::string::npos) << text;
  EXPECT_NE(text.find("3. take a smaller quantisation of x"), std::string::npos) << text;
  const std::string more = with_ways_out(refused, "x", hot(), uint64_t{1} << 60).message;
  EXPECT_NE(more.find("hearth rm large:latest (2.9 MiB)"), std::string::npos) << more;
}

TEST(Outlook, FollowsTheRate) {
  const int64_t now = 1'700'000'000;
  std::vector<UsageSample> samples;
  for (int64_t hour = 10; hour >= 0; --hour)
    samples.push_back({now - hour * 3600, static_cast<uint64_t>(100 + hour) << 30});
  const auto left = seconds_until_full(samples, now);
  ASSERT_TRUE(left);
  EXPECT_NEAR(static_cast<double>(*left), 100 * 3600.0, 10) << "a gibibyte an hour";
  std::vector<UsageSample> growing(samples);
  for (UsageSample& sample : growing) sample.free_bytes = (uint64_t{500} << 30) - sample.free_bytes;
  EXPECT_FALSE(seconds_until_full(growing, now));
  EXPECT_FALSE(seconds_until_full({samples.begin(), samples.begin() + 1}, now));
  EXPECT_FALSE(seconds_until_full(samples, now + 100 * 24 * 3600)) << "that was long ago";
  EXPECT_EQ(parse_usage("1 2\nx\n3\n4 5").size(), 2u);
}

}  // namespace
}  // namespace hearth::store
