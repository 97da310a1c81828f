// Self-registration: a thing that can be added in one file registers itself with a static object, so
// that no central list has to be edited. Entries appear in link order; look-ups must not depend on it.
#pragma once

#include <cstddef>
#include <vector>

namespace hearth {

// One list per type T. `static const Register<T> registered(&thing);` adds `thing`, which must live
// as long as the program.
template <class T>
class Register {
 public:
  explicit Register(const T* entry) { entries().push_back(entry); }
  static const std::vector<const T*>& all() { return entries(); }

 private:
  template <class Entry>
  friend class RegisterAll;
  static std::vector<const T*>& entries() {
    static std::vector<const T*> list;
    return list;
  }
};

// A table of them.
template <class T>
class RegisterAll {
 public:
  template <size_t Count>
  explicit RegisterAll(const T (&table)[Count]) {
    for (const T& entry : table) Register<T>::entries().push_back(&entry);
  }
};

}  // namespace hearth
