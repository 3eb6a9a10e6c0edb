#include "adapters/mariadb/cells.hpp"
#include "support/catch.hpp"

#include <beds/testing/recording_sink.hpp>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

using namespace beds;
using namespace beds::adapters::mariadb;

namespace {

MYSQL_FIELD column(enum_field_types type, unsigned flags = 0, unsigned charset = 45) {
    MYSQL_FIELD made{};
    made.type = type;
    made.flags = flags;
    made.charsetnr = charset;
    return made;
}

template <class T>
std::string bytes_of(T number) {
    std::string made(sizeof number, '\0');
    std::memcpy(made.data(), &number, sizeof number);
    return made;
}

/// The cell's value as text; nothing: it does not fit.
std::optional<std::string> read(const std::string& bytes, const MYSQL_FIELD& from,
                                std::string_view type) {
    const raw_cell cell{reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()};
    cell_text room;
    core::value made;
    if (!read_cell(cell, from, *core::parse_field_type(type), room, made)) {
        return std::nullopt;
    }
    return testing::to_string(testing::owned_value{made});
}

using text = std::optional<std::string>;

} // namespace

TEST_CASE("integers of the protocol", "[mariadb]") {
    const auto big = column(MYSQL_TYPE_LONGLONG);
    const auto ubig = column(MYSQL_TYPE_LONGLONG, UNSIGNED_FLAG);
    CHECK(read(bytes_of(INT64_MIN), big, "int64") == text{"-9223372036854775808"});
    CHECK(read(bytes_of(UINT64_MAX), ubig, "uint64") == text{"18446744073709551615u"});
    CHECK(read(bytes_of(UINT64_MAX), ubig, "int64") == std::nullopt);
    CHECK(read(bytes_of(std::int64_t{-1}), big, "uint64") == std::nullopt);
    CHECK(read(bytes_of(std::int64_t{128}), big, "int8") == std::nullopt);
    CHECK(read(bytes_of(std::int64_t{127}), big, "int8") == text{"127"});
    CHECK(read("\xFF", column(MYSQL_TYPE_TINY), "int32") == text{"-1"});
    CHECK(read("\xFF", column(MYSQL_TYPE_TINY, UNSIGNED_FLAG), "int32") == text{"255"});
    CHECK(read(bytes_of(std::int16_t{2024}), column(MYSQL_TYPE_YEAR), "int32") == text{"2024"});
    CHECK(read("\x01", column(MYSQL_TYPE_TINY), "bool") == text{"true"});
    // No condition on true would find it.
    CHECK(read("\x02", column(MYSQL_TYPE_TINY), "bool") == std::nullopt);
    CHECK(read("\xFF", column(MYSQL_TYPE_TINY), "bool") == std::nullopt);
    CHECK(why_unreadable(column(MYSQL_TYPE_TINY), *core::parse_field_type("bool")) ==
          unreadable_kind::no_truth);
    CHECK(read(std::string(1, '\0'), column(MYSQL_TYPE_BIT), "bool") == text{"false"});
    CHECK(read(std::string("\x01\x00", 2), column(MYSQL_TYPE_BIT), "uint16") == text{"256u"});
    CHECK(read("12.000", column(MYSQL_TYPE_NEWDECIMAL), "int64") == text{"12"});
    CHECK(read("12.001", column(MYSQL_TYPE_NEWDECIMAL), "int64") == std::nullopt);
    CHECK(read("99999999999999999999", column(MYSQL_TYPE_NEWDECIMAL), "int64") == std::nullopt);
    CHECK(read("12x", column(MYSQL_TYPE_VAR_STRING), "int64") == std::nullopt);
}

TEST_CASE("decimals keep exactly their digits", "[mariadb]") {
    const auto decimal = column(MYSQL_TYPE_NEWDECIMAL);
    CHECK(read("10.50", decimal, "decimal(18,2)") == text{"decimal 10.50"});
    CHECK(read("10.5", decimal, "decimal(18,2)") == text{"decimal 10.50"});
    CHECK(read("10", decimal, "decimal(18,2)") == text{"decimal 10.00"});
    CHECK(read("10.5000", decimal, "decimal(18,2)") == text{"decimal 10.50"});
    CHECK(read("10.501", decimal, "decimal(18,2)") == std::nullopt);
    CHECK(read("-0.01", decimal, "decimal(18,2)") == text{"decimal -0.01"});
    CHECK(read("10.00", decimal, "decimal(18,0)") == text{"decimal 10"});
    CHECK(read(bytes_of(std::int64_t{7}), column(MYSQL_TYPE_LONGLONG), "decimal(18,2)") ==
          text{"decimal 7.00"});
    CHECK(read(bytes_of(0.25), column(MYSQL_TYPE_DOUBLE), "decimal(18,2)") == text{"decimal 0.25"});
}

