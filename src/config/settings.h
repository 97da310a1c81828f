// What a server can be told. Where each value comes from is load.h's; what each means for users stands in table.cpp and
// docs/configuration.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "http/settings.h"

namespace hearth::config {

struct Settings {
  http::Settings http;                       // with the addresses to listen on
  bool listens_with_tls = false;             // an address was given as https://
  bool open = false;                         // without keys, also where others than this machine can connect
  std::vector<std::string> origins;          // web pages that may ask, beside the usual ones, each with at most one "*"
  std::vector<std::string> trusted_proxies;  // addresses or networks ("10.0.0.0/8") whose X-Forwarded-For counts
  std::vector<std::string> pictures_from;    // sites whose pictures are fetched, see origin.h; empty: none
  std::string models;                        // folder; empty: Ollama's
  std::vector<std::string> aliases;          // "NAME=MODEL", see alias.h: for names that no model here has
  std::vector<std::string> keep;             // models that are loaded at the start and stay, see kept.h
  std::string default_model;                 // that answers for names of Anthropic's models; empty: none
  std::string state;                         // folder; empty: see state_folder()
  LogLevel log = LogLevel::kInfo;

  std::chrono::nanoseconds keep_alive{std::chrono::minutes(5)};  // negative: for ever
  uint32_t parallel = 4;                                         // answers of one model at the same time
  uint32_t max_models = 3;                                       // that are loaded
  uint32_t queue = 512;                                          // requests that wait for one model
  uint32_t context = 0;                                          // tokens; 0: the model's, else the default
  std::string kv_type = "f16", gpu = "auto", mmap = "auto", cpu_isa;
  uint32_t threads = 0;  // 0: all that this process may use
  bool experts_last = false;

  std::vector<std::string> neighbours;  // "KIND=URL": other servers on the GPUs, that may be asked for memory
  bool ask_busy_neighbours = false;     // also while they answer

  std::string tls_certificate, tls_key;                      // paths of PEM files; both or none
  std::chrono::nanoseconds drain{std::chrono::seconds(15)};  // for requests that run when the server is to end
  std::chrono::nanoseconds slice{0};  // of a model that others wait for; 0: from what its load took
  std::chrono::nanoseconds place_wait{std::chrono::minutes(1)};  // at most, for another model's place
  std::chrono::nanoseconds load_wait{std::chrono::minutes(5)};   // of a request for its model to be loaded; 0: no limit
  std::chrono::nanoseconds deadline{0};                          // of a request, from its arrival to its end; 0: none
};

}  // namespace hearth::config
