#include <boost/json.hpp>
#include <type_traits>

#include "base/error.h"
#include "metrics/figures.h"

namespace hearth::metrics {
namespace {

namespace json = boost::json;

// Every member of a structure by its name in JSON, for writing and reading alike. `T` may be const.
template <class T, class S>
concept Is = std::is_same_v<std::remove_const_t<T>, S>;

template <class T, class Visit>
void each_member(T& x, Visit&& visit) {
#define MEMBER(name) visit(#name, x.name)
  if constexpr (Is<T, FindingFigures>) {
    MEMBER(id), MEMBER(cause), MEMBER(remedy), MEMBER(cause_id);
  } else if constexpr (Is<T, Headline>) {
    MEMBER(tone), MEMBER(id), MEMBER(cause), MEMBER(remedy), MEMBER(cause_id);
  } else if constexpr (Is<T, GpuPart>) {
    MEMBER(owner), MEMBER(kind), MEMBER(bytes), MEMBER(pid);
  } else if constexpr (Is<T, GpuFigures>) {
    MEMBER(id), MEMBER(name), MEMBER(ordinal), MEMBER(total_bytes), MEMBER(free_bytes), MEMBER(parts);
    MEMBER(busy_seconds), MEMBER(busy_ratio), MEMBER(utilization_ratio);
    MEMBER(sm_hertz), MEMBER(sm_max_hertz), MEMBER(memory_hertz), MEMBER(memory_max_hertz);
    MEMBER(power_watts), MEMBER(power_limit_watts), MEMBER(temperature_celsius), MEMBER(throttled);
    MEMBER(pcie_generation), MEMBER(pcie_generation_max), MEMBER(pcie_lanes), MEMBER(pcie_lanes_max);
  } else if constexpr (Is<T, ModelPlace>) {
    MEMBER(device), MEMBER(gpu_id), MEMBER(weights_bytes), MEMBER(cache_bytes), MEMBER(workspace_bytes);
    MEMBER(promised_bytes), MEMBER(taken_bytes);
  } else if constexpr (Is<T, ModelFigures>) {
    MEMBER(name), MEMBER(context_tokens), MEMBER(layers), MEMBER(layers_on_gpu), MEMBER(places);
    MEMBER(gpu_bytes), MEMBER(host_bytes), MEMBER(placement), MEMBER(cause), MEMBER(cause_id), MEMBER(remedy);
    MEMBER(running), MEMBER(waiting), MEMBER(pages), MEMBER(pages_free), MEMBER(steps), MEMBER(tokens_prefilled);
    MEMBER(tokens_cached), MEMBER(tokens_generated), MEMBER(preemptions), MEMBER(devices_lost), MEMBER(changes);
    MEMBER(computing_seconds), MEMBER(read_bytes), MEMBER(tokens_per_second), MEMBER(prompt_tokens_per_second);
    MEMBER(bytes_per_second), MEMBER(batch), MEMBER(limit_bytes_per_second), MEMBER(expires_seconds);
    MEMBER(last_change);
  } else if constexpr (Is<T, StoreFigures>) {
    MEMBER(name), MEMBER(level), MEMBER(total_bytes), MEMBER(free_bytes), MEMBER(keep_free_bytes);
    MEMBER(promised_bytes), MEMBER(usable_bytes), MEMBER(partial_bytes), MEMBER(findings);
  } else if constexpr (Is<T, TransferFigures>) {
    MEMBER(kind), MEMBER(model), MEMBER(status), MEMBER(total_bytes), MEMBER(done_bytes);
  } else if constexpr (Is<T, RequestFigures>) {
    MEMBER(id), MEMBER(user), MEMBER(model), MEMBER(state), MEMBER(age_seconds), MEMBER(prompt_tokens);
    MEMBER(pieces);
  } else if constexpr (Is<T, History>) {
    MEMBER(tokens_per_second), MEMBER(busy_ratio);
  } else {
    static_assert(Is<T, Figures>);
    MEMBER(version), MEMBER(time), MEMBER(started), MEMBER(ready), MEMBER(headline), MEMBER(findings), MEMBER(gpus);
    MEMBER(models), MEMBER(loading), MEMBER(stores), MEMBER(transfers), MEMBER(running), MEMBER(waiting);
  }
#undef MEMBER
}

json::value write(const std::string& x) {
  return json::string(x);
}
template <class T>
requires std::is_arithmetic_v<T> json::value write(const T& x) {
  return x;
}
template <class T>
json::value write(const std::optional<T>& x) {
  return x ? json::value(*x) : json::value(nullptr);
}
template <class T>
requires std::is_class_v<T> json::value write(const T& x);
template <class T>
json::value write(const std::vector<T>& x) {
  json::array list;
  for (const T& one : x) list.push_back(write(one));
  return list;
}
template <class T>
json::value write(const std::map<std::string, T>& x) {
  json::object object;
  for (const auto& [name, one] : x) object[name] = write(one);
  return object;
}
template <class T>
requires std::is_class_v<T> json::value write(const T& x) {
  json::object object;
  each_member(x, [&](const char* name, const auto& member) { object[name] = write(member); });
  return object;
}

// What is of another type than it should be stays as it was.
void read(const json::value& value, std::string& x) {
  if (value.is_string()) x = std::string(value.get_string());
}
template <class T>
requires std::is_arithmetic_v<T>
void read(const json::value& value, T& x) {
  if constexpr (std::is_same_v<T, bool>) {
    if (value.is_bool()) x = value.get_bool();
  } else {
    boost::system::error_code failed;
    const T number = value.to_number<T>(failed);
    if (!failed) x = number;
  }
}
template <class T>
void read(const json::value& value, std::optional<T>& x) {
  if (!value.is_number()) return;
  T number{};
  read(value, number);
  x = number;
}
template <class T>
requires std::is_class_v<T>
void read(const json::value& value, T& x);
template <class T>
void read(const json::value& value, std::vector<T>& x) {
  if (!value.is_array()) return;
  for (const json::value& one : value.get_array()) read(one, x.emplace_back());
}
template <class T>
requires std::is_class_v<T>
void read(const json::value& value, T& x) {
  if (!value.is_object()) return;
  each_member(x, [&](const char* name, auto& member) {
    if (const json::value* found = value.get_object().if_contains(name)) read(*found, member);
  });
}

Result<json::value> parse(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse({text.data(), text.size()}, failed);
  if (failed || !value.is_object()) return error(ErrorKind::kInvalidData, "these are no figures of a hearth's");
  return value;
}

}  // namespace

std::string to_json(const Figures& figures, const History* history) {
  json::value value = write(figures);
  if (history != nullptr) value.get_object()["history"] = write(*history);
  return json::serialize(value);
}

std::string to_json(const std::vector<RequestFigures>& requests) {
  return json::serialize(json::object{{"requests", write(requests)}});
}

Result<Figures> figures_from_json(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value value, parse(text));
  Figures figures;
  read(value, figures);
  return figures;
}

Result<std::vector<RequestFigures>> requests_from_json(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value value, parse(text));
  std::vector<RequestFigures> requests;
  if (const json::value* list = value.get_object().if_contains("requests")) read(*list, requests);
  return requests;
}

}  // namespace hearth::metrics
