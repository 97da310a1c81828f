#include "store/import_model.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "disk/facts.h"
#include "gguf/quantize.h"
#include "store/layers.h"
#include "store/ollama_models.h"
#include "store/weights_of.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr uint64_t kLeast_duplicate_bytes = 1 << 20;

struct stat status_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) status = {};
  return status;
}

class Importer {
 public:
  Importer(const FoundModel& model, const std::string& folder, const FileProgress& progress)
      : model_(model), folder_(folder), progress_(progress) {}

  // The dearest of the ways that its files have gone.
  Result<Share> run() {
    ASSIGN_OR_RETURN(const ModelName name, ModelName::parse(model_.name));
    if (model_.kind == FoundModel::Kind::kSafetensors)
      return error(ErrorKind::kUnsupported,
                   "{} has safetensors; \"hearth create {}\" with a Modelfile that says FROM {} converts it",
                   model_.path, model_.name, model_.path);
    if (model_.kind == FoundModel::Kind::kStore) return of_store(name);
    ASSIGN_OR_RETURN(Staging staging, Staging::create(folder_));
    std::vector<NewLayer> layers;
    if (model_.kind == FoundModel::Kind::kParts) {
      TRY(add_joined(staging, layers));
    } else {
      TRY(add(model_.path, "model", layers));
    }
    if (!model_.projector.empty()) TRY(add(model_.projector, "projector", layers));
    TRY(put_model(folder_, name, layers, configuration(layers), {}));
    return way_;
  }

 private:
  Status add(const std::string& path, std::string_view kind, std::vector<NewLayer>& layers) {
    ASSIGN_OR_RETURN([[maybe_unused]] const WeightsKind sound, kind_of_weights(path, path));
    NewLayer layer;
    layer.media_type = std::string(kImage) + std::string(kind);
    layer.bytes = static_cast<uint64_t>(status_of(path).st_size);
    ASSIGN_OR_RETURN(layer.digest, digest_of_file(path, [&](uint64_t done) -> Status {
                       return progress_ ? progress_(path, done, layer.bytes) : Status();
                     }));
    layer.elsewhere = path;
    layer.may_link = true;
    ASSIGN_OR_RETURN(const Share way, likely_share(path, folder_));
    way_ = std::max(way_, way);
    layers.push_back(std::move(layer));
    return {};
  }

  Status add_joined(const Staging& staging, std::vector<NewLayer>& layers) {
    NewLayer layer;
    layer.media_type = std::string(kImage) + "model";
    layer.staged = staging.path("whole.gguf");
    gguf::QuantizeOptions options;
    options.progress = [&](uint64_t done, uint64_t total, std::string_view) -> Status {
      return progress_ ? progress_(model_.path, done, total) : Status();
    };
    const auto joined = gguf::join_files(model_.path, layer.staged, options);
    if (!joined) return joined.error();
    ASSIGN_OR_RETURN(layer.digest, digest_of_file(layer.staged));
    layer.bytes = static_cast<uint64_t>(status_of(layer.staged).st_size);
    way_ = Share::kCopied;
    layers.push_back(std::move(layer));
    return {};
  }

  static NewLayer configuration(const std::vector<NewLayer>& layers) {
    json::object config;
    json::array digests;
    for (const NewLayer& layer : layers) digests.emplace_back(layer.digest);
    describe_weights(layers[0].staged.empty() ? layers[0].elsewhere : layers[0].staged, config);
    config["model_format"] = "gguf";
    config["architecture"] = "amd64";
    config["os"] = "linux";
    config["rootfs"] = json::object{{"type", "layers"}, {"diff_ids", std::move(digests)}};
    NewLayer layer = text_layer("", json::serialize(config));
    layer.media_type = kConfig_type;
    return layer;
  }

  // All blobs, and the manifest as it is: its hash is the model's digest.
  Result<Share> of_store(const ModelName& name) {
    const auto path = find_manifest(model_.path, name);
    if (!path) return error(ErrorKind::kNotFound, "model '{}' is not in {} any more", model_.name, model_.path);
    ASSIGN_OR_RETURN(const std::string text, read_file(*path));
    const auto manifest = parse_manifest(text);
    if (!manifest) return error(manifest.error().kind, "{}: {}", *path, manifest.error().message);
    std::vector<NewLayer> layers;
    NewLayer config;
    for (const Layer& layer : manifest->layers) {
      ASSIGN_OR_RETURN(NewLayer blob, blob_of(layer.digest));
      blob.media_type = layer.media_type;
      layers.push_back(std::move(blob));
    }
    if (!manifest->config_digest.empty()) {
      ASSIGN_OR_RETURN(config, blob_of(manifest->config_digest));
    }
    TRY(put_manifest(folder_, name, layers, config, text, {}));
    return way_;
  }

  Result<NewLayer> blob_of(const std::string& digest) {
    NewLayer layer;
    layer.digest = "sha256:" + digest.substr(7);
    layer.elsewhere = blob_path(model_.path, digest);
    layer.bytes = static_cast<uint64_t>(status_of(layer.elsewhere).st_size);
    layer.may_link = true;
    std::error_code failed;
    if (!fs::exists(layer.elsewhere, failed))
      return error(ErrorKind::kInvalidData, "model '{}' is incomplete: {} is missing", model_.name, layer.elsewhere);
    // What is damaged is not taken for whole under a name that promises its hash.
    ASSIGN_OR_RETURN(const std::string actual, digest_of_file(layer.elsewhere, [&](uint64_t done) -> Status {
                       return progress_ ? progress_(layer.elsewhere, done, layer.bytes) : Status();
                     }));
    if (actual != layer.digest)
      return error(ErrorKind::kInvalidData, "model '{}' is damaged: {} has another content; pull it again", model_.name,
                   layer.elsewhere);
    ASSIGN_OR_RETURN(const Share way, likely_share(layer.elsewhere, folder_));
    way_ = std::max(way_, way);
    return layer;
  }

