// Who a request comes from, and what he may do.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http/message.h"
#include "serve/keys.h"

namespace hearth::serve {

struct Client {
  Role role = Role::kAnyone;
  std::string user = {};               // whose turn it is: the key, else the address
  std::string address = {};            // behind proxies that are trusted
  std::shared_ptr<Key> key = nullptr;  // null: none
};

struct AccessRules {
  bool open = false;                              // who has no key may infer, wherever he is
  std::vector<std::string> trusted_proxies = {};  // see config::in_networks()
};

class Access {
 public:
  // `keys` may be null: there are none, and none can be made. `local_key`: what the commands of this machine's
  // administrator send.
  Access(Keys* keys, std::string local_key) : keys_(keys), local_key_(std::move(local_key)) {}

  // Who has no key is admin on this machine (unless a proxy stands between, or the request was led here under a name
  // that is not this machine's), may infer where the server is open, and else has the role kAnyone. Errors: kRefused, a
  // key that is not known, where there are keys; without any, only what begins like one of ours is taken for one.
  Result<Client> identify(const http::RequestHead& head, const AccessRules& rules) const;

  Keys* keys() const { return keys_; }

 private:
  Keys* const keys_;
  const std::string local_key_;
};

// The address of who has sent the request: the last one in X-Forwarded-For that no trusted proxy has.
std::string client_address(const http::RequestHead& head, const std::vector<std::string>& trusted_proxies);

// What a request of a key's may ask of the service: only the key's models (others are not there for it), with its
// priority and its part of the cache; what it uses is counted.
std::shared_ptr<const api::Service> with_limits(std::shared_ptr<const api::Service> service);

}  // namespace hearth::serve
