#include "adapters/memory/table.hpp"
#include "support/catch.hpp"

#include <beds/testing/make.hpp>

#include <random>
#include <set>

using namespace beds;
using namespace beds::adapters::memory;

TEST_CASE("a table finds exactly the rows that it has, however they came and went") {
    const auto target = testing::template_maker{"numbers"}.field("n", "int64").key({"n"}).build();
    table rows{target};
    std::set<std::int64_t> expected;
    std::mt19937 random{7};
    const auto key_of = [](std::int64_t n) {
        // Far apart, so that their places in the index collide as those of any keys do.
        return core::value::of_int(n * 0x1'0000'0001);
    };
    for (int step = 0; step < 30'000; ++step) {
        // Grows to many rows, shrinks to few, several times.
        const bool mostly_in = step / 5'000 % 2 == 0;
        const auto n = static_cast<std::int64_t>(random() % 700);
        const auto key = key_of(n);
        auto* const found = rows.find(std::span{&key, 1});
        REQUIRE((found != nullptr) == expected.contains(n));
        if (found == nullptr && (mostly_in || random() % 4 == 0)) {
            auto made = std::make_unique<record>();
            made->contents = row::make(std::span{&key, 1});
            REQUIRE(!rows.insert(std::move(made)));
            expected.insert(n);
        } else if (found != nullptr && (!mostly_in || random() % 4 == 0)) {
            REQUIRE(rows.remove(*found) != nullptr);
            expected.erase(n);
        }
        REQUIRE(rows.in_order().size() == expected.size());
    }
}
