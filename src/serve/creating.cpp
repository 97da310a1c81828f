#include "serve/creating.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/processors.h"
#include "fleet/create_model.h"
#include "registry/pull.h"
#include "store/blobs.h"
#include "store/edit_models.h"
#include "store/ollama_models.h"
#include "store/tiers.h"

namespace hearth::serve {
namespace {

namespace json = boost::json;

Result<store::Blueprint> blueprint_of(const api::CreateRequest& request) {
  store::Blueprint plan;
  plan.name = request.model;
  plan.from_model = request.from;
  if (plan.from_model.empty()) plan.from_blobs = request.files;
  plan.template_text = request.template_text;
  plan.system = request.system;
  if (!request.parameters.empty()) {
    boost::system::error_code failed;
    json::value parameters = json::parse(request.parameters, failed);
    if (failed || !parameters.is_object()) return error(ErrorKind::kUsage, "parameters is no JSON object");
    plan.parameters = std::move(parameters.get_object());
  }
  if (request.messages) {
    plan.messages.emplace();
    for (const auto& [role, content] : *request.messages) plan.messages->push_back({role, content});
  }
  plan.licenses = request.licenses;
  plan.minimum_version = request.minimum_version;
  plan.renderer = request.renderer;
  plan.parser = request.parser;
  plan.quantize = request.quantize;
  plan.threads = std::max(1, usable_processors() / 2);  // models that answer need the others
  return plan;
}

Status make(const api::CreateRequest& request, const api::WorkSinks& sinks, const std::atomic<bool>& cancelled) {
  ASSIGN_OR_RETURN(const store::Blueprint plan, blueprint_of(request));
  const auto progress = [&](std::string_view status, const std::string& digest, uint64_t done,
                            uint64_t total) -> Status {
    if (cancelled) return error(ErrorKind::kCancelled, "the client has gone");
    sinks.step({std::string(status), digest, done, total});
    return {};
  };
  TRY(store::ModelName::parse(plan.name));
  if (!plan.from_model.empty()) {
    registry::TransferOptions transfer;
    transfer.goes_on = [&] { return !cancelled; };
    TRY(registry::pull_if_missing(plan.from_model, transfer, [&](const registry::Progress& step) {
      sinks.step({step.status, step.digest, step.done, step.total});
    }));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> notes, fleet::create_model(plan, progress));
  for (const std::string& note : notes) {
    log_info("create {}: {}", request.model, note);
    sinks.step({.status = "note: " + note});
  }
  return {};
}

class BlobUpload : public api::BlobSink {
 public:
  // Nothing: it is there already, and what comes is not looked at.
  explicit BlobUpload(std::optional<store::NewBlob> blob) : blob_(std::move(blob)) {}
  Status write(std::string_view bytes) override { return blob_ ? blob_->write(bytes) : Status(); }
  Result<bool> finish() override {
    if (!blob_) return false;
    TRY(blob_->commit());
    return true;
  }

 private:
  std::optional<store::NewBlob> blob_;
};

}  // namespace

Result<std::shared_ptr<api::BlobSink>> receive_blob(const std::string& digest, std::optional<uint64_t> bytes) {
  ASSIGN_OR_RETURN(const bool there, store::has_blob(digest, store::model_folders()));
  if (there) return std::shared_ptr<api::BlobSink>(std::make_shared<BlobUpload>(std::nullopt));
  ASSIGN_OR_RETURN(const store::Tier tier, store::writable_tier());
  ASSIGN_OR_RETURN(store::NewBlob blob, store::NewBlob::create(tier.folder, digest, bytes.value_or(0)));
  return std::shared_ptr<api::BlobSink>(std::make_shared<BlobUpload>(std::move(blob)));
}

api::Cancel create(LongWork& work, api::CreateRequest request, api::WorkSinks sinks) {
  const auto done = sinks.done;
  auto started = work.start([request = std::move(request), sinks = std::move(sinks)](
                                const std::atomic<bool>& cancelled) { sinks.done(make(request, sinks, cancelled)); });
  if (started) return *started;
  done(error(ErrorKind::kBusy, "other models are being made; try again when they are done"));
  return {};
}

}  // namespace hearth::serve
