#include "adapters/mongodb/bson_reader.hpp"

#include "adapters/mongodb/decimal128.hpp"

#include <beds/core/json.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

using core::type_kind;
using core::value;

constexpr std::int64_t microseconds_per_day = std::int64_t{86'400} * 1'000'000;

decimal128 decimal_at(const bson_iter_t& from) {
    bson_decimal128_t stored;
    if (!bson_iter_decimal128(&from, &stored)) {
        return {};
    }
    return {stored.high, stored.low};
}

std::string_view text_at(const bson_iter_t& from) {
    std::uint32_t size = 0;
    const char* const text = bson_iter_utf8(&from, &size);
    return {text, size};
}

struct binary_view {
    bson_subtype_t subtype = BSON_SUBTYPE_BINARY;
    std::string_view bytes;
};

binary_view binary_at(const bson_iter_t& from) {
    binary_view result;
    std::uint32_t size = 0;
    const std::uint8_t* data = nullptr;
    bson_iter_binary(&from, &result.subtype, &size, &data);
    result.bytes = {reinterpret_cast<const char*>(data), size};
    return result;
}

bool is_whole(double number) {
    return std::isfinite(number) && std::trunc(number) == number;
}

std::optional<std::int64_t> signed_at(const bson_iter_t& from) {
    switch (bson_iter_type(&from)) {
    case BSON_TYPE_INT32:
        return bson_iter_int32(&from);
    case BSON_TYPE_INT64:
        return bson_iter_int64(&from);
    case BSON_TYPE_DOUBLE: {
        const double number = bson_iter_double(&from);
        if (!is_whole(number) || number < -0x1p63 || number >= 0x1p63) {
            return std::nullopt;
        }
        return static_cast<std::int64_t>(number);
    }
    case BSON_TYPE_DECIMAL128:
        return to_int64(decimal_at(from));
    default:
        return std::nullopt;
    }
}

std::optional<std::uint64_t> unsigned_at(const bson_iter_t& from) {
    if (bson_iter_type(&from) == BSON_TYPE_DECIMAL128) {
        return to_uint64(decimal_at(from));
    }
    if (bson_iter_type(&from) == BSON_TYPE_DOUBLE) {
        const double number = bson_iter_double(&from);
        if (!is_whole(number) || number < 0 || number >= 0x1p64) {
            return std::nullopt;
        }
        return static_cast<std::uint64_t>(number);
    }
    const auto number = signed_at(from);
    if (!number || *number < 0) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*number);
}

template <class Integer>
bool read_signed(const bson_iter_t& from, value& to) {
    const auto number = signed_at(from);
    if (!number || !std::in_range<Integer>(*number)) {
        return false;
    }
    to = value::of_int(*number);
    return true;
}

template <class Integer>
bool read_unsigned(const bson_iter_t& from, value& to) {
    const auto number = unsigned_at(from);
    if (!number || !std::in_range<Integer>(*number)) {
        return false;
    }
    to = value::of_uint(*number);
    return true;
}

bool read_real(const bson_iter_t& from, value& to) {
    double number = 0;
    switch (bson_iter_type(&from)) {
    case BSON_TYPE_DOUBLE:
        number = bson_iter_double(&from);
        break;
    case BSON_TYPE_INT32:
        number = bson_iter_int32(&from);
        break;
    case BSON_TYPE_INT64: {
        const auto stored = bson_iter_int64(&from);
        number = static_cast<double>(stored);
        if (number >= 0x1p63 || static_cast<std::int64_t>(number) != stored) {
            return false;
        }
        break;
    }
    default:
        return false;
    }
    if (!std::isfinite(number)) {
        return false;
    }
    to = value::of_real(number);
    return true;
}

