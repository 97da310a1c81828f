#include "registry/download.h"

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"

namespace hearth::registry {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds kLook{100};
constexpr Milliseconds kMost_pause{60'000};
constexpr size_t kHash_bytes = 1 << 20;

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// "bytes 0-99/1000" (RFC 9110, 14.4).
struct ContentRange {
  uint64_t first = 0, total = 0;
};
std::optional<ContentRange> parse_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t dash = text.find('-'), slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = number(text.substr(0, dash)), total = number(text.substr(slash + 1));
  if (!first || !total) return std::nullopt;
  return ContentRange{*first, *total};
}

class Download {
 public:
  Download(Client& client, const std::string& path, PartialFile& file, const DownloadOptions& options)
      : client_(client), path_(path), file_(file), options_(options) {}

  Result<std::string> run() {
    for (;;) {
      run_connections();
      if (no_ranges_ && !failed_) {  // all anew, in one piece
        no_ranges_ = false;
        in_one_piece_ = true;
        hash_ = {};
        hashed_ = 0;
        file_.restart(true);
        continue;
      }
      break;
    }
    if (failed_) return *failed_;
    TRY(hash_prefix(true));
    return hash_.hex();
  }

 private:
  // Of one try.
  struct Attempt {
    std::optional<Error> fatal;  // of a kind that another try does not help
    bool written = false;
  };

  void run_connections() {
    const int count = in_one_piece_ ? 1 : options_.connections;
    running_ = count;
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    watch();
    for (std::thread& thread : threads) thread.join();
    if (options_.progress) options_.progress(file_.done());
  }

