#include "numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace beds_sqlite {

using beds::core::arena;
using beds::core::field_type;
using beds::core::type_kind;
using beds::core::value;

namespace {

template <class Integer>
bounds all_of() {
    return {std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()};
}

wide power_of_ten(unsigned exponent) {
    wide power = 1;
    for (unsigned i = 0; i < exponent; ++i) {
        power *= 10;
    }
    return power;
}

/// Canonical: a sign, digits, exactly `scale` of them behind the point and at least one before it.
std::string decimal_text(wide digits, unsigned scale) {
    const bool negative = digits < 0;
    std::string text; // from its end to its beginning
    for (wide left = negative ? -digits : digits; left != 0 || text.size() <= scale; left /= 10) {
        text += static_cast<char>('0' + static_cast<int>(left % 10));
    }
    if (scale > 0) {
        text.insert(scale, 1, '.');
    }
    if (negative) {
        text += '-';
    }
    std::reverse(text.begin(), text.end());
    return text;
}

} // namespace

std::optional<bounds> bounds_of(const field_type& type) {
    switch (type.kind) {
    case type_kind::int8:
        return all_of<std::int8_t>();
    case type_kind::int16:
        return all_of<std::int16_t>();
    case type_kind::int32:
        return all_of<std::int32_t>();
    case type_kind::int64:
        return all_of<std::int64_t>();
    case type_kind::uint8:
        return all_of<std::uint8_t>();
    case type_kind::uint16:
        return all_of<std::uint16_t>();
    case type_kind::uint32:
        return all_of<std::uint32_t>();
    case type_kind::uint64:
        return all_of<std::uint64_t>();
    case type_kind::decimal: {
        const auto most = power_of_ten(type.precision) - 1;
        return bounds{-most, most};
    }
    default:
        return std::nullopt;
    }
}

wide digits_of(const value& number) {
    if (number.type == value::kind::integer) {
        return number.integer;
    }
    if (number.type == value::kind::unsigned_integer) {
        return number.unsigned_integer;
    }
    wide digits = 0;
    for (const char each : number.text) {
        if (each >= '0' && each <= '9') {
            digits = digits * 10 + (each - '0');
        }
    }
    return number.text.starts_with('-') ? -digits : digits;
}

value number_of(wide digits, const field_type& type, arena& memory) {
    if (type.kind == type_kind::decimal) {
        const auto text = decimal_text(digits, type.scale);
        return value::of_text(value::kind::decimal, memory.copy(std::string_view{text}));
    }
    const bool may_be_negative = bounds_of(type)->least < 0;
    return may_be_negative ? value::of_int(static_cast<std::int64_t>(digits))
                           : value::of_uint(static_cast<std::uint64_t>(digits));
}

std::optional<value> sum_of(const value& left, const value& right, const field_type& type,
                            arena& memory) {
    if (type.kind == type_kind::float64) {
        const double sum = left.real + right.real;
        return std::isfinite(sum) ? std::optional{value::of_real(sum)} : std::nullopt;
    }
    const auto range = bounds_of(type);
    wide sum = 0;
    if (!range || __builtin_add_overflow(digits_of(left), digits_of(right), &sum) ||
        sum < range->least || sum > range->most) {
        return std::nullopt;
    }
    return number_of(sum, type, memory);
}

} // namespace beds_sqlite
