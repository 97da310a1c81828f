#include "serve/access.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "config/network.h"
#include "config/table.h"
#include "serve/origins.h"

namespace hearth::serve {
namespace {

// "Authorization: Bearer KEY" as OpenAI's clients have it, "x-api-key: KEY" as Anthropic's; some send both, and mean
// one.
std::vector<std::string_view> keys_of(const http::RequestHead& head) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view bearer = head.headers.get("Authorization");
  const bool is_bearer =
      bearer.size() > kScheme.size() && same_ignoring_case(bearer.substr(0, kScheme.size()), kScheme);
  bearer = is_bearer ? config::trimmed(bearer.substr(kScheme.size())) : std::string_view();
  std::vector<std::string_view> texts = {bearer, config::trimmed(head.headers.get("x-api-key"))};
  std::erase_if(texts, [](std::string_view text) { return text.empty(); });
  return texts;
}

bool came_through_proxy(const http::RequestHead& head) {
  return std::ranges::any_of(std::initializer_list<const char*>{"X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"},
                             [&](const char* name) { return head.headers.find(name) != nullptr; });
}

bool equal(std::string_view a, std::string_view b) {
  return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string client_address(const http::RequestHead& head, const std::vector<std::string>& trusted_proxies) {
  std::string address = head.remote_address;
  std::string list;  // of several headers, one after another
  for (const http::Header& header : head.headers)
    if (same_ignoring_case(header.name, "X-Forwarded-For")) list += (list.empty() ? "" : ",") + header.value;
  std::string_view rest = list;
  while (!rest.empty() && config::in_networks(address, trusted_proxies)) {
    const size_t comma = rest.rfind(',');
    const size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
    const std::string_view entry = config::trimmed(rest.substr(begin));
    if (!config::check_network(entry)) break;  // no address: who stands before it is not known
    address = entry;
    rest = rest.substr(0, comma == std::string_view::npos ? 0 : comma);
  }
  return address;
}

Result<Client> Access::identify(const http::RequestHead& head, const AccessRules& rules) const {
  Client client{.address = client_address(head, rules.trusted_proxies)};
  client.user = client.address;
  const std::vector<std::string_view> texts = keys_of(head);
  for (const std::string_view text : texts) {
    if (equal(text, local_key_)) {
      client.role = Role::kAdmin;
      return client;
    }
    if (keys_ != nullptr) client.key = keys_->find(text);
    if (!client.key) continue;
    client.role = client.key->info.role;
    client.user = "key " + client.key->info.name;
    return client;
  }
  // Where there are no keys, clients send whatever their makers took for one. Ours is meant as one everywhere.
  const bool keys_exist = keys_ != nullptr && !keys_->empty();
  if (std::ranges::any_of(texts, [&](auto text) { return keys_exist || text.starts_with(Keys::kPrefix); })) {
    return error(ErrorKind::kRefused,
                 "the key is not known here; it may have been revoked, or there is a typing error");
  }
  const bool local = head.remote_loopback && !came_through_proxy(head) && host_allowed(head.headers.get("Host"));
  client.role = local ? Role::kAdmin : rules.open ? Role::kInfer : Role::kAnyone;
  return client;
}

namespace {

Error no_such_model(const std::string& model) {
  return error(ErrorKind::kNotFound, "there is no model '{}' for this key", model);
}

class Limited {
 public:
  explicit Limited(std::shared_ptr<const api::Service> service) : service_(std::move(service)) {}

  api::Cancel answer(api::AnswerRequest request, api::AnswerSink sink) const {
    const std::shared_ptr<Key> key = key_of(request.caller);
    if (!key) return service_->answer(std::move(request), std::move(sink));
    if (!key->may_use(request.model)) {
      api::AnswerEvent refusal;
      refusal.end.emplace();
      refusal.end->reason = api::AnswerEnd::Reason::kError;
      refusal.end->error = no_such_model(request.model);
      sink(refusal);
      return {};
    }
    const KeyLimits& limits = key->info.limits;
    request.priority = request.priority == 0 ? limits.priority : std::min<int>(request.priority, limits.priority);
    if (limits.isolated) request.cache_salt = "key " + key->info.name + '\n' + request.cache_salt;
    // The place is free before the client knows the end and asks again.
    const auto left = std::make_shared<std::atomic<uint32_t>>(std::max(1u, request.count));
    const auto hold = hold_of(request.caller);
    return service_->answer(std::move(request),
                            [key, hold, left, sink = std::move(sink)](const api::AnswerEvent& event) {
                              if (event.end) spend(*key, event.end->usage);
                              if (event.end && (event.end->error || --*left == 0)) hold->end();
                              sink(event);
                            });
  }

  api::Cancel embed(api::EmbedRequest request, std::function<void(Result<api::Embeddings>)> done) const {
    const std::shared_ptr<Key> key = key_of(request.caller);
    if (!key) return service_->embed(std::move(request), std::move(done));
    if (!key->may_use(request.model)) {
      done(no_such_model(request.model));
      return {};
    }
    const auto hold = hold_of(request.caller);
    return service_->embed(std::move(request), [key, hold, done = std::move(done)](Result<api::Embeddings> made) {
      if (made) spend(*key, made->usage);
      hold->end();
      done(std::move(made));
    });
  }

  api::Cancel load(api::LoadRequest request, std::function<void(Status)> done) const {
    const std::shared_ptr<Key> key = key_of(request.caller);
    if (!key || key->may_use(request.model)) return service_->load(std::move(request), std::move(done));
    done(no_such_model(request.model));
    return {};
  }

 private:
  static std::shared_ptr<Key> key_of(const api::Caller& caller) {
    return std::static_pointer_cast<Key>(caller.key_in_use);
  }
  static std::shared_ptr<Key::Hold> hold_of(const api::Caller& caller) {
    return std::static_pointer_cast<Key::Hold>(caller.hold);
  }
  static void spend(Key& key, const api::Usage& usage) {
    key.spend_tokens(uint64_t{usage.prompt_tokens} + usage.generated_tokens, Key::Clock::now());
  }

  const std::shared_ptr<const api::Service> service_;
};

}  // namespace

std::shared_ptr<const api::Service> with_limits(std::shared_ptr<const api::Service> service) {
  auto result = std::make_shared<api::Service>(*service);
  const auto limited = std::make_shared<const Limited>(std::move(service));
  if (result->answer) {
    result->answer = [limited](api::AnswerRequest request, api::AnswerSink sink) {
      return limited->answer(std::move(request), std::move(sink));
    };
  }
  if (result->embed) {
    result->embed = [limited](api::EmbedRequest request, std::function<void(Result<api::Embeddings>)> done) {
      return limited->embed(std::move(request), std::move(done));
    };
  }
  if (result->load) {
    result->load = [limited](api::LoadRequest request, std::function<void(Status)> done) {
      return limited->load(std::move(request), std::move(done));
    };
  }
  return result;
}

}  // namespace hearth::serve
