#include "serve/keys.h"

#include <gtest/gtest.h>

#include <thread>

#include "serve/access.h"
#include "support/support.h"

namespace hearth::serve {
namespace {

using namespace std::chrono_literals;

class ServeKeys : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    keys_.reset();
    auto database = state::Database::open(folder_ / "state.db", kState_schema);
    ASSERT_TRUE(database) << database.error().message;
    auto keys = Keys::load(std::move(database).value());
    ASSERT_TRUE(keys) << keys.error().message;
    keys_ = std::move(keys).value();
  }
  std::string add(const std::string& name, Role role = Role::kInfer, KeyLimits limits = {}) {
    const auto text = keys_->add({.name = name, .role = role, .limits = std::move(limits)});
    EXPECT_TRUE(text) << text.error().message;
    return text ? *text : "";
  }
  Result<Client> ask(http::Headers headers, const std::string& from, AccessRules rules = {}) {
    http::RequestHead head;
    head.headers = std::move(headers);
    head.remote_address = from;
    head.remote_loopback = from.starts_with("127.");
    return Access(keys_.get(), "local-secret").identify(head, rules);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Keys> keys_;
};

TEST_F(ServeKeys, AreKeptAsHashesAndKnownAfterANewStart) {
  const std::string text = add("anna", Role::kManage,
                               {.tokens_per_minute = 9, .models = {"a:latest", "b"}, .priority = -3, .isolated = true});
  EXPECT_TRUE(text.starts_with("hearth-"));
  open();
  const auto key = keys_->find(text);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->info.name, "anna");
  EXPECT_EQ(key->info.role, Role::kManage);
  EXPECT_EQ(key->info.limits.tokens_per_minute, 9u);
  EXPECT_EQ(key->info.limits.priority, -3);
  EXPECT_TRUE(key->info.limits.isolated);
  EXPECT_TRUE(key->may_use("A") && key->may_use("b:latest"));
  EXPECT_FALSE(key->may_use("c"));
  EXPECT_FALSE(keys_->find(text.substr(1)));
  for (const char* file : {"state.db", "state.db-wal"}) {
    const auto bytes = test::read_bytes(folder_ / file);
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()).find(text.substr(10)), std::string::npos) << file;
  }
}

TEST_F(ServeKeys, NamesAreUniqueAndRevokedOnesAreGone) {
  const std::string text = add("anna");
  EXPECT_EQ(keys_->add({.name = "anna"}).error().kind, ErrorKind::kUsage);
  EXPECT_EQ(keys_->add({.name = "no spaces"}).error().kind, ErrorKind::kUsage);
  EXPECT_TRUE(keys_->revoke("anna"));
  EXPECT_FALSE(keys_->find(text));
  EXPECT_EQ(keys_->revoke("anna").error().kind, ErrorKind::kNotFound);
  open();
  EXPECT_TRUE(keys_->empty());
}

TEST_F(ServeKeys, LimitTheRequestsOfAMinute) {
  add("anna", Role::kInfer, {.requests_per_minute = 2});
  Key& key = *keys_->find(add("berta", Role::kInfer, {.requests_per_minute = 2}));
  std::chrono::seconds after{0};
  const auto now = Key::Clock::now();
  EXPECT_TRUE(key.begin(now, &after));
  EXPECT_TRUE(key.begin(now, &after));
  EXPECT_FALSE(key.begin(now, &after));
  EXPECT_EQ(after, 30s);
  EXPECT_FALSE(key.begin(now + 29s, &after));
  EXPECT_TRUE(key.begin(now + 31s, &after));
}

TEST_F(ServeKeys, LimitTheTokensOfAMinuteAfterTheyWereUsed) {
  Key& key = *keys_->find(add("anna", Role::kInfer, {.tokens_per_minute = 60}));
  std::chrono::seconds after{0};
  const auto now = Key::Clock::now();
  EXPECT_TRUE(key.begin(now, &after));
  key.spend_tokens(90, now);
  EXPECT_FALSE(key.begin(now, &after));
  EXPECT_EQ(after, 31s);
  EXPECT_TRUE(key.begin(now + 32s, &after));
}

