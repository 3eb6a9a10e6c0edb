#include "adapters/mongodb/errors.hpp"
#include "support/catch.hpp"

using namespace beds::adapters;

TEST_CASE("a refused command changed nothing only where it was refused before it began") {
    constexpr int bad_value = 2;
    constexpr int unauthorized = 13;
    constexpr int type_mismatch = 14;
    constexpr int max_time_expired = 50;
    constexpr int not_writable_primary = 10107;
    constexpr int duplicate_key = 11000;
    for (const int code : {unauthorized, not_writable_primary}) {
        CHECK(mongodb::certainly_nothing_done(code));
        CHECK(mongodb::no_pipeline_began(code));
    }
    for (const int code : {max_time_expired, duplicate_key}) {
        CHECK_FALSE(mongodb::certainly_nothing_done(code));
        CHECK_FALSE(mongodb::no_pipeline_began(code));
    }
    // A write command is checked before it writes; a pipeline may meet such a value after it wrote.
    for (const int code : {bad_value, type_mismatch}) {
        CHECK(mongodb::certainly_nothing_done(code));
        CHECK_FALSE(mongodb::no_pipeline_began(code));
    }
}
