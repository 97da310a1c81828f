#include "store/verify.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/manifest.h"
#include "store/model_name.h"
#include "store/ollama_models.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRead_bytes = 1 << 20;
constexpr uint64_t kAhead_bytes = 16 << 20;
constexpr std::chrono::milliseconds kLook{100};

struct Item {
  std::string path, digest;
  uint64_t bytes = 0;
  std::vector<std::string> models;
};

// The largest first, so that no thread begins one when the others are done.
std::vector<Item> items_of(const std::string& folder) {
  std::map<std::string, Item> by_digest;
  std::error_code failed;
  for (fs::directory_iterator it(fs::path(folder) / "blobs", failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    std::error_code no_size;
    if (!is_digest(name)) continue;
    const uintmax_t bytes = fs::file_size(it->path(), no_size);
    by_digest[plain_digest(name)] = {it->path().string(), plain_digest(name), no_size ? 0 : bytes, {}};
  }
  const std::string folders[] = {folder};
  for (const std::string& model : list_models(folders)) {
    const auto name = ModelName::parse(model);
    const auto manifest = name ? find_manifest(folder, *name) : std::nullopt;
    const auto digests = manifest ? digests_of(*manifest) : Result<std::set<std::string>>(std::set<std::string>());
    if (!digests) continue;
    for (const std::string& digest : *digests) {
      Item& item = by_digest[plain_digest(digest)];
      if (item.path.empty()) item = {blob_path(folder, digest), plain_digest(digest), 0, {}};
      item.models.push_back(model);
    }
  }
  std::vector<Item> items;
  for (auto& [digest, item] : by_digest) items.push_back(std::move(item));
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.bytes > b.bytes; });
  return items;
}

class Verifier {
 public:
  Verifier(std::vector<Item> items, const std::function<Status(uint64_t, uint64_t)>& progress)
      : items_(std::move(items)), progress_(progress) {
    for (const Item& item : items_) total_ += item.bytes;
  }

  Result<Verified> run(int threads) {
    running_ = std::max(1, threads);
    std::vector<std::thread> workers;
    for (int i = 0; i < running_; ++i) workers.emplace_back([this] { work(); });
    Status told;
    for (std::unique_lock lock(mutex_); !done_.wait_for(lock, kLook, [&] { return working_done_ == running_; });) {
      lock.unlock();
      if (told && progress_) told = progress_(read_, total_);
      if (!told) stops_ = true;
      lock.lock();
    }
    for (std::thread& worker : workers) worker.join();
    if (!told) return told.error();
    if (progress_) TRY(progress_(read_, total_));
    return std::move(result_);
  }

 private:
  void work() {
    for (size_t i = next_++; i < items_.size() && !stops_; i = next_++) check(items_[i]);
    const std::lock_guard lock(mutex_);
    ++working_done_;
    done_.notify_all();
  }

  void check(const Item& item) {
    std::string why;
    const auto hash = hash_of(item);
    if (!hash)
      why = hash.error().kind == ErrorKind::kNotFound ? "is missing" : "cannot be read: " + hash.error().message;
    else if ("sha256:" + *hash != item.digest)
      why = "has another content than its name says";
    const std::lock_guard lock(mutex_);
    ++result_.files;
    result_.bytes += item.bytes;
    if (!why.empty() && !stops_) result_.damages.push_back({item.path, item.digest, std::move(why), item.models});
  }

  Result<std::string> hash_of(const Item& item) {
    ASSIGN_OR_RETURN(const InputFile file, InputFile::open(item.path));
    std::vector<std::byte> buffer(kRead_bytes);
    Sha256 hash;
    for (uint64_t at = 0; at < file.size() && !stops_;) {
      const std::span<std::byte> part(buffer.data(), std::min<uint64_t>(buffer.size(), file.size() - at));
      if (at % kAhead_bytes == 0) file.read_ahead(at + kAhead_bytes, kAhead_bytes);
      TRY(file.read(at, part));
      hash.add(part);
      at += part.size();
      read_ += part.size();
    }
    return hash.hex();
  }

  const std::vector<Item> items_;
  const std::function<Status(uint64_t, uint64_t)>& progress_;
  uint64_t total_ = 0;
  std::atomic<size_t> next_ = 0;
  std::atomic<uint64_t> read_ = 0;
  std::atomic<bool> stops_ = false;
  std::mutex mutex_;
  std::condition_variable done_;
  int running_ = 0, working_done_ = 0;
  Verified result_;
};

}  // namespace

Result<Verified> verify_store(const std::string& folder, int threads,
                              const std::function<Status(uint64_t done, uint64_t total)>& progress) {
  return Verifier(items_of(folder), progress).run(threads);
}

}  // namespace hearth::store
