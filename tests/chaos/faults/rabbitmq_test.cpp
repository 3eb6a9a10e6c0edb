#include "fixture.hpp"

using namespace beds;
using namespace beds::test;

TEST_CASE("RabbitMQ restarts under load: writes that are sent again happen once") {
    chaos_world world;
    world.start_ready();
    lateness machine;
    history told;
    callers load{*world.running, told, 3, callers::giving_up::never};
    REQUIRE(load.wait_for(50));
    servers().restart(server::rabbitmq);
    REQUIRE(load.wait_for(50, 30s));
    CHECK(world.ready(10s));
    load.finish();
    INFO(told.text() << "machine late by " << machine.most().count() << " ms\n"
                     << world.running->log());
    CHECK(told.sent_again > 0);
    CHECK(told.latest <= 100ms + 2 * machine.most());
    check_effects(world.data, told);
}

TEST_CASE("RabbitMQ freezes: calls end by their deadlines, then served again") {
    chaos_world world;
    world.start_ready();
    auto client = world.running->new_client();
    REQUIRE(client->call(raise(1)).ok());
    history told;
    callers load{*world.running, told, 2, callers::giving_up::never, 400ms};
    REQUIRE(load.wait_for(20));

    lateness machine;
    servers().pause(server::rabbitmq);
    for (int i = 0; i < 6; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        const auto got =
            i % 2 == 0 ? client->call(client::fetch("counters", 1), 400ms)
                       : client->call(client::insert("notes", client::members{{"id", i}}), 400ms);
        const auto took = std::chrono::steady_clock::now() - begin;
        INFO(got.json());
        CHECK(got.front().code() == core::code::deadline_exceeded);
        CHECK(took <= 500ms + machine.most());
    }
    {
        auto late = world.running->new_client();
        const auto begin = std::chrono::steady_clock::now();
        CHECK_FALSE(late->wait_ready(core::deadline::after(200ms)));
        CHECK_FALSE(late->call(client::fetch("counters", 1), 200ms).ok());
        CHECK(std::chrono::steady_clock::now() - begin <= 500ms + machine.most());
    }
    CHECK(world.running->node().status().live);
    servers().resume(server::rabbitmq);
    REQUIRE(load.wait_for(50));
    load.finish();
    INFO(told.text() << "machine late by " << machine.most().count() << " ms");
    CHECK(told.latest <= 100ms + 2 * machine.most());
    CHECK(client->call(client::fetch("counters", 1), 5s).ok());
    // One write was this test's own.
    world.data.sql("UPDATE counters SET value = value - 1 WHERE id = 1; "
                   "DELETE FROM beds_inbox WHERE LENGTH(id) > 30"); // a UUID
    check_effects(world.data, told);
}
