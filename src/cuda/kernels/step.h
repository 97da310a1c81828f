// What changes from step to step, in device memory at fixed addresses; arrays of the batch being worked on.
#pragma once

#include <cstdint>

#ifndef __CUDACC__
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#endif

namespace hearth::cuda {

// device::BatchSequence; its pages are pages[first_page], [first_page + 1], ...
struct StepSequence {
  uint32_t first_row, rows, first_position, first_page;
};

struct StepTables {
  const int32_t* tokens;         // per row
  const uint32_t* positions;     // per row
  const uint32_t* row_sequence;  // per row: which sequence
  const uint32_t* logit_rows;
  const StepSequence* sequences;
  const int32_t* pages;
  const uint32_t* ends;    // per row: before which position what it sees ends
  const uint32_t* places;  // per row device::kPlaces numbers
};

}  // namespace hearth::cuda

#ifndef __CUDACC__
#pragma GCC diagnostic pop
#endif
