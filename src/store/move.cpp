#include "store/move.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "disk/findings.h"
#include "disk/new_file.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/model_name.h"
#include "store/ollama_models.h"
#include "store/pins.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

class Move {
 public:
  Move(const ModelName& name, const Tier& from, const Tier& to, std::string manifest)
      : name_(name), from_(from), to_(to), manifest_(std::move(manifest)) {}

  Result<Moved> run(const std::function<Status(std::string_view, uint64_t)>& progress) {
    ASSIGN_OR_RETURN(const std::string text, read_file(manifest_));
    ASSIGN_OR_RETURN(const std::set<std::string> digests, digests_of(manifest_));
    TRY(disk::probe(to_.folder + "/blobs"));
    TRY(disk::probe(to_.folder + "/manifests"));
    Moved moved{from_.name, 0};
    ASSIGN_OR_RETURN(disk::Reservation space,
                     disk::reserve(to_.folder, missing_bytes(digests), "move " + name_.display()));
    for (const std::string& digest : digests) {
      ASSIGN_OR_RETURN(const uint64_t bytes, copy(digest, space));
      moved.bytes += bytes;
      if (progress && bytes > 0) TRY(progress(digest, bytes));
    }
    TRY(write_manifest(text, digests));
    TRY(move_pin());
    TRY(remove_here(digests));
    return moved;
  }

 private:
  bool is_there(const std::string& digest) const {
    struct stat here {
    }, there{};
    return ::stat(blob_path(to_.folder, digest).c_str(), &there) == 0 &&
           ::stat(blob_path(from_.folder, digest).c_str(), &here) == 0 && here.st_size == there.st_size;
  }

  uint64_t missing_bytes(const std::set<std::string>& digests) const {
    uint64_t bytes = 0;
    for (const std::string& digest : digests) {
      struct stat info {};
      if (!is_there(digest) && ::stat(blob_path(from_.folder, digest).c_str(), &info) == 0)
        bytes += static_cast<uint64_t>(info.st_size);
    }
    return bytes;
  }

  Result<uint64_t> copy(const std::string& digest, disk::Reservation& space) {
    if (is_there(digest)) return uint64_t{0};
    const std::string from = blob_path(from_.folder, digest), to = blob_path(to_.folder, digest);
    ASSIGN_OR_RETURN(const std::string hash, disk::copy_file(from, to, "move " + name_.display(), &space));
    if (hash != digest.substr(7)) {
      ::unlink(to.c_str());
      return with_remedy(ErrorKind::kInvalidData,
                         fmt::format("{} is damaged, and {} stays where it is", from, name_.display()),
                         fmt::format("hearth pull {} fetches it again", name_.display()));
    }
    std::error_code failed;
    return static_cast<uint64_t>(fs::file_size(to, failed));
  }

  Status write_manifest(const std::string& text, const std::set<std::string>& digests) {
    const StoreLock lock(to_.folder);
    for (const std::string& digest : digests)
      if (!is_there(digest))
        return error(ErrorKind::kIo, "another program deletes the files of {} as they arrive", name_.display());
    const auto known = find_manifest(to_.folder, name_);
    const std::string path =
        known ? *known
              : fmt::format("{}/manifests/{}/{}/{}/{}", to_.folder, name_.host, name_.space, name_.model, name_.tag);
    return store::write_manifest(to_.folder, path, text, "move " + name_.display());
  }

  // The new store's comes first: at no time it is not pinned.
  Status move_pin() {
    if (!is_pinned(from_.folder, name_)) return {};
    const std::string to[] = {to_.folder}, from[] = {from_.folder};
    TRY(pin_model(name_.display(), to));
    return unpin_model(name_.display(), from);
  }

  Status remove_here(const std::set<std::string>& digests) {
    const StoreLock lock(from_.folder);
    if (file_operations().unlink(manifest_.c_str()) != 0)
      return with_remedy(
          ErrorKind::kIo,
          fmt::format("{} is in the store {} now, but {} cannot be deleted", name_.display(), to_.name, manifest_),
          fmt::format("delete it as the user whom the store {} belongs to", from_.name));
    for (fs::path at = fs::path(manifest_).parent_path(); at.filename() != "manifests"; at = at.parent_path())
      if (::rmdir(at.c_str()) != 0) break;  // others are there
    remove_unused(from_.folder, digests);
    return {};
  }

  const ModelName& name_;
  const Tier& from_;
  const Tier& to_;
  const std::string manifest_;
};

}  // namespace

Result<Moved> move_model(const std::string& text, const Tier& to,
                         const std::function<Status(std::string_view file, uint64_t bytes)>& progress) {
  ASSIGN_OR_RETURN(const ModelName name, ModelName::parse(text));
  for (const Tier& from : tiers()) {
    const auto manifest = find_manifest(from.folder, name);
    if (!manifest) continue;
    if (from.folder == to.folder) return Moved{to.name, 0};
    return Move(name, from, to, *manifest).run(progress);
  }
  return error(ErrorKind::kNotFound, "model '{}' not found; \"hearth list\" says which are here", name.display());
}

}  // namespace hearth::store
