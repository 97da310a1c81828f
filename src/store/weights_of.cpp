#include "store/weights_of.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "convert/convert.h"
#include "gguf/file.h"
#include "gguf/quantization_recipe.h"

namespace hearth::store {
namespace {

namespace fs = std::filesystem;

bool starts_as_gguf(const std::string& path) {
  const auto file = InputFile::open(path);
  std::array<char, 4> magic{};
  return file && file->size() >= magic.size() && file->read(0, std::as_writable_bytes(std::span(magic))) &&
         std::string_view(magic.data(), magic.size()) == "GGUF";
}

}  // namespace

Result<WeightsKind> kind_of_weights(const std::string& path, const std::string& name) {
  std::error_code failed;
  if (!fs::exists(path, failed)) return error(ErrorKind::kNotFound, "{}: no such file", name);
  if (!starts_as_gguf(path)) return error(ErrorKind::kUsage, "{}: supplied file was not in GGUF format", name);
  ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, gguf::File::open(path));
  const std::string_view type = file->string_or("general.type", "model");
  const bool projector =
      type == "projector" || type == "mmproj" || file->string_or("general.architecture", "") == "clip";
  return WeightsKind{type == "adapter" ? "adapter" : projector ? "projector" : "model", file->part_paths().size()};
}

bool is_later_part(const std::string& name) {
  const size_t of = name.rfind("-of-");
  if (of == std::string::npos || of < 6 || !name.ends_with(".gguf") || name[of - 6] != '-') return false;
  const std::string number = name.substr(of - 5, 5);
  return number.find_first_not_of("0123456789") == std::string::npos && number != "00001";
}

Result<std::vector<std::string>> gguf_files_of(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".gguf") && !is_later_part(name)) files.push_back(it->path().string());
  }
  if (failed) return error(ErrorKind::kIo, "cannot read the folder {}: {}", folder, failed.message());
  std::sort(files.begin(), files.end());
  return files;
}

bool is_checkpoint(const std::string& folder) {
  return convert::is_model_folder(folder);
}

Status check_checkpoint(std::string_view config, const std::string& quantize) {
  if (!quantize.empty()) {
    ASSIGN_OR_RETURN([[maybe_unused]] const gguf::QuantizationRecipe recipe, gguf::find_recipe(quantize));
  }
  return convert::check_config(config, "config.json");
}

Result<std::string> quantisable_type(const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, gguf::File::open(path));
  std::string widest = "F16";
  for (const gguf::Tensor& tensor : file->tensors()) {
    if (!gguf::is_quantised(tensor)) continue;
    if (tensor.format->block_values > 1)
      return error(
          ErrorKind::kUsage,
          "quantization is only supported for F16, BF16 and F32 models; this one has weights in {}, and quantising "
          "twice costs quality",
          tensor.format->name);
    widest = tensor.format->name;
  }
  return widest;
}

std::string parameter_count_text(uint64_t parameters) {
  const auto value = static_cast<double>(parameters);
  if (parameters >= 1'000'000'000) return fmt::format("{:.1f}B", value / 1e9);
  if (parameters >= 1'000'000) return fmt::format("{:.2f}M", value / 1e6);
  return parameters >= 1000 ? fmt::format("{:.2f}K", value / 1e3) : fmt::format("{}", parameters);
}

void describe_weights(const std::string& path, boost::json::object& config) {
  const auto file = gguf::File::open(path);
  if (!file) return;
  uint64_t parameters = 0;
  for (const gguf::Tensor& tensor : (*file)->tensors()) parameters += tensor.values();
  const std::string_view family = (*file)->string_or("general.architecture", "");
  const std::string_view recipe = gguf::recipe_of_file_type((*file)->u64_or("general.file_type", UINT64_MAX));
  config["model_family"] = family;
  config["model_families"] = boost::json::array{family};
  config["model_type"] = parameter_count_text(parameters);
  config["file_type"] = recipe.empty() ? "unknown" : recipe;
}

}  // namespace hearth::store
