// What the parts of the forward pass are made of.
#pragma once

#include <initializer_list>

#include "models/transformer.h"

namespace hearth::models {

// The forms that products with these weights read; those that a model lacks do not count.
device::OperandForms forms_for(const device::Sizing& device, std::initializer_list<const device::Matrix*> weights);

// The workspace's operand, of rows of `width` values.
device::Operand operand(const DeviceStep& step, uint32_t width, device::OperandForms forms);

// Rows of `width` values as they are, as an operand; `compacted`: one for each logit row.
device::Operand plain(const DeviceStep& step, const float* in, uint32_t width, device::OperandForms forms,
                      bool compacted = false);

// x through a norm, or as it is if there is none.
device::Operand normed(const DeviceStep& step, const Norm& norm, device::OperandForms forms, bool logit_rows = false);

// One of these on the residual stream's operand, or another.
void project(const DeviceStep& step, const device::Operand& in, std::initializer_list<device::Projection> outs);

// x += projection of `in`, through a norm if there is one; or the norm of that sum.
void add_result(const DeviceStep& step, const device::Operand& in, const Linear& linear, const Norm& post_norm);

// The norm of adjacent rows: to an array, or added to it.
void norm_result(const DeviceStep& step, const Norm& norm, const float* in, float* out, bool add);

// The RMS norm of adjacent rows, where they are.
void norm_in_place(const DeviceStep& step, const device::Vector& weight, float* values);

}  // namespace hearth::models
