#include "adapters/mariadb/cells.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace beds::adapters::mariadb {
namespace {

using core::type_kind;
using core::value;

constexpr unsigned binary_charset = 63;

template <class T>
T load(const unsigned char* from) {
    T made;
    std::memcpy(&made, from, sizeof made); // the protocol is little-endian, as are BEDS's machines
    return made;
}

/// The length that a text begins with, and the bytes that tell it. No bytes: there is none before
/// `left` bytes end.
struct text_length {
    std::size_t size = 0;
    std::size_t bytes = 0;
};

text_length length_at(const unsigned char* from, std::size_t left) {
    if (left == 0) {
        return {};
    }
    const auto told_by = [&](std::size_t bytes, auto size) {
        return left < bytes ? text_length{} : text_length{size(), bytes};
    };
    switch (*from) {
    case 0xFB: // NULL, which rows of this protocol tell otherwise
    case 0xFF: // an error
        return {};
    case 0xFC:
        return told_by(3, [&] { return std::size_t{load<std::uint16_t>(from + 1)}; });
    case 0xFD:
        return told_by(4, [&] { return std::size_t{load<std::uint32_t>(from) >> 8U}; });
    case 0xFE:
        return told_by(9, [&] { return static_cast<std::size_t>(load<std::uint64_t>(from + 1)); });
    default:
        return {*from, 1};
    }
}

/// A number of the column, before it is known what the template wants of it.
struct number {
    enum class kind { none, integer, unsigned_integer, real, text } type = kind::none;
    std::int64_t integer = 0;
    std::uint64_t unsigned_integer = 0;
    double real = 0;
    std::string_view text;
};

template <class Signed, class Unsigned>
number whole(const raw_cell& cell, bool is_unsigned) {
    number made;
    if (is_unsigned) {
        made.type = number::kind::unsigned_integer;
        made.unsigned_integer = load<Unsigned>(cell.data);
    } else {
        made.type = number::kind::integer;
        made.integer = load<Signed>(cell.data);
    }
    return made;
}

number number_of(const raw_cell& cell, const MYSQL_FIELD& column) {
    const bool is_unsigned = (column.flags & UNSIGNED_FLAG) != 0;
    number made;
    switch (column.type) {
    case MYSQL_TYPE_TINY:
        return whole<std::int8_t, std::uint8_t>(cell, is_unsigned);
    case MYSQL_TYPE_SHORT:
        return whole<std::int16_t, std::uint16_t>(cell, is_unsigned);
    case MYSQL_TYPE_YEAR:
        return whole<std::int16_t, std::uint16_t>(cell, true);
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
        return whole<std::int32_t, std::uint32_t>(cell, is_unsigned);
    case MYSQL_TYPE_LONGLONG:
        return whole<std::int64_t, std::uint64_t>(cell, is_unsigned);
    case MYSQL_TYPE_FLOAT:
        made.type = number::kind::real;
        made.real = static_cast<double>(load<float>(cell.data));
        return made;
    case MYSQL_TYPE_DOUBLE:
        made.type = number::kind::real;
        made.real = load<double>(cell.data);
        return made;
    case MYSQL_TYPE_BIT: {
        if (cell.size > sizeof(std::uint64_t)) {
            return made;
        }
        made.type = number::kind::unsigned_integer;
        for (std::size_t i = 0; i < cell.size; ++i) {
            made.unsigned_integer = (made.unsigned_integer << 8U) | cell.data[i];
        }
        return made;
    }
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
    case MYSQL_TYPE_TIME:
    case MYSQL_TYPE_TIME2:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_DATETIME2:
    case MYSQL_TYPE_TIMESTAMP:
    case MYSQL_TYPE_TIMESTAMP2:
        return made;
    default:
        made.type = number::kind::text;
        made.text = cell.text();
        return made;
    }
}

template <class T>
std::optional<T> parse_whole(std::string_view text) {
    // A decimal column without fraction, or with zeros only, is a whole number as well.
    const auto point = text.find('.');
    if (point != std::string_view::npos) {
        if (text.find_first_not_of('0', point + 1) != std::string_view::npos) {
            return std::nullopt;
        }
        text = text.substr(0, point);
    }
    T made{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), made);
    if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    return made;
}