  // On the caller's thread: progress, the hash, and the question whether to go on.
  void watch() {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        if (done_.wait_for(lock, kLook, [&] { return running_ == 0; })) return;
      }
      if (options_.progress) options_.progress(file_.done());
      if (options_.goes_on && !options_.goes_on()) fail(error(ErrorKind::kCancelled, "the pull was ended"));
      if (const Status hashed = hash_prefix(false); !hashed) fail(hashed.error());
    }
  }

  // Not so long at a time that nobody sees progress, unless `all` is wanted.
  Status hash_prefix(bool all) {
    std::vector<std::byte> buffer(kHash_bytes);
    const auto end = std::chrono::steady_clock::now() + kLook;
    for (uint64_t prefix = file_.prefix(); hashed_ < prefix && (all || std::chrono::steady_clock::now() < end);) {
      const std::span<std::byte> part(buffer.data(), std::min<uint64_t>(buffer.size(), prefix - hashed_));
      TRY(file_.read(hashed_, part));
      hash_.add(part);
      hashed_ += part.size();
    }
    return {};
  }

  void work() {
    while (!stops()) {
      const std::optional<size_t> number = file_.take();
      if (!number) break;
      fetch_piece(*number);
      file_.give_back(*number);
    }
    const std::lock_guard lock(mutex_);
    --running_;
    done_.notify_all();
  }

  void fetch_piece(size_t number) {
    int failures = 0;
    while (!stops() && file_.piece(number).missing() > 0) {
      std::string why;
      Milliseconds wait{0};
      const Attempt attempt = fetch(number, why, wait);
      if (stops()) return;
      if (attempt.fatal) return fail(*attempt.fatal);
      if (file_.piece(number).missing() == 0) return;
      failures = attempt.written ? 0 : failures + 1;
      if (failures >= options_.tries)
        return fail(error(ErrorKind::kIo, "{}: {}", client_.host(), why.empty() ? "the connection was cut" : why));
      const Milliseconds usual = options_.pause * (1 << std::clamp(failures - 1, 0, 10));
      pause(std::max(wait, std::min(kMost_pause, usual)));
    }
  }

  Attempt fetch(size_t number, std::string& why, Milliseconds& wait) {
    const Piece piece = file_.piece(number);
    const uint64_t from = piece.begin + piece.done;
    const bool whole = from == 0 && piece.end == file_.total();
    Attempt attempt;
    Client::Ask ask{.path = path_};
    if (!whole) ask.headers.add("Range", fmt::format("bytes={}-{}", from, piece.end - 1));
    ask.goes_on = [this] { return !stops(); };
    ask.head = [&](const http::ResponseHead& head) { return accept(head, from, whole, attempt); };
    ask.take = [&](std::string_view bytes) {
      const Status written = file_.write(number, bytes);
      if (!written)
        attempt.fatal = written.error().kind == ErrorKind::kInvalidData
                            ? error(ErrorKind::kInvalidData, "{} sends more than the {} bytes of the file",
                                    client_.host(), file_.total())
                            : written.error();
      attempt.written = attempt.written || written.ok();
      return written.ok() && !stops();
    };
    const auto answer = client_.ask(ask);
    if (attempt.fatal) return attempt;
    if (!answer) {
      why = answer.error().message;
      if (answer.error().kind == ErrorKind::kRefused || answer.error().kind == ErrorKind::kUnsupported)
        attempt.fatal = answer.error();
      return attempt;
    }
    judge(answer->response, why, wait, attempt);
    return attempt;
  }

  // The head of an answer with content: whether this is the piece that was asked for.
  bool accept(const http::ResponseHead& head, uint64_t from, bool whole, Attempt& attempt) {
    if (head.status != 200 && head.status != 206) return true;
    const auto other_size = [&](uint64_t bytes) {
      attempt.fatal = error(ErrorKind::kInvalidData, "{} has {} bytes in place of the {} that the file should have",
                            client_.host(), bytes, file_.total());
      return false;
    };
    if (head.headers.get("Content-Type").starts_with("text/html")) {
      attempt.fatal = error(
          ErrorKind::kInvalidData,
          "{} answers with a web page in place of the file; is there a login page or a proxy between?", client_.host());
      return false;
    }
    if (head.status == 206) {
      const auto range = parse_range(head.headers.get("Content-Range"));
      if (range && range->total != file_.total()) return other_size(range->total);
      if (range && range->first == from) return true;
      attempt.fatal = error(ErrorKind::kInvalidData, "{} answers with another part of the file", client_.host());
      return false;
    }
    const auto length = number(head.headers.get("Content-Length"));
    if (length && *length != file_.total()) return other_size(*length);
    if (whole) return true;
    no_ranges_ = true;
    return false;
  }

  void judge(const http::Response& response, std::string& why, Milliseconds& wait, Attempt& attempt) {
    const unsigned status = response.head.status;
    if (status >= 200 && status < 300) return;
    why = fmt::format("it answers {}: {}", status, message_of(response));
    const std::string full = fmt::format("{} answers {}: {}", client_.host(), status, message_of(response));
    if (status == 404 || status == 410)
      attempt.fatal =
          error(ErrorKind::kNotFound, "{} does not have the file any more: {}", client_.host(), message_of(response));
    if (status == 401) attempt.fatal = error(ErrorKind::kRefused, "{}", full);
    if (status == 416)
      attempt.fatal = error(ErrorKind::kInvalidData, "{} has less than the {} bytes that the file should have (416)",
                            client_.host(), file_.total());
    // 403: a redirect may have expired; the next try asks for a new one. 429, 5xx: later.
    if (const auto seconds = number(response.head.headers.get("Retry-After")))
      wait = std::min(kMost_pause, Milliseconds(std::min<uint64_t>(*seconds, 60) * 1000));
    const bool later = status == 403 || status == 408 || status == 429 || status >= 500;
    if (!later && !attempt.fatal) attempt.fatal = error(ErrorKind::kIo, "{}", full);
  }

  bool stops() const { return stops_ || no_ranges_; }
  void fail(Error why) {
    const std::lock_guard lock(mutex_);
    if (!failed_) failed_ = std::move(why);
    stops_ = true;
    wake_.notify_all();
  }
  void pause(Milliseconds time) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, time, [&] { return stops(); });
  }

  Client& client_;
  const std::string& path_;
  PartialFile& file_;
  const DownloadOptions& options_;
  Sha256 hash_;
  uint64_t hashed_ = 0;
  bool in_one_piece_ = false;
  std::atomic<bool> stops_ = false, no_ranges_ = false;
  std::mutex mutex_;
  std::condition_variable done_, wake_;
  int running_ = 0;
  std::optional<Error> failed_;
};

}  // namespace

Result<std::string> download(Client& client, const std::string& path, PartialFile& file,
                             const DownloadOptions& options) {
  return Download(client, path, file, options).run();
}

}  // namespace hearth::registry