bool read_decimal(const bson_iter_t& from, const core::field_type& type, core::arena& memory,
                  value& to) {
    std::optional<decimal128> number;
    switch (bson_iter_type(&from)) {
    case BSON_TYPE_DECIMAL128:
        number = decimal_at(from);
        break;
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        number = to_decimal128(std::to_string(bson_iter_as_int64(&from)));
        break;
    case BSON_TYPE_DOUBLE: {
        std::array<char, 32> text{};
        const auto written =
            std::to_chars(text.data(), text.data() + text.size(), bson_iter_double(&from));
        number = to_decimal128({text.data(), static_cast<std::size_t>(written.ptr - text.data())});
        break;
    }
    default:
        break;
    }
    std::string text;
    if (!number || !append_decimal(text, *number, type.scale, type.precision)) {
        return false;
    }
    to = value::of_text(value::kind::decimal, memory.copy(std::string_view{text}));
    return true;
}

std::string_view hexadecimal(std::string_view bytes, core::arena& memory) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto text = memory.make_span<char>(bytes.size() * 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        text[2 * i] = digits[byte >> 4];
        text[2 * i + 1] = digits[byte & 15];
    }
    return {text.data(), text.size()};
}

std::string_view object_id_at(const bson_iter_t& from, core::arena& memory) {
    const bson_oid_t* const id = bson_iter_oid(&from);
    return hexadecimal({reinterpret_cast<const char*>(id->bytes), sizeof id->bytes}, memory);
}

bool read_string(const bson_iter_t& from, core::arena& memory, value& to) {
    switch (bson_iter_type(&from)) {
    case BSON_TYPE_UTF8:
        to = value::of_text(value::kind::string, text_at(from));
        return true;
    case BSON_TYPE_OID:
        to = value::of_text(value::kind::string, object_id_at(from, memory));
        return true;
    default:
        return false;
    }
}

void append_uuid(std::string& out, std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out.push_back('-');
        }
        const auto byte = static_cast<unsigned char>(bytes[i]);
        out.push_back(digits[byte >> 4]);
        out.push_back(digits[byte & 15]);
    }
}

bool is_uuid(const binary_view& from) {
    return from.subtype == BSON_SUBTYPE_UUID && from.bytes.size() == 16;
}

bool is_uuid_text(std::string_view text) {
    if (text.size() != 36) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        const bool digit =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !digit) {
            return false;
        }
    }
    return true;
}

bool read_uuid(const bson_iter_t& from, core::arena& memory, value& to) {
    std::string text;
    if (bson_iter_type(&from) == BSON_TYPE_BINARY) {
        const auto stored = binary_at(from);
        if (!is_uuid(stored)) {
            return false;
        }
        append_uuid(text, stored.bytes);
    } else if (bson_iter_type(&from) == BSON_TYPE_UTF8 && is_uuid_text(text_at(from))) {
        text = text_at(from);
        for (char& c : text) {
            if (c >= 'A' && c <= 'F') {
                c = static_cast<char>(c - 'A' + 'a');
            }
        }
    } else {
        return false;
    }
    to = value::of_text(value::kind::uuid, memory.copy(std::string_view{text}));
    return true;
}

std::optional<std::int64_t> microseconds_at(const bson_iter_t& from) {
    const auto milliseconds = bson_iter_date_time(&from);
    constexpr auto most = std::numeric_limits<std::int64_t>::max() / 1000;
    if (milliseconds > most || milliseconds < -most) {
        return std::nullopt;
    }
    return milliseconds * 1000;
}

bool read_date(const bson_iter_t& from, value& to) {
    std::optional<std::int64_t> days;
    if (bson_iter_type(&from) == BSON_TYPE_UTF8) {
        days = core::parse_date(text_at(from));
    } else if (bson_iter_type(&from) == BSON_TYPE_DATE_TIME) {
        const auto microseconds = microseconds_at(from);
        if (microseconds && *microseconds % microseconds_per_day == 0) {
            days = *microseconds / microseconds_per_day;
        }
    }
    if (!days) {
        return false;
    }
    to = value::of_number(value::kind::date, *days);
    return true;
}

