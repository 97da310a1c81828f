// Pictures that requests name by address: fetched from sites that the configuration names, never from a private
// network.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/service.h"
#include "base/current.h"
#include "serve/long_work.h"

namespace hearth::serve {

struct PictureSites {
  std::vector<std::string> sites;  // each checked by config::check_site()
  std::function<bool(const std::string& address)> may_connect;
  std::chrono::milliseconds patience{20'000};  // for one picture
  uint64_t most_bytes = 64u << 20;             // of one; image::Limits has no more
};
PictureSites picture_sites(const std::vector<std::string>& sites);  // at public addresses

// "scheme://host[:port]" in small letters, without the port that is usual; empty where the URL is not plainly of http
// or https: it has a user, say, or what programs read in different ways.
std::string origin_of(std::string_view url);

// What is at an address. Errors: kUsage, naming it, that tell what to do.
Result<std::string> fetch_picture(const std::string& url, const PictureSites& sites, const std::function<bool()>& ends);

// The service, but that answers with addresses wait until these are fetched, on threads of `fetches`.
std::shared_ptr<api::Service> with_pictures(const std::shared_ptr<api::Service>& service,
                                            const Current<PictureSites>& sites, LongWork& fetches);

}  // namespace hearth::serve
