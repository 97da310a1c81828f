#include "serve/serving.h"

#include <sys/stat.h>

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
#include "config/kept.h"
#include "fleet/card_memory.h"
#include "fleet/find_model.h"
#include "fleet/machine.h"
#include "fleet/model_page.h"
#include "fleet/stack.h"
#include "http/server.h"
#include "neighbours/neighbours.h"
#include "serve/access.h"
#include "serve/admin_routes.h"
#include "serve/aliases.h"
#include "serve/answering.h"
#include "serve/anthropic_batches.h"
#include "serve/batch_work.h"
#include "serve/catalog.h"
#include "serve/cold_moves.h"
#include "serve/counting.h"
#include "serve/creating.h"
#include "serve/describe.h"
#include "serve/disk_watch.h"
#include "serve/embedding.h"
#include "serve/front.h"
#include "serve/health.h"
#include "serve/inference_compute.h"
#include "serve/job_routes.h"
#include "serve/long_work.h"
#include "serve/machine_routes.h"
#include "serve/observer.h"
#include "serve/openai_batches.h"
#include "serve/openai_files.h"
#include "serve/page.h"
#include "serve/people.h"
#include "serve/picture_fetch.h"
#include "serve/registry_routes.h"
#include "serve/requests.h"
#include "serve/settings.h"
#include "serve/state.h"
#include "serve/store_routes.h"
#include "serve/summaries.h"
#include "serve/text_models.h"
#include "serve/transfers.h"
#include "serve/workers.h"
#include "serve/yield_routes.h"
#include "store/edit_models.h"

