// How one kind of server is asked to give its GPU memory back. Adding a kind is one file in this folder, which
// registers one of these.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "base/result.h"

namespace hearth::neighbours {

// One neighbour's API: requests with a limit of time, answers as JSON.
class Api {
 public:
  // `base`: "http://127.0.0.1:11434"; `key`: sent as a bearer's where it is not empty.
  Api(std::string base, std::string key, std::chrono::steady_clock::time_point until)
      : base_(std::move(base)), key_(std::move(key)), until_(until) {}

  // The body of an answer 2xx. Errors: those of http::fetch(); kIo with the status of any other.
  Result<std::string> ask(const char* method, const std::string& path, const std::string& body = {}) const;
  Status tell(const char* method, const std::string& path, const std::string& body = {}) const;
  // The same as JSON. Errors: also kInvalidData.
  Result<boost::json::value> ask_json(const char* method, const std::string& path, const std::string& body = {}) const;

 private:
  const std::string base_, key_;
  const std::chrono::steady_clock::time_point until_;
};

enum class Activity { kNothing, kIdle, kBusy, kUnknown };  // kNothing: it holds no model

struct Found {
  Activity activity = Activity::kUnknown;
  std::vector<std::string> models;  // names, where it tells them
};

struct Kind {
  const char* name;  // "ollama", as in the settings
  Result<Found> (*find)(const Api& api);
  // Has it let go of what it holds, as far as so many bytes are to be free; what it answers is no proof that it did.
  Status (*let_go)(const Api& api, const Found& found, uint64_t bytes);
  // Where it does not load again by itself when it is asked next: has it take its memory back. Null: it does.
  Status (*take_back)(const Api& api);
};

using RegisterKind = Register<Kind>;

// A string member of an object; empty if there is none.
std::string member_text(const boost::json::value& object, std::string_view name);
// The elements of a list member.
std::vector<boost::json::value> member_list(const boost::json::value& object, std::string_view name);
// What a server holds whose GET `path` lists loaded models as members `name` of the elements of `list`, and tells no
// more.
Result<Found> find_listed(const Api& api, const char* path, const char* list, const char* name);
// Posts {`member`: model, ...`more`} once for each model.
Status tell_of_each(const Api& api, const char* path, const char* member, const std::vector<std::string>& models,
                    const boost::json::object& more = {});
// The sum of a Prometheus series over its labels, from a page of metrics; nothing if it is not there.
std::optional<double> series_sum(std::string_view page, std::string_view name);

}  // namespace hearth::neighbours
