#include "registry/pull.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "disk/findings.h"
#include "disk/new_file.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/ollama_models.h"
#include "store/room.h"
#include "store/tiers.h"

namespace hearth::registry {
namespace {

constexpr int kMost_rounds = 3;  // in which another program's deletions are made good
constexpr std::chrono::milliseconds kLook{200};

std::string short_digest(const std::string& digest) {
  return digest.substr(7, 12);
}

class Pull {
 public:
  Pull(const std::string& name, const TransferOptions& options, const ProgressSink& sink)
      : name_(name), options_(options), sink_(sink) {}

  Result<std::string> run() {
    store::watch_tiers();
    ASSIGN_OR_RETURN(const store::Tier tier, store::writable_tier());
    store_ = tier.folder;
    for (const std::string& folder : {store_ + "/blobs", store::partial_folder(store_), store_ + "/manifests"})
      TRY(disk::probe(folder));
    sink_({"pulling manifest"});
    const SourceOptions source{options_.insecure, options_.credentials, options_.goes_on};
    ASSIGN_OR_RETURN(listing_, find_source(name_, source));
    for (int round = 0;; ++round) {
      TRY(fetch_missing());
      ASSIGN_OR_RETURN(const bool written, write_manifest());
      if (written) break;
      if (round + 1 == kMost_rounds)
        return error(ErrorKind::kIo, "another program deletes the files of {} as they arrive", listing_.name.display());
    }
    sink_({"success"});
    return listing_.name.display();
  }

 private:
  bool is_there(const Blob& blob) const {
    struct stat info {};
    const std::string path = store::blob_path(store_, blob.digest);
    if (::stat(path.c_str(), &info) != 0) return false;
    return blob.bytes == 0 || static_cast<uint64_t>(info.st_size) == blob.bytes;  // else it was cut, and comes anew
  }

  Status fetch_missing() {
    std::vector<const Blob*> missing;
    uint64_t bytes = 0;
    for (const Blob& blob : listing_.blobs) {
      if (is_there(blob)) {
        sink_({"pulling " + short_digest(blob.digest), blob.digest, blob.bytes, blob.bytes});
        continue;
      }
      missing.push_back(&blob);
      bytes += blob.bytes - std::min(blob.bytes, begun_bytes(blob));
    }
    if (missing.empty()) return {};
    auto space = disk::reserve(store_, bytes, "pull " + listing_.name.display());
    if (!space) return store::with_ways_out(space.error(), listing_.name.display(), store_, bytes);
    const Status fetched = fetch_all(std::move(missing), *space);
    return fetched ? fetched : Status(store::with_ways_out(fetched.error(), listing_.name.display(), store_, bytes));
  }

  // All space is taken, also the manifest's, before the first of the files is fetched: whoever fills the disk meanwhile
  // is too late. In the order of their digests, so that no two pulls wait for each other.
  Status fetch_all(std::vector<const Blob*> missing, disk::Reservation& space) {
    TRY(stage_manifest());
    std::sort(missing.begin(), missing.end(), [](const Blob* x, const Blob* y) { return x->digest < y->digest; });
    std::vector<std::pair<const Blob*, std::unique_ptr<PartialFile>>> begun;
    for (const Blob* blob : missing) {
      if (blob->text) {
        TRY(put_text(*blob, space));
      } else if (!take_from_other_store(*blob)) {
        ASSIGN_OR_RETURN(std::optional<PartialFile> file, open_partial(*blob));
        if (!file) continue;  // another process has brought it meanwhile
        TRY(file->allocate(space));
        begun.emplace_back(blob, std::make_unique<PartialFile>(*std::move(file)));
      }
    }
    for (auto& [blob, file] : begun) {
      TRY(fetch(*blob, *file));
      file.reset();
    }
    return {};
  }

  Status stage_manifest() {
    if (staged_) return {};
    const std::string path = store::own_folder(store_) + "/manifest-" + sha256_hex(listing_.manifest).substr(0, 16);
    ASSIGN_OR_RETURN(disk::NewFile file,
                     disk::NewFile::create(path, listing_.manifest.size(), "pull " + listing_.name.display()));
    TRY(file.write(listing_.manifest.data(), listing_.manifest.size()));
    staged_.emplace(std::move(file));
    return {};
  }

  // What a partial file has of the disk already.
  uint64_t begun_bytes(const Blob& blob) const {
    struct stat info {};
    const std::string path = store::partial_folder(store_) + "/sha256-" + blob.digest.substr(7);
    return ::stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
  }

