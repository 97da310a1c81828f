#include <charconv>
#include <unordered_map>

#include "batch/schema.h"
#include "batch/sql.h"
#include "state/database.h"

namespace hearth::batch {
namespace {

class Sqlite : public Sql {
 public:
  explicit Sqlite(state::Database database) : database_(std::move(database)) {}

  using Sql::run;
  Status run(const char* statement, std::span<const Param> params, const TakeRow& take) override {
    ASSIGN_OR_RETURN(state::Statement * prepared, get(statement));
    int at = 0;
    for (const Param& param : params) {
      ++at;
      if (const auto* number = std::get_if<int64_t>(&param))
        prepared->bind(at, *number);
      else if (const auto* text = std::get_if<std::string_view>(&param))
        prepared->bind(at, *text);
      else
        prepared->bind_null(at);
    }
    const Status done = step(*prepared, take);
    prepared->reset();
    return done;
  }
  Status begin() override { return database_.run("BEGIN IMMEDIATE"); }
  Status commit() override { return database_.run("COMMIT"); }
  void rollback() override { (void)database_.run("ROLLBACK"); }  // a full disk may have done it already

 private:
  Result<state::Statement*> get(const char* statement) {
    const auto known = prepared_.find(statement);
    if (known != prepared_.end()) return &known->second;
    std::string text = with_dialect(statement, "", "");
    for (char& c : text)
      if (c == '$') c = '?';
    ASSIGN_OR_RETURN(state::Statement made, database_.prepare(text));
    return &prepared_.emplace(statement, std::move(made)).first->second;
  }
  static Status step(state::Statement& prepared, const TakeRow& take) {
    Row row(static_cast<size_t>(prepared.columns()));
    while (true) {
      ASSIGN_OR_RETURN(const bool more, prepared.step());
      if (!more) return {};
      for (int i = 0; i < prepared.columns(); ++i) {
        auto& cell = row[static_cast<size_t>(i)];
        cell = prepared.is_null(i) ? std::nullopt : std::optional(prepared.text(i));
      }
      if (take) take(row);
    }
  }

  state::Database database_;
  std::unordered_map<const char*, state::Statement> prepared_;  // gone before the database
};

}  // namespace

int64_t number(const Row& row, size_t column) {
  int64_t value = 0;
  if (const auto& cell = row[column]) std::from_chars(cell->data(), cell->data() + cell->size(), value);
  return value;
}

const std::string& text(const Row& row, size_t column) {
  static const std::string kEmpty;
  return row[column] ? *row[column] : kEmpty;
}

std::string with_dialect(std::string_view text, std::string_view id, std::string_view lock) {
  std::string result(text);
  for (const auto& [word, by] : {std::pair<std::string_view, std::string_view>{"{ID}", id}, {"{LOCK}", lock}})
    for (size_t at; (at = result.find(word)) != std::string::npos;) result.replace(at, word.size(), by);
  return result;
}

Result<std::unique_ptr<Sql>> open_sqlite(const std::string& path) {
  std::vector<std::string> texts;
  for (const char* step : schema_steps()) texts.push_back(with_dialect(step, "INTEGER PRIMARY KEY AUTOINCREMENT", ""));
  std::vector<const char*> steps;
  for (const std::string& step : texts) steps.push_back(step.c_str());
  ASSIGN_OR_RETURN(state::Database database, state::Database::open(path, steps));
  TRY(database.run("PRAGMA synchronous=FULL"));
  return std::unique_ptr<Sql>(std::make_unique<Sqlite>(std::move(database)));
}

}  // namespace hearth::batch
