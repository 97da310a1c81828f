// The parts of read_facts(): each fills what its sources say. In this order, since later ones look at earlier ones.
#pragma once

#include "doctor/facts.h"

namespace hearth::doctor {

void read_files(const Bundle& bundle, Facts& facts);     // files, disks
void read_hardware(const Bundle& bundle, Facts& facts);  // where this is, PCI, the kernel module, device nodes
void read_driver(const Bundle& bundle, Facts& facts);    // the loader, CUDA, NVML
void read_logs(const Bundle& bundle, Facts& facts);      // logs, outputs of commands
void read_compose(const Bundle& bundle, Facts& facts);   // the compose file
void read_service(const Bundle& bundle, Facts& facts);   // which service, its processes, what its API answers
void read_host(const Bundle& bundle, Facts& facts);      // limits, memory, pressure
void read_placement(Facts& facts);                       // layers, bytes
void read_codes(Facts& facts);                           // codes of the driver, from everywhere

ComposeFacts parse_compose(std::string_view text, const std::string& file, Service wanted);

}  // namespace hearth::doctor
