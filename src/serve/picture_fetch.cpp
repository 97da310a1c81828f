#include "serve/picture_fetch.h"

#include <algorithm>
#include <mutex>

#include "base/error.h"
#include "base/outside_text.h"
#include "config/network.h"
#include "config/origin.h"
#include "http/client.h"
#include "serve/pictures.h"

namespace hearth::serve {
namespace {

constexpr unsigned kOk = 200;

// Whether it may be fetched, by its site.
Status check_site_of(const std::string& url, const PictureSites& sites) {
  const std::string origin = origin_of(url);
  if (origin.empty())
    return error(ErrorKind::kUsage, "{} is no plain address of a picture; write https://host/path", printable(url));
  const auto meant = [&](const std::string& site) { return config::is_meant(site, origin); };
  if (std::ranges::any_of(sites.sites, meant)) return {};
  return error(ErrorKind::kUsage,
               "pictures of {} are not fetched here, only of {}; send the picture itself, as a data: URL or base64",
               printable(origin), fmt::join(sites.sites, ", "));
}

Error as_usage(const Error& cause) {
  switch (cause.kind) {
    case ErrorKind::kNoMemory:
    case ErrorKind::kUnsupported:
    case ErrorKind::kCancelled:
    case ErrorKind::kUsage:
      return cause;
    default:
      return error(ErrorKind::kUsage, "it cannot be fetched: {}", printable(cause.message));
  }
}

// A request whose pictures are being fetched, or that goes its way since they are there.
struct Fetching {
  std::mutex mutex;
  bool cancelled = false;
  api::Cancel cancel_answer;

  void cancel() {
    std::unique_lock lock(mutex);
    cancelled = true;
    const api::Cancel further = cancel_answer;
    lock.unlock();
    if (further) further();
  }
  bool is_cancelled() {
    const std::lock_guard lock(mutex);
    return cancelled;
  }
  void goes_on(api::Cancel cancel_it) {
    std::unique_lock lock(mutex);
    cancel_answer = cancel_it;
    const bool late = cancelled;
    lock.unlock();
    if (late && cancel_it) cancel_it();
  }
};

void refuse(const api::AnswerSink& sink, const Error& error) {
  sink({.end = api::AnswerEnd{.reason = api::AnswerEnd::Reason::kError, .error = error}});
}

Status fetch_all(api::AnswerRequest& request, const PictureSites& sites, const std::function<bool()>& ends) {
  const auto addresses = request.pictures.addresses();
  for (const auto& [index, url] : addresses) {
    PictureSites now = sites;
    if (const auto deadline = request.caller.deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return error(ErrorKind::kTimeout, "the request's pictures were not there in its time");
      now.patience = std::min(now.patience, left);
    }
    auto file = fetch_picture(url, now, ends);
    if (!file) return Error{file.error().kind, fmt::format("picture {}: {}", index + 1, file.error().message)};
    request.pictures.fetched(index, std::move(*file));
  }
  return {};
}

}  // namespace

PictureSites picture_sites(const std::vector<std::string>& sites) {
  PictureSites all{.sites = sites, .may_connect = config::is_public};
  for (std::string& site : all.sites)
    if (site.ends_with('/')) site.pop_back();
  return all;
}

std::string origin_of(std::string_view url) {
  std::string_view scheme, usual_port;
  for (const auto& [name, port] : {std::pair{"http://", ":80"}, {"https://", ":443"}})
    if (url.starts_with(name)) scheme = name, usual_port = port;
  if (scheme.empty()) return {};
  url.remove_prefix(scheme.size());
  std::string_view host = url.substr(0, url.find_first_of("/?#"));
  if (host.ends_with(usual_port)) host.remove_suffix(usual_port.size());
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]_";
  const auto visible = [](unsigned char c) { return c > ' ' && c != 0x7f && c != '\\'; };
  if (host.empty() || host.find_first_not_of(kPlain) != std::string_view::npos || !std::ranges::all_of(url, visible))
    return {};
  std::string origin = std::string(scheme) + std::string(host);
  std::ranges::transform(origin, origin.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return origin;
}

Result<std::string> fetch_picture(const std::string& url, const PictureSites& sites,
                                  const std::function<bool()>& ends) {
  TRY(check_site_of(url, sites));
  http::ClientRequest request{.url = url, .most_body_bytes = sites.most_bytes, .total = sites.patience};
  request.connect = std::min(request.connect, sites.patience);
  request.ends = ends;
  request.may_connect = sites.may_connect;
  request.follows = [&](const std::string& next) { return check_site_of(next, sites); };
  auto response = http::fetch(request);
  if (!response) return as_usage(response.error());
  if (response->head.status != kOk)
    return error(ErrorKind::kUsage, "it cannot be fetched: {} answers with status {}", printable(url),
                 response->head.status);
  return std::move(response->body);
}

std::shared_ptr<api::Service> with_pictures(const std::shared_ptr<api::Service>& service,
                                            const Current<PictureSites>& sites, LongWork& fetches) {
  auto result = std::make_shared<api::Service>(*service);
  result->answer = [service, &sites, &fetches](api::AnswerRequest asked, api::AnswerSink sink) -> api::Cancel {
    if (asked.pictures.addresses().empty()) return service->answer(std::move(asked), std::move(sink));
    const std::shared_ptr<const PictureSites> allowed = sites.get();
    if (allowed->sites.empty()) {
      refuse(sink, not_fetched(asked.pictures.addresses().begin()->first));
      return {};
    }
    const auto fetching = std::make_shared<Fetching>();
    const auto request = std::make_shared<api::AnswerRequest>(std::move(asked));
    const auto started = fetches.start([=](const std::atomic<bool>& ends) {
      const Status status = fetch_all(*request, *allowed, [&] { return ends || fetching->is_cancelled(); });
      if (!status) return refuse(sink, status.error());
      fetching->goes_on(service->answer(std::move(*request), sink));
    });
    if (!started) refuse(sink, error(ErrorKind::kBusy, "too many pictures are being fetched; try again later"));
    return [fetching] { fetching->cancel(); };
  };
  return result;
}

}  // namespace hearth::serve
