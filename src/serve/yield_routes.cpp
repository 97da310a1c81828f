#include "serve/yield_routes.h"

#include "api/json.h"
#include "api/reply.h"
#include "base/duration.h"
#include "base/error.h"
#include "disk/guard.h"
#include "serve/json_answer.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

constexpr std::chrono::nanoseconds kMost_hold = std::chrono::hours(24);
constexpr int64_t kMost_deadline_ms = 60'000;

json::object to_json(const fleet::GpuLease& lease) {
  json::array how;
  for (const std::string& what : lease.how) how.emplace_back(what);
  return {{"lease", lease.id},
          {"gpu", lease.card_name},
          {"gpu_id", lease.card},
          {"holder", lease.holder},
          {"bytes", lease.bytes},
          {"freed_bytes", lease.freed_bytes},
          {"free_bytes", lease.free_bytes},
          {"complete", lease.free_bytes >= lease.bytes},
          {"how", std::move(how)},
          {"until", api::rfc3339(std::chrono::system_clock::to_time_t(lease.until))}};
}

// A number of bytes, or "6GiB".
Result<uint64_t> read_bytes(const api::Fields& fields) {
  const json::value* value = fields.find("bytes");
  if (value == nullptr) return error(ErrorKind::kUsage, "bytes is missing: how much memory of the GPU is wanted");
  if (value->is_string()) return disk::parse_size(std::string(value->get_string()));
  ASSIGN_OR_RETURN(const std::optional<int64_t> bytes, fields.integer("bytes", 0, INT64_MAX));
  return static_cast<uint64_t>(*bytes);
}

// "10m", or a number of seconds.
Result<std::chrono::nanoseconds> read_hold(const api::Fields& fields, std::chrono::nanoseconds otherwise) {
  const json::value* value = fields.find("for");
  if (value == nullptr) return otherwise;
  std::optional<std::chrono::nanoseconds> hold;
  if (value->is_number()) {
    ASSIGN_OR_RETURN(const std::optional<double> seconds, fields.number("for"));
    hold = from_seconds(*seconds);
  } else if (value->is_string()) {
    hold = parse_duration(std::string_view(value->get_string()));
  }
  if (!hold || hold->count() <= 0 || *hold > kMost_hold)
    return error(ErrorKind::kUsage, "for must be a duration of at most 24h, such as \"10m\"");
  return *hold;
}

http::Response yield(fleet::Fleet& models, const YieldAsked& asked) {
  const auto lease =
      asked.renews.empty() ? models.yield(asked.wish) : models.renew_lease(asked.renews, asked.wish.hold);
  return lease ? json_answer(200, to_json(*lease)) : failure_answer(lease.error());
}

}  // namespace

Result<YieldAsked> yield_from_json(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value value, api::read_object(text));
  const api::Fields fields(value.get_object(), "");
  YieldAsked asked;
  fleet::YieldWish& wish = asked.wish;
  ASSIGN_OR_RETURN(const std::optional<std::string> renews, fields.text("lease"));
  ASSIGN_OR_RETURN(wish.hold, read_hold(fields, wish.hold));
  asked.renews = renews.value_or("");
  if (renews) return asked;
  ASSIGN_OR_RETURN(wish.bytes, read_bytes(fields));
  ASSIGN_OR_RETURN(const std::optional<int64_t> gpu, fields.integer("gpu", 0, 1023));
  if (gpu) wish.gpu = static_cast<int>(*gpu);
  ASSIGN_OR_RETURN(const std::optional<int64_t> deadline, fields.integer("deadline_ms", 0, kMost_deadline_ms));
  if (deadline) wish.deadline = std::chrono::milliseconds(*deadline);
  ASSIGN_OR_RETURN(const std::optional<bool> locked, fields.boolean("locked"));
  wish.locked = locked.value_or(false);
  ASSIGN_OR_RETURN(const std::optional<std::string> holder, fields.text("holder"));
  wish.holder = holder.value_or("").substr(0, 100);
  return asked;
}

void add_yield_routes(api::Router& router, fleet::Fleet& models, LongWork& work) {
  router.add({.method = "POST",
              .path = "/api/yield",
              .run =
                  [&models, &work](const api::Call& call) {
                    const auto asked = yield_from_json(call.request.body.text());
                    if (!asked) return call.exchange->send(failure_answer(asked.error()));
                    answer_later(work, call, [&models, asked = *asked] { return yield(models, asked); });
                  },
              .role = api::Role::kManage});
  router.add({.method = "GET",
              .path = "/api/yield",
              .run =
                  [&models](const api::Call& call) {
                    json::array leases;
                    for (const fleet::GpuLease& lease : models.leases()) leases.emplace_back(to_json(lease));
                    call.exchange->send(json_answer(200, json::object{{"leases", std::move(leases)}}));
                  },
              .role = api::Role::kManage});
  router.add(
      {.method = "DELETE",
       .path = "/api/yield/*",
       .run =
           [&models](const api::Call& call) {
             call.exchange->send(
                 models.end_lease(call.rest)
                     ? json_answer(200, json::object{})
                     : failure_answer(error(ErrorKind::kNotFound, "there is no lease {}, or it has ended", call.rest)));
           },
       .role = api::Role::kManage});
}

}  // namespace hearth::serve
