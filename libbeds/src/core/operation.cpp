#include "core/names.hpp"

#include <beds/core/operation.hpp>

namespace beds::core {
namespace {

constexpr auto verb_names = make_enum_names<verb>("fetch", "find", "count", "exists", "insert",
                                                  "update", "delete", "call", "describe");
constexpr auto class_names = make_enum_names<op_class>("read", "write", "bulk");

} // namespace

std::string_view to_string(verb value) {
    return verb_names.name(value);
}
std::optional<verb> parse_verb(std::string_view text) {
    return verb_names.parse(text);
}
std::string_view to_string(op_class value) {
    return class_names.name(value);
}
std::optional<op_class> parse_op_class(std::string_view text) {
    return class_names.parse(text);
}

} // namespace beds::core
