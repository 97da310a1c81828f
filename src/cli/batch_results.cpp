#include "cli/batch_results.h"

#include <filesystem>

#include "base/error.h"
#include "cli/terminal.h"
#include "disk/new_file.h"
#include "state/database.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

// Lines of JSON as rows of a table; the first one names the columns.
class CsvRows {
 public:
  Result<std::string> row(std::string_view line) {
    boost::system::error_code failed;
    const json::value value = json::parse({line.data(), line.size()}, failed);
    const json::value* steps = failed || !value.is_object() ? nullptr : value.get_object().if_contains("steps");
    if (steps == nullptr || !steps->is_object()) return error(ErrorKind::kInvalidData, "a line of results is none");
    std::string row;
    if (columns_.empty()) {
      columns_.emplace_back("key");
      for (const auto& [name, step] : steps->get_object()) columns_.emplace_back(name);
      for (const std::string& name : columns_) row += (row.empty() ? "" : ",") + csv_field(name);
      row += "\r\n";
    }
    const json::value* key = value.get_object().if_contains("key");
    row += csv_field(key != nullptr && key->is_string() ? std::string(key->get_string()) : "");
    for (size_t i = 1; i < columns_.size(); ++i) row += "," + csv_field(text_of(steps->get_object(), columns_[i]));
    return row + "\r\n";
  }

 private:
  static std::string text_of(const json::object& steps, const std::string& name) {
    const json::value* step = steps.if_contains(name);
    const json::value* text = step != nullptr && step->is_object() ? step->get_object().if_contains("text") : nullptr;
    return text != nullptr && text->is_string() ? std::string(text->get_string()) : std::string();
  }
  std::vector<std::string> columns_;
};

// A file of SQLite's, one row for each step.
class SqliteRows {
 public:
  static Result<SqliteRows> create(const std::string& path) {
    std::error_code ignored;
    if (path == "-" || std::filesystem::exists(path, ignored))
      return error(ErrorKind::kUsage, "--format sqlite needs --out FILE, a file that is not there yet");
    TRY(disk::check_room(path, kSlice_bytes));
    static constexpr const char* kTable[] = {
        "CREATE TABLE result (key TEXT NOT NULL, item TEXT NOT NULL, step TEXT NOT NULL, text TEXT, json TEXT, "
        "finish_reason TEXT, error TEXT, PRIMARY KEY (key, step))"};
    ASSIGN_OR_RETURN(state::Database database, state::Database::open(path, kTable));
    TRY(database.run("BEGIN"));
    return SqliteRows(std::move(database), path);
  }
  Status add(std::string_view line) {
    boost::system::error_code failed;
    const json::value value = json::parse({line.data(), line.size()}, failed);
    if (failed || !value.is_object()) return error(ErrorKind::kInvalidData, "a line of results is none");
    if ((written_ += line.size()) > kSlice_bytes) {
      TRY(disk::check_room(path_, kSlice_bytes));
      written_ = 0;
    }
    ASSIGN_OR_RETURN(state::Statement row, database_.prepare("INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?)"));
    for (const auto& [name, step] : value.at("steps").as_object()) {
      row.reset();
      row.bind(1, std::string_view(value.at("key").as_string())).bind(3, std::string_view(name));
      const std::string item = json::serialize(value.at("item"));
      row.bind(2, item);
      bind(row, 4, step.at("text"));
      bind(row, 5, step.at("json"));
      bind(row, 6, step.at("finish_reason"));
      bind(row, 7, step.at("error"));
      ASSIGN_OR_RETURN([[maybe_unused]] const bool more, row.step());
    }
    return {};
  }
  Status commit() { return database_.run("COMMIT; PRAGMA journal_mode=DELETE"); }

 private:
  static constexpr uint64_t kSlice_bytes = 16 << 20;
  SqliteRows(state::Database database, std::string path) : database_(std::move(database)), path_(std::move(path)) {}
  static void bind(state::Statement& row, int at, const json::value& value) {
    if (value.is_null())
      row.bind_null(at);
    else
      row.bind(at, value.is_string() ? std::string(value.get_string()) : json::serialize(value));
  }
  state::Database database_;
  std::string path_;
  uint64_t written_ = 0;
};

// Says so where the job still runs.
Status tell_if_partial(const BatchClient& client, const std::string& key) {
  ASSIGN_OR_RETURN(const json::object report, client.ask("GET", job_path(key)));
  const json::value* state = report.if_contains("state");
  if (state != nullptr && (*state == "running" || *state == "paused"))
    print_note("note: these results are partial: the job is not done, and items that are not are left out");
  return {};
}

}  // namespace

Status write_results(const BatchClient& client, const std::string& key, const std::string& format,
                     const std::string& path) {
  if (format == "sqlite") {
    ASSIGN_OR_RETURN(SqliteRows table, SqliteRows::create(path));
    const auto read =
        client.remote().lines(job_path(key, "/results"), [&](std::string_view line) { return table.add(line); });
    if (!read) return read.error();
    TRY(table.commit());
    return tell_if_partial(client, key);
  }
  const bool standard = path == "-";
  std::optional<disk::NewFile> file;
  if (!standard) {
    ASSIGN_OR_RETURN(disk::NewFile made, disk::NewFile::create(path, 1 << 20, "results of " + key));
    file.emplace(std::move(made));
  }
  CsvRows rows;
  const auto take = [&](std::string_view line) -> Status {
    std::string text = std::string(line) + "\n";
    if (format == "csv") {
      ASSIGN_OR_RETURN(text, rows.row(line));
    }
    return standard ? print(text) : file->write(text.data(), text.size());
  };
  const auto read = client.remote().lines(job_path(key, "/results"), take);
  if (!read) return read.error();
  if (file) TRY(file->commit());
  return tell_if_partial(client, key);
}

}  // namespace hearth::cli
