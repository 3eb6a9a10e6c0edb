#include "support/catch.hpp"
#include "support/random_batches.hpp"

#include <beds/adapters/memory.hpp>

using namespace beds;

TEST_CASE("operations that run together answer as they do one at a time") {
    const auto start = test::first_seed();
    for (std::uint64_t i = 0; i < 400; ++i) {
        const auto seed = start + i;
        INFO("seed " << seed);
        const auto different =
            test::compare_batch(seed, [] { return adapters::make_memory("mem"); });
        INFO(different.text);
        REQUIRE(different.text.empty());
    }
}
