#include "random.hpp"
#include "support/catch.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/core/value.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

using namespace beds::core;
using kind = value::kind;

namespace {

field_type type_of(const char* text, std::uint32_t max = 0) {
    auto type = parse_field_type(text);
    REQUIRE(type.has_value());
    type->max = max;
    if (type->kind == type_kind::enumeration) {
        type->values = {"active", "closed", "Pending"};
    }
    return *type;
}

std::optional<value> converted(const datum& from, const field_type& type, arena& memory) {
    value to = value::of_text(kind::json, "untouched");
    const auto wrong = convert(from, type, memory, to);
    if (wrong) {
        CHECK_FALSE(wrong->expected.empty());
        CHECK(to == value::of_text(kind::json, "untouched"));
        return std::nullopt;
    }
    return to;
}

std::string complaint(const datum& from, const field_type& type) {
    arena memory;
    value to;
    const auto wrong = convert(from, type, memory, to);
    return wrong ? std::string{wrong->expected} : std::string{};
}

std::string text(const char* bytes, std::size_t size) {
    return {bytes, size};
}

} // namespace

TEST_CASE("which kinds of value each type takes", "[convert]") {
    const std::array no_items{datum::of_null()};
    const std::array no_members{member{"a", datum::of_null()}};
    struct sample {
        const char* what;
        datum from;
    };
    const sample samples[] = {
        {"null", datum::of_null()},
        {"true", datum::of(true)},
        {"0", datum::of(std::int64_t{0})},
        {"1", datum::of(std::int64_t{1})},
        {"max uint64", datum::of(std::numeric_limits<std::uint64_t>::max())},
        {"1.0", datum::of_number("1.0")},
        {"1e3", datum::of_number("1e3")},
        {"\"\"", datum::of("")},
        {"\"1\"", datum::of("1")},
        {"\"true\"", datum::of("true")},
        {"\"active\"", datum::of("active")},
        {"uuid", datum::of("123e4567-e89b-12d3-a456-426614174000")},
        {"date", datum::of("2026-01-31")},
        {"time", datum::of("12:00:00")},
        {"datetime", datum::of("2026-01-31T12:00:00Z")},
        {"array", datum::of(std::span<const datum>{no_items})},
        {"object", datum::of(std::span<const member>{no_members})},
    };
    // One column for each sample, in their order; x: taken.
    struct row {
        const char* type;
        const char* taken;
    };
    // clang-format off
    const row rows[] = {
        //                 n t 0 1 u . e ""1 t a u d t dt[ {
        {"bool",          ". x . . . . . . . . . . . . . . ."},
        {"int8",          ". . x x . . . . x . . . . . . . ."},
        {"int16",         ". . x x . . . . x . . . . . . . ."},
        {"int32",         ". . x x . . . . x . . . . . . . ."},
        {"int64",         ". . x x . . . . x . . . . . . . ."},
        {"uint8",         ". . x x . . . . x . . . . . . . ."},
        {"uint16",        ". . x x . . . . x . . . . . . . ."},
        {"uint32",        ". . x x . . . . x . . . . . . . ."},
        {"uint64",        ". . x x x . . . x . . . . . . . ."},
        {"double",        ". . x x x x x . . . . . . . . . ."},
        {"decimal(38,0)", ". . x x x x . . x . . . . . . . ."},
        {"string",        ". . . . . . . x x x x x x x x . ."},
        {"enum",          ". . . . . . . . . . x . . . . . ."},
        {"uuid",          ". . . . . . . . . . . x . . . . ."},
        {"bytes",         ". . . . . . . x . x . . . . . . ."}, // "true" is base64
        {"date",          ". . . . . . . . . . . . x . . . ."},
        {"time",          ". . . . . . . . . . . . . x . . ."},
        {"datetime",      ". . . . . . . . . . . . . . x . ."},
        {"json",          ". x x x x x x x x x x x x x x x x"},
        {"document",      ". x x x x x x x x x x x x x x x x"},
    };
    // clang-format on
    arena memory;
    for (const auto& each : rows) {
        const auto type = type_of(each.type);
        for (std::size_t i = 0; i < std::size(samples); ++i) {
            CAPTURE(each.type, samples[i].what);
            CHECK(converted(samples[i].from, type, memory).has_value() ==
                  (each.taken[2 * i] == 'x'));
        }
    }
}

