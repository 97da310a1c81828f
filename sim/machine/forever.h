// Objects that live as long as the process: its own static objects may call the driver until the very end.
#pragma once

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace hearth::sim {

// Where the library is unloaded before the process ends, they and what they hold are no leak.
template <class T>
T& forever(T* object) {
#ifdef __SANITIZE_ADDRESS__
  __lsan_ignore_object(object);
#endif
  return *object;
}

}  // namespace hearth::sim
