#include "serve/registry_routes.h"

#include <boost/json.hpp>
#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/manifest.h"
#include "store/ollama_models.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr size_t kPiece_bytes = 256 << 10;

// The form of https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes.
http::Response problem(unsigned status, const char* code, const std::string& message) {
  const json::object body{{"errors", json::array{json::object{{"code", code}, {"message", message}}}}};
  return {{.status = status, .headers = {{"Content-Type", "application/json"}}}, json::serialize(body)};
}

// SPACE/MODEL/manifests/TAG of the path after /v2/.
struct Target {
  std::string name, kind, reference;
};
std::optional<Target> parse_target(const std::string& rest) {
  const size_t last = rest.rfind('/');
  const size_t middle = last == std::string::npos || last == 0 ? last : rest.rfind('/', last - 1);
  if (last == std::string::npos || middle == std::string::npos) return std::nullopt;
  return Target{rest.substr(0, middle), rest.substr(middle + 1, last - middle - 1), rest.substr(last + 1)};
}

// The manifest's path; models of other registries are offered under their own names: host/space/model.
std::optional<std::string> find_manifest(const Target& target) {
  const auto name = store::ModelName::parse(target.name + ":" + target.reference);
  if (!name) return std::nullopt;
  for (const std::string& folder : store::model_folders())
    if (auto path = store::find_manifest(folder, *name)) return path;
  return std::nullopt;
}

void send_manifest(const Target& target, const api::Call& call) {
  const auto path = find_manifest(target);
  auto text = path ? read_file(*path) : Result<std::string>(error(ErrorKind::kNotFound, "manifest unknown"));
  if (!text) return call.exchange->send(problem(404, "MANIFEST_UNKNOWN", "manifest unknown"));
  call.exchange->send({{.status = 200,
                        .headers = {{"Content-Type", "application/vnd.docker.distribution.manifest.v2+json"},
                                    {"Docker-Content-Digest", "sha256:" + sha256_hex(*text)}}},
                       *std::move(text)});
}

// Sends a part of a file as fast as the client reads. On a thread of the server's that is told of room.
class FileSender : public std::enable_shared_from_this<FileSender> {
 public:
  FileSender(InputFile file, uint64_t from, uint64_t bytes, const api::Call& call, Workers& workers)
      : file_(std::move(file)),
        at_(from),
        end_(from + bytes),
        exchange_(call.exchange),
        user_(call.caller.user),
        workers_(workers) {}

  // A few pieces at a time: others want the thread too.
  void run() {
    std::string piece;
    for (int i = 0; i < kPieces_a_turn && at_ < end_; ++i) {
      if (exchange_->gone()) return;
      if (exchange_->full()) return exchange_->on_drained([self = shared_from_this()] { self->come_again(); });
      piece.resize(std::min<uint64_t>(kPiece_bytes, end_ - at_));
      if (const Status read = file_.read(at_, std::as_writable_bytes(std::span(piece))); !read) {
        log_warn("a blob that was being sent: {}", read.error().message);
        return exchange_->abort();
      }
      at_ += piece.size();
      exchange_->write(piece);
    }
    if (at_ == end_) return exchange_->finish();
    come_again();
  }

 private:
  static constexpr int kPieces_a_turn = 64;
  void come_again() {
    if (!workers_.post(user_, [self = shared_from_this()] { self->run(); })) exchange_->abort();
  }

  InputFile file_;
  uint64_t at_, end_;
  const std::shared_ptr<http::Exchange> exchange_;
  const std::string user_;
  Workers& workers_;
};

void send_blob(const Target& target, const api::Call& call, Workers& workers) {
  const http::RequestHead& request = call.request.head;
  if (!store::is_digest(target.reference)) return call.exchange->send(problem(400, "DIGEST_INVALID", "invalid digest"));
  for (const std::string& folder : store::model_folders()) {
    auto file = InputFile::open(store::blob_path(folder, target.reference));
    if (!file) continue;
    const uint64_t bytes = file->size();
    const auto range = parse_byte_range(request.headers.get("Range"), bytes);
    if (!range) {
      http::Response refusal = problem(416, "RANGE_INVALID", range.error().message);
      refusal.head.headers.add("Content-Range", fmt::format("bytes */{}", bytes));
      return call.exchange->send(std::move(refusal));
    }
    const uint64_t first = *range ? (*range)->first : 0, count = *range ? (*range)->last - first + 1 : bytes;
    http::ResponseHead head{.status = *range ? 206u : 200u,
                            .headers = {{"Content-Type", "application/octet-stream"},
                                        {"Accept-Ranges", "bytes"},
                                        {"Docker-Content-Digest", target.reference}}};
    if (*range) head.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", first, (*range)->last, bytes));
    head.content_length = count;
    call.exchange->start(std::move(head));
    if (request.method == "HEAD") return call.exchange->finish();
    return std::make_shared<FileSender>(*std::move(file), first, count, call, workers)->run();
  }
  call.exchange->send(problem(404, "BLOB_UNKNOWN", "blob unknown to registry"));
}

}  // namespace

Result<std::optional<ByteRange>> parse_byte_range(std::string_view header, uint64_t bytes) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit) || header.find(',') != std::string_view::npos) return std::optional<ByteRange>();
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::optional<ByteRange>();
  const auto number = [](std::string_view text) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
  };
  const auto first = number(header.substr(0, dash)), last = number(header.substr(dash + 1));
  const bool open = dash + 1 == header.size(), suffix = dash == 0;
  if ((!first && !suffix) || (!last && !open) || (suffix && open)) return std::optional<ByteRange>();
  const auto outside = error(ErrorKind::kUsage, "the range lies outside of the {} bytes", bytes);
  if (suffix) {
    if (*last == 0 || bytes == 0) return outside;
    return std::optional(ByteRange{bytes - std::min(*last, bytes), bytes - 1});
  }
  if (*first >= bytes || (last && *last < *first)) return outside;
  return std::optional(ByteRange{*first, last ? std::min(*last, bytes - 1) : bytes - 1});
}

void add_registry_routes(api::Router& router, Workers& workers) {
  router.add({.method = "GET", .path = "/v2/", .run = [](const api::Call& call) {
                call.exchange->send({{.status = 200,
                                      .headers = {{"Content-Type", "application/json"},
                                                  {"Docker-Distribution-API-Version", "registry/2.0"}}},
                                     "{}"});
              }});
  router.add({.method = "GET", .path = "/v2/*", .run = [&workers](const api::Call& call) {
                const auto target = parse_target(call.rest);
                if (target && target->kind == "manifests") return send_manifest(*target, call);
                if (target && target->kind == "blobs") return send_blob(*target, call, workers);
                call.exchange->send(problem(404, "NAME_UNKNOWN", "there is no such thing here"));
              }});
}

}  // namespace hearth::serve