template <class T>
bool read_whole(const number& from, T least, T most, value& to) {
    std::optional<T> made;
    switch (from.type) {
    case number::kind::integer:
        if (std::in_range<T>(from.integer)) {
            made = static_cast<T>(from.integer);
        }
        break;
    case number::kind::unsigned_integer:
        if (std::in_range<T>(from.unsigned_integer)) {
            made = static_cast<T>(from.unsigned_integer);
        }
        break;
    case number::kind::text:
        made = parse_whole<T>(from.text);
        break;
    case number::kind::real: {
        constexpr double exact = 9007199254740992.0;
        if (std::abs(from.real) <= exact && std::trunc(from.real) == from.real &&
            (std::is_signed_v<T> || from.real >= 0)) {
            made = static_cast<T>(from.real);
        }
        break;
    }
    case number::kind::none:
        break;
    }
    if (!made || *made < least || *made > most) {
        return false;
    }
    if constexpr (std::is_signed_v<T>) {
        to = value::of_int(*made);
    } else {
        to = value::of_uint(*made);
    }
    return true;
}

template <class T>
bool read_int(const number& from, value& to) {
    using wide = std::int64_t;
    return read_whole<wide>(from, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), to);
}

template <class T>
bool read_uint(const number& from, value& to) {
    using wide = std::uint64_t;
    return read_whole<wide>(from, 0, std::numeric_limits<T>::max(), to);
}

bool read_real(const number& from, value& to) {
    switch (from.type) {
    case number::kind::integer:
        to = value::of_real(static_cast<double>(from.integer));
        return true;
    case number::kind::unsigned_integer:
        to = value::of_real(static_cast<double>(from.unsigned_integer));
        return true;
    case number::kind::real:
        to = value::of_real(from.real);
        return std::isfinite(from.real);
    case number::kind::text: {
        double made = 0;
        const char* const end = from.text.data() + from.text.size();
        const auto [stopped, problem] = std::from_chars(from.text.data(), end, made);
        to = value::of_real(made);
        return problem == std::errc{} && stopped == end && std::isfinite(made);
    }
    case number::kind::none:
        break;
    }
    return false;
}

/// The text of any number; empty: there is none, or it does not fit.
std::string_view number_text(const number& from, cell_text& room) {
    char* const begin = room.data();
    char* const end = begin + room.size();
    std::to_chars_result made{begin, std::errc::invalid_argument};
    switch (from.type) {
    case number::kind::integer:
        made = std::to_chars(begin, end, from.integer);
        break;
    case number::kind::unsigned_integer:
        made = std::to_chars(begin, end, from.unsigned_integer);
        break;
    case number::kind::real:
        made = std::to_chars(begin, end, from.real, std::chars_format::fixed);
        break;
    case number::kind::text:
        return from.text;
    case number::kind::none:
        break;
    }
    return made.ec == std::errc{} ? std::string_view{begin, made.ptr} : std::string_view{};
}

/// Exactly `scale` digits after the point. False: that would lose digits.
bool read_decimal(const number& from, std::size_t scale, cell_text& room, value& to) {
    cell_text spare;
    std::string_view text = number_text(from, spare);
    if (text.empty()) {
        return false;
    }
    const auto point = text.find('.');
    const std::string_view fraction =
        point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
    if (from.type == number::kind::text && fraction.size() == scale &&
        (scale > 0) == (point != std::string_view::npos)) {
        to = value::of_text(value::kind::decimal, text);
        return true;
    }
    if (fraction.size() > scale &&
        fraction.find_first_not_of('0', scale) != std::string_view::npos) {
        return false;
    }
    const std::string_view before = text.substr(0, std::min(point, text.size()));
    const std::string_view kept = fraction.substr(0, std::min(scale, fraction.size()));
    if (before.size() + 1 + scale > room.size()) {
        return false;
    }
    char* at = std::copy(before.begin(), before.end(), room.data());
    if (scale > 0) {
        *at++ = '.';
        at = std::copy(kept.begin(), kept.end(), at);
        at = std::fill_n(at, scale - kept.size(), '0');
    }
    to = value::of_text(value::kind::decimal,
                        {room.data(), static_cast<std::size_t>(at - room.data())});
    return true;
}

