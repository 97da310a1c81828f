// A server's figures as they look in a terminal of 80 columns.
#pragma once

#include <string>
#include <vector>

#include "metrics/figures.h"

namespace hearth::cli {

// The sentence about all, every GPU, every model. `width` of the terminal in columns, 60 or more.
std::string figures_view(const metrics::Figures& figures, size_t width);
// A line for each request; the one at `chosen` is marked.
std::string requests_view(const std::vector<metrics::RequestFigures>& requests, size_t chosen, size_t width);

}  // namespace hearth::cli
