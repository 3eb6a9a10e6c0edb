#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/random_batches.hpp"

using namespace beds;

TEST_CASE("on MongoDB, operations that run together answer as they do one at a time") {
    const auto server = test::require_mongodb();
    test::mongodb::raw_database raw{server.uri, test::unique_name()};
    const test::batch_options options{.store = templates::engine::rec};
    const auto registry = test::batch_registry("rec", options);
    const auto start = test::first_seed();
    for (std::uint64_t i = 0; i < 20; ++i) {
        const auto seed = start + i;
        INFO("seed " << seed);
        const auto different = test::compare_batch(
            seed,
            [&] {
                for (const auto& target : registry->all()) {
                    raw.make(target);
                }
                raw.forget("beds_inbox");
                return adapters::make_mongodb("rec",
                                              test::mongodb::settings_for(server.uri, raw.name()));
            },
            options);
        INFO(different.text);
        REQUIRE(different.text.empty());
    }
}
