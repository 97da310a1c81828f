#include "gguf/quantize.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "gguf/file.h"
#include "gguf/row_encoder.h"
#include "gguf/writer.h"
#include "quant/bits_per_weight.h"

namespace hearth::gguf {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCopy_bytes = 16 << 20;
constexpr uint32_t kQuantizationVersion = 2;  // ggml's GGML_QNT_VERSION
constexpr double kFewBits = 2.6;              // per weight: below, rounding needs to know which weights matter

std::string folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

Status check_space(const std::string& out, uint64_t needed) {
  const std::string folder = folder_of(out);
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) {
    return error(ErrorKind::kIo, "cannot write to {}: {}", folder, std::strerror(errno));
  }
  const uint64_t available = uint64_t{info.f_bavail} * info.f_frsize;
  if (available >= needed) return {};
  return error(ErrorKind::kIo, "not enough disk space in {}: {:.1f} MB needed, {:.1f} MB available", folder,
               static_cast<double>(needed) / 1e6, static_cast<double>(available) / 1e6);
}

class Quantizer {
 public:
  // Without a recipe weights stay as they are.
  Quantizer(const File& file, const QuantizationRecipe* recipe, const QuantizeOptions& options)
      : file_(file),
        recipe_(recipe),
        options_(options),
        properties_(read_properties(file)),
        encoder_(std::max(1, options.threads)) {}

  Result<QuantizeSummary> run(const std::string& out) {
    copy_metadata();
    TRY(choose_formats());
    remove_leftovers(out);
    TRY(check_space(out, writer_.file_bytes()));
    TRY(writer_.begin(out));
    for (size_t i = 0; i < formats_.size(); ++i) {
      const Tensor& tensor = file_.tensors()[i];
      TRY(formats_[i] == tensor.format ? copy(tensor) : convert(tensor, *formats_[i]));
    }
    TRY(file_.check());
    TRY(writer_.finish());
    summary_.bytes_before = file_.file_bytes();
    summary_.bytes_after = writer_.file_bytes();
    return std::move(summary_);
  }

 private:
  void copy_metadata() {
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with("split.")) writer_.set(key, value);
    }
    if (recipe_ == nullptr) return;
    writer_.set_u32("general.file_type", recipe_->file_type);
    writer_.set_u32("general.quantization_version", kQuantizationVersion);
  }

  Status choose_formats() {
    uint64_t requantised = 0, starved = 0, kept = 0;
    for (const Tensor& tensor : file_.tensors()) {
      const bool changed = recipe_ != nullptr && is_quantised(tensor);
      const Choice choice = changed ? choose_format(*recipe_, properties_, tensor) : Choice{tensor.format};
      if (choice.format != tensor.format && choice.format->encode == nullptr) {
        return error(ErrorKind::kUnsupported, "{}: tensor '{}' would become {}, which cannot be written", file_.path(),
                     tensor.name, choice.format->name);
      }
      if (choice.instead_of != nullptr) {
        summary_.notes.push_back(fmt::format("{}: rows of {} values are not whole blocks of {}: {} instead",
                                             tensor.name, tensor.shape[0], choice.instead_of->name,
                                             choice.format->name));
      }
      const bool changes = choice.format != tensor.format;
      kept += changed && !changes && keeps_format(*recipe_, tensor);
      requantised += changes && tensor.format->block_values > 1;
      starved += changes && quant::bits_per_weight(choice.format->block_bytes, choice.format->block_values) < kFewBits;
      formats_.push_back(choice.format);
      const size_t dimensions = static_cast<size_t>(std::max(1, tensor.dimensions));
      writer_.add_tensor(tensor.name, *choice.format, std::span(tensor.shape).first(dimensions));
      summary_.bytes_by_type[choice.format->name] += choice.format->bytes(tensor.values());
      total_bytes_ += tensor.bytes;
    }
    if (kept > 0) {
      summary_.notes.push_back(fmt::format(
          "{} tensors stay MXFP4, as they were trained: quantising them again would make them worse", kept));
    }
    if (requantised > 0) {
      summary_.notes.push_back(
          fmt::format("{} tensors were quantised before: the result is worse than from the original", requantised));
    }
    if (starved > 0) {
      summary_.notes.push_back(
          fmt::format("{} tensors get under {} bits per weight without an importance matrix: expect "
                      "poor text, unless the model was trained for it",
                      starved, kFewBits));
    }
    return {};
  }

  Status report(uint64_t bytes, const Tensor& tensor) {
    done_bytes_ += bytes;
    return options_.progress ? options_.progress(done_bytes_, total_bytes_, tensor.name) : Status();
  }

  Status copy(const Tensor& tensor) {
    copied_.resize(std::min<uint64_t>(tensor.bytes, kCopy_bytes));
    for (uint64_t at = 0; at < tensor.bytes; at += copied_.size()) {
      const std::span<std::byte> piece = std::span(copied_).first(std::min(tensor.bytes - at, copied_.size()));
      TRY(file_.read(tensor, at, piece));
      TRY(writer_.write(piece));
      TRY(report(piece.size(), tensor));
    }
    return {};
  }

  Status convert(const Tensor& tensor, const quant::Format& to) {
    const uint64_t columns = tensor.shape[0], from_row_bytes = tensor.format->bytes(columns);
    uint64_t window = 0;  // its first row
    RowEncoder::Rows rows{file_.path(), tensor.name, columns, tensor.values() / columns};
    rows.prepare = [&](uint64_t first, uint64_t count) {
      window = first;
      source_.resize(count * from_row_bytes);
      return file_.read(tensor, first * from_row_bytes, std::as_writable_bytes(std::span(source_)));
    };
    rows.decode = [&](uint64_t first, uint64_t count, float* out) {
      tensor.format->decode(source_.data() + (first - window) * from_row_bytes, count * columns, out);
    };
    rows.done = [&](uint64_t count) { return report(count * from_row_bytes, tensor); };
    return encoder_.write(rows, to, writer_);
  }

  const File& file_;
  const QuantizationRecipe* recipe_;
  const QuantizeOptions& options_;
  const ModelProperties properties_;
  RowEncoder encoder_;
  Writer writer_;
  QuantizeSummary summary_;
  std::vector<const quant::Format*> formats_;  // of each tensor, in the new file
  std::vector<std::byte> copied_;
  std::vector<uint8_t> source_;  // of a window
  uint64_t total_bytes_ = 0, done_bytes_ = 0;
};

Result<QuantizeSummary> rewrite(const std::string& in, const std::string& out, const QuantizationRecipe* recipe,
                                const QuantizeOptions& options) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const File> file, File::open(in));
  for (const std::string& part : file->part_paths()) {
    std::error_code failed;
    if (fs::equivalent(part, out, failed) && !failed) {
      return error(ErrorKind::kUsage, "{} is the file to read; write to another", out);
    }
  }
  return Quantizer(*file, recipe, options).run(out);
}

}  // namespace

Result<QuantizeSummary> quantize_file(const std::string& in, const std::string& out, const QuantizationRecipe& recipe,
                                      const QuantizeOptions& options) {
  return rewrite(in, out, &recipe, options);
}

Result<QuantizeSummary> join_files(const std::string& first, const std::string& out, const QuantizeOptions& options) {
  return rewrite(first, out, nullptr, options);
}

}  // namespace hearth::gguf
