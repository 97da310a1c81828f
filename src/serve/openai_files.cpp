#include "serve/openai_files.h"

#include <unistd.h>

#include <charconv>
#include <thread>

#include "api/json.h"
#include "api/openai/encode.h"
#include "api/reply.h"
#include "api/v1.h"
#include "base/error.h"
#include "base/random.h"
#include "disk/new_file.h"
#include "http/target.h"
#include "serve/openai_batches.h"
#include "serve/request_batches.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr uint64_t kMost_bytes = uint64_t{512} << 20, kMost_batch_bytes = uint64_t{200} << 20;
constexpr int64_t kBatch_file_ms = int64_t{30} * 24 * 3'600'000;

struct StoredFile {
  std::string id, name, purpose;
  int64_t bytes = 0, created_ms = 0, expires_ms = 0;  // expires_ms 0: never
};

constexpr const char* kSelect =
    "SELECT id, name, purpose, bytes, created_ms, expires_ms FROM file WHERE owner = $1 AND (expires_ms = 0 OR "
    "expires_ms > $2) ORDER BY created_ms DESC, id";

http::Response refusal(unsigned status, const std::string& message, const std::string& param = {}) {
  return api::openai::problem(status, message, param);
}
http::Response no_such_file(const std::string& id) {
  return refusal(404, fmt::format("No such File object: {}", id), "id");
}

std::string path_of(const BatchWork& batch, const std::string& id) {
  return batch.folder() + "/files/" + id;
}

json::object to_json(const StoredFile& file) {
  json::object object{{"id", file.id},         {"object", "file"},
                      {"bytes", file.bytes},   {"created_at", file.created_ms / 1000},
                      {"filename", file.name}, {"purpose", file.purpose},
                      {"status", "processed"}};
  if (file.expires_ms > 0) object["expires_at"] = file.expires_ms / 1000;
  return object;
}

Result<std::vector<StoredFile>> files_of(BatchWork& batch, const std::string& owner) {
  std::vector<StoredFile> files;
  TRY(batch.queue().run(kSelect, {owner, batch.queue().now()}, [&](const batch::Row& row) {
    files.push_back({batch::text(row, 0), batch::text(row, 1), batch::text(row, 2), batch::number(row, 3),
                     batch::number(row, 4), batch::number(row, 5)});
  }));
  return files;
}

// One that was sent, or that a batch has written.
Result<StoredFile> find(BatchWork& batch, const std::string& owner, const std::string& id) {
  ASSIGN_OR_RETURN(const std::vector<StoredFile> files, files_of(batch, owner));
  for (const StoredFile& file : files)
    if (file.id == id) return file;
  ASSIGN_OR_RETURN(const BatchOutput output, find_output(batch, owner, id));
  StoredFile file{.id = id,
                  .name = fmt::format("{}_{}.jsonl", output.job.key, output.errors ? "error" : "output"),
                  .purpose = "batch_output",
                  .created_ms = output.job.ended_ms};
  TRY(each_output_line(batch, output, [&](const std::string& line) {
    file.bytes += static_cast<int64_t>(line.size());
    return true;
  }));
  return file;
}

// The life of a file that the form asks for, in ms; 0: not given.
Result<int64_t> read_expiry(const std::vector<FormPart>& parts) {
  for (const FormPart& part : parts) {
    if (part.name != "expires_after[seconds]") continue;
    int64_t seconds = 0;
    std::from_chars(part.text.data(), part.text.data() + part.text.size(), seconds);
    if (seconds < 3600 || seconds > 2'592'000)
      return error(ErrorKind::kUsage, "expires_after[seconds] must be from 3600 to 2592000");
    return seconds * 1000;
  }
  return int64_t{0};
}

http::Response create(BatchWork& batch, const api::Call& call) {
  const auto parts = parse_form(call.request.head.headers.get("Content-Type"), call.request.body.text());
  if (!parts) return refusal(400, parts.error().message);
  const FormPart* content = nullptr;
  std::string purpose;
  for (const FormPart& part : *parts) {
    if (part.name == "file") content = &part;
    if (part.name == "purpose") purpose = std::string(part.text);
  }
  if (content == nullptr) return refusal(400, "the form has no part \"file\"", "file");
  if (purpose != "batch" && purpose != "user_data" && purpose != "vision")
    return refusal(400, "purpose must be batch, user_data or vision", "purpose");
  if (purpose == "batch" && content->text.size() > kMost_batch_bytes)
    return refusal(413, "a file of a batch has at most 200 MB", "file");
  const auto life = read_expiry(*parts);
  if (!life) return refusal(400, life.error().message, "expires_after");
  const int64_t now = batch.queue().now(), kept = *life == 0 && purpose == "batch" ? kBatch_file_ms : *life;
  const StoredFile file{"file-" + random_hex(24),
                        content->filename.empty() ? "file" : content->filename,
                        purpose,
                        static_cast<int64_t>(content->text.size()),
                        now,
                        kept > 0 ? now + kept : 0};
  if (const Status written = disk::write_file(path_of(batch, file.id), content->text, "file " + file.name); !written)
    return refusal(written.error().kind == ErrorKind::kNoSpace ? 507 : 500, written.error().message);
  const Status added = batch.queue().run(
      "INSERT INTO file VALUES ($1, $2, $3, $4, $5, $6, $7)",
      {file.id, call.caller.key, file.name, file.purpose, file.bytes, file.created_ms, file.expires_ms});
  if (!added) return refusal(500, added.error().message);
  return api::json_reply(200, to_json(file));
}

