#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/value.hpp>

#include <optional>

namespace beds::adapters::memory {

/// `current + by` in the type of the field; nullopt when the sum is outside of the type's range or
/// the type has no addition. Neither is null.
std::optional<core::value> add(const core::value& current, const core::value& by,
                               const core::field_type& type, core::arena& memory);

} // namespace beds::adapters::memory