  const FoundModel& model_;
  const std::string& folder_;
  const FileProgress& progress_;
  Share way_ = Share::kLinked;
};

// Where a file's first bytes lie on its disk; 0 if the file system does not tell (Linux's
// Documentation/filesystems/fiemap.rst).
uint64_t first_place(const std::string& path) {
  alignas(fiemap) std::array<std::byte, sizeof(fiemap) + sizeof(fiemap_extent)> memory{};
  auto* const map = reinterpret_cast<fiemap*>(memory.data());
  map->fm_length = FIEMAP_MAX_OFFSET;
  map->fm_extent_count = 1;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const bool done = ::ioctl(fd, FS_IOC_FIEMAP, map) == 0 && map->fm_mapped_extents > 0;
  ::close(fd);
  return done ? map->fm_extents[0].fe_physical : 0;
}

// Files of one file system that begin at the same place were cloned from one another.
bool share_bytes(const std::string& a, const std::string& b) {
  return status_of(a).st_dev == status_of(b).st_dev && first_place(a) != 0 && first_place(a) == first_place(b);
}

}  // namespace

Result<Share> likely_share(const std::string& from, const std::string& folder) {
  const struct stat status = status_of(from);
  ASSIGN_OR_RETURN(const disk::Facts facts, disk::facts_of(folder));
  if (status.st_dev != facts.device) return Share::kCopied;
  if (status.st_uid == ::geteuid()) return Share::kLinked;
  return facts.type == "btrfs" || facts.type == "xfs" || facts.type == "bcachefs" ? Share::kCloned : Share::kCopied;
}

Result<Share> import_model(const FoundModel& model, const std::string& folder, const FileProgress& progress) {
  return Importer(model, folder, progress).run();
}

Result<std::vector<Duplicate>> find_duplicates(const std::string& folder, const std::vector<std::string>& others,
                                               const FileProgress& progress) {
  struct Candidate {
    std::string path;
    struct stat status;
  };
  std::map<uint64_t, std::vector<Candidate>> by_size;
  std::set<std::pair<dev_t, ino_t>> seen;
  const auto offer = [&](const std::string& path) {
    const struct stat status = status_of(path);
    const auto bytes = static_cast<uint64_t>(status.st_size);
    if (S_ISREG(status.st_mode) && bytes >= kLeast_duplicate_bytes && seen.emplace(status.st_dev, status.st_ino).second)
      by_size[bytes].push_back({path, status});
  };
  std::error_code failed;
  std::vector<std::string> blobs;
  for (fs::directory_iterator it(fs::path(folder) / "blobs", failed), end; !failed && it != end; it.increment(failed))
    if (is_digest(it->path().filename().string())) blobs.push_back(it->path().string());
  std::sort(blobs.begin(), blobs.end());
  for (const std::string& path : blobs) offer(path);  // first, so that they are what is kept
  for (const std::string& path : others) offer(path);

  uint64_t total = 0, read = 0;
  for (const auto& [bytes, files] : by_size)
    if (files.size() > 1) total += bytes * files.size();
  std::vector<Duplicate> duplicates;
  for (const auto& [bytes, files] : by_size) {
    if (files.size() < 2) continue;
    std::map<std::string, std::vector<const Candidate*>> by_digest;
    for (const Candidate& file : files) {
      const auto digest = digest_of_file(file.path, [&](uint64_t done) -> Status {
        return progress ? progress(file.path, read + done, total) : Status();
      });
      read += bytes;
      if (!digest && digest.error().kind == ErrorKind::kCancelled) return digest.error();
      if (digest) by_digest[*digest].push_back(&file);
    }
    for (const auto& [digest, same] : by_digest) {
      const Candidate& keep = *same.front();
      for (size_t i = 1; i < same.size(); ++i) {
        const Candidate& other = *same[i];
        if (share_bytes(keep.path, other.path)) continue;
        Duplicate duplicate{keep.path, other.path, static_cast<uint64_t>(other.status.st_blocks) * 512, ""};
        if (other.status.st_dev != keep.status.st_dev) duplicate.obstacle = "it is on another file system";
        if (other.status.st_uid != ::geteuid() || keep.status.st_uid != ::geteuid())
          duplicate.obstacle = "it belongs to another user";
        if (other.status.st_nlink > 1) duplicate.obstacle = "it has another name, whose place would still be taken";
        if (!duplicate.obstacle.empty()) duplicate.bytes = 0;
        duplicates.push_back(std::move(duplicate));
      }
    }
  }
  return duplicates;
}

Status replace_duplicate(const Duplicate& duplicate) {
  if (!duplicate.obstacle.empty())
    return error(ErrorKind::kUnsupported, "{}: {}", duplicate.replace, duplicate.obstacle);
  // Since they were compared somebody may have written to either.
  ASSIGN_OR_RETURN(const std::string kept, digest_of_file(duplicate.keep));
  ASSIGN_OR_RETURN(const std::string other, digest_of_file(duplicate.replace));
  if (kept != other) return error(ErrorKind::kIo, "{} has changed and stays as it is", duplicate.replace);
  const auto shared = share_file(duplicate.keep, duplicate.replace, {.may_copy = false});
  return shared ? Status() : Status(shared.error());
}

}  // namespace hearth::store
