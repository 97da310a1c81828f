// Who may ask for what: keys with roles and limits, kept as hashes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/router.h"
#include "state/database.h"

namespace hearth::serve {

using api::Role;
std::string role_text(Role role);
Result<Role> parse_role(std::string_view text);  // "infer", "manage" or "admin"

struct KeyLimits {
  uint32_t requests_per_minute = 0, tokens_per_minute = 0, parallel = 0;  // 0: no limit
  std::vector<std::string> models = {};                                   // none: all
  int32_t priority = 0;                                                   // what its requests have, and at most
  bool isolated = false;                                                  // shares no computed prefixes with others
};

struct KeyInfo {
  std::string name;
  Role role = Role::kInfer;
  int64_t created = 0;  // seconds since 1970
  KeyLimits limits = {};
};

// A key in use. Any thread.
class Key {
 public:
  using Clock = std::chrono::steady_clock;
  Key(KeyInfo its_info, std::string its_hash) : info(std::move(its_info)), hash(std::move(its_hash)) {}

  const KeyInfo info;
  const std::string hash;

  // A place among the requests that run at a time, until end(), or until it goes.
  class Hold {
   public:
    explicit Hold(std::shared_ptr<std::atomic<uint32_t>> running) : running_(std::move(running)) { ++*running_; }
    ~Hold() { end(); }
    Hold(const Hold&) = delete;
    void end() {
      if (!ended_.exchange(true)) --*running_;
    }

   private:
    const std::shared_ptr<std::atomic<uint32_t>> running_;
    std::atomic<bool> ended_{false};
  };

  // One request more. Errors: kBusy, with what is used up; then `retry_after` tells when to come
  // again.
  Result<std::shared_ptr<Hold>> begin(Clock::time_point now, std::chrono::seconds* retry_after);
  void spend_tokens(uint64_t tokens, Clock::time_point now);
  bool may_use(std::string_view model) const;  // by its name with tag, or without ":latest"

 private:
  // What is left of a minute's allowance; tokens are counted when they have been used, so it may be below zero.
  struct Bucket {
    double left = 0;
    Clock::time_point since = {};
    bool begun = false;
    void fill(double per_minute, Clock::time_point now);
  };
  std::mutex mutex_;
  Bucket requests_, tokens_;
  std::shared_ptr<std::atomic<uint32_t>> running_ = std::make_shared<std::atomic<uint32_t>>(0);
};

class Keys {
 public:
  // Of a database whose schema is kKey_schema's. Errors: those of the database.
  static Result<std::unique_ptr<Keys>> load(state::Database database);

  // The key's text, which is told this once. Errors: kUsage: the name is taken, or none.
  Result<std::string> add(KeyInfo info);
  std::vector<KeyInfo> list() const;  // by name
  // Errors: kNotFound.
  Status revoke(const std::string& name);
  // Null if there is none. Takes the same time whatever the text is.
  std::shared_ptr<Key> find(std::string_view text) const;
  bool empty() const;
  // Errors: kIo.
  Status back_up(const std::string& path);

  // What texts of keys begin with, by which a mistyped one is told from the dummies that clients send.
  static constexpr std::string_view kPrefix = "hearth-";

 private:
  explicit Keys(state::Database database) : database_(std::move(database)) {}
  Status read();

  mutable std::mutex mutex_;
  state::Database database_;
  std::map<std::string, std::shared_ptr<Key>> keys_;
};

// Text of a new key: too long to be guessed. Errors: kIo.
Result<std::string> new_secret();

extern const std::vector<const char*> kState_schema;

}  // namespace hearth::serve
