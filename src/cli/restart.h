// A server that goes on in a new process of the same id, on the sockets that it listens on already.
#pragma once

#include <vector>

#include "base/result.h"

namespace hearth::cli {

// The sockets that were handed over to this process, by itself or by systemd
// (https://www.freedesktop.org/software/systemd/man/sd_listen_fds.html); none if there are none. To be called once.
std::vector<int> take_sockets();

// Not more often than would help.
bool may_restart();
// Runs this program anew with the same arguments. Errors: kIo; else it does not return.
Status restart(const std::vector<int>& sockets);

}  // namespace hearth::cli
