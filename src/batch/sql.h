// The database behind the queue, as little of it as the queue needs: SQLite here, PostgreSQL for several machines. The
// statements are the same for both (schema.h), with parameters $1, $2, ... and these words for what differs:
//   {ID}    the type of a primary key that numbers itself, and gives no number twice
//   {LOCK}  at the end of a SELECT inside an UPDATE: rows that somebody else is taking are passed over
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace hearth::batch {

using Param = std::variant<std::monostate, int64_t, std::string_view>;  // monostate: NULL; views: as long as the call
using Row = std::vector<std::optional<std::string>>;
using TakeRow = std::function<void(const Row& row)>;

// One connection; one thread at a time.
class Sql {
 public:
  virtual ~Sql() = default;
  // One statement. `statement` is a constant: what is prepared of it is kept under its address. Errors: kNoSpace, kIo;
  // kUsage where a value must be unique and is not.
  virtual Status run(const char* statement, std::span<const Param> params, const TakeRow& take) = 0;
  // A transaction that writes: of several connections one at a time gets beyond this in SQLite.
  virtual Status begin() = 0;
  virtual Status commit() = 0;
  virtual void rollback() = 0;

  Status run(const char* statement, std::initializer_list<Param> params = {}, const TakeRow& take = {}) {
    return run(statement, std::span(params.begin(), params.size()), take);
  }
};

// What a row has: a number, 0 for NULL; a text, empty for NULL.
int64_t number(const Row& row, size_t column);
const std::string& text(const Row& row, size_t column);

// A file of SQLite's, made or brought up to date (see state::Database::open()). What is committed survives a power cut.
Result<std::unique_ptr<Sql>> open_sqlite(const std::string& path);

// `text` with the words in braces replaced.
std::string with_dialect(std::string_view text, std::string_view id, std::string_view lock);

}  // namespace hearth::batch
