#include "brokers/parts.hpp"
#include "support/catch.hpp"

using namespace beds::brokers;
using beds::core::code;
using beds::core::effect;
using beds::core::outcome;

TEST_CASE("what became of each operation is told, and read again") {
    const std::vector<outcome> results{
        outcome::applied(),
        outcome::failure(code::not_found, {}),
        outcome::applied(),
        outcome::applied(),
        outcome::failure(code::backend_unavailable, {}, {}, effect::unknown),
        outcome::failure(code::not_found, {}),
        outcome{},
    };
    const auto told = tell_parts(results);
    CHECK(told == "OK applied 0,2-3; NOT_FOUND none 1,5; BACKEND_UNAVAILABLE unknown 4; OK none 6");
    const auto parts = read_parts(told, results.size());
    REQUIRE(parts.size() == results.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
        CAPTURE(i);
        CHECK(parts[i].effect == to_string(results[i].effect));
        CHECK(parts[i].code == (results[i].ok() ? "OK" : to_string(results[i].code)));
    }
    CHECK(tell_parts(std::vector{outcome::applied()}).empty()); // said without it
}

TEST_CASE("what does not tell of each operation once tells of none") {
    CHECK(read_parts("OK applied 0-1", 2).size() == 2);
    for (const auto* wrong :
         {"", "OK", "OK applied", "OK applied 0", "OK applied 0-2", "OK applied 1-0",
          "OK applied 0,0,1", "OK applied 0; OK none 0-1", "OK applied x", "OK applied 0-1x",
          "OK applied -1", "OK applied 0-18446744073709551615", "; OK applied 0-1"}) {
        CAPTURE(wrong);
        CHECK(read_parts(wrong, 2).empty());
    }
}

TEST_CASE("of very many fates nothing is told: a header holds no more") {
    std::vector<outcome> results(4096);
    for (std::size_t i = 0; i < results.size(); i += 2) {
        results[i] = outcome::applied();
    }
    CHECK(tell_parts(results).empty());
    results.assign(4096, outcome::applied());
    results.back() = outcome::failure(code::conflict, {});
    CHECK(tell_parts(results) == "OK applied 0-4094; CONFLICT none 4095");
}
