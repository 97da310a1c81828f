#include "cli/batch_client.h"

#include <filesystem>

#include "base/duration.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "image/decode.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

constexpr uint64_t kMemory_bytes = 8 << 20;  // of an upload; what goes beyond is on the disk

Result<json::object> to_object(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed || !value.is_object()) return error(ErrorKind::kInvalidData, "the server's answer is no JSON object");
  return std::move(value.get_object());
}

double number(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  const double result = value != nullptr && value->is_number() ? value->to_number<double>(failed) : 0;
  return failed ? 0 : result;
}

std::string text(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string time_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  if (seconds < 5400) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

Result<BatchClient> BatchClient::open(const config::Inputs& inputs, bool works) {
  ASSIGN_OR_RETURN(std::optional<Remote> found, Remote::find());
  if (found) return BatchClient(std::move(*found), nullptr);
  ASSIGN_OR_RETURN(config::Loaded loaded, config::load(inputs));
  loaded.settings.http.listen = {{"127.0.0.1", 0}};
  loaded.settings.tls_key.clear();
  loaded.settings.tls_certificate.clear();
  loaded.settings.keep.clear();
  set_log_level(LogLevel::kWarn);
  ASSIGN_OR_RETURN(auto serving, serve::Serving::start(std::move(loaded), {}, works));
  ASSIGN_OR_RETURN(Remote remote, Remote::at("http://" + serving->addresses().front()));
  return BatchClient(std::move(remote), std::move(serving));
}

Result<json::object> BatchClient::ask(const std::string& method, const std::string& path) const {
  ASSIGN_OR_RETURN(const std::string answer, remote_.ask(method, path));
  return to_object(answer);
}

Result<json::object> BatchClient::send(const std::string& path, std::string_view content) const {
  ASSIGN_OR_RETURN(const std::string answer, remote_.send(path, content));
  return to_object(answer);
}

void BatchClient::look() const {
  if (serving_) (void)serving_->look();
}

Result<JobUpload> make_upload(const batch::WorkflowFile& file) {
  JobUpload upload;
  Sha256 hash;
  const std::string folder = std::filesystem::temp_directory_path().string();
  const auto add = [&](const json::object& line) -> Status {
    const std::string text = json::serialize(line) + "\n";
    hash.add(std::as_bytes(std::span(text)));
    return upload.body.append(text, kMemory_bytes, folder);
  };
  TRY(add({{"workflow", batch::to_json(file.workflow)}}));
  const auto is_picture = [](std::string_view content) { return image::is_picture(std::as_bytes(std::span(content))); };
  const Status read = batch::each_item(file.items, is_picture, [&](const batch::NewItem& item) -> Status {
    ++upload.items;
    return add({{"key", item.key}, {"data", json::parse(item.data)}});
  });
  if (!read) return read.error();
  if (upload.items == 0) return error(ErrorKind::kUsage, "there are no items in {}", file.items.file);
  TRY(upload.body.finish());
  constexpr size_t kDigits = 32;
  upload.key = file.key.empty() ? hash.hex().substr(0, kDigits) : file.key;
  return upload;
}

std::string job_path(const std::string& key, const std::string& rest) {
  std::string encoded;
  for (const char c : key) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return "/hearth/jobs/" + encoded + rest;
}

std::string progress_line(const json::object& report, size_t columns) {
  const json::value* states = report.if_contains("steps");
  const json::object empty, &steps = states != nullptr && states->is_object() ? states->get_object() : empty;
  const double failed = number(steps, "failed"), done = number(steps, "done");
  std::string line = fmt::format("{} {} {:.0f}/{:.0f} steps", text(report, "name").substr(0, 20), text(report, "state"),
                                 done + failed + number(steps, "cancelled"), number(report, "steps_total"));
  if (text(report, "state") == "running")
    line += fmt::format(", {:.1f} jobs/min, {:.0f} loads", number(report, "jobs_per_minute"), number(report, "loads"));
  if (failed > 0) line += fmt::format(", {:.0f} failed", failed);
  const json::value* left = report.if_contains("left_s");
  if (text(report, "state") == "running" && left != nullptr && left->is_object())
    line += fmt::format(", {} left", time_text(number(left->get_object(), "p50")));
  if (const std::string problem = text(report, "problem"); !problem.empty()) line += ", waits: " + problem;
  return line.substr(0, columns);
}

}  // namespace hearth::cli
