#include "convert/convert.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "convert/family.h"
#include "convert/tokenizer.h"
#include "gguf/row_encoder.h"

namespace hearth::convert {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr uint64_t kMost_config_bytes = 16 << 20;
constexpr uint32_t kQuantizationVersion = 2;  // ggml's GGML_QNT_VERSION

Result<const Family*> choose_family(const Json& config) {
  const json::value* classes = config.find("architectures");
  if (classes == nullptr || !classes->is_array() || classes->get_array().empty() ||
      !classes->get_array()[0].is_string())
    return config.invalid("architectures", "does not name the model's class");
  const std::string_view name(classes->get_array()[0].get_string());
  if (const Family* family = find_family(name, config)) return family;
  return error(ErrorKind::kUnsupported, "{}: models of class {} cannot be imported; supported: {}", config.file(), name,
               fmt::join(all_classes(), ", "));
}

struct Blocks {
  uint64_t rows = 0, columns = 0;
};

// FP8 in the forms that Plan understands; everything else that is quantised is refused.
Result<Blocks> read_quantization(const Json& config) {
  Blocks blocks;
  ASSIGN_OR_RETURN(const std::optional<Json> quantization, config.child("quantization_config"));
  if (!quantization) return blocks;
  ASSIGN_OR_RETURN(const std::string method, quantization->text_or("quant_method", ""));
  ASSIGN_OR_RETURN(const std::string format, quantization->text_or("format", ""));
  const bool fp8 = method == "fp8" || method == "fbgemm_fp8" ||
                   (method == "compressed-tensors" && (format == "float-quantized" || format == "naive-quantized"));
  if (method == "mxfp4") return blocks;  // the family's tensors say so
  if (!fp8)
    return error(ErrorKind::kUnsupported,
                 "{}: weights quantised by '{}'{} cannot be imported; get the model in BF16, F16, F32 or FP8",
                 config.file(), method, format.empty() ? "" : fmt::format(" ({})", format));
  ASSIGN_OR_RETURN(const std::vector<float> size, quantization->numbers("weight_block_size"));
  if (size.empty()) return blocks;
  if (size.size() != 2 || !(size[0] >= 1) || !(size[1] >= 1) || size[0] > 65536 || size[1] > 65536)
    return quantization->invalid("weight_block_size", "is no pair of rows and columns");
  return Blocks{static_cast<uint64_t>(size[0]), static_cast<uint64_t>(size[1])};
}

// What keeps all of a source's weights.
const quant::Format& format_of(const Target& target) {
  if (!target.sources.empty() && target.sources[0].exponents.file != nullptr) return *quant::find_name("MXFP4");
  std::string_view widest = "BF16";
  for (const Source& source : target.sources) {
    const std::string_view type = source.weight.tensor->dtype->name;
    if (type == "F16" && widest == "BF16" && target.sources.size() == 1) widest = "F16";
    if (type == "F32" || type == "F64" || (type == "F16" && target.sources.size() > 1)) widest = "F32";
  }
  return *quant::find_name(widest);
}

class Converter {
 public:
  Converter(const Checkpoint& checkpoint, Plan& plan, const ConvertOptions& options)
      : checkpoint_(checkpoint), plan_(plan), options_(options), encoder_(std::max(1, options.threads)) {}

  Result<uint64_t> run(const std::string& out) {
    choose_formats();
    const uint64_t bytes = plan_.writer.file_bytes();
    if (options_.reserve) TRY(options_.reserve(bytes));
    TRY(plan_.writer.begin(out));
    for (size_t i = 0; i < formats_.size(); ++i) TRY(write(plan_.targets()[i], *formats_[i]));
    TRY(checkpoint_.check());
    TRY(plan_.writer.finish());
    return bytes;
  }

 private:
  // As quantize chooses, which goes by names and shapes.
  gguf::Tensor described(const Target& target) const {
    gguf::Tensor tensor{target.name, &format_of(target), static_cast<int>(target.shape.size()), {1, 1, 1, 1}, 0, 0, 0};
    std::copy(target.shape.begin(), target.shape.end(), tensor.shape.begin());
    return tensor;
  }

  void choose_formats() {
    gguf::ModelProperties properties;
    properties.is_falcon = plan_.architecture() == "falcon";
    properties.layers = plan_.layers;
    properties.experts = plan_.experts;
    properties.queries_per_value = plan_.heads / std::max(1u, plan_.kv_heads);
    for (const Target& target : plan_.targets()) properties.has_output |= target.name == "output.weight";
    std::map<const quant::Format*, uint64_t> bytes_of;  // of matrices
    for (const Target& target : plan_.targets()) {
      const gguf::Tensor tensor = described(target);
      const quant::Format* format = quant::find_name("F32");
      if (gguf::is_quantised(tensor)) {
        format = options_.recipe ? gguf::choose_format(*options_.recipe, properties, tensor).format : tensor.format;
        bytes_of[format] += target.rows() * format->bytes(target.columns());
      }
      formats_.push_back(format);
      plan_.writer.add_tensor(target.name, *format, target.shape);
      total_bytes_ += target.rows() * format->bytes(target.columns());
    }
    plan_.writer.set_u32("general.file_type", options_.recipe ? options_.recipe->file_type : file_type_of(bytes_of));
    plan_.writer.set_u32("general.quantization_version", kQuantizationVersion);
  }

