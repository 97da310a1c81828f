// Fills a bundle with what this machine and a service on it show. Needs no rights, changes nothing, and waits for
// nobody longer than its limits: drivers are asked in processes of their own.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "doctor/bundle.h"
#include "doctor/facts.h"

namespace hearth::doctor {

struct CollectOptions {
  std::string root;                        // stands before every path that is read: for tests
  std::string program = "/proc/self/exe";  // of this program, to start probes with: `program doctor --probe NAME`
  Service service = Service::kNone;
  std::optional<unsigned> pid;                // of the service
  std::string url;                            // of its API; empty: where it listens by default
  std::chrono::milliseconds patience{30000};  // with a driver; the API gets a second
};

Bundle collect(const CollectOptions& options);

// The parts, each of one area.
void collect_files(const CollectOptions& options, Bundle& bundle);       // P1, P2, P3, P9, P11, P15
void collect_libraries(const CollectOptions& options, Bundle& bundle);   // P4: the files of drivers and servers
void collect_kernel_log(const CollectOptions& options, Bundle& bundle);  // P12
void collect_disks(const CollectOptions& options, Bundle& bundle);       // P10
void collect_drivers(const CollectOptions& options, Bundle& bundle);     // P4 to P6, in children
void collect_service(const CollectOptions& options, Bundle& bundle);     // P7, P8
void collect_api(const CollectOptions& options, Bundle& bundle);         // P13
// A second look at counters, so that their rates are known; waits until `since` is half a second ago.
void collect_later(const CollectOptions& options, std::chrono::steady_clock::time_point since, Bundle& bundle);

// Variables that may matter, and that hold no secret.
bool is_telling_variable(std::string_view name);

// What `program doctor --probe NAME` prints: "loader", "cuda", "nvml". In a process of its own, which a driver may
// hang.
std::string run_probe(const std::string& name);

}  // namespace hearth::doctor
