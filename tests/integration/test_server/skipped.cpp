#include "support/catch.hpp"
#include "support/servers.hpp"

// Run by servers_test.py, with and without servers.

TEST_CASE("first") {
    CHECK(beds::test::environment("FIRST_FAILS") == std::nullopt);
}

TEST_CASE("then one that needs a server") {
    beds::test::require_amqp();
}
