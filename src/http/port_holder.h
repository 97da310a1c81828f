// Who listens on a port of this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::http {

// The inodes of sockets that listen on `port`, from the text of /proc/net/tcp or tcp6 (proc(5)).
std::vector<uint64_t> listening_inodes(std::string_view table, uint16_t port);

// "ollama (process 1234)"; "a process of another user" where it cannot be seen; empty if nobody listens there.
std::string port_holder(uint16_t port);

}  // namespace hearth::http
