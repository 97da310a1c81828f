#include "fleet/find_model.h"

#include <filesystem>

#include "base/error.h"

namespace hearth::fleet {
namespace {

constexpr const char* kDemo = "demo";

Result<std::string> find_demo() {
  std::error_code ignored;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::string looked;
  for (const auto& location : {binary / "demo.gguf", binary / "../share/hearth/demo.gguf"}) {
    const auto path = location.lexically_normal();
    if (std::filesystem::is_regular_file(path, ignored)) return path.string();
    looked += (looked.empty() ? "" : " and ") + path.string();
  }
  return error(ErrorKind::kNotFound,
               "the demonstration model is not installed (looked for {}); ./run.sh puts one there, or give the path of "
               "a GGUF file",
               looked);
}

}  // namespace

Result<store::ModelFiles> find_model(const std::string& model) {
  std::error_code ignored;
  if (model != kDemo || std::filesystem::exists(model, ignored)) return store::resolve_argument(model);
  ASSIGN_OR_RETURN(const std::string path, find_demo());
  return store::resolve_path(path);
}

Result<store::ModelFiles> find_named_model(const std::string& name) {
  auto found = store::resolve_name(name, store::model_folders());
  if (found || found.error().kind != ErrorKind::kNotFound || (name != kDemo && name != kDemo_name)) return found;
  ASSIGN_OR_RETURN(const std::string path, find_demo());
  ASSIGN_OR_RETURN(store::ModelFiles demo, store::resolve_path(path));
  demo.name = kDemo_name;
  return demo;
}

Result<std::shared_ptr<const gguf::File>> open_model(const std::string& model) {
  ASSIGN_OR_RETURN(const store::ModelFiles found, find_model(model));
  return gguf::File::open(found.model);
}

}  // namespace hearth::fleet
