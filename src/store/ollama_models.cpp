#include "store/ollama_models.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "base/text.h"
#include "store/model_name.h"
#include "store/tiers.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxText_bytes = 16 << 20;  // of manifests, templates and the like
constexpr size_t kMaxListed = 10;
constexpr std::string_view kMediaType = "application/vnd.ollama.image.";

// Names in a folder; empty if it is absent or unreadable.
std::vector<std::string> entries(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The entry that is `part`, or else one that differs in case only.
std::optional<fs::path> child(const fs::path& folder, const std::string& part) {
  std::error_code failed;
  if (fs::exists(folder / part, failed)) return folder / part;
  for (const std::string& name : entries(folder)) {
    if (same_ignoring_case(name, part)) return folder / name;
  }
  return {};
}

Result<std::string> read_text(const fs::path& path) {
  std::error_code failed;
  const uintmax_t bytes = fs::file_size(path, failed);
  if (!failed && bytes > kMaxText_bytes) {
    return error(ErrorKind::kInvalidData, "{}: has {} bytes, which is too much for a text", path.string(), bytes);
  }
  ASSIGN_OR_RETURN(std::string text, read_file(path.string()));
  drop_byte_order_mark(text);
  return text;
}

// GGUF files as other tools put them into registries: https://github.com/modelpack/model-spec, Docker's model runner.
bool is_foreign_weights(std::string_view media_type) {
  return media_type.starts_with("application/vnd.cncf.model.weight.")
             ? media_type.find("gguf") != std::string_view::npos
             : media_type.starts_with("application/vnd.docker.ai.gguf.");
}

Error in_file(const fs::path& path, const Error& cause) {
  return error(cause.kind, "{}: {}", path.string(), cause.message);
}

// One model in one folder: turns its manifest and layers into ModelFiles.
class Loader {
 public:
  Loader(fs::path folder, fs::path manifest, std::string name)
      : folder_(std::move(folder)), path_(std::move(manifest)), name_(std::move(name)) {}

  Result<ModelFiles> run() {
    ASSIGN_OR_RETURN(const std::string text, read_text(path_));
    const Result<Manifest> manifest = parse_manifest(text);
    if (!manifest) return in_file(path_, manifest.error());
    files_.name = name_;
    for (const Layer& layer : manifest->layers) TRY(add(layer));
    const Result<Configuration> configuration = read_configuration(*manifest);
    if (files_.model.empty()) return no_weights(configuration);
    if (configuration) {
      files_.renderer = configuration->renderer;
      files_.parser = configuration->parser;
    } else {
      files_.notes.push_back(
          fmt::format("the configuration that comes with the model is ignored: {}", configuration.error().message));
    }
    return std::move(files_);
  }

 private:
  Status add(const Layer& layer) {
    if (is_foreign_weights(layer.media_type)) return add_path(layer, files_.model);
    if (!layer.media_type.starts_with(kMediaType)) return {};
    const std::string_view kind = std::string_view(layer.media_type).substr(kMediaType.size());
    if (kind == "model") return add_path(layer, files_.model);
    if (kind == "adapter") {
      return error(ErrorKind::kUnsupported,
                   "model '{}' needs an adapter (LoRA), which is not supported; use a model with "
                   "the adapter merged into its weights",
                   name_);
    }
    if (kind == "tensor") {
      return error(ErrorKind::kUnsupported, "model '{}' is stored as safetensors; get it as GGUF", name_);
    }
    if (const Status added = add_companion(kind, layer); !added) {
      files_.notes.push_back(
          fmt::format("the {} that comes with the model is ignored: {}", kind, added.error().message));
    }
    return {};
  }

  // What a model can do without; a license and what later versions may add is nothing to us.
  Status add_companion(std::string_view kind, const Layer& layer) {
    if (kind == "projector") return add_path(layer, files_.projector);
    if (kind == "template" || kind == "prompt") return add_text(layer, files_.template_text);
    if (kind == "system") return add_text(layer, files_.system);
    if (kind == "params") return add_json(layer, files_.parameters, parse_parameters);
    if (kind == "messages") return add_json(layer, files_.messages, parse_messages);
    return {};
  }

  // Where the blob is; it must be there, whole.
  Result<fs::path> blob(const std::string& digest, uint64_t bytes) const {
    std::error_code failed;
    fs::path path = folder_ / "blobs" / ("sha256-" + digest.substr(7));
    const fs::path old_spelling = folder_ / "blobs" / ("sha256:" + digest.substr(7));
    if (!fs::exists(path, failed) && fs::exists(old_spelling, failed)) path = old_spelling;
    const uintmax_t actual = fs::file_size(path, failed);
    if (failed) {
      return error(ErrorKind::kNotFound, "model '{}' is incomplete: {}: {}; pull it again", name_, path.string(),
                   failed.message());
    }
    if (bytes != 0 && actual != bytes) {
      return error(ErrorKind::kInvalidData, "model '{}' is damaged: {} has {} bytes instead of {}; pull it again",
                   name_, path.string(), actual, bytes);
    }
    return path;
  }

  Status add_path(const Layer& layer, std::string& out) {
    ASSIGN_OR_RETURN(const fs::path path, blob(layer.digest, layer.bytes));
    if (out.empty()) out = path.string();  // of several, the first counts
    return {};
  }

  Status add_text(const Layer& layer, std::string& out) {
    ASSIGN_OR_RETURN(const fs::path path, blob(layer.digest, layer.bytes));
    ASSIGN_OR_RETURN(out, read_text(path));
    return {};
  }

  template <class T>
  Status add_json(const Layer& layer, T& out, Result<T> (*parse)(std::string_view)) {
    ASSIGN_OR_RETURN(const fs::path path, blob(layer.digest, layer.bytes));
    ASSIGN_OR_RETURN(const std::string text, read_text(path));
    Result<T> parsed = parse(text);
    if (!parsed) return in_file(path, parsed.error());
    out = std::move(*parsed);
    return {};
  }

  Result<Configuration> read_configuration(const Manifest& manifest) const {
    if (manifest.config_digest.empty()) return Configuration();
    ASSIGN_OR_RETURN(const fs::path path, blob(manifest.config_digest, 0));
    ASSIGN_OR_RETURN(const std::string text, read_text(path));
    return parse_configuration(text);
  }

  Error no_weights(const Result<Configuration>& configuration) const {
    if (configuration && !configuration->remote.empty()) {
      return error(ErrorKind::kUnsupported, "model '{}' has no weights: it stands for the cloud model {}", name_,
                   configuration->remote);
    }
    return error(ErrorKind::kInvalidData, "{}: the manifest lists no weights", path_.string());
  }

  const fs::path folder_, path_;
  const std::string name_;
  ModelFiles files_;
};

std::string describe_folder(const std::string& folder) {
  std::error_code failed;
  const bool exists = fs::exists(fs::path(folder) / "manifests", failed);
  if (failed) return folder + " (" + failed.message() + ")";
  return exists ? folder : folder + " (absent)";
}

Error not_found(const std::string& name, std::span<const std::string> folders) {
  std::string searched;
  for (const std::string& folder : folders) searched += (searched.empty() ? "" : ", ") + describe_folder(folder);
  const std::vector<std::string> models = list_models(folders);
  std::string there;
  for (size_t i = 0; i < std::min(models.size(), kMaxListed); ++i) there += (i == 0 ? "" : ", ") + models[i];
  if (models.size() > kMaxListed) there += fmt::format(" and {} more", models.size() - kMaxListed);
  return error(ErrorKind::kNotFound, "'{}' is neither a file nor a model in {}; models there: {}", name,
               searched.empty() ? "any folder (OLLAMA_MODELS and HOME are not set)" : searched,
               there.empty() ? "none" : there);
}

bool is_meant_as_path(std::string_view text) {
  return text.ends_with(".gguf") || text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         text.starts_with("~");
}

// As the store spells it: names are the same whatever the case of their letters.
std::string name_of(const fs::path& manifest) {
  const fs::path model = manifest.parent_path(), space = model.parent_path(), host = space.parent_path();
  return ModelName{host.filename(), space.filename(), model.filename(), manifest.filename()}.display();
}

}  // namespace

