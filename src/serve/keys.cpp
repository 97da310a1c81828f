#include "serve/keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include <array>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "base/outside_text.h"
#include "base/text.h"

namespace hearth::serve {
namespace {

constexpr size_t kSecret_bytes = 32;  // too many to guess, so that a plain hash keeps them
constexpr std::string_view kRoles[] = {"anyone", "infer", "manage", "admin"};

// URL-safe, without padding (RFC 4648, section 5).
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) text += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kDigits[bits << (6 - count) & 63];
  return text;
}

std::string hash_of(std::string_view text) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

Status check_name(const std::string& name) {
  constexpr size_t kMost = 80;
  const bool good = !name.empty() && name.size() <= kMost && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '@';
  });
  if (good) return {};
  return error(ErrorKind::kUsage, "\"{}\" is no name of a key: at most {} letters, digits, and . _ - @",
               printable(name), kMost);
}

std::string without_latest(std::string_view model) {
  constexpr std::string_view kLatest = ":latest";
  return std::string(model.ends_with(kLatest) ? model.substr(0, model.size() - kLatest.size()) : model);
}

}  // namespace

Result<std::string> new_secret() {
  std::string bytes(kSecret_bytes, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return error(ErrorKind::kIo, "the system gives no random numbers");
  return std::string(Keys::kPrefix) + base64(bytes);
}

const std::vector<const char*> kState_schema = {
    "CREATE TABLE keys (name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, role TEXT NOT NULL, created INTEGER NOT NULL,"
    " requests_per_minute INTEGER NOT NULL, tokens_per_minute INTEGER NOT NULL, parallel INTEGER NOT NULL,"
    " models TEXT NOT NULL, priority INTEGER NOT NULL, isolated INTEGER NOT NULL) STRICT"};

std::string role_text(Role role) {
  return std::string(kRoles[static_cast<size_t>(role)]);
}

Result<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::kInfer, Role::kManage, Role::kAdmin})
    if (role_text(role) == text) return role;
  return error(ErrorKind::kUsage, "\"{}\" is no role; there are infer, manage and admin", printable(text));
}

void Key::Bucket::fill(double per_minute, Clock::time_point now) {
  if (!begun) left = per_minute;
  if (begun) left = std::min(per_minute, left + per_minute * std::chrono::duration<double>(now - since).count() / 60);
  begun = true;
  since = now;
}

Result<std::shared_ptr<Key::Hold>> Key::begin(Clock::time_point now, std::chrono::seconds* retry_after) {
  const KeyLimits& limits = info.limits;
  const auto wait = [&](double missing, double per_minute) {
    *retry_after = std::chrono::seconds(std::max<int64_t>(1, std::llround(std::ceil(missing * 60 / per_minute))));
  };
  const std::lock_guard lock(mutex_);
  if (limits.parallel > 0 && *running_ >= limits.parallel) {
    *retry_after = std::chrono::seconds(1);
    return error(ErrorKind::kBusy, "the key \"{}\" has {} requests that run, which is its limit", info.name,
                 limits.parallel);
  }
  if (limits.tokens_per_minute > 0) {
    tokens_.fill(limits.tokens_per_minute, now);
    if (tokens_.left <= 0) {
      wait(1 - tokens_.left, limits.tokens_per_minute);
      return error(ErrorKind::kBusy, "the key \"{}\" has used its {} tokens per minute", info.name,
                   limits.tokens_per_minute);
    }
  }
  if (limits.requests_per_minute > 0) {
    requests_.fill(limits.requests_per_minute, now);
    if (requests_.left < 1) {
      wait(1 - requests_.left, limits.requests_per_minute);
      return error(ErrorKind::kBusy, "the key \"{}\" has sent its {} requests per minute", info.name,
                   limits.requests_per_minute);
    }
    requests_.left -= 1;
  }
  return std::make_shared<Hold>(running_);
}

void Key::spend_tokens(uint64_t tokens, Clock::time_point now) {
  if (info.limits.tokens_per_minute == 0) return;
  const std::lock_guard lock(mutex_);
  tokens_.fill(info.limits.tokens_per_minute, now);
  tokens_.left -= static_cast<double>(tokens);
}

