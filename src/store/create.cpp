#include "store/create.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "convert/convert.h"
#include "gguf/quantize.h"
#include "store/layers.h"
#include "store/model_name.h"
#include "store/ollama_models.h"
#include "store/option_types.h"
#include "store/share_file.h"
#include "store/weights_of.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr uint64_t kMost_text_bytes = 16 << 20;

bool is_kind(const NewLayer& layer, std::string_view kind) {
  return layer.media_type == std::string(kImage) + std::string(kind);
}

class Creator {
 public:
  Creator(const Blueprint& blueprint, std::span<const std::string> folders, const CreateHooks& hooks)
      : plan_(blueprint), folders_(folders), hooks_(hooks) {}

  Result<std::vector<std::string>> run() {
    ASSIGN_OR_RETURN(const ModelName name, ModelName::parse(plan_.name));
    if (plan_.template_text && hooks_.check_template)
      if (const Status sound = hooks_.check_template(*plan_.template_text); !sound)
        return error(ErrorKind::kUsage, "template error: {}", sound.error().message);
    TRY(check_options());
    if (folders_.empty())
      return error(ErrorKind::kIo, "there is no folder for models: OLLAMA_MODELS and HOME are not set");
    folder_ = folders_.front();
    ASSIGN_OR_RETURN(Staging staging, Staging::create(folder_));
    staging_ = &staging;
    TRY(begin());
    TRY(quantise());
    TRY(add_own());
    TRY(put_model(folder_, name, layers_, config_layer(), hooks_.progress));
    return std::move(notes_);
  }

 private:
  Status say(std::string_view status) { return hooks_.progress ? hooks_.progress(status, "", 0, 0) : Status(); }

  Status check_options() {
    if (!plan_.quantize.empty()) {
      ASSIGN_OR_RETURN(recipe_, gguf::find_recipe(plan_.quantize));
    }
    json::object scratch;
    return set_options(scratch, plan_.parameters, &notes_);
  }

  Status begin() {
    const int ways = !plan_.from_model.empty() + !plan_.from_paths.empty() + !plan_.from_blobs.empty();
    if (ways == 0) return error(ErrorKind::kUsage, "neither 'from' or 'files' was specified");
    if (ways > 1) return error(ErrorKind::kUsage, "only one of a model and files can be what it begins with");
    if (!plan_.from_model.empty()) return begin_with_model();
    if (!plan_.from_blobs.empty()) return begin_with_blobs();
    std::error_code failed;
    if (plan_.from_paths.size() == 1 && fs::is_directory(plan_.from_paths[0], failed))
      return begin_with_folder(plan_.from_paths[0]);
    for (const std::string& path : plan_.from_paths) TRY(add_gguf(path, path));
    return {};
  }

  // --- another model

  Status begin_with_model() {
    ASSIGN_OR_RETURN(const ModelName from, ModelName::parse(plan_.from_model));
    for (const std::string& folder : folders_) {
      const auto path = find_manifest(folder, from);
      if (!path) continue;
      ASSIGN_OR_RETURN(const std::string text, read_file(*path));
      const auto manifest = parse_manifest(text);
      if (!manifest) return error(manifest.error().kind, "{}: {}", *path, manifest.error().message);
      for (const Layer& layer : manifest->layers) TRY(inherit(folder, from, layer));
      if (!manifest->config_digest.empty()) TRY(inherit_config(folder, manifest->config_digest));
      return {};
    }
    return error(ErrorKind::kNotFound, "model '{}' not found; \"hearth pull {}\" gets it", plan_.from_model,
                 plan_.from_model);
  }

  Status inherit(const std::string& folder, const ModelName& from, const Layer& layer) {
    NewLayer inherited;
    inherited.media_type = layer.media_type;
    inherited.digest = "sha256:" + layer.digest.substr(7);
    inherited.elsewhere = blob_path(folder, layer.digest);
    std::error_code failed;
    inherited.bytes = fs::file_size(inherited.elsewhere, failed);
    if (failed || (layer.bytes != 0 && inherited.bytes != layer.bytes))
      return error(ErrorKind::kInvalidData, "model '{}' is damaged: {} is missing or cut off; pull it again",
                   from.display(), inherited.elsewhere);
    if (is_kind(inherited, "model")) inherited.from = from.display();
    layers_.push_back(std::move(inherited));
    return {};
  }

