#include "registry/pull.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/sha256.h"
#include "disk/findings.h"
#include "disk/new_file.h"
#include "store/blobs.h"
#include "store/create.h"
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
    ASSIGN_OR_RETURN(const store::Tier tier, store::writable_tier());
    TRY(use_store(tier.folder));
    sink_({"pulling manifest"});
    ASSIGN_OR_RETURN(listing_, find_source(name_, source_options()));
    for (int round = 0;; ++round) {
      TRY(fetch_missing());
      ASSIGN_OR_RETURN(const bool written, listing_.making ? make_model() : write_manifest());
      if (written) break;
      if (round + 1 == kMost_rounds)
        return error(ErrorKind::kIo, "another program deletes the files of {} as they arrive", listing_.name.display());
    }
    sink_({"success"});
    return listing_.name.display();
  }

  // One file of a model that is in the store.
  Status fetch_again(const std::string& digest, const std::string& store) {
    TRY(use_store(store));
    ASSIGN_OR_RETURN(listing_, list_again());
    const std::string plain = store::plain_digest(digest);
    std::erase_if(listing_.blobs, [&](const Blob& blob) { return store::plain_digest(blob.digest) != plain; });
    if (listing_.blobs.empty())
      return error(ErrorKind::kNotFound, "{} has no {} where it comes from", name_, plain.substr(0, 19));
    unwanted_ = listing_.blobs[0].digest;
    return fetch_missing();
  }

 private:
  Status use_store(const std::string& folder) {
    store_ = folder;
    for (const std::string& part : {store_ + "/blobs", store::partial_folder(store_), store_ + "/manifests"})
      TRY(disk::probe(part));
    store::watch_tiers();  // which may have been made just now
    return {};
  }

  SourceOptions source_options() const { return {options_.insecure, options_.credentials, options_.goes_on}; }

  // What the store's manifest says, so that it is the same model whatever its name means at the registry by now.
  // Hugging Face has its files under other paths.
  Result<Listing> list_again() const {
    ASSIGN_OR_RETURN(const store::ModelName name, target_name(name_));
    const auto path = store::find_manifest(store_, name);
    if (!path) return error(ErrorKind::kNotFound, "model '{}' not found", name_);
    if (is_hugging_face(name)) return find_source(name_, source_options());
    Listing listing{.name = name, .manifest = {}, .blobs = {}, .client = client_of(name, name.host, source_options())};
    ASSIGN_OR_RETURN(const std::string text, read_file(*path));
    ASSIGN_OR_RETURN(listing.blobs, blobs_of_manifest(text, name));
    return listing;
  }

  bool is_there(const Blob& blob) const {
    if (blob.digest == unwanted_) return false;
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
    // What is made of the files takes its space itself, later, but it is known now whether it will have it.
    const uint64_t made = listing_.making ? listing_.making->bytes : 0;
    const std::string what = "pull " + listing_.name.display(), partial = store::partial_folder(store_);
    // Where what is begun lies on another file system, that has its room for all, and the store, too.
    uint64_t all = 0;
    for (const Blob* blob : missing) all += blob->bytes;
    const auto here = disk::facts_of(store_), there = disk::facts_of(partial);
    const bool elsewhere = here && there && here->device != there->device;
    auto space = disk::reserve(store_, (elsewhere ? all : bytes) + made, what);
    if (!space) return store::with_ways_out(space.error(), listing_.name.display(), store_, bytes + made);
    if (elsewhere) {
      ASSIGN_OR_RETURN(disk::Reservation promised, disk::reserve(partial, bytes, what));
      staging_space_.emplace(std::move(promised));
    }
    const Status fetched = fetch_all(std::move(missing), *space);
    staging_space_.reset();
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
      } else if (!take_from_other_store(*blob, space)) {
        ASSIGN_OR_RETURN(std::optional<PartialFile> file, open_partial(*blob));
        if (!file) continue;  // another process has brought it meanwhile
        TRY(file->allocate(staging_space_ ? *staging_space_ : space));
        begun.emplace_back(blob, std::make_unique<PartialFile>(*std::move(file)));
      }
    }
    for (auto& [blob, file] : begun) {
      TRY(fetch(*blob, *file, space));
      file.reset();
    }
    return {};
  }

  Status stage_manifest() {
    if (staged_ || listing_.manifest.empty()) return {};
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

  Status fetch(const Blob& blob, PartialFile& file, disk::Reservation& space) {
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
    return file.commit(store::blob_path(store_, blob.digest), &space);
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
    return disk::write_file(store::blob_path(store_, blob.digest), *blob.text, "pull", &space);
  }

  // A link or a copy costs no transfer.
  bool take_from_other_store(const Blob& blob, disk::Reservation& space) {
    for (const store::Tier& tier : store::tiers()) {
      if (tier.folder == store_) continue;
      const std::string from = store::blob_path(tier.folder, blob.digest), to = store::blob_path(store_, blob.digest);
      struct stat info {};
      if (::stat(from.c_str(), &info) != 0 || static_cast<uint64_t>(info.st_size) != blob.bytes) continue;
      const std::string copy = store::own_folder(store_) + "/copy-" + blob.digest.substr(7);
      const auto hash = disk::copy_file(from, copy, "copy " + listing_.name.display(), &space);
      if (hash && "sha256:" + *hash == blob.digest && file_operations().rename(copy.c_str(), to.c_str()) == 0)
        return sync_folder(store_ + "/blobs").ok();
      ::unlink(copy.c_str());
    }
    return false;
  }

  // Of files that are no model yet; they go when it is there, or can be none. False: one has gone meanwhile.
  Result<bool> make_model() {
    for (const Blob& blob : listing_.blobs)
      if (!is_there(blob)) return false;
    const Making& making = *listing_.making;
    store::Blueprint plan;
    plan.name = listing_.name.display();
    plan.quantize = making.quantize;
    plan.from_blobs = making.files;
    plan.threads = std::max(1, usable_processors() / 2);
    store::CreateHooks hooks;
    hooks.progress = [&](std::string_view status, const std::string& digest, uint64_t done, uint64_t total) -> Status {
      if (options_.goes_on && !options_.goes_on()) return error(ErrorKind::kCancelled, "the pull was ended");
      sink_({std::string(status), digest, total, done});
      return {};
    };
    const std::string folders[] = {store_};
    const auto notes = store::create_model(plan, folders, hooks);
    if (!notes && (notes.error().kind == ErrorKind::kCancelled || notes.error().kind == ErrorKind::kNoSpace))
      return notes.error();
    std::set<std::string> digests;
    for (const Blob& blob : listing_.blobs) digests.insert(blob.digest);
    const store::StoreLock lock(store_);
    store::remove_unused(store_, digests);
    if (!notes) return notes.error();
    for (const std::string& note : *notes) sink_({"note: " + note});
    return true;
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
  std::optional<disk::Reservation> staging_space_;  // where what is begun lies on another file system
  std::string unwanted_;                            // the digest of a file that is fetched though it is there
  std::optional<disk::NewFile> staged_;             // the manifest, until all it names is there
};

}  // namespace

Result<std::string> pull(const std::string& name, const TransferOptions& options, const ProgressSink& sink) {
  return Pull(name, options, sink).run();
}

Status pull_if_missing(const std::string& name, const TransferOptions& options, const ProgressSink& sink) {
  ASSIGN_OR_RETURN(const store::ModelName target, target_name(name));
  for (const store::Tier& tier : store::tiers())
    if (store::find_manifest(tier.folder, target)) return {};
  const auto pulled = pull(name, options, sink);
  return pulled ? Status() : Status(pulled.error());
}

Status fetch_again(const std::string& model, const std::string& digest, const std::string& store,
                   const TransferOptions& options, const ProgressSink& sink) {
  return Pull(model, options, sink).fetch_again(digest, store);
}

}  // namespace hearth::registry