bool Key::may_use(std::string_view model) const {
  if (info.limits.models.empty()) return true;
  const std::string name = without_latest(model);
  return std::ranges::any_of(info.limits.models, [&](const std::string& allowed) {
    return same_ignoring_case(without_latest(allowed), name);
  });
}

Result<std::unique_ptr<Keys>> Keys::load(state::Database database) {
  std::unique_ptr<Keys> keys(new Keys(std::move(database)));
  TRY(keys->read());
  return keys;
}

Status Keys::read() {
  ASSIGN_OR_RETURN(
      state::Statement rows,
      database_.prepare("SELECT name, hash, role, created, requests_per_minute, tokens_per_minute, parallel, "
                        "models, priority, isolated FROM keys"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return {};
    KeyInfo info{.name = rows.text(0), .created = rows.number(3)};
    ASSIGN_OR_RETURN(info.role, parse_role(rows.text(2)));
    KeyLimits& limits = info.limits;
    limits.requests_per_minute = static_cast<uint32_t>(rows.number(4));
    limits.tokens_per_minute = static_cast<uint32_t>(rows.number(5));
    limits.parallel = static_cast<uint32_t>(rows.number(6));
    const std::string models = rows.text(7);
    for (size_t at = 0; at < models.size();) {
      const size_t comma = std::min(models.find(',', at), models.size());
      limits.models.push_back(models.substr(at, comma - at));
      at = comma + 1;
    }
    limits.priority = static_cast<int32_t>(rows.number(8));
    limits.isolated = rows.number(9) != 0;
    const std::string name = info.name;
    keys_[name] = std::make_shared<Key>(std::move(info), rows.text(1));
  }
}

Result<std::string> Keys::add(KeyInfo info) {
  TRY(check_name(info.name));
  for (const std::string& model : info.limits.models)
    if (model.empty() || model.find(',') != std::string::npos)
      return error(ErrorKind::kUsage, "\"{}\" is no name of a model", printable(model));
  ASSIGN_OR_RETURN(std::string text, new_secret());
  const std::lock_guard lock(mutex_);
  if (keys_.contains(info.name))
    return error(ErrorKind::kUsage, "there is a key \"{}\" already; revoke it first, or take another name", info.name);
  info.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::string hash = hash_of(text);
  ASSIGN_OR_RETURN(state::Statement insert, database_.prepare("INSERT INTO keys VALUES (?,?,?,?,?,?,?,?,?,?)"));
  insert.bind(1, info.name).bind_blob(2, hash).bind(3, role_text(info.role)).bind(4, info.created);
  insert.bind(5, int64_t{info.limits.requests_per_minute}).bind(6, int64_t{info.limits.tokens_per_minute});
  insert.bind(7, int64_t{info.limits.parallel}).bind(8, fmt::format("{}", fmt::join(info.limits.models, ",")));
  insert.bind(9, int64_t{info.limits.priority}).bind(10, int64_t{info.limits.isolated});
  ASSIGN_OR_RETURN([[maybe_unused]] const bool row, insert.step());
  const std::string name = info.name;
  keys_[name] = std::make_shared<Key>(std::move(info), hash);
  return text;
}

std::vector<KeyInfo> Keys::list() const {
  std::vector<KeyInfo> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, key] : keys_) list.push_back(key->info);
  return list;
}

Status Keys::revoke(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!keys_.contains(name)) return error(ErrorKind::kNotFound, "there is no key \"{}\"", printable(name));
  ASSIGN_OR_RETURN(state::Statement remove, database_.prepare("DELETE FROM keys WHERE name = ?"));
  ASSIGN_OR_RETURN([[maybe_unused]] const bool row, remove.bind(1, name).step());
  keys_.erase(name);
  return {};
}

std::shared_ptr<Key> Keys::find(std::string_view text) const {
  const std::string hash = hash_of(text);
  std::shared_ptr<Key> found;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, key] : keys_) {
    if (CRYPTO_memcmp(key->hash.data(), hash.data(), hash.size()) == 0) found = key;
  }
  return found;
}

bool Keys::empty() const {
  const std::lock_guard lock(mutex_);
  return keys_.empty();
}

Status Keys::back_up(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return database_.copy_to(path);
}

}  // namespace hearth::serve
