#include "serve/serving.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <thread>

#include "api/anthropic/routes.h"
#include "api/ollama/routes.h"
#include "api/openai/routes.h"
#include "api/router.h"
#include "base/error.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/text.h"
#include "fleet/find_model.h"
#include "http/server.h"
#include "serve/answering.h"
#include "serve/catalog.h"
#include "serve/describe.h"
#include "serve/front.h"
#include "serve/inference_compute.h"
#include "serve/settings.h"
#include "serve/summaries.h"
#include "serve/text_models.h"
#include "store/edit_models.h"
#include "serve/workers.h"

namespace hearth::serve {
namespace {

constexpr int kWorkers = 2;  // the model needs the processors
constexpr size_t kMost_waiting = 4096;

bool is_loopback(const http::Address& address) {
  if (address.host == "localhost") return true;
  boost::system::error_code code;
  const auto parsed = boost::asio::ip::make_address(address.host, code);
  return !code && parsed.is_loopback();
}

FrontOptions front_options(const config::Settings& settings) {
  return {.only_loopback = std::ranges::all_of(settings.http.listen, is_loopback), .origins = settings.origins};
}

api::Cancel load(fleet::Fleet& models, const api::LoadRequest& request, std::function<void(Status)> done) {
  auto found = fleet::find_named_model(request.model);
  if (!found) {
    done(found.error());
    return {};
  }
  models.use(std::move(found).value(), wish_of(request.load), request.keep_alive,
             [done = std::move(done)](const Result<std::shared_ptr<fleet::Fleet::Lease>>& lease) {
               done(lease ? Status() : Status(lease.error()));
             });
  return {};
}

Status unload(fleet::Fleet& models, const std::string& model) {
  ASSIGN_OR_RETURN(const store::ModelFiles found, fleet::find_named_model(model));
  models.unload(found.name);
  return {};
}

// What answers of a model have: of one that is loaded as it is, else as it would be loaded. `trained`: 0 if not known.
uint32_t context_of(const fleet::Fleet& models, const store::ModelFiles& found, uint32_t trained, uint32_t configured) {
  for (const fleet::RunningModel& running : models.running())
    if (running.found.name == found.name) return running.context;
  uint32_t wanted = configured != 0 ? configured : fleet::kDefaultContext_tokens;
  for (const auto& [option, value] : found.parameters)
    if (option == "num_ctx" && configured == 0) wanted = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
  return trained > 0 ? std::min(wanted, trained) : wanted;
}

std::vector<api::ModelSummary> list_models(Catalog& catalog, const fleet::Fleet& models, uint32_t configured) {
  std::vector<api::ModelSummary> list = catalog.list();
  for (api::ModelSummary& summary : list) {
    if (const auto found = fleet::find_named_model(summary.name))
      summary.served_context = context_of(models, *found, summary.context, configured);
  }
  return list;
}

std::shared_ptr<const api::Service> make_service(fleet::Fleet& models, Workers& workers, AnswerRate& rate,
                                                 Catalog& catalog, TextModels& texts, uint32_t configured_context) {
  auto service = std::make_shared<api::Service>();
  service->version = HEARTH_VERSION;
  service->answer = [&](api::AnswerRequest request, api::AnswerSink sink) {
    return answer(models, workers, rate, std::move(request), std::move(sink));
  };
  service->load = [&](const api::LoadRequest& request, std::function<void(Status)> done) {
    return load(models, request, std::move(done));
  };
  service->unload = [&](const std::string& model) { return unload(models, model); };
  service->list = [&, configured_context]() -> Result<std::vector<api::ModelSummary>> {
    return list_models(catalog, models, configured_context);
  };
  service->running = [&] { return running_models(models); };
  const auto context = [&, configured_context](const std::string& name) -> uint32_t {
    const auto model = texts.get(name);
    if (!model) return 0;
    const fleet::ModelFacts facts = fleet::facts_of(*(*model)->file);
    return context_of(models, (*model)->found, facts.spec ? facts.spec->context : 0, configured_context);
  };
  service->show = [&](const std::string& model, bool verbose) { return describe(texts, model, verbose); };
  service->render = [&, context](const api::AnswerRequest& request) {
    return render(texts, request, context(request.model));
  };
  service->tokenize = [&](const api::TokenizeRequest& request) { return tokenize(texts, request); };
  service->detokenize = [&](const std::string& model, const std::vector<int32_t>& tokens) {
    return detokenize(texts, model, tokens);
  };
  service->context_tokens = context;
  service->copy = [](const std::string& source, const std::string& destination) {
    return store::copy_model(source, destination, store::model_folders());
  };
  service->remove = [](const std::string& model) { return store::remove_model(model, store::model_folders()); };
  service->has_blob = [](const std::string& digest) { return store::has_blob(digest, store::model_folders()); };
  service->put_blob = [](const std::string& digest, std::string_view content) {
    return store::put_blob(digest, content, store::model_folders());
  };
  return service;
}

Error with_ways_out(const Error& cause, const config::Settings& settings) {
  if (cause.kind != ErrorKind::kBusy) return cause;
  const uint32_t port = settings.http.listen.front().port;
  const uint32_t other = port < UINT16_MAX ? port + 1 : port - 1;
  return with_remedy(cause.kind, cause.message,
                     fmt::format("stop it (if it is Ollama: systemctl stop ollama), or listen elsewhere: "
                                 "hearth serve --host 127.0.0.1:{}",
                                 other));
}

}  // namespace

// Ended from the last to the first: nobody is asked who has gone.
struct Serving::Parts {
  explicit Parts(config::Loaded its_loaded)
      : loaded(std::move(its_loaded)),
        front(front_options(loaded.settings)),
        workers(kWorkers, kMost_waiting),
        models(fleet_options(loaded.settings)) {}
  ~Parts() {
    server.reset();
    workers.stop();
  }