struct moment {
    unsigned year = 0;
    unsigned month = 0;
    unsigned day = 0;
    std::int64_t microseconds = 0; ///< of the day

    /// '0000-00-00' and '2024-05-00' are none.
    [[nodiscard]] bool is_date() const { return month != 0 && day != 0; }
    [[nodiscard]] std::int64_t days() const {
        return core::days_from_civil(static_cast<int>(year), month, day);
    }
};

/// DATE, DATETIME and TIMESTAMP: year, month, day; hour, minute, second; microseconds, each part
/// only when a later one is not zero.
bool read_moment(const raw_cell& cell, moment& to) {
    if (cell.size == 0) {
        return true;
    }
    if (cell.size < 4) {
        return false;
    }
    to.year = load<std::uint16_t>(cell.data);
    to.month = cell.data[2];
    to.day = cell.data[3];
    if (cell.size >= 7) {
        to.microseconds =
            ((cell.data[4] * 60LL + cell.data[5]) * 60LL + cell.data[6]) * 1'000'000LL;
    }
    if (cell.size >= 11) {
        to.microseconds += load<std::uint32_t>(cell.data + 7);
    }
    return true;
}

constexpr std::int64_t day_microseconds = 86'400LL * 1'000'000LL;

bool is_moment(enum_field_types type) {
    return type == MYSQL_TYPE_DATE || type == MYSQL_TYPE_NEWDATE || type == MYSQL_TYPE_DATETIME ||
           type == MYSQL_TYPE_DATETIME2 || type == MYSQL_TYPE_TIMESTAMP ||
           type == MYSQL_TYPE_TIMESTAMP2;
}

bool is_time(enum_field_types type) {
    return type == MYSQL_TYPE_TIME || type == MYSQL_TYPE_TIME2;
}

/// TIME: sign, days, hour, minute, second; microseconds. Up to 839 hours, also before 0.
bool read_long_time(const raw_cell& cell, std::int64_t& to) {
    to = 0;
    if (cell.size == 0) {
        return true;
    }
    constexpr std::uint32_t most_days = 839 / 24;
    if (cell.size < 8 || load<std::uint32_t>(cell.data + 1) > most_days) {
        return false; // no TIME of a server: its bytes were changed on the way
    }
    to = load<std::uint32_t>(cell.data + 1) * day_microseconds +
         ((cell.data[5] * 60LL + cell.data[6]) * 60LL + cell.data[7]) * 1'000'000LL;
    if (cell.size >= 12) {
        to += load<std::uint32_t>(cell.data + 8);
    }
    to = cell.data[0] != 0 ? -to : to;
    return true;
}

/// The range of a time of day only.
bool read_time(const raw_cell& cell, std::int64_t& to) {
    return read_long_time(cell, to) && to >= 0 && to < day_microseconds;
}

std::size_t write_moment(const moment& when, const MYSQL_FIELD& column, cell_text& room) {
    const bool date = column.type == MYSQL_TYPE_DATE || column.type == MYSQL_TYPE_NEWDATE;
    if (when.is_date()) {
        return date ? core::format_date(when.days(), room.data())
                    : core::format_datetime(when.days() * day_microseconds + when.microseconds,
                                            room.data());
    }
    // No date of the calendar: its parts, as they are stored.
    const auto put = [&room](std::size_t at, std::size_t digits, unsigned part) {
        for (; digits != 0; --digits, part /= 10) {
            room[at + digits - 1] = static_cast<char>('0' + part % 10);
        }
    };
    put(0, 4, when.year);
    put(5, 2, when.month);
    put(8, 2, when.day);
    room[4] = room[7] = '-';
    if (date) {
        return 10;
    }
    room[10] = 'T';
    const auto time = core::format_time(when.microseconds, room.data() + 11);
    room[11 + time] = 'Z';
    return 12 + time;
}

