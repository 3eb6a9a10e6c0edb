#include "faults/fixture.hpp"

using namespace beds;
using namespace beds::test;

TEST_CASE(
    "MariaDB restarts 20 times under load, its tables change: honest answers, nothing twice") {
    chaos_world world;
    world.start_ready();
    lateness machine;
    history told;
    callers load{*world.running, told, 3, callers::giving_up::sometimes, 2s};
    REQUIRE(load.wait_for(20));
    for (int round = 0; round < 20; ++round) {
        servers().restart(server::mariadb);
        REQUIRE(load.wait_for(20));
        // What was prepared against the table of before is prepared again.
        world.data.sql("ALTER TABLE counters ADD COLUMN later_" + std::to_string(round) +
                       " INT NOT NULL DEFAULT 0 FIRST");
        REQUIRE(load.wait_for(20));
    }
    CHECK(world.ready(5s));
    load.finish();
    INFO(told.text() << "machine late by " << machine.most().count() << " ms\n"
                     << world.running->log());
    CHECK(told.latest <= 100ms + 2 * machine.most());
    for (const auto& [code, count] : told.codes) {
        INFO(code << " " << count);
        CHECK((code.starts_with("BACKEND_UNAVAILABLE/") || code.starts_with("DEADLINE_EXCEEDED/")));
    }
    check_effects(world.data, told);
}
