// One unit of attention work.
#pragma once

#include "device/device.h"

namespace hearth::cpu {

// Query rows of one sequence and kv head: row i is the (i % group)-th query head of the group at the
// (i / group)-th position, group = heads / kv heads.
struct AttentionBlock {
  const device::AttentionArgs* args;
  const device::BatchSequence* sequence;
  uint32_t kv_head;
  uint32_t first, rows;  // at most KernelTable::attention_rows
  float* out;            // [batch rows][heads * value_dim]
  const uint32_t* ends;  // of the batch's rows: the position before which what they see ends
};

}  // namespace hearth::cpu