/// The text of a column that is not text.
bool read_as_text(const raw_cell& cell, const MYSQL_FIELD& column, cell_text& room, value& to) {
    std::size_t length = 0;
    if (is_time(column.type)) {
        std::int64_t microseconds = 0;
        if (!read_long_time(cell, microseconds)) {
            return false;
        }
        const bool negative = microseconds < 0;
        room.front() = '-';
        length = core::format_time(std::abs(microseconds), room.data() + (negative ? 1 : 0)) +
                 (negative ? 1U : 0U);
    } else if (is_moment(column.type)) {
        moment when;
        if (!read_moment(cell, when)) {
            return false;
        }
        length = write_moment(when, column, room);
    } else {
        const auto text = number_text(number_of(cell, column), room);
        to = value::of_text(value::kind::string, text);
        return !text.empty();
    }
    to = value::of_text(value::kind::string, {room.data(), length});
    return true;
}

bool has_text(enum_field_types type) {
    switch (type) {
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_STRING:
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_ENUM:
    case MYSQL_TYPE_SET:
    case MYSQL_TYPE_JSON:
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
        return true;
    default:
        return false;
    }
}

constexpr std::size_t uuid_characters = 36;
constexpr std::size_t uuid_bytes = 16;

bool read_uuid(const raw_cell& cell, const MYSQL_FIELD& column, cell_text& room, value& to) {
    if (cell.size == uuid_bytes && column.charsetnr == binary_charset) {
        format_uuid(cell.data, room.data());
    } else if (cell.size == uuid_characters && has_text(column.type)) {
        const auto text = cell.text();
        std::transform(text.begin(), text.end(), room.data(), [](char c) {
            return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        });
    } else {
        return false;
    }
    to = value::of_text(value::kind::uuid, {room.data(), uuid_characters});
    return true;
}

} // namespace

std::optional<raw_cell> take_cell(enum_field_types type, unsigned char** at,
                                  const unsigned char* end) {
    if (*at > end) {
        return std::nullopt;
    }
    auto left = static_cast<std::size_t>(end - *at);
    std::size_t before = 0;
    std::size_t size = 0;
    switch (type) {
    case MYSQL_TYPE_NULL:
        return raw_cell{};
    case MYSQL_TYPE_TINY:
        size = 1;
        break;
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
        size = 2;
        break;
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_FLOAT:
        size = 4;
        break;
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_DOUBLE:
        size = 8;
        break;
    default: {
        const auto told = length_at(*at, left);
        if (told.bytes == 0) {
            return std::nullopt;
        }
        before = told.bytes;
        left -= before;
        size = told.size;
        break;
    }
    }
    if (size > left) {
        return std::nullopt;
    }
    const raw_cell cell{*at + before, size};
    *at += before + size;
    return cell;
}