bool read_time(const bson_iter_t& from, value& to) {
    if (bson_iter_type(&from) != BSON_TYPE_UTF8) {
        return false;
    }
    const auto time = core::parse_time(text_at(from));
    if (!time) {
        return false;
    }
    to = value::of_number(value::kind::time, *time);
    return true;
}

bool read_datetime(const bson_iter_t& from, value& to) {
    std::optional<std::int64_t> microseconds;
    switch (bson_iter_type(&from)) {
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        microseconds = bson_iter_as_int64(&from);
        break;
    case BSON_TYPE_DATE_TIME:
        microseconds = microseconds_at(from);
        break;
    case BSON_TYPE_UTF8:
        microseconds = core::parse_datetime(text_at(from));
        break;
    default:
        break;
    }
    if (!microseconds) {
        return false;
    }
    to = value::of_number(value::kind::datetime, *microseconds);
    return true;
}

bool append_real(std::string& out, double number) {
    if (!std::isfinite(number)) {
        return false;
    }
    std::array<char, 32> text{};
    const auto written = std::to_chars(text.data(), text.data() + text.size(), number);
    out.append(text.data(), written.ptr);
    return true;
}

constexpr int most_nested = 100;
bool append_json(std::string& out, const bson_iter_t& from, int depth);

enum class container { array, object };

bool append_members(std::string& out, const bson_iter_t& from, container kind, int depth) {
    bson_iter_t inner;
    if (depth >= most_nested || !bson_iter_recurse(&from, &inner)) {
        return false;
    }
    out.push_back(kind == container::array ? '[' : '{');
    bool first = true;
    while (bson_iter_next(&inner)) {
        const std::string_view name{bson_iter_key(&inner), bson_iter_key_len(&inner)};
        if (kind == container::object && name == "_beds") {
            continue;
        }
        if (!first) {
            out.push_back(',');
        }
        first = false;
        if (kind == container::object) {
            core::append_json_string(out, name);
            out.push_back(':');
        }
        if (!append_json(out, inner, depth + 1)) {
            return false;
        }
    }
    out.push_back(kind == container::array ? ']' : '}');
    return true;
}

bool append_json(std::string& out, const bson_iter_t& from, int depth) {
    switch (bson_iter_type(&from)) {
    case BSON_TYPE_DOUBLE:
        return append_real(out, bson_iter_double(&from));
    case BSON_TYPE_UTF8:
        core::append_json_string(out, text_at(from));
        return true;
    case BSON_TYPE_DOCUMENT:
        return append_members(out, from, container::object, depth);
    case BSON_TYPE_ARRAY:
        return append_members(out, from, container::array, depth);
    case BSON_TYPE_BINARY: {
        const auto stored = binary_at(from);
        out.push_back('"');
        if (is_uuid(stored)) {
            append_uuid(out, stored.bytes);
        } else {
            core::append_base64(out, stored.bytes);
        }
        out.push_back('"');
        return true;
    }
    case BSON_TYPE_OID: {
        std::array<char, 25> text{};
        bson_oid_to_string(bson_iter_oid(&from), text.data());
        core::append_json_string(out, text.data());
        return true;
    }
    case BSON_TYPE_BOOL:
        out += bson_iter_bool(&from) ? "true" : "false";
        return true;
    case BSON_TYPE_DATE_TIME: {
        const auto microseconds = microseconds_at(from);
        if (!microseconds) {
            return false;
        }
        std::array<char, 32> text{};
        out.push_back('"');
        out.append(text.data(), core::format_datetime(*microseconds, text.data()));
        out.push_back('"');
        return true;
    }
    case BSON_TYPE_INT32:
        out += std::to_string(bson_iter_int32(&from));
        return true;
    case BSON_TYPE_INT64:
        out += std::to_string(bson_iter_int64(&from));
        return true;
    case BSON_TYPE_DECIMAL128:
        return append_number(out, decimal_at(from));
    case BSON_TYPE_REGEX:
        core::append_json_string(out, bson_iter_regex(&from, nullptr));
        return true;
    case BSON_TYPE_TIMESTAMP: {
        std::uint32_t seconds = 0;
        std::uint32_t increment = 0;
        bson_iter_timestamp(&from, &seconds, &increment);
        out += std::to_string((std::uint64_t{seconds} << 32) | increment);
        return true;
    }
    case BSON_TYPE_SYMBOL: {
        std::uint32_t size = 0;
        const char* const text = bson_iter_symbol(&from, &size);
        core::append_json_string(out, {text, size});
        return true;
    }
    default:
        // Null, undefined, code, database pointers, the least and the greatest key.
        out += "null";
        return true;
    }
}

} // namespace