  Status inherit_config(const std::string& folder, const std::string& digest) {
    const auto text = read_file(blob_path(folder, digest));
    if (!text) return {};  // it says little that the weights do not say
    boost::system::error_code failed;
    json::value value = json::parse(*text, failed);
    if (failed || !value.is_object()) return {};
    if (const json::value* host = value.get_object().if_contains("remote_host");
        host != nullptr && host->is_string() && !host->get_string().empty())
      return error(ErrorKind::kUnsupported, "model '{}' has no weights: it stands for a cloud model", plan_.from_model);
    for (const char* key :
         {"renderer", "parser", "requires", "capabilities", "base_name", "context_length", "embedding_length"})
      if (const json::value* kept = value.get_object().if_contains(key)) config_[key] = *kept;
    return {};
  }

  // --- files

  // `path`: where the bytes are; `name`: what people call it.
  Status add_gguf(const std::string& path, const std::string& name) {
    TRY(say("parsing GGUF"));
    ASSIGN_OR_RETURN(const WeightsKind kind, kind_of_weights(path, name));
    if (kind.layer == "adapter")
      return error(ErrorKind::kUnsupported,
                   "{}: adapters (LoRA) are not supported; use a model with it merged into its weights", name);
    if (std::ranges::any_of(layers_, [&](const NewLayer& layer) { return is_kind(layer, kind.layer); }))
      return error(ErrorKind::kUsage, "{}: there is a {} already; one is expected", name, kind.layer);
    NewLayer layer;
    layer.media_type = std::string(kImage) + kind.layer;
    if (kind.parts > 1) {
      layer.staged = staging_->path("whole.gguf");
      TRY(join(path, layer.staged));
      return finish_file(std::move(layer));
    }
    layer.elsewhere = path;
    TRY(finish_file(std::move(layer)));
    return bring_in(layers_.back(), path);
  }

  // A file that is somebody else's may change: it is taken into the staging folder, and what is there is what counts.
  Status bring_in(NewLayer& layer, const std::string& path) {
    std::error_code failed;
    if (fs::exists(blob_path(folder_, layer.digest), failed)) return {};
    layer.staged = staging_->path(fmt::format("{}.gguf", layers_.size()));
    ASSIGN_OR_RETURN([[maybe_unused]] const Share share,
                     share_file(path, layer.staged, {.may_link = false, .what = "create " + plan_.name}));
    ASSIGN_OR_RETURN(const std::string digest, digest_of_file(layer.staged));
    if (digest == layer.digest) return {};
    return error(ErrorKind::kIo, "{} has changed while it was read; try again when nobody writes to it", path);
  }

  Status finish_file(NewLayer layer) {
    const std::string path = layer.staged.empty() ? layer.elsewhere : layer.staged;
    std::error_code failed;
    layer.bytes = fs::file_size(path, failed);
    ASSIGN_OR_RETURN(layer.digest, digest_of_file(path, [&](uint64_t done) -> Status {
                       return hooks_.progress ? hooks_.progress("hashing " + fs::path(path).filename().string(), "",
                                                                done, layer.bytes)
                                              : Status();
                     }));
    layers_.push_back(std::move(layer));
    return {};
  }

  // The files of a split set as one.
  Status join(const std::string& first, const std::string& out) {
    gguf::QuantizeOptions options{.threads = plan_.threads};
    options.progress = [&](uint64_t done, uint64_t total, std::string_view) -> Status {
      return hooks_.progress ? hooks_.progress("joining the parts", "", done, total) : Status();
    };
    const auto joined = gguf::join_files(first, out, options);
    return joined ? Status() : Status(joined.error());
  }

