// The formats with fast 8-bit kernels. A new one: its file here, its line in the list.
#pragma once

#include "cpu/formats/iq4_nl.h"
#include "cpu/formats/iq4_xs.h"
#include "cpu/formats/mxfp4.h"
#include "cpu/formats/q2_k.h"
#include "cpu/formats/q3_k.h"
#include "cpu/formats/q4_0.h"
#include "cpu/formats/q4_1.h"
#include "cpu/formats/q4_k.h"
#include "cpu/formats/q5_0.h"
#include "cpu/formats/q5_1.h"
#include "cpu/formats/q5_k.h"
#include "cpu/formats/q6_k.h"
#include "cpu/formats/q8_0.h"

namespace hearth::cpu {

template <class... Formats>
struct FormatList {};

using BlockFormats = FormatList<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4>;

}  // namespace hearth::cpu
