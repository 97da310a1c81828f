// An answer's way from the service to a client, the same in all dialects.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/service.h"
#include "http/exchange.h"

namespace hearth::api {

// A whole answer, for replies that are not streamed. Those to one request are in the order of their numbers.
struct WholeAnswer {
  chat::Message message;
  std::vector<chat::Delta> deltas;  // the same, in the order in which it was said
  std::vector<TokenReport> tokens;
  AnswerEnd end;
};

// How a dialect writes one answer. Used by one thread at a time.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // Before anything was sent: an HTTP error.
  virtual http::Response failure(const AnswerEnd& end) = 0;
  virtual http::Response whole(const std::vector<WholeAnswer>& answers, const std::vector<std::string>& warnings) = 0;

  // A stream: its head, then the pieces of each event; the last of each choice has an end, maybe with an error, after
  // which nothing comes.
  virtual http::ResponseHead head(const std::vector<std::string>& warnings) = 0;
  virtual http::Ping ping() { return {}; }
  // The head goes out as soon as the request is accepted, not with the first piece of text: so pings can go before.
  virtual bool starts_early() const { return false; }
  virtual std::string begin() { return {}; }  // right after the head
  virtual std::string pieces(const AnswerEvent& event) = 0;
  virtual std::string close() { return {}; }  // after the end of all choices, if none has failed
};

// Starts the requests and answers the exchange with what comes; their answers are numbered through. A client that goes
// cancels all, and so does one that fails. Pieces that a slow client has not read yet are joined.
void deliver(const Service& service, std::vector<AnswerRequest> requests, std::shared_ptr<http::Exchange> exchange,
             std::shared_ptr<AnswerWriter> writer, bool stream);

// Adds to `event` what comes after it in the same choice: neighbours of one kind become one delta.
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
