#pragma once

#include <beds/core/data.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beds::core {

class arena;

/// The types a template can give a field.
enum class type_kind : std::uint8_t {
    boolean,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    float64, ///< `double`
    decimal, ///< `decimal(precision,scale)`, precision up to 38
    string,
    enumeration, ///< `enum`
    uuid,
    bytes,
    date,
    time,
    datetime, ///< UTC, microseconds
    json,
    document, ///< nested data; on MongoDB a nested document
};

struct field_type {
    type_kind kind = type_kind::string;
    std::uint8_t precision = 0; ///< decimal only, 1 … 38
    std::uint8_t scale = 0;     ///< decimal only, 0 … precision
    std::uint32_t max =
        0; ///< string: most characters, bytes: most bytes; 0: the limit of the message
    std::vector<std::string> values{}; ///< enum only

    friend bool operator==(const field_type&, const field_type&) = default;
};

/// The type as a template writes it: `int64`, `decimal(18,2)`, …
std::string to_string(const field_type& type);
/// From a template's text; nullopt when there is no such type or its numbers are out of bounds.
std::optional<field_type> parse_field_type(std::string_view text);

/// One typed value: bound to a statement, or a cell of a result. A view: `text` lives in the
/// message, the arena or the driver's buffer.
struct value {
    enum class kind : std::uint8_t {
        null,
        boolean,          ///< integer: 0 or 1
        integer,          ///< integer
        unsigned_integer, ///< unsigned_integer
        real,             ///< real, finite
        decimal,  ///< text: canonical, sign, digits and exactly `scale` digits after the point
        string,   ///< text: UTF-8 (enum too)
        uuid,     ///< text: 36 lower-case characters
        bytes,    ///< text: the bytes themselves
        date,     ///< integer: days since 1970-01-01
        time,     ///< integer: microseconds since midnight
        datetime, ///< integer: microseconds since 1970-01-01T00:00:00Z
        json,     ///< text: JSON text that is known to be valid
        document, ///< document: untyped tree (bound values only)
    };

    kind type = kind::null;
    union {
        std::int64_t integer = 0;
        std::uint64_t unsigned_integer;
        double real;
        const datum* document;
    };
    std::string_view text{};

    [[nodiscard]] bool is_null() const { return type == kind::null; }

    static value of_null() { return {}; }
    static value of_bool(bool given);
    static value of_int(std::int64_t given);
    static value of_uint(std::uint64_t given);
    static value of_real(double given);
    static value of_text(kind type, std::string_view text);
    static value of_number(kind type, std::int64_t integer);
    static value of_document(const datum* tree);

    /// Same type and same content. `document` compares by address.
    friend bool operator==(const value& left, const value& right);
};

/// A total order over values of one type, the order in which rows are locked. Null comes first.
/// Values of different kinds are ordered by kind.
bool less(const value& left, const value& right);

/// Why an untyped value is not of a type. The text is for people and never echoes the value.
struct type_mismatch {
    std::string_view expected{}; ///< lives in the arena or is static
};

/// Converts without loss or says why not; nothing is rounded, cut or guessed. What each type takes:
///
/// | type | from |
/// |---|---|
/// | integers | an integer in range, or a string that spells one as JSON would (`"-12"`; not
/// `"+1"`, `"007"`, `"-0"`, `" 1"`). A token with fraction or exponent is refused even if its value
/// is whole (`1.0`, `1e3`) | | `double` | any number; nearest double. Refused when it would be
/// infinite or vanish to zero | | `decimal(p,s)` | an integer, or a string or number token as JSON
/// writes numbers, without exponent. Digits past the scale must be zeros. `-0` becomes `0` | |
/// `bool` | true and false only | | `string` | UTF-8, U+0000 included; `max` counts code points |
/// | `enum` | exactly one of the values, upper and lower case told apart |
/// | `uuid` | the form 8-4-4-4-12, either case; the result is lower-case |
/// | `bytes` | base64, standard alphabet, padded, unused bits zero, no white space; `max` counts
/// bytes | | `date`, `time`, `datetime` | RFC 3339 (see `parse_datetime`) | | `json`, `document` |
/// everything but null; the result points to `from`, which must live as long |
///
/// Null is the caller's business and is refused here. Text that has to be written anew (canonical
/// decimals, lower-case UUIDs, decoded base64, the text of a mismatch) goes into `memory`; all
/// other text points to where it was. On a mismatch `to` is unchanged.
std::optional<type_mismatch> convert(const datum& from, const field_type& type, arena& memory,
                                     value& to);

/// "2026-01-31", "23:59:59.000001", "2026-01-31T23:59:59.000001Z": fraction only when not zero,
/// three or six digits as needed. Return the number of characters written; `out` must hold 32.
/// Meant for the years 0001 to 9999 and one day; what lies outside stays readable (`838:59:59`,
/// `10000-01-01`) but cannot be parsed again, and dates past 999,000 years are held there.
std::size_t format_date(std::int64_t days, char* out);
std::size_t format_time(std::int64_t microseconds, char* out);
std::size_t format_datetime(std::int64_t microseconds, char* out);
/// `YYYY-MM-DD`, years 0001 to 9999, days that the calendar has.
std::optional<std::int64_t> parse_date(std::string_view text);
/// `HH:MM:SS`, then a point and one to six digits if there is a fraction; no offset. Hour 24 and
/// the leap second 60 are refused.
std::optional<std::int64_t> parse_time(std::string_view text);
/// RFC 3339 with `T` or `t` between date and time, and `Z`, `z` or an offset, which is converted to
/// UTC; the result must still be in the years 0001 to 9999. Fraction as for `parse_time`.
std::optional<std::int64_t> parse_datetime(std::string_view text);

/// Days since 1970-01-01 of a date of the Gregorian calendar, and back.
std::int64_t days_from_civil(int year, unsigned month, unsigned day);
void civil_from_days(std::int64_t days, int& year, unsigned& month, unsigned& day);

} // namespace beds::core