  // That of the format that most of it has.
  static uint32_t file_type_of(const std::map<const quant::Format*, uint64_t>& bytes_of) {
    const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto most = std::max_element(bytes_of.begin(), bytes_of.end(), less);
    const auto recipe = gguf::find_recipe(most == bytes_of.end() ? "BF16" : most->first->name);
    return recipe ? recipe->file_type : 0;
  }

  Status write(const Target& target, const quant::Format& format) {
    for (const Source& source : target.sources)
      source.weight.file->bring_in(*source.weight.tensor);  // exponents: small
    const std::string from =
        target.sources.empty() ? std::string("the configuration") : target.sources[0].weight.file->path();
    const std::string name = target.sources.empty() ? target.name : target.sources[0].weight.tensor->name;
    gguf::RowEncoder::Rows rows{from, name, target.columns(), target.rows()};
    rows.decode = [&](uint64_t first, uint64_t count, float* out) { decode_rows(target, first, count, out); };
    rows.done = [&](uint64_t count) {
      done_bytes_ += count * format.bytes(target.columns());
      return options_.progress ? options_.progress(done_bytes_, total_bytes_, target.name) : Status();
    };
    TRY(encoder_.write(rows, format, plan_.writer));
    for (const Source& source : target.sources) TRY(source.weight.file->check());
    return {};
  }

  const Checkpoint& checkpoint_;
  Plan& plan_;
  const ConvertOptions& options_;
  gguf::RowEncoder encoder_;
  std::vector<const quant::Format*> formats_;
  uint64_t done_bytes_ = 0, total_bytes_ = 0;
};

Result<std::vector<std::pair<std::string, double>>> read_parameters(const std::string& folder) {
  std::vector<std::pair<std::string, double>> parameters;
  const std::string path = folder + "/generation_config.json";
  std::error_code failed;
  if (!fs::exists(path, failed)) return parameters;
  ASSIGN_OR_RETURN(const json::object object, read_json_object(path, kMost_config_bytes));
  const Json generation(object, path);
  ASSIGN_OR_RETURN(const bool samples, generation.boolean_or("do_sample", false));
  if (!samples) return parameters;  // the other numbers do not count then
  for (const auto& [key, option, least] : {std::tuple("temperature", "temperature", 0.0),
                                           {"top_p", "top_p", 0.0},
                                           {"top_k", "top_k", 0.0},
                                           {"min_p", "min_p", 0.0},
                                           {"repetition_penalty", "repeat_penalty", 0.0}}) {
    if (!generation.has(key)) continue;
    ASSIGN_OR_RETURN(const double value, generation.number(key));
    if (value >= least && value <= 1e6) parameters.emplace_back(option, value);
  }
  return parameters;
}

std::string title_of(const std::string& folder) {
  std::error_code failed;
  const fs::path whole = fs::canonical(folder, failed);
  return (failed ? fs::path(folder) : whole).filename().string();
}

}  // namespace

const Family* find_family(std::string_view class_name, const Json& config) {
  for (const Family* family : RegisterFamily::all())
    if (std::find(family->classes.begin(), family->classes.end(), class_name) != family->classes.end() &&
        (family->fits == nullptr || family->fits(config)))
      return family;
  return nullptr;
}

std::vector<std::string_view> all_classes() {
  std::vector<std::string_view> all;
  for (const Family* family : RegisterFamily::all())
    all.insert(all.end(), family->classes.begin(), family->classes.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Status check_config(std::string_view text, const std::string& name) {
  ASSIGN_OR_RETURN(const json::object object, parse_json_object(text, name));
  const Json config(object, name);
  ASSIGN_OR_RETURN([[maybe_unused]] const Family* family, choose_family(config));
  ASSIGN_OR_RETURN([[maybe_unused]] const Blocks blocks, read_quantization(config));
  return {};
}

bool is_model_folder(const std::string& folder) {
  std::error_code failed;
  return fs::is_regular_file(fs::path(folder) / "config.json", failed);
}

Result<ConvertSummary> convert_folder(const std::string& folder, const std::string& out,
                                      const ConvertOptions& options) {
  const std::string path = (fs::path(folder) / "config.json").string();
  ASSIGN_OR_RETURN(const json::object object, read_json_object(path, kMost_config_bytes));
  const Json config(object, path);
  ASSIGN_OR_RETURN(const Family* family, choose_family(config));
  ASSIGN_OR_RETURN(const Blocks blocks, read_quantization(config));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(folder));
  Plan plan(checkpoint, family->architecture, blocks.rows, blocks.columns);
  plan.writer.set_string("general.architecture", family->architecture);
  plan.writer.set_string("general.name", title_of(folder));
  const auto in_folder = [&](const Status& status) {
    const bool names_file = status || status.error().message.find(folder) != std::string::npos;
    return names_file ? status : Status(error(status.error().kind, "{}: {}", folder, status.error().message));
  };
  TRY(in_folder(family->describe(config, plan)));
  TRY(in_folder(plan.finish()));
  TRY(in_folder(add_tokenizer(folder, config, plan)));
  ConvertSummary summary;
  ASSIGN_OR_RETURN(summary.parameters, read_parameters(folder));
  ASSIGN_OR_RETURN(summary.bytes, Converter(checkpoint, plan, options).run(out));
  summary.architecture = family->architecture;
  summary.notes = std::move(plan.notes);
  return summary;
}

}  // namespace hearth::convert
