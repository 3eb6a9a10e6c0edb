#include "adapters/memory/arithmetic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace beds::adapters::memory {

namespace {

__extension__ using wide = __int128; // holds 38 decimal digits

using core::type_kind;
using kind = core::value::kind;

template <class Integer>
std::pair<wide, wide> range() {
    return {std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()};
}

std::optional<std::pair<wide, wide>> range_of(type_kind type) {
    switch (type) {
    case type_kind::int8:
        return range<std::int8_t>();
    case type_kind::int16:
        return range<std::int16_t>();
    case type_kind::int32:
        return range<std::int32_t>();
    case type_kind::int64:
        return range<std::int64_t>();
    case type_kind::uint8:
        return range<std::uint8_t>();
    case type_kind::uint16:
        return range<std::uint16_t>();
    case type_kind::uint32:
        return range<std::uint32_t>();
    case type_kind::uint64:
        return range<std::uint64_t>();
    default:
        return std::nullopt;
    }
}

std::optional<wide> integer_of(const core::value& given) {
    if (given.type == kind::integer) {
        return given.integer;
    }
    if (given.type == kind::unsigned_integer) {
        return given.unsigned_integer;
    }
    return std::nullopt;
}

/// The digits of a canonical decimal without its point; at most 38 of them.
wide unscaled(std::string_view text) {
    const bool negative = text.starts_with('-');
    wide number = 0;
    for (const char digit : text) {
        if (digit >= '0' && digit <= '9') {
            number = number * 10 + (digit - '0');
        }
    }
    return negative ? -number : number;
}

wide power_of_ten(unsigned exponent) {
    wide power = 1;
    for (unsigned i = 0; i < exponent; ++i) {
        power *= 10;
    }
    return power;
}

std::string_view scaled(wide number, unsigned scale, core::arena& memory) {
    char text[48];
    char* const end = text + sizeof text;
    char* at = end;
    const bool negative = number < 0;
    if (negative) {
        number = -number;
    }
    // At least one digit stands before the point.
    for (unsigned digits = 0; number != 0 || digits <= scale; ++digits) {
        if (scale > 0 && digits == scale) {
            *--at = '.';
        }
        *--at = static_cast<char>('0' + static_cast<int>(number % 10));
        number /= 10;
    }
    if (negative) {
        *--at = '-';
    }
    return memory.copy(std::string_view{at, static_cast<std::size_t>(end - at)});
}

} // namespace

std::optional<core::value> add(const core::value& current, const core::value& by,
                               const core::field_type& type, core::arena& memory) {
    if (type.kind == type_kind::float64) {
        const double sum = current.real + by.real;
        return std::isfinite(sum) ? std::optional{core::value::of_real(sum)} : std::nullopt;
    }
    if (type.kind == type_kind::decimal) {
        wide sum = 0;
        if (__builtin_add_overflow(unscaled(current.text), unscaled(by.text), &sum)) {
            return std::nullopt;
        }
        const wide limit = power_of_ten(type.precision);
        if (sum >= limit || sum <= -limit) {
            return std::nullopt;
        }
        return core::value::of_text(kind::decimal, scaled(sum, type.scale, memory));
    }
    const auto bounds = range_of(type.kind);
    const auto left = integer_of(current);
    const auto right = integer_of(by);
    if (!bounds || !left || !right) {
        return std::nullopt;
    }
    const wide sum = *left + *right;
    if (sum < bounds->first || sum > bounds->second) {
        return std::nullopt;
    }
    return bounds->first < 0 ? core::value::of_int(static_cast<std::int64_t>(sum))
                             : core::value::of_uint(static_cast<std::uint64_t>(sum));
}

} // namespace beds::adapters::memory
