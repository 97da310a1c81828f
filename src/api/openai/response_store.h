// Responses that clients may go on from: in memory, bounded, and each its owner's alone.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace hearth::api::openai {

// Items of a conversation; parts of it are shared by all responses of a chain.
using Items = std::vector<std::shared_ptr<const boost::json::value>>;

struct StoredResponse {
  boost::json::object response;
  Items context;          // the conversation up to the response
  size_t input_from = 0;  // of the context: where this response's own input begins
  Items output;
};

struct StoreLimits {
  std::chrono::seconds age{3600};
  size_t bytes = 64 << 20;
};

class ResponseStore {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  explicit ResponseStore(const StoreLimits& limits = {}, Clock clock = std::chrono::steady_clock::now)
      : limits_(limits), clock_(std::move(clock)) {}

  // Any thread. What is oldest goes where there is no room.
  void put(const std::string& id, const std::string& owner, StoredResponse response);
  std::shared_ptr<const StoredResponse> get(const std::string& id, const std::string& owner);
  bool remove(const std::string& id, const std::string& owner);
  size_t bytes() const;

 private:
  struct Entry {
    std::string id, owner;
    std::shared_ptr<const StoredResponse> response;
    size_t bytes;
    std::chrono::steady_clock::time_point stored;
  };
  using Position = std::list<Entry>::iterator;
  void drop(Position entry);
  void drop_old();
  Position find(const std::string& id, const std::string& owner);

  const StoreLimits limits_;
  const Clock clock_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the newest last
  std::unordered_map<std::string, Position> by_id_;
  size_t bytes_ = 0;
};

}  // namespace hearth::api::openai