bool read_cell(const raw_cell& cell, const MYSQL_FIELD& column, const core::field_type& type,
               cell_text& room, value& to) {
    if (cell.data == nullptr) {
        to = value::of_null();
        return true;
    }
    switch (type.kind) {
    case type_kind::boolean: {
        const number from = number_of(cell, column);
        if (from.type != number::kind::integer && from.type != number::kind::unsigned_integer) {
            return false;
        }
        // Conditions compare with 0 and 1, and so does an index.
        const auto truth = from.type == number::kind::integer
                               ? static_cast<std::uint64_t>(from.integer)
                               : from.unsigned_integer;
        to = value::of_bool(truth != 0);
        return truth <= 1;
    }
    case type_kind::int8:
        return read_int<std::int8_t>(number_of(cell, column), to);
    case type_kind::int16:
        return read_int<std::int16_t>(number_of(cell, column), to);
    case type_kind::int32:
        return read_int<std::int32_t>(number_of(cell, column), to);
    case type_kind::int64:
        return read_int<std::int64_t>(number_of(cell, column), to);
    case type_kind::uint8:
        return read_uint<std::uint8_t>(number_of(cell, column), to);
    case type_kind::uint16:
        return read_uint<std::uint16_t>(number_of(cell, column), to);
    case type_kind::uint32:
        return read_uint<std::uint32_t>(number_of(cell, column), to);
    case type_kind::uint64:
        return read_uint<std::uint64_t>(number_of(cell, column), to);
    case type_kind::float64:
        return read_real(number_of(cell, column), to);
    case type_kind::decimal:
        return read_decimal(number_of(cell, column), type.scale, room, to);
    case type_kind::string:
    case type_kind::enumeration:
        if (has_text(column.type)) {
            to = value::of_text(value::kind::string, cell.text());
            return true;
        }
        return read_as_text(cell, column, room, to);
    case type_kind::uuid:
        return read_uuid(cell, column, room, to);
    case type_kind::bytes:
        to = value::of_text(value::kind::bytes, cell.text());
        return has_text(column.type) || column.type == MYSQL_TYPE_BIT;
    case type_kind::date: {
        moment when;
        if (!is_moment(column.type) || !read_moment(cell, when) || !when.is_date()) {
            return false;
        }
        to = value::of_number(value::kind::date, when.days());
        return true;
    }
    case type_kind::datetime: {
        moment when;
        if (!is_moment(column.type) || !read_moment(cell, when) || !when.is_date()) {
            return false;
        }
        to = value::of_number(value::kind::datetime,
                              when.days() * day_microseconds + when.microseconds);
        return true;
    }
    case type_kind::time: {
        std::int64_t microseconds = 0;
        if (!is_time(column.type) || !read_time(cell, microseconds)) {
            return false;
        }
        to = value::of_number(value::kind::time, microseconds);
        return true;
    }
    case type_kind::json:
    case type_kind::document:
        to = value::of_text(value::kind::json, cell.text());
        return has_text(column.type);
    }
    return false;
}

unreadable_kind why_unreadable(const MYSQL_FIELD& column, const core::field_type& type) {
    if (type.kind == type_kind::time && is_time(column.type)) {
        return unreadable_kind::no_time_of_day;
    }
    if ((type.kind == type_kind::date || type.kind == type_kind::datetime) &&
        is_moment(column.type)) {
        return unreadable_kind::no_date;
    }
    return type.kind == type_kind::boolean && IS_NUM(column.type) ? unreadable_kind::no_truth
                                                                  : unreadable_kind::other_type;
}

bool is_uuid_in_upper_case(const raw_cell& cell, const MYSQL_FIELD& column,
                           const core::field_type& type) {
    if (type.kind != type_kind::uuid || cell.size != uuid_characters ||
        (column.flags & BINARY_FLAG) == 0) {
        return false;
    }
    const auto text = cell.text();
    return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; });
}

void format_uuid(const unsigned char* bytes, char* text) {
    constexpr char digits[] = "0123456789abcdef";
    for (std::size_t i = 0; i < uuid_bytes; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *text++ = '-';
        }
        *text++ = digits[bytes[i] >> 4U];
        *text++ = digits[bytes[i] & 0x0FU];
    }
}

void parse_uuid(std::string_view text, unsigned char* bytes) {
    const auto digit = [](char c) {
        return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    };
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < text.size() && at < uuid_bytes; ++i) {
        if (text[i] == '-') {
            continue;
        }
        bytes[at++] = static_cast<unsigned char>(digit(text[i]) << 4U | digit(text[i + 1]));
        ++i;
    }
}

} // namespace beds::adapters::mariadb
