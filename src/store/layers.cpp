#include "store/layers.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file.h"
#include "disk/new_file.h"
#include "store/edit_models.h"
#include "store/ollama_models.h"
#include "store/share_file.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

json::object layer_json(const NewLayer& layer) {
  json::object out{{"mediaType", layer.media_type}, {"digest", layer.digest}, {"size", layer.bytes}};
  if (!layer.from.empty()) out["from"] = layer.from;
  return out;
}

std::string manifest_json(const std::vector<NewLayer>& layers, const NewLayer& config) {
  json::array list;
  for (const NewLayer& layer : layers) list.push_back(layer_json(layer));
  return json::serialize(json::object{{"schemaVersion", 2},
                                      {"mediaType", "application/vnd.docker.distribution.manifest.v2+json"},
                                      {"config", layer_json(config)},
                                      {"layers", std::move(list)}});
}

// A blob that is there and as long as it should be; one of another length is what a crash has left, or damage.
bool is_there(const std::string& path, uint64_t bytes) {
  std::error_code failed;
  const uintmax_t size = fs::file_size(path, failed);
  return !failed && size == bytes;
}

class Placing {
 public:
  Placing(const std::string& folder, const ModelName& name, const Progress& progress)
      : folder_(folder), what_("create " + name.display()), progress_(progress) {}
  ~Placing() {
    if (kept_) return;
    for (const std::string& path : placed_) file_operations().unlink(path.c_str());
  }

  Status place(const NewLayer& layer) {
    const std::string path = blob_path(folder_, layer.digest);
    const bool there = is_there(path, layer.bytes);
    if (progress_)
      TRY(progress_(fmt::format("{} layer {}", there ? "using existing" : "creating new", layer.digest), "", 0, 0));
    if (there) return {};
    std::error_code failed;
    if (!fs::exists(path, failed)) placed_.push_back(path);
    if (!layer.staged.empty()) return move(layer.staged, path);
    if (layer.elsewhere.empty()) return disk::write_file(path, layer.text, what_);
    // What is elsewhere is a blob of another store, or a file that was hashed and may be written to later.
    const auto shared = share_file(layer.elsewhere, path, {.may_link = layer.may_link, .what = what_});
    return shared ? Status() : Status(shared.error());
  }
  void keep() { kept_ = true; }

  // The names of the blobs survive a loss of power from here on; a manifest must not come before them.
  Status make_durable() const {
    const std::string blobs = (fs::path(folder_) / "blobs").string();
    const int fd = file_operations().open(blobs.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) return io_error("open", blobs, errno);
    const int code = file_operations().fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    // Some file systems have no such operation on folders.
    return code == 0 || code == EINVAL || code == EOPNOTSUPP ? Status() : Status(io_error("write", blobs, code));
  }

 private:
  Status move(const std::string& from, const std::string& to) {
    std::error_code failed;
    fs::create_directories(fs::path(to).parent_path(), failed);
    if (failed) return error(ErrorKind::kIo, "{}: {}", fs::path(to).parent_path().string(), failed.message());
    return disk::move_file(from, to, what_);
  }

  const std::string& folder_;
  const std::string what_;
  const Progress& progress_;
  std::vector<std::string> placed_;
  bool kept_ = false;
};

}  // namespace

NewLayer text_layer(std::string_view kind, std::string text) {
  NewLayer layer;
  layer.media_type = std::string(kImage) + std::string(kind);
  layer.digest = digest_of_text(text);
  layer.bytes = text.size();
  layer.text = std::move(text);
  return layer;
}

Status put_model(const std::string& folder, const ModelName& name, const std::vector<NewLayer>& layers,
                 const NewLayer& config, const Progress& progress) {
  return put_manifest(folder, name, layers, config, manifest_json(layers, config), progress);
}

Status put_manifest(const std::string& folder, const ModelName& name, const std::vector<NewLayer>& layers,
                    const NewLayer& config, const std::string& manifest, const Progress& progress) {
  const StoreLock lock(folder);
  Placing placing(folder, name, progress);
  for (const NewLayer& layer : layers) TRY(placing.place(layer));
  if (!config.digest.empty()) TRY(placing.place(config));
  TRY(placing.make_durable());
  if (progress) TRY(progress("writing manifest", "", 0, 0));
  // A name is the same whatever the case of its letters.
  const auto there = find_manifest(folder, name);
  const std::string path =
      there ? *there : (fs::path(folder) / "manifests" / name.host / name.space / name.model / name.tag).string();
  const auto before = there ? digests_of(*there) : Result<std::set<std::string>>(std::set<std::string>());
  const Status written = write_manifest(folder, path, manifest, "create " + name.display());
  // It may be there though its folder could not be synchronised: then what it names stays.
  if (const auto found = read_file(path); written || (found && *found == manifest)) placing.keep();
  TRY(written);
  if (before) remove_unused(folder, *before);
  return {};
}

}  // namespace hearth::store
