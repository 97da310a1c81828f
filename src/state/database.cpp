#include "state/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"

namespace hearth::state {
namespace {

constexpr int kPatience_ms = 5'000;

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      return ErrorKind::kUsage;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorKind::kInvalidData;
    case SQLITE_NOMEM:
      return ErrorKind::kNoMemory;
    case SQLITE_FULL:
      return ErrorKind::kNoSpace;
    default:
      return ErrorKind::kIo;
  }
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

Statement& Statement::bind(int at, std::string_view text) {
  sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::bind(int at, int64_t number) {
  sqlite3_bind_int64(statement_, at, number);
  return *this;
}

Statement& Statement::bind_blob(int at, std::string_view bytes) {
  sqlite3_bind_blob(statement_, at, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::bind_null(int at) {
  sqlite3_bind_null(statement_, at);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return error(kind_of(code), "the database says: {}", sqlite3_errmsg(database_));
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int Statement::columns() const {
  return sqlite3_column_count(statement_);
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Database::Database(Database&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), path_(std::move(other.path_)) {}

Database::~Database() {
  sqlite3_close_v2(database_);
}

Error Database::failure(const char* what) const {
  const int code = sqlite3_extended_errcode(database_);
  return error(kind_of(code), "{}: {}: {}", path_, what, sqlite3_errmsg(database_));
}

Result<Database> Database::open(const std::string& path, std::span<const char* const> steps) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_FULLMUTEX;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Database database(handle, path);
  if (handle == nullptr) return error(ErrorKind::kNoMemory, "there is no memory to open {}", path);
  if (opened != SQLITE_OK) return database.failure("cannot be opened");
  sqlite3_busy_timeout(handle, kPatience_ms);
  TRY(database.prepare_file(steps));
  return database;
}

Status Database::prepare_file(std::span<const char* const> steps) {
  {
    ASSIGN_OR_RETURN(Statement mode, prepare("PRAGMA journal_mode=WAL"));
    const auto row = mode.step();
    if (!row) return failure("cannot be opened");
    if (mode.text(0) != "wal") {
      return error(ErrorKind::kUnsupported, "{} lies where SQLite cannot keep a write-ahead log", path_);
    }
  }
  TRY(run("PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON"));
  int64_t version = 0;
  {
    ASSIGN_OR_RETURN(Statement asked, prepare("PRAGMA user_version"));
    ASSIGN_OR_RETURN(const bool row, asked.step());
    if (row) version = asked.number(0);
  }
  const auto known = static_cast<int64_t>(steps.size());
  if (version > known) {
    return error(
        ErrorKind::kUnsupported,
        "{} was written by a newer hearth (schema {}, and this one knows {}); start that one, or give this one "
        "a folder of its own with --set state=FOLDER",
        path_, version, known);
  }
  if (version == known) return {};
  if (version > 0) {
    const std::string copy = path_ + ".version-" + std::to_string(version);
    ::unlink(copy.c_str());
    TRY(copy_to(copy));
  }
  std::string all = "BEGIN IMMEDIATE;";
  for (int64_t i = version; i < known; ++i) all += std::string(steps[static_cast<size_t>(i)]) + ";";
  return run(all + "PRAGMA user_version=" + std::to_string(known) + ";COMMIT");
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
    return failure("a statement is refused");
  return Statement(database_, statement);
}

Status Database::run(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  const Error cause = failure("a statement is refused");
  sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  return cause;
}

Status Database::copy_to(const std::string& path) {
  ASSIGN_OR_RETURN(Statement copy, prepare("VACUUM INTO ?"));
  const auto done = copy.bind(1, path).step();
  return done ? Status() : Status(done.error());
}

}  // namespace hearth::state
