// The pictures of requests, as the model sees them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/service.h"
#include "fleet/resident.h"
#include "fleet/sight.h"

namespace hearth::serve {

using SeenPictures = std::vector<std::shared_ptr<const fleet::SeenPicture>>;

// In the request's order. Errors: kUsage where the model does not see, or of a picture that is broken, with its number;
// those of Sight::look().
Result<SeenPictures> look_at(const api::AnswerRequest& request, const fleet::Resident& model);
// Of an address that nobody has fetched.
Error not_fetched(size_t index);
uint32_t tokens_of(const SeenPictures& pictures);

// Pictures that only results of tools have, for a model that does not see: refused, they would stand in the way of the
// whole conversation, so that words take their place. Returns whether that was done.
bool describe_tool_pictures(api::AnswerRequest* request);

}  // namespace hearth::serve
