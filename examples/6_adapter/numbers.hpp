// Whole and decimal numbers of templates as what both are: digits.
#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/value.hpp>

#include <optional>

namespace beds_sqlite {

/// Holds 38 decimal digits, the most that a template can ask for.
__extension__ using wide = __int128;

struct bounds {
    wide least;
    wide most;
};
/// What a field of this type can hold, a decimal without its point. Nothing: it is no such number.
std::optional<bounds> bounds_of(const beds::core::field_type& type);

/// The number without its point: 12.50 is 1250. Of an integer or a decimal.
wide digits_of(const beds::core::value& number);
/// The other way round; `digits` are within the type's bounds.
beds::core::value number_of(wide digits, const beds::core::field_type& type,
                            beds::core::arena& memory);

/// The sum in the field's type. Nothing: it is out of its range.
std::optional<beds::core::value> sum_of(const beds::core::value& left,
                                        const beds::core::value& right,
                                        const beds::core::field_type& type,
                                        beds::core::arena& memory);

} // namespace beds_sqlite
