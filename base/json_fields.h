// The one way to read and write small JSON: rows and records of a run's folder, headers, what commands print.
//
// Reading is tolerant (`FieldOr`: a field that is missing or of another type is as good as not there: rows that a crash
// or another version left) or strict (`JsonFields`: an Error that names the field). Writing never throws on bytes that
// are no UTF-8, as paths may be: they become U+FFFD.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lockstep {

using Json = nlohmann::json;

/// The object that `text` is; null where it is none.
Json ParseJsonObject(std::string_view text);
/// The objects that whole lines of `text` are; other lines are left out.
std::vector<Json> ParseJsonRows(std::string_view text);

/// `indent` < 0: on one line. Works for objects that keep their order (nlohmann::ordered_json) too.
template <typename AnyJson>
std::string DumpJson(const AnyJson& value, int indent = -1) {
  return value.dump(indent, ' ', false, AnyJson::error_handler_t::replace);
}

/// Whether `value` is of type T, and fits into it: std::string, bool, double, an integer, or a map or list of
/// texts.
template <typename T>
bool JsonIs(const Json& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value.is_string();
  } else if constexpr (std::is_same_v<T, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_floating_point_v<T>) {
    return value.is_number();
  } else if constexpr (std::is_integral_v<T>) {
    if (value.is_number_unsigned()) return std::in_range<T>(value.get<uint64_t>());
    return value.is_number_integer() && std::in_range<T>(value.get<int64_t>());
  } else {
    constexpr bool kList = std::is_same_v<T, std::vector<std::string>>;
    static_assert(kList || std::is_same_v<T, std::map<std::string, std::string>>);
    if (kList ? !value.is_array() : !value.is_object()) return false;
    for (const auto& item : value.items())
      if (!item.value().is_string()) return false;
    return true;
  }
}

/// Field `name` of `object`; `otherwise` where `object` is none or has no such field of type T.
template <typename T>
T FieldOr(const Json& object, const char* name, T otherwise) {
  if (!object.is_object()) return otherwise;
  const auto found = object.find(name);
  return found != object.end() && JsonIs<T>(*found) ? found->template get<T>() : otherwise;
}
inline std::string TextOr(const Json& object, const char* name, std::string otherwise = "") {
  return FieldOr<std::string>(object, name, std::move(otherwise));
}
inline double NumberOr(const Json& object, const char* name, double otherwise = 0) {
  return FieldOr<double>(object, name, otherwise);
}

/// Reads an object whose fields must be there and of their types. What `damaged` is told, in words, it throws.
class JsonFields {
 public:
  using Damaged = std::function<void(const std::string& what)>;

  /// Calls `damaged` where `object` is no object. Both outlive this.
  JsonFields(const Json& object, const Damaged& damaged);

  bool Has(const char* name) const { return object_.contains(name); }
  template <typename T>
  T Get(const char* name) const {
    const Json& value = Field(name);
    if (!JsonIs<T>(value)) damaged_(fmt::format("\"{}\" is no {}", name, TypeName<T>()));
    return value.get<T>();
  }
  /// The same, or `otherwise` where there is no such field.
  template <typename T>
  T GetOr(const char* name, T otherwise) const {
    return Has(name) ? Get<T>(name) : otherwise;
  }
  const Json& List(const char* name) const;
  std::vector<std::string> Texts(const char* name) const;

 private:
  template <typename T>
  static const char* TypeName() {
    if (std::is_same_v<T, std::string>) return "text";
    if (std::is_same_v<T, bool>) return "truth value";
    return std::is_arithmetic_v<T> ? "number that fits" : "object of texts";
  }
  const Json& Field(const char* name) const;

  const Json& object_;
  const Damaged& damaged_;
};

}  // namespace lockstep
