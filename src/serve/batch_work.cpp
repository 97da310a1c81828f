#include "serve/batch_work.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "api/anthropic/routes.h"
#include "api/ollama/routes.h"
#include "api/openai/routes.h"
#include "base/error.h"
#include "base/random.h"
#include "base/sha256.h"
#include "disk/new_file.h"
#include "fleet/find_model.h"
#include "serve/inside.h"
#include "serve/keys.h"

namespace hearth::serve {
namespace {

constexpr std::chrono::seconds kLook_again{5};
constexpr uint64_t kRoom_bytes = 8 << 20;  // for the results of a round
constexpr int kPriority = -1'000'000;      // in the engine: behind everybody
constexpr const char* kFinding = "batch-held-up";

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string node_name(const std::string& folder) {
  std::string name(256, '\0');
  if (::gethostname(name.data(), name.size() - 1) != 0) name = "localhost";
  return std::string(name.c_str()) + ":" + folder;
}

// Of files in a store the digest that they are called by; else what changes when somebody writes the file.
std::string content_of(const store::ModelFiles& files) {
  const std::string name = std::filesystem::path(files.model).filename().string();
  std::string text = name;
  if (!name.starts_with("sha256-")) {
    struct stat status {};
    (void)::stat(files.model.c_str(), &status);
    text += fmt::format(" {} {}.{}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  text += '\n' + files.template_text + '\n' + files.system + '\n' + files.renderer + files.parser;
  for (const auto& [option, value] : files.parameters) text += '\n' + option + ' ' + value;
  return sha256_hex(text);
}

// Batch work's own: behind all others in the engine, and what one owner computes is for that owner.
std::shared_ptr<const api::Service> in_the_background(const std::shared_ptr<const api::Service>& service) {
  auto result = std::make_shared<api::Service>(*service);
  result->answer = [service](api::AnswerRequest request, api::AnswerSink sink) {
    request.priority = kPriority;
    if (!request.caller.key.empty()) request.cache_salt = "key " + request.caller.key + '\n' + request.cache_salt;
    return service->answer(std::move(request), std::move(sink));
  };
  return result;
}

}  // namespace

bool may_use(const api::Caller& caller, const std::string& model) {
  const auto key = std::static_pointer_cast<Key>(caller.key_in_use);
  return !key || key->may_use(model);
}

Result<std::unique_ptr<BatchWork>> BatchWork::start(Needs needs) {
  ASSIGN_OR_RETURN(auto sql, batch::open_sqlite(needs.folder + "/batch.db"));
  std::unique_ptr<BatchWork> work(new BatchWork(std::move(needs)));
  work->queue_ = std::make_unique<batch::Queue>(std::move(sql), wall_ms);
  const auto service = in_the_background(work->needs_.service);
  api::anthropic::add_routes(work->routes_, service);
  api::ollama::add_routes(work->routes_, service);
  api::openai::add_routes(work->routes_, service);
  if (work->needs_.works) {
    const std::string node = node_name(work->needs_.folder);
    batch::RunnerOptions options;
    options.worker = node + "/" + random_hex(16);
    options.node = node;
    work->runner_ = std::make_unique<batch::Runner>(*work->queue_, work->host(), options);
    work->needs_.people.on_change([runner = work->runner_.get()] { runner->wake(); });
  }
  return work;
}

BatchWork::~BatchWork() {
  needs_.people.on_change({});
}

void BatchWork::wake() {
  if (runner_) runner_->wake();
}

Result<BatchWork::Known> BatchWork::look_up(const std::string& name) {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(name);
    if (known != known_.end() && now - known->second.since < kLook_again) return known->second;
  }
  auto found = fleet::find_named_model(name);
  if (!found && needs_.service->substitute)
    if (const auto other = needs_.service->substitute(name)) found = fleet::find_named_model(*other);
  if (!found) return found.error();
  Known known{content_of(*found), *found, now};
  const std::lock_guard lock(mutex_);
  known_[name] = known;
  return known;
}

Result<std::string> BatchWork::identify(const std::string& name) {
  ASSIGN_OR_RETURN(Known known, look_up(name));
  return std::move(known.content);
}

Result<store::ModelFiles> BatchWork::files_of(const std::string& content) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, known] : known_)
      if (known.content == content) return known.files;
  }
  std::vector<std::string> names = store::list_models(store::model_folders());
  names.emplace_back("demo");
  for (const std::string& name : names) {
    const auto known = look_up(name);
    if (known && known->content == content) return known->files;
  }
  return error(ErrorKind::kNotFound,
               "the model that the step was submitted with is not here any more, or was changed; submit the job again");
}