TEST_CASE("moments", "[mariadb]") {
    const std::string date = bytes_of(std::uint16_t{2024}) + "\x02\x1D";
    const auto stamp = column(MYSQL_TYPE_DATETIME);
    CHECK(read(date, column(MYSQL_TYPE_DATE), "date") == text{"2024-02-29"});
    CHECK(read(date, stamp, "datetime") == text{"2024-02-29T00:00:00Z"});
    CHECK(read(date + "\x0C\x22\x38", stamp, "datetime") == text{"2024-02-29T12:34:56Z"});
    CHECK(read(date + "\x0C\x22\x38" + bytes_of(std::uint32_t{1}), stamp, "datetime") ==
          text{"2024-02-29T12:34:56.000001Z"});
    // 0000-00-00 00:00:00 is no NULL: a condition on NULL would not find it.
    CHECK(read("", stamp, "datetime") == std::nullopt);
    CHECK(read("", column(MYSQL_TYPE_DATE), "date") == std::nullopt);
    const auto no_month = bytes_of(std::uint16_t{2024}) + std::string("\0\0", 2);
    CHECK(read(no_month, stamp, "date") == std::nullopt);
    CHECK(why_unreadable(stamp, *core::parse_field_type("date")) == unreadable_kind::no_date);
    CHECK(read("", column(MYSQL_TYPE_DATE), "string") == text{"\"0000-00-00\""});
    CHECK(read(no_month, column(MYSQL_TYPE_DATE), "string") == text{"\"2024-00-00\""});
    CHECK(read("", stamp, "string") == text{"\"0000-00-00T00:00:00Z\""});
    CHECK(read(no_month + "\x0C\x22\x38" + bytes_of(std::uint32_t{1}), stamp, "string") ==
          text{"\"2024-00-00T12:34:56.000001Z\""});
    const auto time = column(MYSQL_TYPE_TIME);
    CHECK(read("", time, "time") == text{"00:00:00"});
    CHECK(read(std::string("\0\0\0\0\0\x17\x3B\x3B", 8), time, "time") == text{"23:59:59"});
    CHECK(read(std::string("\1\0\0\0\0\x17\x3B\x3B", 8), time, "time") == std::nullopt);
    CHECK(read(std::string("\0\1\0\0\0\0\0\0", 8), time, "time") == std::nullopt);
}

