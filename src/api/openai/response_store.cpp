#include "api/openai/response_store.h"

namespace hearth::api::openai {
namespace {

namespace json = boost::json;

// What others of the chain hold too is counted where it was said.
size_t size_of(const StoredResponse& response) {
  size_t bytes = sizeof response + json::serialize(response.response).size();
  for (size_t i = response.input_from; i < response.context.size(); ++i)
    bytes += json::serialize(*response.context[i]).size();
  for (const auto& item : response.output) bytes += json::serialize(*item).size();
  return bytes + response.context.size() * sizeof(response.context[0]);
}

}  // namespace

void ResponseStore::put(const std::string& id, const std::string& owner, StoredResponse response) {
  Entry entry{id, owner, std::make_shared<const StoredResponse>(std::move(response)), 0, clock_()};
  entry.bytes = size_of(*entry.response);
  const std::lock_guard lock(mutex_);
  if (entry.bytes > limits_.bytes) return;
  bytes_ += entry.bytes;
  entries_.push_back(std::move(entry));
  by_id_[id] = std::prev(entries_.end());
  drop_old();
}

std::shared_ptr<const StoredResponse> ResponseStore::get(const std::string& id, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  drop_old();
  const auto entry = find(id, owner);
  return entry == entries_.end() ? nullptr : entry->response;
}

bool ResponseStore::remove(const std::string& id, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  drop_old();
  const auto entry = find(id, owner);
  if (entry == entries_.end()) return false;
  drop(entry);
  return true;
}

size_t ResponseStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

ResponseStore::Position ResponseStore::find(const std::string& id, const std::string& owner) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() || found->second->owner != owner ? entries_.end() : found->second;
}

void ResponseStore::drop(Position entry) {
  bytes_ -= entry->bytes;
  by_id_.erase(entry->id);
  entries_.erase(entry);
}

void ResponseStore::drop_old() {
  const auto oldest = clock_() - limits_.age;
  while (!entries_.empty() && (bytes_ > limits_.bytes || entries_.front().stored < oldest)) drop(entries_.begin());
}

}  // namespace hearth::api::openai