bool same_apart_from_name(const ModelFiles& a, const ModelFiles& b) {
  const auto all = [](const ModelFiles& files) {
    return std::tie(files.model, files.template_text, files.system, files.renderer, files.parser, files.parameters,
                    files.messages, files.projector);
  };
  return all(a) == all(b);
}

std::optional<std::string> find_manifest(const std::string& folder, const ModelName& name) {
  std::optional<fs::path> at = fs::path(folder) / "manifests";
  for (const std::string* part : {&name.host, &name.space, &name.model, &name.tag}) {
    at = child(*at, *part);
    if (!at) return {};
  }
  return at->string();
}

std::vector<std::string> model_folders() {
  std::vector<std::string> folders;
  for (Tier& tier : tiers()) folders.push_back(std::move(tier.folder));
  return folders;
}

std::vector<std::string> list_models(std::span<const std::string> folders) {
  std::vector<std::string> names;
  for (const std::string& folder : folders) {
    const fs::path root = fs::path(folder) / "manifests";
    for (const std::string& host : entries(root)) {
      for (const std::string& space : entries(root / host)) {
        for (const std::string& model : entries(root / host / space)) {
          for (const std::string& tag : entries(root / host / space / model)) {
            std::string name = ModelName{host, space, model, tag}.display();
            if (ModelName::parse(name)) names.push_back(std::move(name));  // else a stray file
          }
        }
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<ModelFiles> resolve_name(const std::string& text, std::span<const std::string> folders) {
  ASSIGN_OR_RETURN(const ModelName name, ModelName::parse(text));
  for (const std::string& folder : folders) {
    const std::optional<std::string> manifest = find_manifest(folder, name);
    if (manifest) return Loader(folder, *manifest, name_of(*manifest)).run();
  }
  return not_found(text, folders);
}

Result<ModelFiles> resolve_path(const std::string& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status) || fs::is_directory(status)) {
    return error(ErrorKind::kNotFound, "cannot open {}: {}", path,
                 fs::is_directory(status) ? "it is a directory" : "no such file");
  }
  ModelFiles files;
  files.name = files.model = path;
  return files;
}

Result<ModelFiles> resolve_argument(const std::string& name_or_path, std::span<const std::string> folders) {
  if (name_or_path.empty()) return error(ErrorKind::kUsage, "the model's name is empty");
  Result<ModelFiles> file = resolve_path(name_or_path);
  return file || is_meant_as_path(name_or_path) ? file : resolve_name(name_or_path, folders);
}

Result<ModelFiles> resolve_argument(const std::string& name_or_path) {
  return resolve_argument(name_or_path, model_folders());
}

}  // namespace hearth::store
