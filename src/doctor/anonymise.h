// A bundle that may be passed on: without keys, prompts, and names of users and hosts.
#pragma once

#include <string>

#include "doctor/bundle.h"

namespace hearth::doctor {

// Names of this machine, to be taken out wherever they stand.
struct Names {
  std::string user, host;
};
Names names_here();

Bundle anonymised(const Bundle& bundle, const Names& names);

}  // namespace hearth::doctor
