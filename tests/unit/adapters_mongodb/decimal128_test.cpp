#include "adapters/mongodb/decimal128.hpp"
#include "adapters/mongodb/mongoc_include.hpp"
#include "support/catch.hpp"

#include <random>
#include <string>

using namespace beds::adapters::mongodb;

namespace {

std::string driver_text(decimal128 value) {
    bson_decimal128_t same{};
    same.high = value.high;
    same.low = value.low;
    char text[BSON_DECIMAL128_STRING];
    bson_decimal128_to_string(&same, text);
    return text;
}

std::string with_scale(std::string_view text, unsigned scale, unsigned digits = 34) {
    const auto value = to_decimal128(text);
    std::string out;
    if (!value || !append_decimal(out, *value, scale, digits)) {
        return "no";
    }
    return out;
}

std::string number(std::string_view text) {
    const auto value = to_decimal128(text);
    std::string out;
    return value && append_number(out, *value) ? out : "no";
}

} // namespace

TEST_CASE("decimal128: written as the driver writes it") {
    for (const char* text :
         {"0", "1", "-1", "0.10", "-0.35", "99999999.99", "1234567890123456789012345678901234",
          "0.000001", "-9.999999999999999999999999999999999", "1E+10", "12E-5"}) {
        const auto ours = to_decimal128(text);
        REQUIRE(ours);
        bson_decimal128_t theirs{};
        REQUIRE(bson_decimal128_from_string(text, &theirs));
        CAPTURE(text, driver_text(*ours));
        CHECK(ours->high == theirs.high);
        CHECK(ours->low == theirs.low);
    }
}

TEST_CASE("decimal128: random numbers, as the driver writes them, and back") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    for (int round = 0; round < 2000; ++round) {
        const auto digits = 1 + random() % 34;
        const auto scale = random() % (digits + 1);
        std::string text;
        for (unsigned i = 0; i < digits; ++i) {
            text.push_back(static_cast<char>('0' + random() % 10));
        }
        while (text.size() > scale + 1 && text.front() == '0') {
            text.erase(0, 1);
        }
        if (text.size() == scale) {
            text.insert(0, "0");
        }
        if (scale > 0) {
            text.insert(text.size() - scale, ".");
        }
        if (random() % 2 == 0 && text.find_first_not_of("0.") != std::string::npos) {
            text.insert(0, "-");
        }
        CAPTURE(text);
        const auto ours = to_decimal128(text);
        REQUIRE(ours);
        bson_decimal128_t theirs{};
        REQUIRE(bson_decimal128_from_string(text.c_str(), &theirs));
        CHECK(ours->high == theirs.high);
        CHECK(ours->low == theirs.low);
        CHECK(with_scale(text, static_cast<unsigned>(scale)) == text);
    }
}

TEST_CASE("decimal128: nothing is rounded") {
    CHECK_FALSE(to_decimal128("12345678901234567890123456789012345"));
    CHECK(to_decimal128("000000000000000000000000000000000000000001"));
    CHECK_FALSE(to_decimal128("1e7000"));
    CHECK_FALSE(to_decimal128("1e-7000"));
    CHECK_FALSE(to_decimal128(""));
    CHECK_FALSE(to_decimal128("-"));
    CHECK_FALSE(to_decimal128("1.2.3"));
    CHECK_FALSE(to_decimal128("NaN"));
    CHECK_FALSE(to_decimal128("1e"));
    CHECK(with_scale("1.5", 2) == "1.50");
    CHECK(with_scale("1.500", 2) == "1.50");
    CHECK(with_scale("1.505", 2) == "no");
    CHECK(with_scale("1e3", 2) == "1000.00");
    CHECK(with_scale("-0.00", 2) == "0.00");
    CHECK(with_scale("0", 0) == "0");
    CHECK(with_scale("1000.00", 2, 5) == "no");
    CHECK(with_scale("1e300", 2) == "no");
}

TEST_CASE("decimal128: as JSON numbers and whole numbers") {
    CHECK(number("0.10") == "0.10");
    CHECK(number("-12") == "-12");
    CHECK(number("1e400") == "1e400");
    CHECK(number("12e-50") == "12e-50");
    CHECK(to_int64(*to_decimal128("-9223372036854775808")) ==
          std::numeric_limits<std::int64_t>::min());
    CHECK_FALSE(to_int64(*to_decimal128("9223372036854775808")));
    CHECK(to_uint64(*to_decimal128("18446744073709551615")) ==
          std::numeric_limits<std::uint64_t>::max());
    CHECK_FALSE(to_uint64(*to_decimal128("18446744073709551616")));
    CHECK_FALSE(to_uint64(*to_decimal128("-1")));
    CHECK_FALSE(to_int64(*to_decimal128("1.5")));
    CHECK(to_int64(*to_decimal128("1.50e1")) == 15);
    CHECK_FALSE(to_int64({0x7c00000000000000, 0})); // NaN
    CHECK_FALSE(to_int64({0x7800000000000000, 0})); // infinity
    std::string out;
    CHECK_FALSE(append_number(out, {0x7800000000000000, 0}));
}

TEST_CASE("decimal128: room for a step") {
    const auto room = [](const char* step, unsigned precision, unsigned scale) {
        const auto found = room_for(step, precision, scale);
        return found ? driver_text(*found) : std::string{"none"};
    };
    CHECK(room("0.01", 4, 2) == "99.98");
    CHECK(room("-0.01", 4, 2) == "99.98");
    CHECK(room("99.99", 4, 2) == "0.00");
    CHECK(room("100.00", 4, 2) == "none");
    CHECK(room("5", 34, 0) == "9999999999999999999999999999999994");
}