TEST_CASE("text, bytes and UUIDs", "[mariadb]") {
    const std::string uuid = "123e4567-e89b-12d3-a456-4266141740ff";
    unsigned char raw[16];
    parse_uuid(uuid, raw);
    const std::string bytes{reinterpret_cast<const char*>(raw), sizeof raw};
    CHECK(read(bytes, column(MYSQL_TYPE_STRING, 0, 63), "uuid") ==
          read(uuid, column(MYSQL_TYPE_STRING), "uuid"));
    std::string upper = uuid;
    for (char& c : upper) {
        c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    CHECK(read(upper, column(MYSQL_TYPE_STRING), "uuid") ==
          read(uuid, column(MYSQL_TYPE_STRING), "uuid"));
    CHECK(read("short", column(MYSQL_TYPE_STRING), "uuid") == std::nullopt);
    CHECK(read("abc", column(MYSQL_TYPE_VAR_STRING), "string") == text{"\"abc\""});
    CHECK(read(bytes_of(std::int64_t{42}), column(MYSQL_TYPE_LONGLONG), "string") ==
          text{"\"42\""});
    CHECK(read("abc", column(MYSQL_TYPE_VAR_STRING), "date") == std::nullopt);
}

TEST_CASE("cells are taken one after the other", "[mariadb]") {
    std::string row = "\x05hello";
    row += bytes_of(std::int32_t{7});
    row += '\xFC' + bytes_of(std::uint16_t{300}) + std::string(300, 'x');
    row += '\xFD' + std::string("\x02\x00\x00", 3) + "ab";
    row += '\xFE' + bytes_of(std::uint64_t{1}) + "c";
    auto* at = reinterpret_cast<unsigned char*>(row.data());
    const auto* const end = at + row.size();
    CHECK(take_cell(MYSQL_TYPE_VAR_STRING, &at, end)->text() == "hello");
    CHECK(take_cell(MYSQL_TYPE_LONG, &at, end)->size == 4);
    CHECK(take_cell(MYSQL_TYPE_BLOB, &at, end)->text() == std::string(300, 'x'));
    CHECK(take_cell(MYSQL_TYPE_BLOB, &at, end)->text() == "ab");
    CHECK(take_cell(MYSQL_TYPE_BLOB, &at, end)->text() == "c");
    CHECK(at == end);
    CHECK_FALSE(take_cell(MYSQL_TYPE_BLOB, &at, end));
    CHECK_FALSE(take_cell(MYSQL_TYPE_TINY, &at, end));
}

TEST_CASE("no byte of a row can lead behind its end", "[mariadb]") {
    struct kind {
        enum_field_types type;
        std::string bytes;
    };
    const std::string moment("\x0B\xE8\x07\x05\x06\x07\x08\x09\x01\x02\x03\x00", 12);
    const std::string time("\x0C\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x00", 13);
    const std::vector<std::vector<kind>> rows{
        {{MYSQL_TYPE_LONGLONG, bytes_of(std::int64_t{-2})},
         {MYSQL_TYPE_VAR_STRING, "\x05hello"},
         {MYSQL_TYPE_TINY, "\x01"},
         {MYSQL_TYPE_DATETIME, moment},
         {MYSQL_TYPE_NEWDECIMAL, "\x05"
                                 "12.50"}},
        {{MYSQL_TYPE_TIME, time},
         {MYSQL_TYPE_DATE, std::string("\x04\xE8\x07\x05\x06", 5)},
         {MYSQL_TYPE_BIT, std::string("\x02\x01\x00", 3)},
         {MYSQL_TYPE_DOUBLE, bytes_of(0.25)},
         {MYSQL_TYPE_SHORT, bytes_of(std::int16_t{7})},
         {MYSQL_TYPE_TIMESTAMP, std::string(1, '\0')},
         {MYSQL_TYPE_STRING, std::string(1, '\0')}},
        {{MYSQL_TYPE_BLOB, '\xFC' + bytes_of(std::uint16_t{300}) + std::string(300, '\xFE')},
         {MYSQL_TYPE_LONG, bytes_of(std::int32_t{7})},
         {MYSQL_TYPE_BLOB, '\xFD' + std::string("\x02\x00\x00", 3) + "ab"},
         {MYSQL_TYPE_FLOAT, bytes_of(0.5F)},
         {MYSQL_TYPE_BLOB, '\xFE' + bytes_of(std::uint64_t{1}) + "c"}},
    };
    const std::vector<core::field_type> types{
        *core::parse_field_type("int64"),    *core::parse_field_type("uint64"),
        *core::parse_field_type("double"),   *core::parse_field_type("decimal(18,2)"),
        *core::parse_field_type("string"),   *core::parse_field_type("bytes"),
        *core::parse_field_type("uuid"),     *core::parse_field_type("date"),
        *core::parse_field_type("datetime"), *core::parse_field_type("time"),
        *core::parse_field_type("bool")};
    std::size_t whole = 0;
    std::size_t broken = 0;
    /// Takes all cells of these bytes, as far as they go; each must lie within them.
    const auto take = [&](const std::vector<kind>& row, const std::string& bytes) {
        // Memory of its own size: so a sanitizer sees a byte too many as well.
        std::vector<unsigned char> packet(bytes.begin(), bytes.end());
        packet.shrink_to_fit();
        auto* at = packet.data();
        const auto* const begin = at;
        const auto* const end = at + packet.size();
        for (const auto& one : row) {
            const auto* const before = at;
            const auto cell = take_cell(one.type, &at, end);
            if (!cell) {
                ++broken;
                REQUIRE(at == before);
                return;
            }
            REQUIRE(cell->data >= begin);
            REQUIRE(cell->data <= end);
            REQUIRE(cell->size <= static_cast<std::size_t>(end - cell->data));
            REQUIRE(at == cell->data + cell->size);
            for (const auto& type : types) {
                cell_text room;
                core::value value;
                static_cast<void>(read_cell(*cell, column(one.type), type, room, value));
            }
        }
        ++whole;
    };
    for (const auto& row : rows) {
        std::string bytes;
        for (const auto& one : row) {
            bytes += one.bytes;
        }
        whole = broken = 0;
        take(row, bytes);
        REQUIRE(whole == 1);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            for (const unsigned other :
                 {0U, 1U, 0x7FU, 0x80U, 0xFAU, 0xFBU, 0xFCU, 0xFDU, 0xFEU, 0xFFU}) {
                std::string changed = bytes;
                changed[i] = static_cast<char>(other);
                take(row, changed);
            }
            for (unsigned bit = 0; bit < 8; ++bit) {
                std::string changed = bytes;
                changed[i] = static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ (1U << bit));
                take(row, changed);
            }
            take(row, bytes.substr(0, i));
        }
        CHECK(broken > bytes.size()); // each row that is cut short, and many lengths
        CHECK(whole > 1);
    }
}