  Status begin_with_folder(const std::string& folder) {
    ASSIGN_OR_RETURN(const std::vector<std::string> files, gguf_files_of(folder));
    if (convert::is_model_folder(folder) && files.empty()) return convert_from(folder);
    if (files.empty())
      return error(ErrorKind::kNotFound,
                   "{}: there is neither a GGUF file nor a config.json with safetensors in this folder", folder);
    for (const std::string& file : files) TRY(add_gguf(file, file));
    return {};
  }

  Status convert_from(const std::string& folder) {
    TRY(say("converting model"));
    convert::ConvertOptions options;
    options.recipe = recipe_;
    options.threads = plan_.threads;
    options.progress = [&](uint64_t done, uint64_t total, std::string_view) -> Status {
      return hooks_.progress ? hooks_.progress("converting model", "", done, total) : Status();
    };
    NewLayer layer;
    layer.media_type = std::string(kImage) + "model";
    layer.staged = staging_->path("converted.gguf");
    ASSIGN_OR_RETURN(convert::ConvertSummary summary, convert::convert_folder(folder, layer.staged, options));
    for (const auto& [option, value] : summary.parameters)
      if (option == "top_k")
        recommended_[option] = static_cast<int64_t>(value);
      else
        recommended_[option] = value;
    notes_.insert(notes_.end(), summary.notes.begin(), summary.notes.end());
    recipe_.reset();  // done on the way
    return finish_file(std::move(layer));
  }

  // Blobs get their files' names back, as links in the staging folder.
  Status begin_with_blobs() {
    const std::string folder = staging_->path("files");
    std::error_code failed;
    fs::create_directories(folder, failed);
    std::vector<std::pair<std::string, std::string>> ggufs;
    for (const auto& [name, digest] : plan_.from_blobs) {
      TRY(check_relative(name));
      if (!is_digest(digest)) return error(ErrorKind::kUsage, "'{}' is no digest", printable(digest));
      std::string blob;
      for (const std::string& store : folders_)
        if (blob.empty() && fs::exists(blob_path(store, digest), failed)) blob = blob_path(store, digest);
      if (blob.empty())
        return error(ErrorKind::kNotFound, "the blob {} of {} is not there; upload it first", digest, name);
      if (name.ends_with(".gguf")) ggufs.emplace_back(name, blob);
      // What is in folders below belongs to other runtimes.
      if (name.find('/') == std::string::npos) fs::create_symlink(fs::absolute(blob), fs::path(folder) / name, failed);
      if (failed) return error(ErrorKind::kIo, "{}: {}", folder, failed.message());
    }
    if (ggufs.empty() && convert::is_model_folder(folder)) return convert_from(folder);
    if (ggufs.empty() && plan_.from_blobs.size() == 1)
      ggufs.emplace_back(plan_.from_blobs[0].first, (fs::path(folder) / plan_.from_blobs[0].first).string());
    if (ggufs.empty())
      return error(ErrorKind::kUsage,
                   "unknown type: there is neither a GGUF file nor a config.json with safetensors among the files");
    for (const auto& [name, blob] : ggufs) {
      const bool flat = name.find('/') == std::string::npos;
      if (flat && is_later_part(name)) continue;
      TRY(add_gguf(flat ? (fs::path(folder) / name).string() : blob, name));
    }
    return {};
  }

