// The pictures of requests, as the model sees them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "fleet/resident.h"
#include "fleet/sight.h"

namespace hearth::serve {

using SeenPictures = std::vector<std::shared_ptr<const fleet::SeenPicture>>;

// The pictures of one request on their way. Any thread may cancel them.
class Looking {
 public:
  using Done = std::function<void(Result<SeenPictures>)>;

  // `done` is called once, in the request's order of pictures, before this returns or on a thread that others wait for;
  // the object lasts until then. A model that does not see, and pictures of tools' results alone: there are none (see
  // describe_tool_pictures()). Errors: kUsage where the model does not see, or of a picture that is broken, with its
  // number; those of Sight::look().
  void start(const api::AnswerRequest& request, const fleet::Resident& model, Done done);
  // `done` gets kCancelled, if it has not been called. Other requests are not disturbed.
  void cancel();

 private:
  void take(size_t index, fleet::Sight::Seen seen);
  void leave(size_t count);  // so many pictures less are waited for
  void withdraw_all();

  std::mutex mutex_;
  Done done_;
  std::shared_ptr<fleet::Sight> sight_;
  SeenPictures seen_;
  std::vector<uint64_t> looks_;
  size_t left_ = 0;
  std::optional<Error> failure_;
  bool cancelled_ = false;
};

// Of an address that nobody has fetched.
Error not_fetched(size_t index);
// The error of a picture, with its number.
Error of_picture(size_t index, const Error& error);
uint32_t tokens_of(const SeenPictures& pictures);

// Pictures that only results of tools have, for a model that does not see: refused, they would stand in the way of the
// whole conversation, so that words take their place. Returns whether that was done.
bool describe_tool_pictures(api::AnswerRequest* request);

}  // namespace hearth::serve
