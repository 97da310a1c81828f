// What the writers of server-sent events have in common, whatever their dialect.
#pragma once

#include <string>
#include <vector>

#include "api/deliver.h"

namespace hearth::api {

class EventWriter : public AnswerWriter {
 public:
  http::ResponseHead head(const std::vector<std::string>& warnings) override;
  bool starts_early() const override { return true; }

 protected:
  explicit EventWriter(std::vector<std::string> warnings) : warnings_(std::move(warnings)) {}

  // With the warnings of decoding and these in its head.
  http::Response told(http::Response response, const std::vector<std::string>& warnings = {}) const;

 private:
  void tell_all(const std::vector<std::string>& warnings, http::ResponseHead& head) const;
  virtual void add_headers(http::ResponseHead&) const {}

  const std::vector<std::string> warnings_;  // of decoding
};

}  // namespace hearth::api