Result<std::vector<batch::StepPlan>> BatchWork::plan_of(const batch::Compiled& workflow) {
  constexpr int64_t kFar = int64_t{1} << 32;
  std::vector<batch::StepPlan> plan;
  for (const batch::Planned& one : workflow.plan) {
    batch::StepPlan& step = plan.emplace_back();
    step.name = one.name;
    const auto at = static_cast<int64_t>(plan.size() - 1);
    step.place = workflow.workflow.by_item ? at : at * kFar;
    step.place_per_item = workflow.workflow.by_item ? static_cast<int64_t>(batch::kMost_steps) : 1;
    for (const auto& [name, needed] : one.needs) step.needs.push_back(needed);
    if (workflow.workflow.steps.empty()) continue;
    const batch::Step& source = workflow.workflow.steps[one.step];
    ASSIGN_OR_RETURN(step.model, identify(source.model));
    if (!source.fallback.empty()) {
      const auto fallback = identify(source.fallback);
      if (!fallback) return fallback.error();
    }
  }
  return plan;
}

batch::Host BatchWork::host() {
  return {
      .ask = [this](const batch::Request& request, const std::string& owner,
                    std::function<void(batch::Reply)> done) { return ask(request, owner, std::move(done)); },
      .seat = [this](const std::string& model,
                     std::function<void(Result<batch::Seat>)> done) { seat(model, std::move(done)); },
      .identify = [this](const std::string& name) { return identify(name); },
      .others = [this](const std::string& model) { return others(model); },
      .room = [this] { return disk::check_room(needs_.folder, kRoom_bytes); },
      .tell =
          [this](const std::string& problem) {
            {
              const std::lock_guard lock(mutex_);
              problem_ = problem;
            }
            if (problem.empty()) return needs_.health.clear(kFinding);
            needs_.health.set({kFinding, "batch jobs wait: " + problem, "they go on by themselves once it is over"});
          },
      .ended = [](int64_t) {}};
}

batch::Cancel BatchWork::ask(const batch::Request& request, const std::string& owner,
                             std::function<void(batch::Reply)> done) {
  api::Caller caller{.user = "batch" + (owner.empty() ? "" : "/" + owner), .address = "127.0.0.1", .key = owner};
  return ask_inside(routes_, "POST", request.path, request.body, std::move(caller),
                    [done = std::move(done)](InsideReply reply) {
                      done({reply.status, std::move(reply.body)});
                    });
}

void BatchWork::seat(const std::string& model, std::function<void(Result<batch::Seat>)> done) {
  auto files = files_of(model);
  if (!files) return done(files.error());
  needs_.models.use(std::move(*files), {}, std::nullopt,
                    [this, model, done = std::move(done)](Result<std::shared_ptr<fleet::Fleet::Lease>> lease) {
                      if (!lease) return done(lease.error());
                      const int64_t load_ms = (**lease)->load_duration / std::chrono::milliseconds(1);
                      const auto width = static_cast<int64_t>(needs_.parallel);
                      {
                        const std::lock_guard lock(mutex_);
                        speeds_[model] = {width, load_ms};
                      }
                      done(batch::Seat{std::move(*lease), model, width, load_ms});
                    });
}

batch::Others BatchWork::others(const std::string& model) {
  batch::Others others;
  others.quiet_ms = needs_.people.quiet_ms();
  for (const auto& [name, count] : needs_.people.running()) {
    others.running += count;
    const auto content = identify(name);
    if (content && *content != model) others.other_model = true;
  }
  return others;
}

BatchWork::Speed BatchWork::speed(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto at = speeds_.find(model);
  return at == speeds_.end() ? Speed{needs_.parallel, 0} : at->second;
}

std::string BatchWork::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

batch::Work BatchWork::work() const {
  return runner_ ? runner_->work() : batch::Work();
}

void BatchWork::add_to(metrics::Page& page) {
  if (const auto counts = queue_->all_counts())
    for (const char* state : {"blocked", "ready", "leased", "done", "failed", "cancelled"})
      page.gauge("hearth_batch_steps", "Steps of batch jobs by state.", static_cast<double>(counts->of(state)),
                 {{"state", state}});
  const batch::Work done = work();
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    page.counter(name, help, static_cast<double>(value));
  };
  counter("hearth_batch_steps_done_total", "Steps of batch jobs that were done.", done.finished);
  counter("hearth_batch_steps_failed_total", "Steps of batch jobs that failed for good.", done.failed);
  counter("hearth_batch_steps_retried_total", "Steps of batch jobs that failed and were to be tried again.",
          done.retried);
  counter("hearth_batch_steps_preempted_total", "Steps of batch jobs that made way for people's requests.",
          done.preempted);
  counter("hearth_batch_steps_cached_total", "Steps of batch jobs whose result was known.", done.cached);
  counter("hearth_batch_loads_total", "Turns of models that batch work took.", done.loads);
  counter("hearth_batch_jobs_done_total", "Batch jobs that came to their end.", done.jobs);
}

}  // namespace hearth::serve
