#include "serve/people.h"

#include <atomic>

namespace hearth::serve {

// As long as a request is answered: the last of its references goes with its end.
class People::Stay {
 public:
  Stay(People& people, std::string model) : people_(people), model_(std::move(model)) {}
  ~Stay() { leave(); }
  void leave() {
    if (left_.exchange(true)) return;
    {
      const std::lock_guard lock(people_.mutex_);
      if (--people_.running_[model_] == 0) people_.running_.erase(model_);
      people_.last_ = std::chrono::steady_clock::now();
    }
    people_.tell();
  }

 private:
  People& people_;
  const std::string model_;
  std::atomic<bool> left_ = false;
};

void People::on_change(std::function<void()> call) {
  const std::lock_guard lock(telling_);
  changed_ = std::move(call);
}

void People::tell() {
  const std::lock_guard lock(telling_);
  if (changed_) changed_();
}

std::shared_ptr<People::Stay> People::enter(const std::string& model) {
  {
    const std::lock_guard lock(mutex_);
    ++running_[model];
  }
  tell();
  return std::make_shared<Stay>(*this, model);
}

std::shared_ptr<const api::Service> People::watch(std::shared_ptr<const api::Service> service) {
  auto result = std::make_shared<api::Service>(*service);
  result->answer = [this, service](api::AnswerRequest request, api::AnswerSink sink) {
    const auto stay = enter(request.model);
    const auto left = std::make_shared<std::atomic<uint32_t>>(std::max(1u, request.count));
    return service->answer(std::move(request), [stay, left, sink = std::move(sink)](const api::AnswerEvent& event) {
      sink(event);
      if (event.end && (event.end->error || --*left == 0)) stay->leave();
    });
  };
  if (!service->embed) return result;
  result->embed = [this, service](api::EmbedRequest request, std::function<void(Result<api::Embeddings>)> done) {
    const auto stay = enter(request.model);
    return service->embed(std::move(request), [stay, done = std::move(done)](Result<api::Embeddings> made) {
      done(std::move(made));
      stay->leave();
    });
  };
  return result;
}

std::map<std::string, int64_t> People::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

int64_t People::quiet_ms() const {
  const std::lock_guard lock(mutex_);
  if (last_ == std::chrono::steady_clock::time_point()) return INT64_MAX;
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - last_).count();
}

}  // namespace hearth::serve
