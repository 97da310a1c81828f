// An answer's way from the service to a client, the same in all dialects.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/service.h"
#include "http/exchange.h"

namespace hearth::api {

// A whole answer, for replies that are not streamed.
struct WholeAnswer {
  chat::Message message;
  std::vector<TokenReport> tokens;
  AnswerEnd end;
};

// How a dialect writes one answer. Used by one thread at a time.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // Before anything was sent: an HTTP error.
  virtual http::Response failure(const Error& error) = 0;
  virtual http::Response whole(const WholeAnswer& answer) = 0;

  // A stream: its head, then the pieces of each event; the last has an end, maybe with an error.
  virtual http::ResponseHead head() = 0;
  virtual http::Ping ping() { return {}; }
  virtual std::string begin() { return {}; }  // right after the head
  virtual std::string pieces(const AnswerEvent& event) = 0;
};

// Starts the request and answers the exchange with what comes. A client that goes cancels it. Pieces that a slow
// client has not read yet are joined.
void deliver(const Service& service, AnswerRequest request, std::shared_ptr<http::Exchange> exchange,
             std::shared_ptr<AnswerWriter> writer, bool stream);

// Adds to `event` what comes after it: neighbours of one kind become one delta.
void join(AnswerEvent& event, const AnswerEvent& more);

// Cancels once both are known, in whatever order, and each at most once.
class CancelSlot {
 public:
  void set(Cancel cancel);
  void fire();

 private:
  std::mutex mutex_;
  Cancel cancel_;
  bool fired_ = false;
};

}  // namespace hearth::api
