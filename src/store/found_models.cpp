#include "store/found_models.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/file.h"
#include "store/manifest.h"
#include "store/model_name.h"
#include "store/ollama_models.h"
#include "store/weights_of.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMost_part_bytes = 80;  // of a name's parts
constexpr int kMost_depth = 6;           // of folders that are searched
constexpr size_t kMost_entries = 200'000;
constexpr uint64_t kLeast_weights_bytes = 1 << 20;

// As a part of a model's name.
std::string clean(std::string_view text, bool dots = true) {
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool good = letter || c == '_' || (!out.empty() && (c == '-' || (dots && c == '.')));
    if (good || (!out.empty() && out.back() != '-')) out += good ? c : '-';
    if (out.size() == kMost_part_bytes) break;
  }
  return out.empty() ? "model" : out;
}

bool is_quantisation(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (upper.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::string::npos) return false;
  if (upper == "F16" || upper == "F32" || upper == "BF16" || upper == "FP16" || upper.starts_with("MXFP4")) return true;
  for (const std::string_view begin : {"Q", "IQ", "TQ"})
    if (upper.size() > begin.size() + 1 && upper.starts_with(begin) && upper[begin.size()] >= '1' &&
        upper[begin.size()] <= '9' && upper[begin.size() + 1] == '_')
      return true;
  return false;
}

bool is_projector(const std::string& file_name) {
  return file_name.find("mmproj") != std::string::npos;
}

uint64_t size_of(const fs::path& path) {
  std::error_code failed;
  const uintmax_t bytes = fs::file_size(path, failed);
  return failed ? 0 : bytes;
}

class Finder {
 public:
  Finder(std::string own, const Environment& environment) : own_(std::move(own)), environment_(environment) {}

  std::vector<FoundModel> run() {
    stores();
    for (const fs::path& hub : hubs()) hub_models(hub);
    for (const fs::path& folder : studio_folders()) studio(folder);
    for (const fs::path& folder : llama_folders()) files_of("llama.cpp", folder);
    for (const fs::path& folder : gpt4all_folders()) files_of("GPT4All", folder);
    std::stable_sort(found_.begin(), found_.end(), [](const FoundModel& a, const FoundModel& b) {
      return std::tie(a.program, a.name) < std::tie(b.program, b.name);
    });
    return std::move(found_);
  }

  std::vector<std::string> weights() {
    std::set<std::string> files;
    for (const std::string& folder : other_stores()) add_files(fs::path(folder) / "blobs", &files);
    for (const auto& folders : {hubs(), studio_folders(), llama_folders(), gpt4all_folders()})
      for (const fs::path& folder : folders) add_files(folder, &files);
    return {files.begin(), files.end()};
  }

 private:
  std::string value(const char* name) const { return environment_(name).value_or(""); }
  fs::path home() const { return value("HOME"); }
  fs::path cache() const {
    const std::string set = value("XDG_CACHE_HOME");
    return set.empty() ? home() / ".cache" : fs::path(set);
  }
  std::vector<fs::path> hubs() const {
    if (const std::string hub = value("HF_HUB_CACHE"); !hub.empty()) return {hub};
    if (const std::string home = value("HF_HOME"); !home.empty()) return {fs::path(home) / "hub"};
    return {cache() / "huggingface" / "hub"};
  }
  std::vector<fs::path> studio_folders() const {
    return {home() / ".lmstudio" / "models", home() / ".cache" / "lm-studio" / "models"};
  }
  std::vector<fs::path> llama_folders() const {
    const std::string set = value("LLAMA_CACHE");
    return {set.empty() ? cache() / "llama.cpp" : fs::path(set)};
  }
  std::vector<fs::path> gpt4all_folders() const {
    return {home() / ".local" / "share" / "nomic.ai" / "GPT4All", home() / ".cache" / "gpt4all"};
  }
  std::vector<std::string> other_stores() const {
    std::vector<std::string> folders;
    for (const std::string& folder : {value("OLLAMA_MODELS"), (home() / ".ollama" / "models").string(),
                                      std::string("/usr/share/ollama/.ollama/models")}) {
      std::error_code failed;
      if (!folder.empty() && fs::is_directory(folder, failed) && !fs::equivalent(folder, own_, failed))
        folders.push_back(folder);
    }
    return folders;
  }