TEST_CASE("integers: the ends of every range", "[convert]") {
    struct row {
        const char* type;
        const char* least;
        const char* below;
        const char* most;
        const char* above;
    };
    const row rows[] = {
        {"int8", "-128", "-129", "127", "128"},
        {"int16", "-32768", "-32769", "32767", "32768"},
        {"int32", "-2147483648", "-2147483649", "2147483647", "2147483648"},
        {"int64", "-9223372036854775808", "-9223372036854775809", "9223372036854775807",
         "9223372036854775808"},
        {"uint8", "0", "-1", "255", "256"},
        {"uint16", "0", "-1", "65535", "65536"},
        {"uint32", "0", "-1", "4294967295", "4294967296"},
        {"uint64", "0", "-1", "18446744073709551615", "18446744073709551616"},
    };
    arena memory;
    for (const auto& each : rows) {
        const auto type = type_of(each.type);
        const bool is_unsigned = each.type[0] == 'u';
        CAPTURE(each.type);
        for (const char* const inside : {each.least, each.most}) {
            CAPTURE(inside);
            for (const datum& from : {datum::of_number(inside), datum::of(inside)}) {
                const auto to = converted(from, type, memory);
                REQUIRE(to.has_value());
                CHECK(to->type == (is_unsigned ? kind::unsigned_integer : kind::integer));
                CHECK((is_unsigned ? std::to_string(to->unsigned_integer)
                                   : std::to_string(to->integer)) == inside);
            }
        }
        for (const char* const outside : {each.below, each.above}) {
            CAPTURE(outside);
            CHECK_FALSE(converted(datum::of_number(outside), type, memory));
            CHECK_FALSE(converted(datum::of(outside), type, memory));
        }
        const auto wanted = "an integer from " + std::string{each.least} + " to " + each.most;
        CHECK(complaint(datum::of(true), type) == wanted);
    }
}

