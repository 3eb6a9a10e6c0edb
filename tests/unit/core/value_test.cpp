#include "support/catch.hpp"

#include <beds/core/data.hpp>
#include <beds/core/value.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace beds::core;
using kind = value::kind;

TEST_CASE("types are written and read as templates write them", "[value]") {
    const std::vector<std::string> names{"bool",   "int8",     "int16",  "int32",   "int64",
                                         "uint8",  "uint16",   "uint32", "uint64",  "double",
                                         "string", "enum",     "uuid",   "bytes",   "date",
                                         "time",   "datetime", "json",   "document"};
    std::vector<type_kind> kinds;
    for (const auto& each : names) {
        CAPTURE(each);
        const auto type = parse_field_type(each);
        REQUIRE(type.has_value());
        CHECK(to_string(*type) == each);
        kinds.push_back(type->kind);
    }
    std::sort(kinds.begin(), kinds.end());
    CHECK(std::unique(kinds.begin(), kinds.end()) == kinds.end());
    // With decimal, that is all of them.
    CHECK(kinds.size() == static_cast<std::size_t>(type_kind::document));

    const auto money = parse_field_type("decimal(18,2)");
    REQUIRE(money.has_value());
    CHECK(money->kind == type_kind::decimal);
    CHECK(money->precision == 18);
    CHECK(money->scale == 2);
    CHECK(to_string(*money) == "decimal(18,2)");
    CHECK(to_string(*parse_field_type("decimal( 38 , 38 )")) == "decimal(38,38)");
    CHECK(parse_field_type("decimal(1,0)").has_value());
    for (const char* const text : {"",
                                   "int",
                                   "Int64",
                                   "int64 ",
                                   "integer",
                                   "float",
                                   "float64",
                                   "boolean",
                                   "unsigned",
                                   "decimal",
                                   "decimal()",
                                   "decimal(10)",
                                   "decimal(0,0)",
                                   "decimal(39,0)",
                                   "decimal(10,11)",
                                   "decimal(10,-1)",
                                   "decimal(10,2",
                                   "decimal(10,2))",
                                   "decimal(10,2,1)",
                                   "decimal(a,b)",
                                   "decimal(256,0)",
                                   "decimal(4294967306,2)",
                                   "string(10)",
                                   "text"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_field_type(text).has_value());
    }
}

TEST_CASE("equality looks at type and content", "[value]") {
    const datum tree = datum::of("x");
    const datum twin = datum::of("x");
    const std::string copy{"abc"};
    CHECK(value::of_null() == value{});
    CHECK(value::of_int(1) == value::of_int(1));
    CHECK_FALSE(value::of_int(1) == value::of_int(2));
    CHECK_FALSE(value::of_int(1) == value::of_uint(1));
    CHECK_FALSE(value::of_int(1) == value::of_bool(true));
    CHECK_FALSE(value::of_null() == value::of_text(kind::string, ""));
    CHECK(value::of_uint(~std::uint64_t{0}) == value::of_uint(~std::uint64_t{0}));
    CHECK(value::of_real(0.5) == value::of_real(0.5));
    CHECK_FALSE(value::of_real(0.5) == value::of_real(0.25));
    CHECK(value::of_text(kind::string, "abc") == value::of_text(kind::string, copy));
    CHECK_FALSE(value::of_text(kind::string, "abc") == value::of_text(kind::bytes, "abc"));
    CHECK_FALSE(value::of_text(kind::string, "abc") == value::of_text(kind::string, "abd"));
    CHECK(value::of_number(kind::date, 3) == value::of_number(kind::date, 3));
    CHECK_FALSE(value::of_number(kind::date, 3) == value::of_number(kind::time, 3));
    CHECK(value::of_document(&tree) == value::of_document(&tree));
    CHECK_FALSE(value::of_document(&tree) == value::of_document(&twin));
}

TEST_CASE("the order of values is total", "[value]") {
    const std::vector<datum> trees(2);
    const auto text = [](kind type, const char* given) { return value::of_text(type, given); };
    // Strictly ascending; every pair is checked both ways.
    const std::vector<value> ascending{
        value::of_null(),
        value::of_bool(false),
        value::of_bool(true),
        value::of_int(std::numeric_limits<std::int64_t>::min()),
        value::of_int(-1),
        value::of_int(0),
        value::of_int(std::numeric_limits<std::int64_t>::max()),
        value::of_uint(0),
        value::of_uint(~std::uint64_t{0}),
        value::of_real(-1e300),
        value::of_real(-0.5),
        value::of_real(1e-300),
        value::of_real(2.0),
        text(kind::decimal, "-100.00"),
        text(kind::decimal, "-99.99"),
        text(kind::decimal, "-9.50"),
        text(kind::decimal, "-0.01"),
        text(kind::decimal, "0.00"),
        text(kind::decimal, "0.01"),
        text(kind::decimal, "9.99"),
        text(kind::decimal, "10.00"),
        text(kind::decimal, "10.01"),
        text(kind::string, ""),
        text(kind::string, "A"),
        text(kind::string, "Aa"),
        text(kind::string, "a"),
        text(kind::string, "\xC3\xA9"),
        text(kind::uuid, "00000000-0000-0000-0000-000000000001"),
        text(kind::uuid, "a0000000-0000-0000-0000-000000000000"),
        text(kind::bytes, "\x01"),
        text(kind::bytes, "\xFF"),
        value::of_number(kind::date, -1),
        value::of_number(kind::date, 1),
        value::of_number(kind::time, 0),
        value::of_number(kind::datetime, -5),
        value::of_number(kind::datetime, 5),
        text(kind::json, "{}"),
        value::of_document(&trees[0]),
        value::of_document(&trees[1]),
    };
    for (std::size_t i = 0; i < ascending.size(); ++i) {
        for (std::size_t j = 0; j < ascending.size(); ++j) {
            CAPTURE(i, j);
            CHECK(less(ascending[i], ascending[j]) == (i < j));
            CHECK((ascending[i] == ascending[j]) == (i == j));
        }
    }
}