  config::Loaded loaded;  // of the thread that calls Serving's functions
  Current<FrontOptions> front;
  Workers workers;
  AnswerRate rate;
  Catalog catalog;
  TextModels texts;
  fleet::Fleet models;
  std::unique_ptr<http::Server> server;
};

Serving::Serving(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Serving::~Serving() = default;

Result<std::unique_ptr<Serving>> Serving::start(config::Loaded loaded) {
  auto parts = std::make_unique<Parts>(std::move(loaded));
  const config::Settings& settings = parts->loaded.settings;
  auto router = std::make_shared<api::Router>();
  const auto service = make_service(parts->models, parts->workers, parts->rate, parts->catalog, parts->texts,
                                    settings.context);
  api::anthropic::add_routes(*router, service);
  api::ollama::add_routes(*router, service);
  api::openai::add_routes(*router, service);
  auto server = http::Server::start(settings.http, make_handler(std::move(router), parts->workers, parts->front));
  if (!server) return with_ways_out(server.error(), settings);
  parts->server = std::move(server).value();
  log_inference_compute(fleet::gpu_policy(settings.gpu));
  return std::unique_ptr<Serving>(new Serving(std::move(parts)));
}

void Serving::look() {}

std::vector<std::string> Serving::reload(const config::Loaded& loaded) {
  std::vector<std::string> lines = config::reload(parts_->loaded, loaded);
  const config::Settings& settings = parts_->loaded.settings;
  set_log_level(settings.log);
  parts_->models.set_keep_alive(settings.keep_alive);
  parts_->front.set(front_options(settings));
  return lines;
}

std::chrono::milliseconds Serving::drain_time() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(parts_->loaded.settings.drain);
}

std::vector<std::string> Serving::addresses() const {
  return parts_->server->addresses();
}

bool Serving::drain(std::chrono::milliseconds most) {
  return parts_->server->drain(most);
}

}  // namespace hearth::serve
