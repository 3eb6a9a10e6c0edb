#include "values.hpp"

#include "numbers.hpp"

#include <beds/core/json.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <string>

namespace beds_sqlite {

using beds::core::arena;
using beds::core::field_type;
using beds::core::type_kind;
using beds::core::value;

namespace {

__extension__ using unsigned_wide = unsigned __int128;
constexpr auto half_of_all = unsigned_wide{1} << 127;

constexpr std::size_t uint64_size = 8;
constexpr std::size_t decimal_size = 16;

/// The high byte first: such blobs have the order of their numbers.
template <std::size_t Size>
void bind_number(statement& to, int place, unsigned_wide number) {
    std::array<char, Size> bytes{};
    for (std::size_t i = Size; i-- > 0; number >>= 8) {
        bytes[i] = static_cast<char>(number & 0xFF);
    }
    to.bind_blob(place, {bytes.data(), bytes.size()});
}

unsigned_wide number_in(std::string_view blob) {
    unsigned_wide number = 0;
    for (const char each : blob) {
        number = number << 8 | static_cast<unsigned char>(each);
    }
    return number;
}

void bind_json(statement& to, int place, const value& given) {
    if (given.type != value::kind::document) {
        to.bind_text(place, given.text);
        return;
    }
    std::string text;
    beds::core::append_json(text, *given.document);
    to.bind_text(place, text);
}

/// A number of the type, unless it is out of its range.
std::optional<value> in_range(wide digits, const field_type& type, arena& memory) {
    const auto range = bounds_of(type);
    if (digits < range->least || digits > range->most) {
        return std::nullopt;
    }
    return number_of(digits, type, memory);
}

std::optional<value> read_blob_number(std::string_view blob, const field_type& type,
                                      arena& memory) {
    const bool is_decimal = type.kind == type_kind::decimal;
    if (blob.size() != (is_decimal ? decimal_size : uint64_size)) {
        return std::nullopt;
    }
    const auto number = number_in(blob);
    return in_range(static_cast<wide>(is_decimal ? number - half_of_all : number), type, memory);
}

/// It goes into replies as it is, so it had better be JSON.
std::optional<value> read_json(std::string_view text) {
    arena scratch{4096};
    beds::core::datum tree;
    if (beds::core::parse_json(text, scratch, tree)) {
        return std::nullopt;
    }
    return value::of_text(value::kind::json, text);
}

/// In the form that callers know, whoever wrote it.
std::optional<value> read_uuid(std::string_view text, const field_type& type, arena& memory) {
    value made;
    if (beds::core::convert(beds::core::datum::of(text), type, memory, made)) {
        return std::nullopt;
    }
    return made;
}

/// What a column of the type holds, by SQLite's name for it.
int stored_kind(const field_type& type) {
    const auto column = column_type(type);
    return column == "INT"    ? SQLITE_INTEGER
           : column == "REAL" ? SQLITE_FLOAT
           : column == "TEXT" ? SQLITE_TEXT
                              : SQLITE_BLOB;
}

} // namespace

std::string_view column_type(const field_type& type) {
    switch (type.kind) {
    case type_kind::boolean:
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
    case type_kind::date:
    case type_kind::time:
    case type_kind::datetime:
        return "INT";
    case type_kind::float64:
        return "REAL";
    case type_kind::string:
    case type_kind::enumeration:
    case type_kind::uuid:
    case type_kind::json:
    case type_kind::document:
        return "TEXT";
    case type_kind::uint64:
    case type_kind::decimal:
    case type_kind::bytes:
        break;
    }
    return "BLOB";
}

void bind(statement& to, int place, const value& given, const field_type& type) {
    if (given.is_null()) {
        to.bind_null(place);
        return;
    }
    switch (type.kind) {
    case type_kind::boolean:
    case type_kind::date:
    case type_kind::time:
    case type_kind::datetime:
        to.bind_integer(place, given.integer);
        break;
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
        to.bind_integer(place, static_cast<std::int64_t>(digits_of(given)));
        break;
    case type_kind::uint64:
        bind_number<uint64_size>(to, place, static_cast<unsigned_wide>(digits_of(given)));
        break;
    case type_kind::decimal:
        bind_number<decimal_size>(to, place,
                                  static_cast<unsigned_wide>(digits_of(given)) + half_of_all);
        break;
    case type_kind::float64:
        to.bind_real(place, given.real);
        break;
    case type_kind::string:
    case type_kind::enumeration:
    case type_kind::uuid:
        to.bind_text(place, given.text);
        break;
    case type_kind::bytes:
        to.bind_blob(place, given.text);
        break;
    case type_kind::json:
    case type_kind::document:
        bind_json(to, place, given);
        break;
    }
}

std::optional<value> read(const statement& from, int column, const field_type& type,
                          arena& memory) {
    const int there = from.kind(column);
    if (there == SQLITE_NULL) {
        return value::of_null();
    }
    if (there != stored_kind(type)) {
        return std::nullopt;
    }
    switch (type.kind) {
    case type_kind::boolean:
        return value::of_bool(from.integer(column) != 0);
    case type_kind::date:
        return value::of_number(value::kind::date, from.integer(column));
    case type_kind::time:
        return value::of_number(value::kind::time, from.integer(column));
    case type_kind::datetime:
        return value::of_number(value::kind::datetime, from.integer(column));
    case type_kind::int8:
    case type_kind::int16:
    case type_kind::int32:
    case type_kind::int64:
    case type_kind::uint8:
    case type_kind::uint16:
    case type_kind::uint32:
        return in_range(from.integer(column), type, memory);
    case type_kind::uint64:
    case type_kind::decimal:
        return read_blob_number(from.bytes(column), type, memory);
    case type_kind::float64: {
        const double real = from.real(column);
        return std::isfinite(real) ? std::optional{value::of_real(real)} : std::nullopt;
    }
    case type_kind::string:
    case type_kind::enumeration:
        return value::of_text(value::kind::string, from.bytes(column));
    case type_kind::uuid:
        return read_uuid(from.bytes(column), type, memory);
    case type_kind::bytes:
        return value::of_text(value::kind::bytes, from.bytes(column));
    case type_kind::json:
    case type_kind::document:
        return read_json(from.bytes(column));
    }
    return std::nullopt;
}

} // namespace beds_sqlite
