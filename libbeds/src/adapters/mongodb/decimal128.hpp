#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beds::adapters::mongodb {

/// The 16 bytes of a BSON decimal128 (binary integer significand), as two words.
struct decimal128 {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
};

/// From `[-]digits[.digits][e[±]digits]`, exactly: digits and scale are kept. Nothing when it needs
/// more than 34 digits or an exponent out of range.
std::optional<decimal128> to_decimal128(std::string_view text);
decimal128 to_decimal128(std::uint64_t value);

/// For a field decimal(precision, scale): the greatest amount to which `|step|` can be added within
/// its precision. Nothing when the step alone is too much.
std::optional<decimal128> room_for(std::string_view step, unsigned precision, unsigned scale);
decimal128 negated(decimal128 value);

/// Sign, digits and exactly `scale` digits after the point. False when that is not the same number,
/// or it is none (NaN, infinity), or it has more than `most_digits` digits.
bool append_decimal(std::string& out, decimal128 from, unsigned scale, unsigned most_digits);
/// As a JSON number. False for NaN and infinity.
bool append_number(std::string& out, decimal128 from);
/// The whole number it is, when it is one from `least` to `most`.
std::optional<std::int64_t> to_int64(decimal128 from);
std::optional<std::uint64_t> to_uint64(decimal128 from);

} // namespace beds::adapters::mongodb
