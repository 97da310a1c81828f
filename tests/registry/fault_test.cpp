// A pull in which each call to the system fails once: nothing is half there afterwards, and the next pull completes it.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/file.h"
#include "base/sha256.h"
#include "disk/guard.h"
#include "http/server.h"
#include "registry/pull.h"
#include "store/tiers.h"
#include "support/faults.h"
#include "support/support.h"

namespace hearth::registry {
namespace {

namespace fs = std::filesystem;

using test::Fault;

class FaultyPulls : public testing::Test {
 protected:
  FaultyPulls() {
    disk::set_policy({0});
    ::setenv("HEARTH_STORES", fmt::format("main={}", store()).c_str(), 1);
    ::setenv("HOME", folder_.path().c_str(), 1);
    const auto layer = [](const char* type, const std::string& content) {
      return fmt::format(R"({{"mediaType":"{}","digest":"sha256:{}","size":{}}})", type, sha256_hex(content),
                         content.size());
    };
    manifest_ = fmt::format(R"({{"config":{},"layers":[{}]}})", layer("c", config_),
                            layer("application/vnd.ollama.image.model", weights_));
    http::Settings settings;
    settings.listen = {{"127.0.0.1", 0}};
    http::Handler handler;
    handler.admit = [](const http::RequestHead&) -> std::variant<http::Admission, http::Response> {
      return http::Admission{};
    };
    handler.handle = [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
      const std::string& path = request.head.path;
      const bool manifest = path.find("/manifests/") != std::string::npos, config = path.ends_with(sha256_hex(config_));
      exchange->send({{.status = 200}, manifest ? manifest_ : config ? config_ : weights_});
    };
    handler.problem = [](const http::RequestHead&, unsigned status, const std::string&) {
      return http::Response{{.status = status}, ""};
    };
    server_ = *http::Server::start(std::move(settings), std::move(handler));
  }
  ~FaultyPulls() override {
    ::unsetenv("HEARTH_STORES");
    disk::set_policy({});
  }
  std::string store() const { return (folder_ / "store").string(); }
  Status pull_once() const {
    TransferOptions options;
    options.download.pause = std::chrono::milliseconds(1);
    options.download.tries = 2;
    const auto pulled = pull(fmt::format("127.0.0.1:{}/library/m", server_->port()), options, [](const Progress&) {});
    return pulled ? Status() : Status(pulled.error());
  }
  // Of one that was killed while it asked whether it may write: the next one of a later minute removes it.
  static bool is_probe(const std::string& name) { return name.starts_with(".hearth-probe-"); }
  void expect_nothing_begun() const {
    for (const auto& entry : fs::directory_iterator(store::partial_folder(store())))
      EXPECT_TRUE(is_probe(entry.path().filename().string())) << entry.path() << " stays";
  }
  // Whatever is there under a final name is whole, and a manifest has all of its files.
  void expect_sound() const {
    bool model = false;
    int blobs = 0;
    std::error_code failed;
    for (fs::recursive_directory_iterator it(store(), failed), end; !failed && it != end; it.increment(failed)) {
      if (!it->is_regular_file()) continue;
      const std::string path = it->path().string(), name = it->path().filename().string();
      if (is_probe(name)) continue;
      if (path.find("/blobs/") != std::string::npos) {
        ++blobs;
        ASSERT_EQ("sha256-" + sha256_hex(*read_file(path)), name);
      }
      if (path.find("/manifests/") != std::string::npos) {
        model = true;
        ASSERT_EQ(*read_file(path), manifest_);
      }
    }
    EXPECT_TRUE(!model || blobs == 2) << blobs;
    EXPECT_TRUE(disk::promises(store()).empty());
  }

  test::TemporaryFolder folder_;
  const std::string weights_ = std::string(300'000, 'w'), config_ = R"({"model_format":"gguf"})";
  std::string manifest_;
  std::unique_ptr<http::Server> server_;
};

TEST_F(FaultyPulls, EveryCallFailsOnce) {
  struct Kind {
    const char* call;
    std::vector<int> codes;
  };
  const Kind kinds[] = {
      {"open", {ENOSPC}},       {"write", {ENOSPC, EDQUOT, EIO, 0}}, {"pwrite", {ENOSPC, EDQUOT, EIO, 0}},
      {"fsync", {ENOSPC, EIO}}, {"rename", {ENOSPC, EIO}},           {"fallocate", {ENOSPC, EDQUOT}}};
  for (const Kind& kind : kinds) {
    for (const int code : kind.codes) {
      int seen = 0;
      for (int nth = 1; nth < 100; ++nth) {
        fs::remove_all(store());
        {
          Fault fault(kind.call, nth, code);
          const Status done = pull_once();
          if (!fault.happened()) {
            ASSERT_TRUE(done) << done.error().message;
            break;
          }
          ++seen;
          EXPECT_TRUE(done || code == EIO || code == 0 || done.error().kind == ErrorKind::kNoSpace)
              << done.error().message;
        }
        SCOPED_TRACE(fmt::format("{} {} errno {}", kind.call, nth, code));
        expect_sound();
        const Status again = pull_once();
        ASSERT_TRUE(again) << again.error().message;
        expect_sound();
        expect_nothing_begun();
      }
      EXPECT_GT(seen, 0) << kind.call;
    }
  }
}

TEST_F(FaultyPulls, KilledAtEveryCallTheNextOneCompletesIt) {
  int kills = 0;
  for (int nth = 1; nth < 1000; ++nth) {
    fs::remove_all(store());
    SCOPED_TRACE(fmt::format("killed at call {}", nth));
    if (!test::is_killed_at(nth, [&] { (void)pull_once().ok(); })) break;
    ++kills;
    expect_sound();
    const Status again = pull_once();
    ASSERT_TRUE(again) << again.error().message;
    expect_sound();
    expect_nothing_begun();
  }
  EXPECT_GT(kills, 10);
}

TEST_F(FaultyPulls, EndsWhenItIsToldTo) {
  TransferOptions options;
  options.goes_on = [] { return false; };
  const auto pulled = pull(fmt::format("127.0.0.1:{}/library/m", server_->port()), options, [](const Progress&) {});
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().kind, ErrorKind::kCancelled);
  expect_sound();
}

}  // namespace
}  // namespace hearth::registry