bool append_json(std::string& out, const bson_iter_t& from) {
    return append_json(out, from, 0);
}

bool read_value(const bson_iter_t& from, const core::field_type& type, core::arena& memory,
                value& to) {
    const auto stored = bson_iter_type(&from);
    if (stored == BSON_TYPE_NULL || stored == BSON_TYPE_UNDEFINED) {
        to = value::of_null();
        return true;
    }
    switch (type.kind) {
    case type_kind::boolean:
        if (stored != BSON_TYPE_BOOL) {
            return false;
        }
        to = value::of_bool(bson_iter_bool(&from));
        return true;
    case type_kind::int8:
        return read_signed<std::int8_t>(from, to);
    case type_kind::int16:
        return read_signed<std::int16_t>(from, to);
    case type_kind::int32:
        return read_signed<std::int32_t>(from, to);
    case type_kind::int64:
        return read_signed<std::int64_t>(from, to);
    case type_kind::uint8:
        return read_unsigned<std::uint8_t>(from, to);
    case type_kind::uint16:
        return read_unsigned<std::uint16_t>(from, to);
    case type_kind::uint32:
        return read_unsigned<std::uint32_t>(from, to);
    case type_kind::uint64:
        return read_unsigned<std::uint64_t>(from, to);
    case type_kind::float64:
        return read_real(from, to);
    case type_kind::decimal:
        return read_decimal(from, type, memory, to);
    case type_kind::string:
    case type_kind::enumeration:
        return read_string(from, memory, to);
    case type_kind::uuid:
        return read_uuid(from, memory, to);
    case type_kind::bytes:
        if (stored != BSON_TYPE_BINARY) {
            return false;
        }
        to = value::of_text(value::kind::bytes, binary_at(from).bytes);
        return true;
    case type_kind::date:
        return read_date(from, to);
    case type_kind::time:
        return read_time(from, to);
    case type_kind::datetime:
        return read_datetime(from, to);
    case type_kind::json:
    case type_kind::document: {
        std::string text;
        if (!append_json(text, from)) {
            return false;
        }
        to = value::of_text(value::kind::json, memory.copy(std::string_view{text}));
        return true;
    }
    }
    return false;
}

std::string_view plural_of(bson_type_t type) {
    switch (type) {
    case BSON_TYPE_DOUBLE:
        return "doubles";
    case BSON_TYPE_UTF8:
        return "strings";
    case BSON_TYPE_DOCUMENT:
        return "documents";
    case BSON_TYPE_ARRAY:
        return "arrays";
    case BSON_TYPE_BINARY:
        return "binaries";
    case BSON_TYPE_OID:
        return "ObjectIds";
    case BSON_TYPE_BOOL:
        return "truth values";
    case BSON_TYPE_DATE_TIME:
        return "dates";
    case BSON_TYPE_REGEX:
        return "regular expressions";
    case BSON_TYPE_CODE:
    case BSON_TYPE_CODEWSCOPE:
        return "code";
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return "whole numbers";
    case BSON_TYPE_TIMESTAMP:
        return "timestamps of replication";
    case BSON_TYPE_DECIMAL128:
        return "decimals";
    default:
        return "values of a rare kind";
    }
}

} // namespace beds::adapters::mongodb