TEST_F(ServeKeys, LimitTheRequestsAtATime) {
  Key& key = *keys_->find(add("anna", Role::kInfer, {.parallel = 1}));
  std::chrono::seconds after{0};
  auto hold = key.begin(Key::Clock::now(), &after);
  ASSERT_TRUE(hold);
  EXPECT_FALSE(key.begin(Key::Clock::now(), &after));
  (*hold)->end();
  EXPECT_TRUE(key.begin(Key::Clock::now(), &after));
}

TEST_F(ServeKeys, WithoutOneThisMachineIsAdminAndOthersAreNobody) {
  EXPECT_EQ(ask({}, "127.0.0.1")->role, Role::kAdmin);
  EXPECT_EQ(ask({{"Authorization", "Bearer ollama"}}, "127.0.0.1")->role, Role::kAdmin) << "a client's dummy";
  EXPECT_EQ(ask({}, "10.0.0.5")->role, Role::kAnyone);
  EXPECT_EQ(ask({}, "10.0.0.5", {.open = true})->role, Role::kInfer);
  EXPECT_EQ(ask({{"Host", "evil.example"}}, "127.0.0.1")->role, Role::kAnyone) << "a page led its reader here";
}

TEST_F(ServeKeys, WhereThereAreSomeAWrongOneIsRefusedOnThisMachineToo) {
  add("anna");
  for (const char* header : {"x-api-key", "Authorization"}) {
    const std::string wrong = header == std::string_view("x-api-key") ? "ollama" : "Bearer ollama";
    const auto client = ask({{header, wrong}}, "127.0.0.1");
    ASSERT_FALSE(client) << header;
    EXPECT_EQ(client.error().kind, ErrorKind::kRefused);
  }
  EXPECT_EQ(ask({}, "127.0.0.1")->role, Role::kAdmin);
  EXPECT_EQ(ask({{"Authorization", "Bearer "}, {"x-api-key", ""}}, "127.0.0.1")->role, Role::kAdmin) << "none";
  EXPECT_EQ(ask({{"Authorization", "Basic dXNlcjpwYXNz"}}, "127.0.0.1")->role, Role::kAdmin) << "no key either";
}

TEST_F(ServeKeys, AProxyOnThisMachineDoesNotMakeItsClientsLocal) {
  const http::Headers forwarded = {{"X-Forwarded-For", "203.0.113.9"}};
  EXPECT_EQ(ask(forwarded, "127.0.0.1")->role, Role::kAnyone);
  EXPECT_EQ(ask(forwarded, "127.0.0.1")->address, "127.0.0.1") << "anybody can write that";
  const AccessRules rules{.trusted_proxies = {"127.0.0.0/8", "10.0.0.0/8"}};
  EXPECT_EQ(ask(forwarded, "127.0.0.1", rules)->address, "203.0.113.9");
  EXPECT_EQ(ask({{"X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.1"}}, "127.0.0.1", rules)->address, "203.0.113.9");
  EXPECT_EQ(ask({{"X-Forwarded-For", "nonsense"}}, "127.0.0.1", rules)->address, "127.0.0.1");
}

TEST_F(ServeKeys, AKeyBringsItsRoleInEitherHeader) {
  const std::string text = add("anna", Role::kManage);
  for (const http::Header& header :
       {http::Header{"Authorization", "Bearer " + text}, http::Header{"X-Api-Key", text}}) {
    const auto client = ask({header}, "10.0.0.5");
    ASSERT_TRUE(client) << client.error().message;
    EXPECT_EQ(client->role, Role::kManage);
    EXPECT_EQ(client->user, "key anna");
  }
  EXPECT_EQ(ask({{"Authorization", "Bearer " + text}}, "127.0.0.1")->role, Role::kManage) << "here too";
  const http::Headers both = {{"Authorization", "Bearer dummy"}, {"x-api-key", text}};
  EXPECT_EQ(ask(both, "10.0.0.5")->user, "key anna") << "one of two is enough";
  ASSERT_TRUE(keys_->revoke("anna"));
  EXPECT_EQ(ask({{"Authorization", "Bearer " + text}}, "127.0.0.1").error().kind, ErrorKind::kRefused);
  EXPECT_EQ(ask({{"Authorization", "Bearer local-secret"}}, "10.0.0.5")->role, Role::kAdmin);
}

}  // namespace
}  // namespace hearth::serve
