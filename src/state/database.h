// A file of SQLite's, in WAL mode, whose schema grows by steps.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hearth::state {

// One at a time: of a database, on one thread.
class Statement {
 public:
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  // Parameters count from 1.
  Statement& bind(int at, std::string_view text);
  Statement& bind(int at, int64_t number);
  Statement& bind_blob(int at, std::string_view bytes);
  Statement& bind_null(int at);
  // True: there is a row. Errors: kIo; kUsage, where a value must be unique and is not.
  Result<bool> step();
  std::string text(int column) const;  // from 0; of a blob its bytes
  int64_t number(int column) const;
  bool is_null(int column) const;
  int columns() const;
  void reset();  // to its start, without values

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  sqlite3* database_;
  sqlite3_stmt* statement_;
};

class Database {
 public:
  // Opens or makes the file; `steps` are the texts that lead from one version of the schema to the next, of which it
  // may lack the last ones. Before they are applied to one that holds data, a copy of it is put beside it
  // (PATH.version-N). Errors: kIo; kUnsupported: a newer hearth has written it; kInvalidData: it is damaged.
  static Result<Database> open(const std::string& path, std::span<const char* const> steps);
  Database(Database&& other) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  Result<Statement> prepare(std::string_view sql);
  Status run(const std::string& sql);  // one or more statements without results
  // A whole and consistent copy. `path` must not be there yet.
  Status copy_to(const std::string& path);

 private:
  Database(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}
  Status prepare_file(std::span<const char* const> steps);
  Error failure(const char* what) const;
  sqlite3* database_;
  std::string path_;
};

}  // namespace hearth::state