  static std::vector<fs::path> entries(const fs::path& folder) {
    std::vector<fs::path> all;
    std::error_code failed;
    for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
      all.push_back(it->path());
      if (all.size() >= kMost_entries) break;
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  // Each file once, however many links lead to it.
  bool first_time(const fs::path& path) {
    std::error_code failed;
    const fs::path real = fs::canonical(path, failed);
    return !failed && seen_.insert(real.string()).second;
  }

  void add(FoundModel model) {
    const auto name = ModelName::parse(model.name);
    if (!name || model.bytes == 0 || !first_time(model.path)) return;
    model.name = name->display();
    found_.push_back(std::move(model));
  }

  void stores() {
    for (const std::string& folder : other_stores()) {
      for (const std::string& name : list_models(std::span(&folder, 1))) {
        const auto model = resolve_name(name, std::span(&folder, 1));
        if (!model) continue;
        std::error_code failed;
        found_.push_back({FoundModel::Kind::kStore, "Ollama", name, folder, "", size_of(model->model)});
        seen_.insert(fs::canonical(model->model, failed).string());
      }
    }
  }

  // The GGUF files of one folder; `repository`: "hf.co/org/repo", of which the quantisation is the tag.
  void folder_of_files(const char* program, const fs::path& folder, const std::string& repository) {
    const std::vector<fs::path> all = entries(folder);
    std::string projector;
    for (const fs::path& path : all)
      if (projector.empty() && path.extension() == ".gguf" && is_projector(path.filename().string()))
        projector = path.string();
    for (const fs::path& path : all) {
      const std::string file = path.filename().string();
      if (path.extension() != ".gguf" || is_projector(file) || is_later_part(file)) continue;
      const NameAndTag own = split_file_name(file);
      const std::string name = repository.empty() ? own.name + ":" + own.tag : repository + ":" + own.tag;
      const bool parts = file.find("-00001-of-") != std::string::npos;
      add({parts ? FoundModel::Kind::kParts : FoundModel::Kind::kGguf, program, name, path.string(), projector,
           parts ? bytes_of_parts(all, file) : size_of(path)});
    }
  }

  static uint64_t bytes_of_parts(const std::vector<fs::path>& all, const std::string& first) {
    const std::string begin = first.substr(0, first.find("-00001-of-"));
    uint64_t bytes = 0;
    for (const fs::path& path : all)
      if (path.filename().string().starts_with(begin + "-")) bytes += size_of(path);
    return bytes;
  }

  void files_of(const char* program, const fs::path& folder) { folder_of_files(program, folder, ""); }

  // models/PUBLISHER/REPOSITORY/*.gguf
  void studio(const fs::path& folder) {
    for (const fs::path& publisher : entries(folder))
      for (const fs::path& repository : entries(publisher))
        folder_of_files(
            "LM Studio", repository,
            "hf.co/" + clean(publisher.filename().string(), false) + "/" + clean(repository.filename().string()));
  }

  // models--ORG--NAME/refs/main names a folder of snapshots/.
  void hub_models(const fs::path& hub) {
    for (const fs::path& repository : entries(hub)) {
      const std::string folder = repository.filename().string();
      constexpr std::string_view kBegin = "models--";
      if (!folder.starts_with(kBegin)) continue;
      const size_t cut = folder.find("--", kBegin.size());
      if (cut == std::string::npos) continue;
      const std::string organisation = folder.substr(kBegin.size(), cut - kBegin.size()), name = folder.substr(cut + 2);
      const fs::path snapshot = snapshot_of(repository);
      if (snapshot.empty()) continue;
      const std::string full = "hf.co/" + clean(organisation, false) + "/" + clean(name);
      folder_of_files("Hugging Face", snapshot, full);
      safetensors(snapshot, full);
    }
  }

  static fs::path snapshot_of(const fs::path& repository) {
    std::string revision;
    std::getline(std::ifstream(repository / "refs" / "main"), revision);
    std::error_code failed;
    const bool plain = !revision.empty() && revision.find('/') == std::string::npos && !revision.starts_with('.');
    if (plain && fs::is_directory(repository / "snapshots" / revision, failed))
      return repository / "snapshots" / revision;
    const std::vector<fs::path> all = entries(repository / "snapshots");
    return all.empty() ? fs::path() : all.back();
  }

  void safetensors(const fs::path& folder, const std::string& name) {
    std::error_code failed;
    if (!fs::exists(folder / "config.json", failed)) return;
    uint64_t bytes = 0;
    for (const fs::path& path : entries(folder))
      if (path.extension() == ".safetensors") bytes += size_of(path);
    add({FoundModel::Kind::kSafetensors, "Hugging Face", name, folder.string(), "", bytes});
  }

  static void add_files(const fs::path& folder, std::set<std::string>* files) {
    std::error_code failed;
    size_t count = 0;
    for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed), end;
         !failed && it != end && count < kMost_entries; it.increment(failed), ++count) {
      if (it.depth() >= kMost_depth) it.disable_recursion_pending();
      std::error_code ignored;
      if (it->is_symlink(ignored) || !it->is_regular_file(ignored) || size_of(it->path()) < kLeast_weights_bytes)
        continue;
      const fs::path real = fs::canonical(it->path(), ignored);
      if (!ignored) files->insert(real.string());
    }
  }

  const std::string own_;
  const Environment& environment_;
  std::set<std::string> seen_;
  std::vector<FoundModel> found_;
};

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

NameAndTag split_file_name(std::string_view file_name) {
  constexpr std::string_view kEnd = ".gguf";
  if (file_name.ends_with(kEnd)) file_name.remove_suffix(kEnd.size());
  if (const size_t part = file_name.find("-00001-of-"); part != std::string_view::npos)
    file_name = file_name.substr(0, part);
  for (size_t at = 1; at + 1 < file_name.size(); ++at) {
    const bool separates = file_name[at] == '-' || file_name[at] == '.' || file_name[at] == '_';
    if (!separates || !is_quantisation(file_name.substr(at + 1))) continue;
    return {clean(file_name.substr(0, at)), clean(file_name.substr(at + 1))};
  }
  return {clean(file_name), "latest"};
}

std::vector<FoundModel> find_models(const std::string& own, const Environment& environment) {
  return Finder(own, environment).run();
}

std::vector<std::string> find_weights(const Environment& environment) {
  return Finder("", environment).weights();
}

}  // namespace hearth::store
