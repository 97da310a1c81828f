// A diagnosis as people and programs read it.
#pragma once

#include <string>

#include "doctor/bundle.h"
#include "doctor/diagnose.h"

namespace hearth::doctor {

struct ReportStyle {
  size_t width = 80;  // columns
  bool colours = false;
  bool verbose = false;  // every probe with its raw answer
};

std::string report(const Facts& facts, const Diagnosis& diagnosis, const Bundle& bundle, const ReportStyle& style);
// The schema stands in docs/doctor.md.
std::string report_json(const Facts& facts, const Diagnosis& diagnosis, const Bundle& bundle, bool verbose);
// The page of a cause, as Markdown that also reads well on a terminal.
std::string explain(const Rule& rule);
// Of a cause that only hearth itself reports.
std::string explain(const CauseWords& words);
// "cuda.cuInit: 304", one source a line, long ones cut.
std::string probes_text(const Bundle& bundle);

// Words in lines of at most `width` columns: the first after `first`, the others after as many spaces.
std::string wrap(const std::string& text, size_t width, const std::string& first);

}  // namespace hearth::doctor