http::Response list(BatchWork& batch, const api::Call& call) {
  const auto files = files_of(batch, call.caller.key);
  if (!files) return refusal(500, files.error().message);
  const std::string purpose = http::query_value(call.request.head.query, "purpose").value_or("");
  const std::string after = http::query_value(call.request.head.query, "after").value_or("");
  size_t limit = 10'000;
  if (const auto text = http::query_value(call.request.head.query, "limit"))
    std::from_chars(text->data(), text->data() + text->size(), limit);
  json::array data;
  bool begun = after.empty(), more = false;
  for (const StoredFile& file : *files) {
    if (begun && (purpose.empty() || file.purpose == purpose)) {
      if (data.size() < limit)
        data.push_back(to_json(file));
      else
        more = true;
    }
    begun = begun || file.id == after;
  }
  const json::value first = data.empty() ? json::value() : data.front().at("id");
  const json::value last = data.empty() ? json::value() : data.back().at("id");
  return api::json_reply(
      200, {{"object", "list"}, {"data", std::move(data)}, {"first_id", first}, {"last_id", last}, {"has_more", more}});
}

http::Response remove(BatchWork& batch, const api::Call& call) {
  const std::string &owner = call.caller.key, &id = call.rest;
  const auto file = find(batch, owner, id);
  if (!file) return no_such_file(id);
  if (const auto output = find_output(batch, owner, id)) {
    json::object info = info_of(output->job);
    info[output->errors ? "errors_deleted" : "output_deleted"] = true;
    if (const Status kept = batch.queue().set_info(output->job.id, json::serialize(info)); !kept)
      return refusal(500, kept.error().message);
  } else {
    const auto jobs = batch.queue().jobs(owner, kOpenai_jobs);
    if (!jobs) return refusal(500, jobs.error().message);
    for (const batch::JobInfo& job : *jobs)
      if (const json::object info = info_of(job);
          !has_ended(job) && info.contains("input_file_id") && info.at("input_file_id") == json::value(id))
        return refusal(409, fmt::format("The batch {} uses this file.", job.key));
    if (const Status gone = batch.queue().run("DELETE FROM file WHERE id = $1", {id}); !gone)
      return refusal(500, gone.error().message);
    ::unlink(path_of(batch, id).c_str());
  }
  return api::json_reply(200, {{"id", id}, {"object", "file"}, {"deleted", true}});
}

// At the start: who asks is told of none of these anyway.
void remove_expired(BatchWork& batch) {
  std::vector<std::string> ids;
  (void)batch.queue().run("DELETE FROM file WHERE expires_ms > 0 AND expires_ms <= $1 RETURNING id",
                          {batch.queue().now()}, [&](const batch::Row& row) { ids.push_back(batch::text(row, 0)); });
  for (const std::string& id : ids) ::unlink(path_of(batch, id).c_str());
}

void write_slowly(const std::shared_ptr<http::Exchange>& exchange, std::string_view bytes) {
  exchange->write(bytes);
  while (exchange->full() && !exchange->gone()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void send_content(BatchWork& batch, const std::string& owner, const std::string& id,
                  const std::shared_ptr<http::Exchange>& exchange) {
  const http::ResponseHead head{.status = 200, .headers = {{"Content-Type", "application/octet-stream"}}};
  if (const auto output = find_output(batch, owner, id)) {
    exchange->start(head);
    const Status sent = each_output_line(batch, *output, [&](const std::string& line) {
      write_slowly(exchange, line);
      return !exchange->gone();
    });
    return sent ? exchange->finish() : exchange->abort();
  }
  const auto content = open_file(batch, owner, id);
  if (!content) return exchange->send(no_such_file(id));
  constexpr size_t kPiece = 1 << 20;
  const auto bytes = content->bytes();
  exchange->start(head);
  for (size_t at = 0; at < bytes.size() && !exchange->gone(); at += kPiece) {
    const auto piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    write_slowly(exchange, {reinterpret_cast<const char*>(piece.data()), piece.size()});
  }
  exchange->finish();
}

}  // namespace

Result<MappedFile> open_file(BatchWork& batch, const std::string& owner, const std::string& id) {
  ASSIGN_OR_RETURN(const std::vector<StoredFile> files, files_of(batch, owner));
  for (const StoredFile& file : files) {
    if (file.id != id) continue;
    ASSIGN_OR_RETURN(const InputFile input, InputFile::open(path_of(batch, id)));
    return MappedFile::map(input);
  }
  return error(ErrorKind::kNotFound, "No such File object: {}", id);
}

void add_file_routes(api::Router& router, BatchWork& batch, LongWork& work) {
  remove_expired(batch);
  router.add({.method = "POST",
              .path = "/v1/files",
              .run = [&batch](const api::Call& call) { call.exchange->send(create(batch, call)); },
              .most_body_bytes = kMost_bytes,
              .also_with_slash = true});
  api::add_v1(router, "GET", "/files", [&batch](const api::Call& call) { call.exchange->send(list(batch, call)); });
  api::add_v1(router, "GET", "/files/*", [&batch](const api::Call& call) {
    const auto file = find(batch, call.caller.key, call.rest);
    call.exchange->send(file ? api::json_reply(200, to_json(*file)) : no_such_file(call.rest));
  });
  api::add_v1(router, "DELETE", "/files/*",
              [&batch](const api::Call& call) { call.exchange->send(remove(batch, call)); });
  api::add_v1(router, "GET", "/files/*/content", [&batch, &work](const api::Call& call) {
    const auto exchange = call.exchange;
    const auto started = work.start([&batch, owner = call.caller.key, id = call.rest,
                                     exchange](const std::atomic<bool>&) { send_content(batch, owner, id, exchange); });
    if (!started) exchange->send(refusal(503, "too much is being read; try again in a moment"));
  });
}

}  // namespace hearth::serve
