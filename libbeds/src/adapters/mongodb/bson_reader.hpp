#pragma once

#include "adapters/mongodb/mongoc_include.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/value.hpp>

#include <string>
#include <string_view>

namespace beds::adapters::mongodb {

/// The element at `from` as a value of `type`. False when what is stored there is not of the type
/// and cannot be read as it without loss. Text of the result is a view into the document or
/// `memory`.
bool read_value(const bson_iter_t& from, const core::field_type& type, core::arena& memory,
                core::value& to);

/// Appends the element as JSON. What JSON has no word for: dates are RFC 3339 strings, ObjectIds
/// hexadecimal, subtype 4 a UUID, other binary base64; members called `_beds` are left out. False
/// for NaN, infinity and nesting above 100.
bool append_json(std::string& out, const bson_iter_t& from);

/// What people call values of this type, several of them.
std::string_view plural_of(bson_type_t type);

} // namespace beds::adapters::mongodb
