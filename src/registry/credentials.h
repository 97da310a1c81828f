// Who one is at a registry: docker's file of credentials and the programs that it names.
// Format: https://docs.docker.com/reference/cli/docker/login/ (auths, credHelpers, credsStore).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "base/result.h"

namespace hearth::registry {

struct Credentials {
  std::string user, password;  // user "<token>": the password is an identity token
};

// Of a docker configuration file's text; nothing if it has none for the host. `run_helper` asks the program
// docker-credential-NAME for a host's and returns what it prints. Errors: kInvalidData.
using RunHelper = Result<std::string> (*)(const std::string& name, const std::string& host);
Result<std::optional<Credentials>> credentials_in(std::string_view docker_config, const std::string& host,
                                                  RunHelper run_helper);

// $DOCKER_CONFIG/config.json or ~/.docker/config.json; nothing where there is none. Errors: kInvalidData, kIo.
Result<std::optional<Credentials>> find_credentials(const std::string& host);

}  // namespace hearth::registry
