#include "api/event_writer.h"

#include "api/reply.h"

namespace hearth::api {

void EventWriter::tell_all(const std::vector<std::string>& warnings, http::ResponseHead& head) const {
  std::vector<std::string> all = warnings_;
  all.insert(all.end(), warnings.begin(), warnings.end());
  tell(all, head);
  add_headers(head);
}

http::ResponseHead EventWriter::head(const std::vector<std::string>& warnings) {
  http::ResponseHead head = event_stream();
  tell_all(warnings, head);
  return head;
}

http::Response EventWriter::told(http::Response response, const std::vector<std::string>& warnings) const {
  tell_all(warnings, response.head);
  return response;
}

}  // namespace hearth::api