namespace hearth::serve {
namespace {

constexpr std::chrono::seconds kAsk_neighbours{30};
constexpr int kWorkers = 2;  // the model needs the processors
constexpr size_t kMost_waiting = 4096;
constexpr size_t kMost_long_work = 4;  // models that are made at once
constexpr size_t kMost_fetches = 16;   // requests whose pictures are fetched
constexpr size_t kMost_inquiries = 8;  // looks at disks, plans and examinations

bool is_loopback(const http::Address& address) {
  if (address.host == "localhost") return true;
  boost::system::error_code code;
  const auto parsed = boost::asio::ip::make_address(address.host, code);
  return !code && parsed.is_loopback();
}

FrontOptions front_options(const config::Settings& settings) {
  return {.only_loopback = std::ranges::all_of(settings.http.listen, is_loopback),
          .origins = settings.origins,
          .access = {.open = settings.open, .trusted_proxies = settings.trusted_proxies},
          .deadline = settings.deadline};
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
    if (option == "num_ctx" && configured == 0)
      wanted = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
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

std::shared_ptr<api::Service> make_service(fleet::Fleet& models, Workers& workers, AnswerRate& rate, Catalog& catalog,
                                           TextModels& texts, LongWork& work, Transfers& transfers,
                                           uint32_t configured_context) {
  auto service = std::make_shared<api::Service>();
  service->version = HEARTH_VERSION;
  service->answer = [&](api::AnswerRequest request, api::AnswerSink sink) {
    return answer(models, workers, rate, std::move(request), std::move(sink));
  };
  service->load = [&](const api::LoadRequest& request, std::function<void(Status)> done) {
    return load(models, request, std::move(done));
  };
  service->unload = [&](const std::string& model) { return unload(models, model); };
  service->embed = [&](api::EmbedRequest request, std::function<void(Result<api::Embeddings>)> done) {
    return embed(models, workers, rate, std::move(request), std::move(done));
  };
  service->list = [&, configured_context]() -> Result<std::vector<api::ModelSummary>> {
    return list_models(catalog, models, configured_context);
  };
  service->running = [&] { return running_models(models); };
  service->leases = [&] {
    std::vector<api::LeasedMemory> list;
    for (const fleet::GpuLease& lease : models.leases())
      list.push_back({lease.card_name, lease.holder, lease.bytes, lease.until});
    return list;
  };
  const auto context = [&, configured_context](const std::string& name) -> uint32_t {
    const auto model = texts.get(name);
    if (!model) return 0;
    const fleet::ModelFacts facts = fleet::facts_of(*(*model)->file);
    return context_of(models, (*model)->found, facts.spec ? facts.spec->context : 0, configured_context);
  };
  service->show = [&](const std::string& model, bool verbose) { return describe(texts, model, verbose); };
  service->page = [](const api::PageRequest& request) -> Result<std::string> {
    ASSIGN_OR_RETURN(const store::ModelFiles found, fleet::find_named_model(request.model));
    return fleet::model_page(found, {request.context, request.kv_type, request.tensors});
  };
  service->render = [&, context](const api::AnswerRequest& request) {
    return render(texts, request, context(request.model));
  };
  service->tokenize = [&](const api::TokenizeRequest& request) { return tokenize(texts, request); };
  service->detokenize = [&](const std::string& model, const std::vector<int32_t>& tokens) {
    return detokenize(texts, model, tokens);
  };
  service->context_tokens = context;
  service->create = [&](api::CreateRequest request, api::WorkSinks sinks) {
    return create(work, std::move(request), std::move(sinks));
  };
  service->copy = [](const std::string& source, const std::string& destination) {
    return store::copy_model(source, destination, store::model_folders());
  };
  service->remove = [](const std::string& model) { return store::remove_model(model, store::model_folders()); };
  service->has_blob = [](const std::string& digest) { return store::has_blob(digest, store::model_folders()); };
  service->put_blob = receive_blob;
  service->pull = [&](const api::TransferRequest& request, api::WorkSinks sinks) {
    return transfers.start(Transfers::Kind::kPull, request, std::move(sinks));
  };
  service->push = [&](const api::TransferRequest& request, api::WorkSinks sinks) {
    return transfers.start(Transfers::Kind::kPush, request, std::move(sinks));
  };
  return service;
}

// Without one the server answers all the same: on this machine nobody needs a key.
Result<State> open_state(const config::Settings& settings) {
  Result<State> state = State::open(settings.state);
  if (!state) log_warn("there are no keys, since the state cannot be had: {}", state.error().message);
  return state;
}

// Where commands on this machine reach it.
std::string local_url(const http::Server& server, bool tls) {
  std::string address = server.addresses().front();
  for (const auto& [any, own] : {std::pair{"0.0.0.0:", "127.0.0.1:"}, std::pair{"[::]:", "[::1]:"}})
    if (address.starts_with(any)) address = own + address.substr(std::string_view(any).size());
  return (tls ? "https://" : "http://") + address;
}

// What routes take that do more than ask models; docs/security.md has the same list.
void set_roles(api::Router& router) {
  for (const char* path : {"/", "/api/version"}) router.set_role(path, api::Role::kAnyone);
  for (const char* path : {"/api/create", "/api/pull", "/api/push", "/api/copy", "/api/delete", "/api/blobs/*"})
    router.set_role(path, api::Role::kManage);
}

// Neighbours are asked on a thread of their own, as often as a model is loaded that lacks room.
fleet::FleetOptions with_neighbours(const config::Settings& settings, LongWork& work) {
  fleet::FleetOptions options = fleet_options(settings);
  const auto all = neighbours::parse_neighbours(settings.neighbours);
  if (!all || all->empty()) return options;  // the settings were checked when they were read
  options.short_of_gpu = [all = *all, busy = settings.ask_busy_neighbours, &work](const fleet::GpuShortage& shortage) {
    (void)work.start([=](const std::atomic<bool>&) {
      const neighbours::Asked asked =
          neighbours::ask(all, {.free_bytes = [ordinal = shortage.ordinal] { return fleet::free_bytes_of(ordinal); },
                                .holders = [ordinal = shortage.ordinal] { return fleet::holders_of(ordinal); },
                                .bytes = fleet::room_for(shortage.ordinal, shortage.bytes),
                                .until = std::chrono::steady_clock::now() + kAsk_neighbours,
                                .ask_busy = busy,
                                .until_end = false,
                                .key = neighbours::key_from_environment()});
      shortage.take_free();
      for (const std::string& line : asked.how) log_info("{} lacks room on the GPU: {}", shortage.model, line);
    });
  };
  return options;
}

fleet::FleetOptions counted(fleet::FleetOptions options, metrics::Registry& registry) {
  count_loads(options, registry);
  return options;
}

// Differs when a file has been written or replaced.
std::string stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "absent ";
  return fmt::format("{}.{}.{}.{} ", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
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
  Parts(config::Loaded its_loaded, Result<State> its_state, const std::string& local_key)
      : loaded(std::move(its_loaded)),
        state(std::move(its_state)),
        access(state ? &state->keys() : nullptr, local_key),
        front(front_options(loaded.settings)),
        picture_sites(serve::picture_sites(loaded.settings.pictures_from)),
        workers(kWorkers, kMost_waiting),
        models(counted(with_neighbours(loaded.settings, work), registry)),
        health(models),
        observer({models, health, disks, transfers, requests, loaded.settings.gpu != "off"}) {
    if (!state) health.set({"state-unavailable", state.error().what(), state.error().remedy});
    registry.add_source([this](metrics::Page& page) { metrics::add_to(page, *observer.figures()); });
    add_fleet_source(registry, models);
    registry.add_source([this](metrics::Page& page) {
      if (batch) batch->add_to(page);
    });
  }
  ~Parts() {
    observer.end_streams();
    server.reset();
    work.stop();
    inquiries.stop();
    fetches.stop();
    batch.reset();
    workers.stop();
  }

  void look_at_certificate();

  config::Loaded loaded;  // of the thread that calls Serving's functions
  Result<State> state;
  Access access;
  Current<FrontOptions> front;
  Current<PictureSites> picture_sites;
  Workers workers;
  LongWork work{kMost_long_work}, inquiries{kMost_inquiries}, fetches{kMost_fetches};
  Current<std::string> shown_settings{settings_json(loaded)};
  AnswerRate rate;
  TextModels texts;
  Catalog catalog{[this](const std::string& name) {
    const auto model = texts.get(name);
    return model ? capabilities_of(**model) : std::vector<std::string>();
  }};
  metrics::Registry registry;
  Requests requests;
  Transfers transfers;
  People people;
  fleet::Fleet models;
  Health health;
  DiskWatch disks{health};
  ColdMoves cold_moves{work, [this] {
                         std::vector<std::string> names;
                         for (const fleet::RunningModel& model : models.running()) names.push_back(model.found.name);
                         return names;
                       }};
  Observer observer;
  std::unique_ptr<BatchWork> batch;  // null: there is no state
  std::unique_ptr<http::Server> server;
  std::string certificate_stamp;  // of the files as they were read last
};

// A new one is read once both files are; one that cannot be used leaves the old in use.
void Serving::Parts::look_at_certificate() {
  constexpr const char* kFinding = "tls-certificate";
  const config::Settings& settings = loaded.settings;
  if (settings.tls_key.empty()) return;
  const std::string stamp = stamp_of(settings.tls_certificate) + stamp_of(settings.tls_key);
  const std::string before = std::exchange(certificate_stamp, stamp);
  if (before.empty() || before == stamp) return;
  auto tls = http::load_tls(settings.tls_certificate, settings.tls_key);
  if (!tls) {
    health.set({kFinding, "the new certificate cannot be used, and the old one stays: " + tls.error().message,
                "put a certificate and its key there"});
    return;
  }
  server->set_tls(std::move(tls).value());
  health.clear(kFinding);
  log_info("connections are encrypted with the new certificate of {} now", settings.tls_certificate);
}

namespace {

void find_missing_keys(const Access& access, const config::Settings& settings, Health& health) {
  if (std::ranges::all_of(settings.http.listen, is_loopback) || settings.open) return;
  if (access.keys() != nullptr && !access.keys()->empty()) return;
  health.set({"keys-missing", "other machines can connect, but need a key, and there was none at the start",
              "\"hearth key add NAME\" makes one; or set open = true to let anybody use the models"});
}

}  // namespace

namespace {

// Loads what the settings keep. The plan of all of it comes first: what has to give is known before anything is loaded.
void load_kept(const config::Settings& settings, fleet::Fleet& models, Health& health) {
  std::vector<fleet::StackWish> wishes;
  std::vector<std::pair<store::ModelFiles, fleet::LoadWish>> kept;
  for (const std::string& entry : settings.keep) {
    const auto model = config::parse_kept(entry);
    auto found = model ? fleet::find_named_model(model->name) : Result<store::ModelFiles>(model.error());
    auto file = found ? gguf::File::open(found->model) : Result<std::shared_ptr<const gguf::File>>(found.error());
    if (!file) {
      health.set({"kept-model-missing",
                  fmt::format("{} is to be kept loaded and is not: {}", entry, file.error().what()),
                  file.error().remedy});
      continue;
    }
    fleet::StackWish& wish = wishes.emplace_back(model->name, std::move(*file));
    wish.serving.context =
        model->context.value_or(settings.context != 0 ? settings.context : fleet::kDefaultContext_tokens);
    wish.serving.parallel = model->parallel.value_or(settings.parallel);
    wish.serving.kv_type = model->kv_type.value_or(settings.kv_type);
    kept.push_back({std::move(*found),
                    {.context = wish.serving.context,
                     .gpu_layers = {},
                     .threads = {},
                     .parallel = model->parallel,
                     .kv_type = model->kv_type}});
  }
  if (settings.gpu != "off" && !wishes.empty()) {
    const auto devices = fleet::this_machine();
    const auto lines =
        devices ? fleet::stack_report(wishes, *devices) : Result<std::vector<std::string>>(devices.error());
    if (!lines) log_warn("the models to be kept cannot be planned together: {}", lines.error().message);
    if (lines)
      for (const std::string& line : *lines) log_info("plan: {}", line);
  }
  for (auto& [found, wish] : kept) models.keep(std::move(found), wish);
}

}  // namespace

Serving::Serving(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Serving::~Serving() = default;

Result<std::unique_ptr<Serving>> Serving::start(config::Loaded loaded, std::vector<int> inherited, bool works_queue) {
  Result<State> state = open_state(loaded.settings);
  if (!state && state.error().kind == ErrorKind::kUnsupported) return state.error();
  ASSIGN_OR_RETURN(const std::string local_key, new_secret());
  auto parts = std::make_unique<Parts>(std::move(loaded), std::move(state), local_key);
  const config::Settings& settings = parts->loaded.settings;
  auto router = std::make_shared<api::Router>();
  const auto basic = make_service(parts->models, parts->workers, parts->rate, parts->catalog, parts->texts, parts->work,
                                  parts->transfers, settings.context);
  basic->substitute = [&settings](const std::string& name) { return model_for(name, settings); };
  const auto seeing = with_pictures(basic, parts->picture_sites, parts->fetches);
  const auto counted_service = with_counts(parts->requests.watch(seeing), parts->registry);
  const auto service = with_limits(parts->people.watch(counted_service));
  if (parts->state) {
    ASSIGN_OR_RETURN(parts->batch, BatchWork::start({.models = parts->models,
                                                     .health = parts->health,
                                                     .people = parts->people,
                                                     .service = counted_service,
                                                     .folder = parts->state->folder(),
                                                     .parallel = settings.parallel,
                                                     .works = works_queue}));
    add_job_routes(*router, *parts->batch, parts->work);
    add_message_batch_routes(*router, *parts->batch, parts->work);
    add_file_routes(*router, *parts->batch, parts->work);
    add_batch_routes(*router, *parts->batch, parts->work);
  }
  add_page_routes(*router);
  api::anthropic::add_routes(*router, service);
  api::ollama::add_routes(*router, service);
  api::openai::add_routes(*router, service);
  add_admin_routes(*router, parts->access.keys(), parts->state ? parts->state->folder() : "",
                   parts->state ? "" : parts->state.error().message);
  set_roles(*router);
  add_registry_routes(*router, parts->workers);
  add_yield_routes(*router, parts->models, parts->work);
  add_health_routes(*router, parts->health);
  add_metrics_route(*router, parts->registry);
  add_figures_route(*router, parts->observer);
  add_request_routes(*router, parts->requests);
  add_machine_routes(*router, parts->models, fleet_options(settings), parts->inquiries);
  add_store_routes(*router, parts->inquiries);
  add_settings_route(*router, parts->shown_settings);
  http::Settings http = settings.http;
  http.inherited = std::move(inherited);
  if (!settings.tls_key.empty()) {
    ASSIGN_OR_RETURN(http.tls, http::load_tls(settings.tls_certificate, settings.tls_key));
  }
  auto server = http::Server::start(
      std::move(http), make_handler(std::move(router), parts->workers, parts->access, parts->front, parts->registry));
  if (!server) return with_ways_out(server.error(), settings);
  parts->server = std::move(server).value();
  if (parts->state) {
    const std::string url = local_url(*parts->server, !settings.tls_key.empty());
    if (const Status announced = parts->state->announce({url, local_key, settings.tls_certificate}); !announced)
      log_warn("commands such as \"hearth key\" will not find this server: {}", announced.error().message);
  }
  parts->look_at_certificate();
  find_missing_keys(parts->access, settings, parts->health);
  log_inference_compute(fleet::gpu_policy(settings.gpu));
  if (!settings.keep.empty()) {
    Parts& own = *parts;
    (void)own.work.start([&own](const std::atomic<bool>&) { load_kept(own.loaded.settings, own.models, own.health); });
  }
  return std::unique_ptr<Serving>(new Serving(std::move(parts)));
}

Serving::Condition Serving::look() {
  parts_->look_at_certificate();
  parts_->disks.look();
  parts_->cold_moves.look();
  parts_->models.refuse_overdue();
  for (const fleet::RunningModel& model : parts_->models.running())
    if (model.broken) return Condition::kLost;
  return Condition::kWell;
}

std::vector<int> Serving::keep_listening() const {
  return parts_->server->keep_listening();
}

std::vector<std::string> Serving::reload(const config::Loaded& loaded) {
  std::vector<std::string> lines = config::reload(parts_->loaded, loaded);
  const config::Settings& settings = parts_->loaded.settings;
  set_log_level(settings.log);
  parts_->models.set_keep_alive(settings.keep_alive);
  parts_->front.set(front_options(settings));
  parts_->picture_sites.set(picture_sites(settings.pictures_from));
  parts_->shown_settings.set(settings_json(parts_->loaded));
  return lines;
}

std::chrono::milliseconds Serving::drain_time() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(parts_->loaded.settings.drain);
}

std::vector<std::string> Serving::addresses() const {
  return parts_->server->addresses();
}

bool Serving::drain(std::chrono::milliseconds most) {
  parts_->health.set({"ending", "the server is ending", "", true});
  parts_->observer.end_streams();
  return parts_->server->drain(most);
}

}  // namespace hearth::serve