  Status fetch(const Blob& blob, PartialFile& file) {
    for (int round = 0;; ++round) {
      ASSIGN_OR_RETURN(const std::string hash, fetch_content(blob, file));
      if ("sha256:" + hash == blob.digest) break;
      const Error wrong =
          error(ErrorKind::kInvalidData, "digest mismatch, file must be downloaded again: want {}, got sha256:{}",
                blob.digest, hash);
      if (round > 0) {
        file.discard();
        return wrong;
      }
      log_warn("{}; it is fetched once more", wrong.message);
      file.restart(false);
    }
    return file.commit(store::blob_path(store_, blob.digest));
  }

  Result<std::string> fetch_content(const Blob& blob, PartialFile& file) {
    const std::string status = "pulling " + short_digest(blob.digest);
    DownloadOptions options = options_.download;
    options.goes_on = options_.goes_on;
    options.progress = [&](uint64_t done) { sink_({status, blob.digest, blob.bytes, done}); };
    ASSIGN_OR_RETURN(std::string hash, download(*listing_.client, blob.path, file, options));
    sink_({status, blob.digest, blob.bytes, blob.bytes});
    return hash;
  }

  // Waits while another process fetches the same; nothing if that one has brought it.
  Result<std::optional<PartialFile>> open_partial(const Blob& blob) {
    for (;;) {
      auto file = PartialFile::open(store::partial_folder(store_), blob.digest, blob.bytes);
      if (file && is_there(blob)) {
        file->discard();
        return std::optional<PartialFile>();
      }
      if (file) return std::optional<PartialFile>(*std::move(file));
      if (file.error().kind != ErrorKind::kBusy) return file.error();
      if (options_.goes_on && !options_.goes_on()) return error(ErrorKind::kCancelled, "the pull was ended");
      for (const PartialInfo& other : list_partials(store::partial_folder(store_)))
        if (other.digest == blob.digest)
          sink_({"pulling " + short_digest(blob.digest), blob.digest, blob.bytes, other.done});
      std::this_thread::sleep_for(kLook);
    }
  }

  Status put_text(const Blob& blob, disk::Reservation& space) {
    const std::string path = store::blob_path(store_, blob.digest);
    ASSIGN_OR_RETURN(disk::NewFile file, disk::NewFile::create(path, blob.text->size(), "pull", &space));
    TRY(file.write(blob.text->data(), blob.text->size()));
    return file.commit();
  }

  // A link or a copy costs no transfer.
  bool take_from_other_store(const Blob& blob) {
    for (const store::Tier& tier : store::tiers()) {
      if (tier.folder == store_) continue;
      const std::string from = store::blob_path(tier.folder, blob.digest), to = store::blob_path(store_, blob.digest);
      struct stat info {};
      if (::stat(from.c_str(), &info) != 0 || static_cast<uint64_t>(info.st_size) != blob.bytes) continue;
      const auto hash = disk::copy_file(from, to, "copy " + listing_.name.display());
      if (hash && "sha256:" + *hash == blob.digest) return true;
      if (hash) ::unlink(to.c_str());
    }
    return false;
  }

  // False: a blob has gone meanwhile.
  Result<bool> write_manifest() {
    sink_({"verifying sha256 digest"});
    const store::StoreLock lock(store_);
    for (const Blob& blob : listing_.blobs)
      if (!is_there(blob)) return false;
    sink_({"writing manifest"});
    const store::ModelName& name = listing_.name;
    const auto known = store::find_manifest(store_, name);
    const std::string path =
        known ? *known : fmt::format("{}/manifests/{}/{}/{}/{}", store_, name.host, name.space, name.model, name.tag);
    std::set<std::string> before;
    if (known)
      if (auto digests = store::digests_of(*known)) before = *std::move(digests);
    TRY(stage_manifest());  // where nothing was missing
    TRY(staged_->commit_as(path));
    staged_.reset();
    for (const Blob& blob : listing_.blobs) before.erase(blob.digest);
    if (!before.empty()) {
      sink_({"removing unused layers"});
      store::remove_unused(store_, before);
    }
    return true;
  }

  const std::string& name_;
  const TransferOptions& options_;
  const ProgressSink& sink_;
  std::string store_;
  Listing listing_;
  std::optional<disk::NewFile> staged_;  // the manifest, until all it names is there
};

}  // namespace

Result<std::string> pull(const std::string& name, const TransferOptions& options, const ProgressSink& sink) {
  return Pull(name, options, sink).run();
}

}  // namespace hearth::registry