TEST_CASE("integers as strings have one spelling", "[convert]") {
    arena memory;
    const auto type = type_of("int64");
    CHECK(converted(datum::of("-12"), type, memory)->integer == -12);
    CHECK(converted(datum::of_number("-0"), type, memory)->integer == 0);
    for (const char* const wrong :
         {"", " 1", "1 ", "+1", "-0", "00", "01", "-01", "1.0", "1e3", "0x1", "1_000", "1,000",
          "--1", "-", "one", "99999999999999999999", "\xD9\xA1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(converted(datum::of(wrong), type, memory));
    }
    CHECK_FALSE(converted(datum::of(std::string_view{"1\0", 2}), type, memory));
}

TEST_CASE("doubles", "[convert]") {
    arena memory;
    const auto type = type_of("double");
    const auto real = [&](const char* token) {
        const auto to = converted(datum::of_number(token), type, memory);
        REQUIRE(to.has_value());
        CHECK(to->type == kind::real);
        return to->real;
    };
    CHECK(real("0.1") == 0.1);
    CHECK(real("1.7976931348623157e308") == std::numeric_limits<double>::max());
    CHECK(real("5e-324") == std::numeric_limits<double>::denorm_min());
    CHECK(real("2.2250738585072014e-308") == std::numeric_limits<double>::min());
    CHECK(real("9007199254740993.0") == 9007199254740992.0); // ties to even
    CHECK(real("123456789012345678901234567890") == 123456789012345678901234567890.0);
    CHECK(real("18446744073709551615") == 18446744073709551616.0);
    CHECK(real("42") == 42.0);
    CHECK(std::signbit(real("-0")));
    CHECK(std::signbit(real("-0.0")));
    CHECK_FALSE(std::signbit(real("0")));
    CHECK(real("1.005") == 1.005);
    datum made_by_hand;
    made_by_hand.type = datum::kind::number;
    for (const char* const wrong : {"inf", "-inf", "nan", "", "1.5x", "infinity"}) {
        CAPTURE(wrong);
        made_by_hand.text = wrong;
        CHECK_FALSE(converted(made_by_hand, type, memory));
    }
    for (const char* const wrong : {"1e309", "-1e309", "1e400", "1e-400", "1e999999999"}) {
        CAPTURE(wrong);
        CHECK_FALSE(converted(datum::of_number(wrong), type, memory));
    }
}

TEST_CASE("strings: length in code points, nothing but UTF-8", "[convert]") {
    arena memory;
    const auto five = type_of("string", 5);
    const auto any = type_of("string");
    for (const std::string& good :
         {text("", 0), text("abcde", 5), text("a\0b", 3),
          text("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 10),
          text("\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80",
               20),
          text("\xED\x9F\xBF", 3), text("\xEE\x80\x80", 3), text("\xF4\x8F\xBF\xBF", 4)}) {
        CAPTURE(good);
        const auto to = converted(datum::of(std::string_view{good}), five, memory);
        REQUIRE(to.has_value());
        CHECK(to->type == kind::string);
        CHECK(to->text == good);
        CHECK(to->text.data() == good.data()); // not copied
    }
    CHECK_FALSE(converted(datum::of("abcdef"), five, memory));
    CHECK_FALSE(converted(datum::of("\xC3\xA9zzzzz"), five, memory));
    CHECK(converted(datum::of("abcdef"), any, memory));
    CHECK(complaint(datum::of("abcdef"), five) == "a string of at most 5 characters");
    CHECK(complaint(datum::of(true), any) == "a string");
    const char* const broken[] = {
        "\x80",
        "\xBF",
        "\xC3",
        "\xC3(",
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xE2\x82",
        "\xE2\x28\xA1",
        "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFF",
        "\xFE",
        "\xF0\x9F\x98",
        "\xE2\x82\xC3",
    };
    for (const char* const each : broken) {
        // At every offset of the eight-byte steps, and cut off at the end.
        for (std::size_t before = 0; before < 10; ++before) {
            for (std::size_t after = 0; after < 10; after += 9) {
                const std::string whole = std::string(before, 'a') + each + std::string(after, 'b');
                CAPTURE(each, before, after);
                CHECK_FALSE(converted(datum::of(std::string_view{whole}), any, memory));
            }
        }
    }
}

TEST_CASE("a string ends where it ends", "[convert]") {
    arena memory;
    const auto any = type_of("string");
    for (const std::string_view whole : {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
        for (std::size_t size = 1; size < whole.size(); ++size) {
            CHECK_FALSE(converted(datum::of(whole.substr(0, size)), any, memory));
        }
        CHECK(converted(datum::of(whole), any, memory));
    }
}

TEST_CASE("strings of any length are counted right", "[convert]") {
    beds::test::seeded random;
    INFO(random.note());
    arena memory;
    const std::vector<std::string> letters{"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (int round = 0; round < 500; ++round) {
        const auto length = random.between<std::uint32_t>(1, 60);
        std::string made;
        for (std::uint32_t i = 0; i < length; ++i) {
            made += letters[random.between(0, 9) < 7 ? 0 : random.between<std::size_t>(1, 3)];
        }
        CHECK(converted(datum::of(std::string_view{made}), type_of("string", length), memory));
        if (length > 1) {
            CHECK_FALSE(converted(datum::of(std::string_view{made}), type_of("string", length - 1),
                                  memory));
        }
    }
}

TEST_CASE("enumerations", "[convert]") {
    arena memory;
    const auto type = type_of("enum");
    CHECK(converted(datum::of("active"), type, memory)->text == "active");
    CHECK(converted(datum::of("active"), type, memory)->type == kind::string);
    CHECK_FALSE(converted(datum::of("pending"), type, memory));
    CHECK_FALSE(converted(datum::of(""), type, memory));
    CHECK(complaint(datum::of("activ"), type) ==
          "one of 'active', 'closed', 'Pending'; did you mean 'active'?");
    CHECK(complaint(datum::of("s3cret"), type) == "one of 'active', 'closed', 'Pending'");
    field_type many = type;
    many.values.clear();
    for (int i = 0; i < 1000; ++i) {
        many.values.push_back("value_" + std::to_string(i));
    }
    CHECK(complaint(datum::of("zzz"), many).size() < 500);
}

TEST_CASE("uuids become lower-case", "[convert]") {
    arena memory;
    const auto type = type_of("uuid");
    constexpr const char* lower = "123e4567-e89b-12d3-a456-426614174abc";
    const auto kept = converted(datum::of(lower), type, memory);
    REQUIRE(kept.has_value());
    CHECK(kept->type == kind::uuid);
    CHECK(kept->text.data() == lower);
    CHECK(converted(datum::of("123E4567-E89B-12d3-A456-426614174ABC"), type, memory)->text ==
          lower);
    for (const char* const wrong :
         {"", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}",
          "123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-4266141740000",
          "123e4567-e89b-12d3-a456-42661417400g", "123e4567-e89b-12d3-a4564-26614174000",
          "123e4567xe89b-12d3-a456-426614174000", " 23e4567-e89b-12d3-a456-426614174000"}) {
        CAPTURE(wrong);
        CHECK_FALSE(converted(datum::of(wrong), type, memory));
    }
}

TEST_CASE("bytes are base64 in its one spelling", "[convert]") {
    arena memory;
    struct row {
        const char* given;
        std::string bytes;
    };
    const row rows[] = {
        {"", ""},
        {"AA==", text("\0", 1)},
        {"AAA=", text("\0\0", 2)},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"+/+/", "\xFB\xFF\xBF"},
        {"//8=", "\xFF\xFF"},
    };
    for (const auto& each : rows) {
        CAPTURE(each.given);
        const auto to = converted(datum::of(each.given), type_of("bytes"), memory);
        REQUIRE(to.has_value());
        CHECK(to->type == kind::bytes);
        CHECK(to->text == each.bytes);
    }
    for (const char* const wrong : {"A",    "AA",     "AAA",   "A===",       "====",
                                    "=",    "Zg=",    "Zg",    "Zm9v=",      "Zm9vZg",
                                    "Z g=", "Zg==\n", " Zg==", "Zg==Zg==",   "Zm-_",
                                    "Zh==", "Zm9=",   "Zg=a",  "Z\xC3\xA9w", "Zm9v===="}) {
        CAPTURE(wrong);
        CHECK_FALSE(converted(datum::of(wrong), type_of("bytes"), memory));
    }
    CHECK(converted(datum::of("Zm9v"), type_of("bytes", 3), memory));
    CHECK_FALSE(converted(datum::of("Zm9vYg=="), type_of("bytes", 3), memory));
    CHECK(complaint(datum::of("Zm9vYg=="), type_of("bytes", 3)) ==
          "at most 3 bytes as base64 with padding");
}

TEST_CASE("moments", "[convert]") {
    arena memory;
    const auto date = converted(datum::of("1970-01-02"), type_of("date"), memory);
    CHECK(date.value() == value::of_number(kind::date, 1));
    const auto time = converted(datum::of("00:00:01.5"), type_of("time"), memory);
    CHECK(time.value() == value::of_number(kind::time, 1'500'000));
    const auto both =
        converted(datum::of("1970-01-01T01:00:00+01:00"), type_of("datetime"), memory);
    CHECK(both.value() == value::of_number(kind::datetime, 0));
    CHECK_FALSE(converted(datum::of("2026-02-29"), type_of("date"), memory));
}

TEST_CASE("nested data is pointed to", "[convert]") {
    arena memory;
    const datum from = datum::of("{\"$oid\":1}");
    const auto to = converted(from, type_of("document"), memory);
    REQUIRE(to.has_value());
    CHECK(to->type == kind::document);
    CHECK(to->document == &from);
}

TEST_CASE("a complaint never echoes the value", "[convert]") {
    const std::vector<const char*> types{"bool",         "int32",  "uint64", "double",
                                         "decimal(4,2)", "string", "enum",   "uuid",
                                         "bytes",        "date",   "time",   "datetime"};
    constexpr const char* sensitive = "4111-1111\xFF";
    for (const char* const each : types) {
        CAPTURE(each);
        const std::string said = complaint(datum::of(sensitive), type_of(each, 3));
        CHECK_FALSE(said.empty());
        CHECK(said.find("4111") == std::string::npos);
    }
}