  static Status check_relative(const std::string& name) {
    const fs::path path(name);
    const bool climbs =
        std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".." || part == "."; });
    if (name.empty() || path.is_absolute() || climbs || name.find('\\') != std::string::npos ||
        name.find('\0') != std::string::npos)
      return error(ErrorKind::kUsage, "file path must be relative: '{}'", printable(name));
    return {};
  }

  // --- what all have

  Status quantise() {
    if (!recipe_) return {};
    for (NewLayer& layer : layers_) {
      if (!is_kind(layer, "model")) continue;
      const std::string in = layer.staged.empty() ? layer.elsewhere : layer.staged;
      ASSIGN_OR_RETURN(const std::string before, quantisable_type(in));
      const std::string status = fmt::format("quantizing {} model to {}", before, recipe_->name);
      TRY(say(status));
      gguf::QuantizeOptions options{.threads = plan_.threads};
      options.progress = [&](uint64_t done, uint64_t total, std::string_view) -> Status {
        return hooks_.progress ? hooks_.progress(status, layer.digest, done, total) : Status();
      };
      const std::string out = staging_->path("quantised.gguf");
      ASSIGN_OR_RETURN(const gguf::QuantizeSummary summary, gguf::quantize_file(in, out, *recipe_, options));
      notes_.insert(notes_.end(), summary.notes.begin(), summary.notes.end());
      std::error_code failed;
      if (!layer.staged.empty()) fs::remove(layer.staged, failed);
      layer.staged = out;
      layer.elsewhere.clear();
      layer.from.clear();
      layer.bytes = summary.bytes_after;
      ASSIGN_OR_RETURN(layer.digest, digest_of_file(out));
    }
    return {};
  }

  void replace(std::string_view kind, std::string text) {
    std::erase_if(layers_, [&](const NewLayer& layer) { return is_kind(layer, kind); });
    if (!text.empty()) layers_.push_back(text_layer(kind, std::move(text)));
  }

  // The parameters that are inherited, if they can be read.
  json::object inherited_parameters() const {
    for (const NewLayer& layer : layers_) {
      if (!is_kind(layer, "params") || layer.bytes > kMost_text_bytes) continue;
      const auto text = read_file(layer.elsewhere);
      boost::system::error_code failed;
      json::value value = text ? json::parse(*text, failed) : json::value();
      if (text && !failed && value.is_object()) return std::move(value.get_object());
    }
    return {};
  }

  Status add_own() {
    if (plan_.template_text) {
      std::erase_if(layers_, [](const NewLayer& layer) { return is_kind(layer, "prompt"); });
      replace("template", *plan_.template_text);
    }
    if (plan_.system) replace("system", *plan_.system);
    for (const std::string& license : plan_.licenses) {
      NewLayer layer = text_layer("license", license);
      if (std::ranges::none_of(layers_, [&](const NewLayer& other) { return other.digest == layer.digest; }))
        layers_.push_back(std::move(layer));
    }
    json::object parameters = inherited_parameters();
    for (const json::key_value_pair& member : recommended_) parameters[member.key()] = member.value();
    std::vector<std::string> known;  // told by check_options() already
    TRY(set_options(parameters, plan_.parameters, &known));
    if (!parameters.empty()) replace("params", json::serialize(parameters));
    if (plan_.messages) {
      json::array messages;
      for (const Message& message : *plan_.messages)
        messages.push_back(json::object{{"role", message.role}, {"content", message.content}});
      replace("messages", messages.empty() ? std::string() : json::serialize(messages));
    }
    return {};
  }

  NewLayer config_layer() {
    json::array digests;
    for (const NewLayer& layer : layers_) {
      digests.emplace_back(layer.digest);
      if (!is_kind(layer, "model")) continue;
      describe_weights(layer.staged.empty() ? layer.elsewhere : layer.staged, config_);
    }
    config_["model_format"] = "gguf";
    config_["architecture"] = "amd64";
    config_["os"] = "linux";
    config_["rootfs"] = json::object{{"type", "layers"}, {"diff_ids", std::move(digests)}};
    for (const auto& [key, value] :
         {std::pair("requires", &plan_.minimum_version), {"renderer", &plan_.renderer}, {"parser", &plan_.parser}})
      if (!value->empty()) config_[key] = *value;
    NewLayer layer = text_layer("", json::serialize(config_));
    layer.media_type = kConfig_type;
    return layer;
  }

  const Blueprint& plan_;
  const std::span<const std::string> folders_;
  const CreateHooks& hooks_;
  std::string folder_;
  Staging* staging_ = nullptr;
  std::optional<gguf::QuantizationRecipe> recipe_;
  std::vector<NewLayer> layers_;
  json::object config_, recommended_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<std::vector<std::string>> create_model(const Blueprint& blueprint, std::span<const std::string> folders,
                                              const CreateHooks& hooks) {
  return Creator(blueprint, folders, hooks).run();
}

}  // namespace hearth::store
