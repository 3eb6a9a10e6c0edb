#include "core/numbers.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/core/value.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

namespace beds::core {
namespace {

constexpr unsigned most_precision = 38;

struct type_name {
    type_kind kind;
    std::string_view name;
};

// `decimal` is not here: it takes arguments.
constexpr std::array type_names{
    type_name{type_kind::boolean, "bool"},      type_name{type_kind::int8, "int8"},
    type_name{type_kind::int16, "int16"},       type_name{type_kind::int32, "int32"},
    type_name{type_kind::int64, "int64"},       type_name{type_kind::uint8, "uint8"},
    type_name{type_kind::uint16, "uint16"},     type_name{type_kind::uint32, "uint32"},
    type_name{type_kind::uint64, "uint64"},     type_name{type_kind::float64, "double"},
    type_name{type_kind::string, "string"},     type_name{type_kind::enumeration, "enum"},
    type_name{type_kind::uuid, "uuid"},         type_name{type_kind::bytes, "bytes"},
    type_name{type_kind::date, "date"},         type_name{type_kind::time, "time"},
    type_name{type_kind::datetime, "datetime"}, type_name{type_kind::json, "json"},
    type_name{type_kind::document, "document"},
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

std::optional<field_type> parse_decimal(std::string_view text) {
    constexpr std::string_view opening = "decimal(";
    if (!text.starts_with(opening) || !text.ends_with(')')) {
        return std::nullopt;
    }
    text = text.substr(opening.size(), text.size() - opening.size() - 1);
    const auto comma = text.find(',');
    if (comma == std::string_view::npos) {
        return std::nullopt;
    }
    const auto precision = whole_number<unsigned>(trimmed(text.substr(0, comma)));
    const auto scale = whole_number<unsigned>(trimmed(text.substr(comma + 1)));
    if (!precision || !scale || *precision < 1 || *precision > most_precision ||
        *scale > *precision) {
        return std::nullopt;
    }
    field_type type;
    type.kind = type_kind::decimal;
    type.precision = static_cast<std::uint8_t>(*precision);
    type.scale = static_cast<std::uint8_t>(*scale);
    return type;
}

using mismatch = std::optional<type_mismatch>;

mismatch expected(std::string_view text) {
    return type_mismatch{text};
}

mismatch expected_copy(const std::string& text, arena& memory) {
    return type_mismatch{memory.copy(std::string_view{text})};
}

/// A decimal string that is an integer: as JSON writes it, one spelling for each number.
bool is_integer_text(std::string_view text) {
    const auto parts = take_apart(text);
    return parts && parts->fraction.empty() && !parts->exponent && text != "-0";
}

template <class T>
mismatch to_integer(const datum& from, std::string_view range, value& to) {
    std::optional<T> result;
    if (from.is(datum::kind::integer)) {
        if (std::in_range<T>(from.integer)) {
            result = static_cast<T>(from.integer);
        }
    } else if (from.is(datum::kind::unsigned_integer)) {
        if (std::in_range<T>(from.unsigned_integer)) {
            result = static_cast<T>(from.unsigned_integer);
        }
    } else if (from.is(datum::kind::string) && is_integer_text(from.text)) {
        result = whole_number<T>(from.text);
    }
    if (!result) {
        return expected(range);
    }
    if constexpr (std::is_signed_v<T>) {
        to = value::of_int(*result);
    } else {
        to = value::of_uint(*result);
    }
    return std::nullopt;
}

mismatch to_boolean(const datum& from, value& to) {
    if (!from.is(datum::kind::boolean)) {
        return expected("true or false");
    }
    to = value::of_bool(from.boolean);
    return std::nullopt;
}

mismatch to_real(const datum& from, value& to) {
    double result = 0;
    switch (from.type) {
    case datum::kind::integer:
        // JSON's -0 is an integer by its spelling, but a double can tell it from 0.
        result = from.text == "-0" ? -0.0 : static_cast<double>(from.integer);
        break;
    case datum::kind::unsigned_integer:
        result = static_cast<double>(from.unsigned_integer);
        break;
    case datum::kind::number: {
        const char* const end = from.text.data() + from.text.size();
        const auto [stopped, problem] = std::from_chars(from.text.data(), end, result);
        if (problem != std::errc{} || stopped != end || !std::isfinite(result)) {
            return expected("a number in the range of a double");
        }
        break;
    }
    default:
        return expected("a number");
    }
    to = value::of_real(result);
    return std::nullopt;
}

mismatch decimal_expected(const field_type& type, arena& memory) {
    std::string text = "a decimal number of at most " +
                       std::to_string(type.precision - type.scale) + " digits before and " +
                       std::to_string(type.scale) +
                       " digits after the point, without exponent, as a string or a number";
    return expected_copy(text, memory);
}

mismatch to_decimal(const datum& from, const field_type& type, arena& memory, value& to) {
    std::string_view text = from.text;
    char digits[24];
    if (from.is(datum::kind::integer)) {
        text = {digits, std::to_chars(digits, digits + sizeof digits, from.integer).ptr};
    } else if (from.is(datum::kind::unsigned_integer)) {
        text = {digits, std::to_chars(digits, digits + sizeof digits, from.unsigned_integer).ptr};
    } else if (!from.is(datum::kind::string) && !from.is(datum::kind::number)) {
        return decimal_expected(type, memory);
    }
    const auto parts = take_apart(text);
    const std::size_t scale = type.scale;
    if (!parts || parts->exponent) {
        return decimal_expected(type, memory);
    }
    const std::size_t whole_digits = parts->whole == "0" ? 0 : parts->whole.size();
    const std::string_view kept = parts->fraction.substr(0, scale);
    const std::string_view extra = parts->fraction.substr(kept.size());
    if (whole_digits > std::size_t{type.precision} - scale ||
        extra.find_first_not_of('0') != std::string_view::npos) {
        return decimal_expected(type, memory);
    }
    const bool zero = whole_digits == 0 && kept.find_first_not_of('0') == std::string_view::npos;
    const bool negative = parts->negative && !zero;
    const std::size_t length =
        (negative ? 1 : 0) + parts->whole.size() + (scale > 0 ? 1 + scale : 0);
    const auto canonical = memory.make_span<char>(length);
    char* at = canonical.data();
    if (negative) {
        *at++ = '-';
    }
    at = std::copy(parts->whole.begin(), parts->whole.end(), at);
    if (scale > 0) {
        *at++ = '.';
        at = std::copy(kept.begin(), kept.end(), at);
        std::fill_n(at, scale - kept.size(), '0');
    }
    to = value::of_text(value::kind::decimal, {canonical.data(), canonical.size()});
    return std::nullopt;
}

/// Number of code points; nullopt when the text is not UTF-8.
std::optional<std::size_t> code_points(std::string_view text) {
    std::size_t count = 0;
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const auto* const end = at + text.size();
    while (at != end) {
        std::uint64_t eight = 0;
        while (end - at >= 8) {
            std::memcpy(&eight, at, 8);
            if ((eight & 0x8080808080808080ULL) != 0) {
                break;
            }
            at += 8;
            count += 8;
        }
        if (at == end) {
            break;
        }
        const unsigned lead = *at;
        std::ptrdiff_t length = 0;
        unsigned lowest = 0x80;  // of the second byte; excludes overlong forms,
        unsigned highest = 0xBF; // surrogates and what lies above U+10FFFF
        if (lead < 0x80) {
            length = 1;
        } else if (lead >= 0xC2 && lead <= 0xDF) {
            length = 2;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            length = 3;
            lowest = lead == 0xE0 ? 0xA0 : lowest;
            highest = lead == 0xED ? 0x9F : highest;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            length = 4;
            lowest = lead == 0xF0 ? 0x90 : lowest;
            highest = lead == 0xF4 ? 0x8F : highest;
        } else {
            return std::nullopt;
        }
        if (end - at < length) {
            return std::nullopt;
        }
        for (std::ptrdiff_t i = 1; i < length; ++i) {
            const unsigned next = at[i];
            if (next < (i == 1 ? lowest : 0x80U) || next > (i == 1 ? highest : 0xBFU)) {
                return std::nullopt;
            }
        }
        at += length;
        ++count;
    }
    return count;
}

mismatch to_string_value(const datum& from, const field_type& type, arena& memory, value& to) {
    const auto count = from.is(datum::kind::string) ? code_points(from.text) : std::nullopt;
    if (!count || (type.max != 0 && *count > type.max)) {
        if (type.max == 0) {
            return expected("a string");
        }
        return expected_copy("a string of at most " + std::to_string(type.max) + " characters",
                             memory);
    }
    to = value::of_text(value::kind::string, from.text);
    return std::nullopt;
}

mismatch to_enumeration(const datum& from, const field_type& type, arena& memory, value& to) {
    const bool is_string = from.is(datum::kind::string);
    if (is_string &&
        std::find(type.values.begin(), type.values.end(), from.text) != type.values.end()) {
        to = value::of_text(value::kind::string, from.text);
        return std::nullopt;
    }
    constexpr std::size_t most_listed = 20;
    std::string text = "one of ";
    for (std::size_t i = 0; i < type.values.size() && i < most_listed; ++i) {
        text += i == 0 ? "'" : ", '";
        text += type.values[i];
        text += '\'';
    }
    if (type.values.size() > most_listed) {
        text += ", …";
    }
    if (is_string) {
        text += did_you_mean(from.text, type.values);
    }
    return expected_copy(text, memory);
}

mismatch to_uuid(const datum& from, arena& memory, value& to) {
    constexpr std::size_t length = 36;
    constexpr std::string_view wanted = "a UUID such as '123e4567-e89b-12d3-a456-426614174000'";
    if (!from.is(datum::kind::string) || from.text.size() != length) {
        return expected(wanted);
    }
    bool upper = false;
    for (std::size_t i = 0; i < length; ++i) {
        const char c = from.text[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') {
                return expected(wanted);
            }
        } else if (c >= 'A' && c <= 'F') {
            upper = true;
        } else if (!is_digit(c) && (c < 'a' || c > 'f')) {
            return expected(wanted);
        }
    }
    std::string_view text = from.text;
    if (upper) {
        const auto lower = memory.make_span<char>(length);
        std::transform(text.begin(), text.end(), lower.begin(), [](char c) {
            return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        text = {lower.data(), lower.size()};
    }
    to = value::of_text(value::kind::uuid, text);
    return std::nullopt;
}

mismatch to_bytes(const datum& from, const field_type& type, arena& memory, value& to) {
    const auto decoded =
        from.is(datum::kind::string) ? decode_base64(from.text, memory) : std::nullopt;
    if (!decoded || (type.max != 0 && decoded->size() > type.max)) {
        if (type.max == 0) {
            return expected("bytes as base64 with padding");
        }
        return expected_copy(
            "at most " + std::to_string(type.max) + " bytes as base64 with padding", memory);
    }
    to = value::of_text(value::kind::bytes, *decoded);
    return std::nullopt;
}

mismatch to_moment(const datum& from, value::kind kind,
                   std::optional<std::int64_t> (*parse)(std::string_view), std::string_view wanted,
                   value& to) {
    const auto parsed = from.is(datum::kind::string) ? parse(from.text) : std::nullopt;
    if (!parsed) {
        return expected(wanted);
    }
    to = value::of_number(kind, *parsed);
    return std::nullopt;
}

/// Which member of a value's union counts for its kind.
enum class holds { nothing, integer, unsigned_integer, real, text, document };

holds what_holds(value::kind kind) {
    switch (kind) {
    case value::kind::null:
        return holds::nothing;
    case value::kind::boolean:
    case value::kind::integer:
    case value::kind::date:
    case value::kind::time:
    case value::kind::datetime:
        return holds::integer;
    case value::kind::unsigned_integer:
        return holds::unsigned_integer;
    case value::kind::real:
        return holds::real;
    case value::kind::decimal:
    case value::kind::string:
    case value::kind::uuid:
    case value::kind::bytes:
    case value::kind::json:
        return holds::text;
    case value::kind::document:
        return holds::document;
    }
    return holds::nothing;
}

/// By size, not by spelling; both of one scale.
bool decimal_less(std::string_view left, std::string_view right) {
    const bool left_negative = left.starts_with('-');
    const bool right_negative = right.starts_with('-');
    if (left_negative != right_negative) {
        return left_negative;
    }
    if (left_negative) {
        std::swap(left, right);
    }
    return left.size() != right.size() ? left.size() < right.size() : left < right;
}

} // namespace

std::string to_string(const field_type& type) {
    if (type.kind == type_kind::decimal) {
        return "decimal(" + std::to_string(type.precision) + ',' + std::to_string(type.scale) + ')';
    }
    for (const type_name& each : type_names) {
        if (each.kind == type.kind) {
            return std::string{each.name};
        }
    }
    return "?";
}

std::optional<field_type> parse_field_type(std::string_view text) {
    for (const type_name& each : type_names) {
        if (each.name == text) {
            field_type type;
            type.kind = each.kind;
            return type;
        }
    }
    return parse_decimal(text);
}

value value::of_bool(bool given) {
    return of_number(kind::boolean, given ? 1 : 0);
}

value value::of_int(std::int64_t given) {
    return of_number(kind::integer, given);
}

value value::of_uint(std::uint64_t given) {
    value made;
    made.type = kind::unsigned_integer;
    made.unsigned_integer = given;
    return made;
}

value value::of_real(double given) {
    value made;
    made.type = kind::real;
    made.real = given;
    return made;
}

value value::of_text(kind type, std::string_view text) {
    value made;
    made.type = type;
    made.text = text;
    return made;
}

value value::of_number(kind type, std::int64_t integer) {
    value made;
    made.type = type;
    made.integer = integer;
    return made;
}

value value::of_document(const datum* tree) {
    value made;
    made.type = kind::document;
    made.document = tree;
    return made;
}

bool operator==(const value& left, const value& right) {
    if (left.type != right.type) {
        return false;
    }
    switch (what_holds(left.type)) {
    case holds::nothing:
        return true;
    case holds::integer:
        return left.integer == right.integer;
    case holds::unsigned_integer:
        return left.unsigned_integer == right.unsigned_integer;
    case holds::real:
        return left.real == right.real;
    case holds::text:
        return left.text == right.text;
    case holds::document:
        return left.document == right.document;
    }
    return false;
}

bool less(const value& left, const value& right) {
    if (left.type != right.type) {
        return left.type < right.type;
    }
    switch (what_holds(left.type)) {
    case holds::nothing:
        return false;
    case holds::integer:
        return left.integer < right.integer;
    case holds::unsigned_integer:
        return left.unsigned_integer < right.unsigned_integer;
    case holds::real:
        return left.real < right.real;
    case holds::text:
        return left.type == value::kind::decimal ? decimal_less(left.text, right.text)
                                                 : left.text < right.text;
    case holds::document:
        return std::less<>{}(left.document, right.document);
    }
    return false;
}

mismatch convert(const datum& from, const field_type& type, arena& memory, value& to) {
    switch (type.kind) {
    case type_kind::boolean:
        return to_boolean(from, to);
    case type_kind::int8:
        return to_integer<std::int8_t>(from, "an integer from -128 to 127", to);
    case type_kind::int16:
        return to_integer<std::int16_t>(from, "an integer from -32768 to 32767", to);
    case type_kind::int32:
        return to_integer<std::int32_t>(from, "an integer from -2147483648 to 2147483647", to);
    case type_kind::int64:
        return to_integer<std::int64_t>(
            from, "an integer from -9223372036854775808 to 9223372036854775807", to);
    case type_kind::uint8:
        return to_integer<std::uint8_t>(from, "an integer from 0 to 255", to);
    case type_kind::uint16:
        return to_integer<std::uint16_t>(from, "an integer from 0 to 65535", to);
    case type_kind::uint32:
        return to_integer<std::uint32_t>(from, "an integer from 0 to 4294967295", to);
    case type_kind::uint64:
        return to_integer<std::uint64_t>(from, "an integer from 0 to 18446744073709551615", to);
    case type_kind::float64:
        return to_real(from, to);
    case type_kind::decimal:
        return to_decimal(from, type, memory, to);
    case type_kind::string:
        return to_string_value(from, type, memory, to);
    case type_kind::enumeration:
        return to_enumeration(from, type, memory, to);
    case type_kind::uuid:
        return to_uuid(from, memory, to);
    case type_kind::bytes:
        return to_bytes(from, type, memory, to);
    case type_kind::date:
        return to_moment(from, value::kind::date, parse_date, "a date such as '2026-01-31'", to);
    case type_kind::time:
        return to_moment(from, value::kind::time, parse_time,
                         "a time such as '23:59:59' with at most six digits of fraction", to);
    case type_kind::datetime:
        return to_moment(
            from, value::kind::datetime, parse_datetime,
            "a date and time such as '2026-01-31T23:59:59Z' with Z or an offset and at "
            "most six digits of fraction",
            to);
    case type_kind::json:
    case type_kind::document:
        if (from.is(datum::kind::null)) {
            return expected("a value other than null");
        }
        to = value::of_document(&from);
        return std::nullopt;
    }
    return expected("a known type");
}

} // namespace beds::core
