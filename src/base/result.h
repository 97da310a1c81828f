// Result<T>: a value or an Error. The world's faults (files, users, memory, devices) travel as values.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/cause.h"
#include "base/check.h"

namespace hearth {

// What kind of fault it is; decides exit codes and HTTP status codes.
enum class ErrorKind {
  kUsage,        // the caller asked for something that makes no sense: exit 2, HTTP 400
  kNotFound,     // a named thing does not exist: exit 1, HTTP 404
  kInvalidData,  // a file or message is malformed: exit 1
  kIo,           // the operating system refused: exit 1
  kNoMemory,     // host or device memory is not sufficient: exit 1
  kUnsupported,  // well-formed, but nothing here can handle it: exit 1, HTTP 400
  kRefused,      // possible, but policy forbids it (--gpu require): exit 3
  kCancelled,    // the caller went away: exit 1
  kNoDevice,     // there is no GPU that can be used: exit 1, HTTP 503
  kDeviceLost,   // a device failed and stays failed until its context is rebuilt: exit 1, HTTP 503
  kBusy,         // too many others want the same; later it may go: exit 1, HTTP 429 (one's own share) or 503
  kTimeout,      // it was not done in the time that was given: exit 1, HTTP 504
  kNoSpace,      // a file system is full, or would be, or a quota is used up: exit 1, HTTP 507
  kTooLong,      // a prompt is longer than the context: exit 2, HTTP 400
};

struct Error {
  ErrorKind kind;
  std::string message;      // names what is wrong and what to do; no trailing period or newline
  std::string remedy = {};  // the end of `message`, after "; ", where what to do can be told apart; see with_remedy()
  Cause cause = {};         // what `message` words, where it is a known cause; see caused()

  // The message without the remedy.
  std::string what() const { return remedy.empty() ? message : message.substr(0, message.size() - remedy.size() - 2); }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    CHECK(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    CHECK(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

// Success without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    CHECK(failed_);
    return error_;
  }
  Error&& error() && {
    CHECK(failed_);
    return std::move(error_);
  }

 private:
  bool failed_ = false;
  Error error_{ErrorKind::kUsage, {}};
};

using Status = Result<void>;

}  // namespace hearth

#define HEARTH_CONCAT2(a, b) a##b
#define HEARTH_CONCAT(a, b) HEARTH_CONCAT2(a, b)

// TRY(status): returns the error from the enclosing function, if there is one.
#define TRY(expression)                                                                    \
  do {                                                                                     \
    if (auto try_status = (expression); !try_status) return std::move(try_status).error(); \
  } while (0)

// ASSIGN_OR_RETURN(auto x, result): x is the value, or the enclosing function returns the error.
#define ASSIGN_OR_RETURN(target, expression)                                                         \
  auto HEARTH_CONCAT(result_, __LINE__) = (expression);                                              \
  if (!HEARTH_CONCAT(result_, __LINE__)) return std::move(HEARTH_CONCAT(result_, __LINE__)).error(); \
  target = std::move(HEARTH_CONCAT(result_, __LINE__)).value()
