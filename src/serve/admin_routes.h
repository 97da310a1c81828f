// hearth's own routes for its administrator: keys and a copy of the state.
#pragma once

#include "api/router.h"
#include "serve/keys.h"

namespace hearth::serve {

// What the routes and the commands without a server share: a key as JSON. Errors: kUsage.
std::string key_json(const KeyInfo& info);
Result<KeyInfo> key_from_json(std::string_view text);

// GET, POST /hearth/keys; DELETE /hearth/keys/NAME; GET /hearth/backup. `keys` is null where the state cannot be had,
// with `why`; `folder` is where the copy is made.
void add_admin_routes(api::Router& router, Keys* keys, const std::string& folder, const std::string& why);

}  // namespace hearth::serve
