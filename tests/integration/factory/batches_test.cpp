#include "support/catch.hpp"
#include "support/random_batches.hpp"
#include "support/running_node.hpp"

#include <beds/adapters/mariadb.hpp>

using namespace beds;

TEST_CASE("on MariaDB, operations that run together answer as they do one at a time") {
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    data.sql("CREATE TABLE things (id BIGINT PRIMARY KEY, owner VARCHAR(20), "
             "value BIGINT NOT NULL DEFAULT 0, note VARCHAR(40), KEY (owner), KEY (value)) "
             "ENGINE=InnoDB");
    const auto start = test::first_seed();
    for (std::uint64_t i = 0; i < 25; ++i) {
        const auto seed = start + i;
        INFO("seed " << seed);
        const auto different = test::compare_batch(seed, [&] {
            data.sql("DELETE FROM things; DELETE FROM beds_inbox");
            return adapters::make_mariadb("rel", data.settings());
        });
        INFO(different.text);
        REQUIRE(different.text.empty());
    }
}
