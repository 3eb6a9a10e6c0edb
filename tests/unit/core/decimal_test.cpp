#include "random.hpp"
#include "support/catch.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/core/value.hpp>

#include <limits>
#include <optional>
#include <string>

using namespace beds::core;

namespace {

std::optional<std::string> canonical(const datum& from, const std::string& type) {
    arena memory;
    value to;
    const auto parsed = parse_field_type(type);
    REQUIRE(parsed.has_value());
    if (convert(from, *parsed, memory, to)) {
        return std::nullopt;
    }
    CHECK(to.type == value::kind::decimal);
    return std::string{to.text};
}

} // namespace

TEST_CASE("decimals become canonical", "[decimal]") {
    struct row {
        const char* type;
        const char* given;
        const char* canonical; ///< "": refused
    };
    const std::string nines38(38, '9');
    const std::string ten38 = "1" + std::string(38, '0');
    const row rows[] = {
        {"decimal(18,2)", "10.5", "10.50"},
        {"decimal(18,2)", "10", "10.00"},
        {"decimal(18,2)", "0", "0.00"},
        {"decimal(18,2)", "-0", "0.00"},
        {"decimal(18,2)", "-0.00", "0.00"},
        {"decimal(18,2)", "-0.000", "0.00"},
        {"decimal(18,2)", "-0.01", "-0.01"},
        {"decimal(18,2)", "-10.50", "-10.50"},
        {"decimal(18,2)", "10.500000", "10.50"}, // zeros past the scale lose nothing
        {"decimal(18,2)", "10.501", ""},
        {"decimal(18,2)", "0.001", ""},
        {"decimal(18,2)", "10.500000001", ""},
        {"decimal(4,2)", "99.99", "99.99"},
        {"decimal(4,2)", "-99.99", "-99.99"},
        {"decimal(4,2)", "100", ""},
        {"decimal(4,2)", "100.00", ""},
        {"decimal(2,2)", "0.99", "0.99"},
        {"decimal(2,2)", "1.00", ""},
        {"decimal(2,2)", "0", "0.00"},
        {"decimal(5,0)", "12345", "12345"},
        {"decimal(5,0)", "12345.0", "12345"},
        {"decimal(5,0)", "12345.5", ""},
        {"decimal(5,0)", "123456", ""},
        {"decimal(5,0)", "-0.0", "0"},
        {"decimal(38,0)", nines38.c_str(), nines38.c_str()},
        {"decimal(38,0)", ten38.c_str(), ""},
        {"decimal(38,38)", "0.00000000000000000000000000000000000001",
         "0.00000000000000000000000000000000000001"},
        {"decimal(38,38)", "0.000000000000000000000000000000000000001", ""},
    };
    for (const auto& each : rows) {
        CAPTURE(each.type, each.given);
        const std::optional<std::string> wanted =
            *each.canonical == '\0' ? std::nullopt : std::optional<std::string>{each.canonical};
        CHECK(canonical(datum::of(each.given), each.type) == wanted);
        CHECK(canonical(datum::of_number(each.given), each.type) == wanted);
    }
    for (const char* const wrong :
         {"",    " 1",  "1 ",       "+1",  "01",   "-01.5", ".5", "5.",  "1e3", "1E0", "1.5e0",
          "0e0", "nan", "Infinity", "1,5", "0x10", "1.2.3", "-",  "--1", "1-",  "$5",  "1_0"}) {
        CAPTURE(wrong);
        CHECK_FALSE(canonical(datum::of(wrong), "decimal(18,2)"));
    }
    CHECK_FALSE(canonical(datum::of_number("1e3"), "decimal(18,2)"));
    CHECK_FALSE(canonical(datum::of_number("1.5E0"), "decimal(18,2)"));
}

TEST_CASE("decimals from integers", "[decimal]") {
    CHECK(canonical(datum::of(std::int64_t{-7}), "decimal(18,2)") == "-7.00");
    CHECK(canonical(datum::of(std::numeric_limits<std::int64_t>::min()), "decimal(38,1)") ==
          "-9223372036854775808.0");
    CHECK(canonical(datum::of(std::numeric_limits<std::uint64_t>::max()), "decimal(20,0)") ==
          "18446744073709551615");
    CHECK_FALSE(canonical(datum::of(std::numeric_limits<std::uint64_t>::max()), "decimal(19,0)"));
}

TEST_CASE("any decimal that fits comes back digit by digit", "[decimal]") {
    beds::test::seeded random;
    INFO(random.note());
    for (int round = 0; round < 3000; ++round) {
        const auto precision = random.between(1, 38);
        const auto scale = random.between(0, precision);
        std::string whole;
        for (int i = random.between(0, precision - scale); i > 0; --i) {
            whole += static_cast<char>('0' + random.between(whole.empty() ? 1 : 0, 9));
        }
        std::string fraction;
        for (int i = random.between(0, scale); i > 0; --i) {
            fraction += static_cast<char>('0' + random.between(0, 9));
        }
        if (whole.empty()) {
            whole = "0";
        }
        const bool zero = whole == "0" && fraction.find_first_not_of('0') == std::string::npos;
        const std::string sign = random.between(0, 1) == 1 ? "-" : "";
        std::string given = sign + whole;
        if (!fraction.empty()) {
            given += '.' + fraction;
        }
        std::string wanted = (zero ? "" : sign) + whole;
        if (scale > 0) {
            wanted += '.' + fraction +
                      std::string(static_cast<std::size_t>(scale) - fraction.size(), '0');
        }
        const std::string type =
            "decimal(" + std::to_string(precision) + ',' + std::to_string(scale) + ')';
        CAPTURE(type, given);
        REQUIRE(canonical(datum::of(std::string_view{given}), type) == wanted);
        REQUIRE(canonical(datum::of_number(given), type) == wanted);
        REQUIRE(canonical(datum::of(std::string_view{wanted}), type) == wanted);
    }
}
