// A request from the dialects on its way through a model, and the model's events on their way back.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "api/service.h"
#include "fleet/fleet.h"
#include "serve/workers.h"

namespace hearth::serve {

// How long answers take, for those who are told to come again. Any thread.
class AnswerRate {
 public:
  void ended(std::chrono::nanoseconds took);
  uint32_t wait_s() const;  // until one more has a place: about as long as an answer takes

 private:
  mutable std::mutex mutex_;
  double average_s_ = 0;
};

// See api::Service::answer. Finds the model, waits for it, and prepares the prompt on a worker.
api::Cancel answer(fleet::Fleet& models, Workers& workers, AnswerRate& rate, api::AnswerRequest request,
                   api::AnswerSink sink);

}  // namespace hearth::serve
