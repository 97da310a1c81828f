// What one template and one render of it may use. Templates come with models from anywhere: a hostile one ends with an
// error that names the limit, and costs no more than these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hearth::templates {

inline constexpr size_t kMaxTemplateBytes = size_t{4} << 20;
inline constexpr int kMaxNesting = 150;     // blocks and parentheses inside each other, in the text
inline constexpr int kMaxHeight = 1000;     // of an expression's tree: a chain of operators has no parentheses
inline constexpr int kMaxDepth = 2000;      // evaluations inside each other, through macros and recursive loops
inline constexpr int kMaxValueDepth = 100;  // lists and maps inside each other, where they are printed or compared
inline constexpr uint64_t kMaxSteps = 100'000'000;  // evaluations of a node, and bytes or items that were gone through
inline constexpr size_t kMaxMemory = size_t{512} << 20;  // all values that a render makes, freed at its end
inline constexpr size_t kMaxOutput = size_t{64} << 20;
inline constexpr int64_t kMaxRange = 100'000;  // items of range(), as in Jinja's sandbox

}  // namespace hearth::templates
