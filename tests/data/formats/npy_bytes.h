// NumPy's files, as tests write them for themselves.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

namespace lockstep::data {

/// A .npy of version 1, as numpy.save writes it.
inline std::string Npy(const std::string& descr, const std::string& shape, const std::string& elements,
                       const char* fortran = "False") {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': ({}), }}", descr, fortran, shape);
  header.resize(117, ' ');
  return std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n" + elements;
}

template <typename T>
std::string Elements(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace lockstep::data
