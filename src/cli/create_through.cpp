#include "cli/create_through.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/outside_text.h"
#include "cli/terminal.h"
#include "gguf/file.h"
#include "store/blobs.h"
#include "store/weights_of.h"

namespace hearth::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// What of a folder of Hugging Face makes a model: weights, what describes them, the tokenizer.
bool belongs_to_checkpoint(const std::string& name) {
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{".safetensors", ".json", ".jinja", ".txt", ".model"},
      [&](std::string_view end) { return name.ends_with(end); });
}

Result<std::vector<std::string>> files_of(const std::string& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) {
    ASSIGN_OR_RETURN([[maybe_unused]] const store::WeightsKind kind, store::kind_of_weights(path, path));
    ASSIGN_OR_RETURN(const std::shared_ptr<const gguf::File> file, gguf::File::open(path));
    return file->part_paths();
  }
  std::vector<std::string> files;
  ASSIGN_OR_RETURN(const std::vector<std::string> ggufs, store::gguf_files_of(path));
  for (fs::directory_iterator it(path, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (it->is_regular_file(failed) && (ggufs.empty() ? belongs_to_checkpoint(name) : name.ends_with(".gguf")))
      files.push_back(it->path().string());
  }
  if (failed) return error(ErrorKind::kIo, "cannot read the folder {}: {}", path, failed.message());
  std::sort(files.begin(), files.end());
  if (ggufs.empty() && !store::is_checkpoint(path))
    return error(ErrorKind::kNotFound,
                 "{}: there is neither a GGUF file nor a config.json with safetensors in this folder", path);
  return files;
}

// The digest of a file that the server has from then on.
Result<std::string> hand_over(const Remote& server, const std::string& path, const store::CreateHooks& hooks) {
  const std::string name = fs::path(path).filename().string();
  ASSIGN_OR_RETURN(const InputFile file, InputFile::open(path));
  ASSIGN_OR_RETURN(const std::string digest, store::digest_of_file(path, [&](uint64_t done) {
                     return hooks.progress("hashing " + name, "", done, file.size());
                   }));
  const auto there = server.ask("HEAD", "/api/blobs/" + digest);
  if (there) return digest;
  if (there.error().kind != ErrorKind::kNotFound) return there.error();
  ASSIGN_OR_RETURN(const MappedFile content, MappedFile::map(file));
  TRY(hooks.progress("uploading " + name, "", 0, file.size()));
  const auto bytes = content.bytes();
  TRY(server.upload("/api/blobs/" + digest, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  TRY(content.check());
  return digest;
}

Result<std::string> request_body(const Remote& server, const store::Blueprint& plan, const store::CreateHooks& hooks) {
  json::object body{{"model", plan.name}, {"stream", true}};
  if (!plan.from_model.empty()) body["from"] = plan.from_model;
  json::object files;
  for (const std::string& path : plan.from_paths) {
    ASSIGN_OR_RETURN(const std::vector<std::string> parts, files_of(path));
    for (const std::string& part : parts) {
      ASSIGN_OR_RETURN(const std::string digest, hand_over(server, part, hooks));
      files[fs::path(part).filename().string()] = digest;
    }
  }
  if (!files.empty()) body["files"] = std::move(files);
  if (plan.template_text) body["template"] = *plan.template_text;
  if (plan.system) body["system"] = *plan.system;
  if (!plan.parameters.empty()) body["parameters"] = plan.parameters;
  if (plan.messages) {
    json::array messages;
    for (const store::Message& message : *plan.messages)
      messages.push_back(json::object{{"role", message.role}, {"content", message.content}});
    body["messages"] = std::move(messages);
  }
  if (!plan.licenses.empty()) body["license"] = json::array(plan.licenses.begin(), plan.licenses.end());
  for (const auto& [name, text] : {std::pair("quantize", &plan.quantize),
                                   {"requires", &plan.minimum_version},
                                   {"renderer", &plan.renderer},
                                   {"parser", &plan.parser}})
    if (!text->empty()) body[name] = *text;
  return json::serialize(body);
}

// One line of the server's stream.
Status take_line(std::string_view line, const store::CreateHooks& hooks, bool& succeeded) {
  boost::system::error_code failed;
  const json::value value = json::parse(json::string_view(line.data(), line.size()), failed);
  const json::object* step = failed ? nullptr : value.if_object();
  if (step == nullptr) return error(ErrorKind::kInvalidData, "the server answers with no JSON");
  const auto text = [&](const char* name) {
    const json::value* member = step->if_contains(name);
    return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
  };
  const auto number = [&](const char* name) -> uint64_t {
    const json::value* member = step->if_contains(name);
    boost::system::error_code no_number;
    return member != nullptr && member->is_number() ? member->to_number<uint64_t>(no_number) : 0;
  };
  if (const std::string fault = text("error"); !fault.empty()) return Error{ErrorKind::kIo, fault};
  const std::string status = text("status");
  if (status.starts_with("note: ")) print_note(printable(status));
  succeeded = status == "success";
  return hooks.progress(status, text("digest"), number("completed"), number("total"));
}

}  // namespace

Status create_through(const Remote& server, const store::Blueprint& plan, const store::CreateHooks& hooks) {
  ASSIGN_OR_RETURN(const std::string body, request_body(server, plan, hooks));
  bool succeeded = false;
  TRY(server.stream("/api/create", body, [&](std::string_view line) { return take_line(line, hooks, succeeded); }));
  return succeeded ? Status() : error(ErrorKind::kIo, "the server ended before {} was made", plan.name);
}

}  // namespace hearth::cli
