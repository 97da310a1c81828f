// What a failure inside this folder is to the outside.
#pragma once

#include "base/error.h"
#include "template/budget.h"

namespace hearth::templates {

inline Error to_error(const Failure& failure) {
  if (failure.line == 0) return error(ErrorKind::kInvalidData, "{}", failure.message);
  return error(ErrorKind::kInvalidData, "line {} of the template: {}", failure.line, failure.message);
}

}  // namespace hearth::templates
