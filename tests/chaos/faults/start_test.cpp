#include "fixture.hpp"
#include "support/gate.hpp"

using namespace beds;
using namespace beds::test;

namespace {

bool is_ready(const chaos_world& world, std::string_view dependency) {
    for (const auto& one : world.running->node().status().dependencies) {
        if (one.name.starts_with(dependency)) {
            CHECK((one.ready || !one.trouble.empty())); // it says what is missing
            return one.ready;
        }
    }
    return false;
}

} // namespace

TEST_CASE("MariaDB comes after the node: live, not ready, honest, then ready by itself") {
    chaos_world world;
    servers().stop(server::mariadb);
    world.start();
    CHECK(world.running->node().status().live);
    CHECK_FALSE(world.running->node().status().ready);
    auto client = world.running->new_client();
    const auto read = client->call(client::fetch("counters", 1), 3s);
    const auto write = client->call(raise(1), 3s);
    const auto called =
        client->call(client::call("counters", "move", {{"from", 1}, {"to", 2}, {"amount", 1}}), 3s);
    client::request both{
        {raise(1), client::call("counters", "move", {{"from", 1}, {"to", 2}, {"amount", 1}})},
        core::envelope_mode::atomic};
    const auto atomic = client->call(both, 3s);
    const auto wrong = client->call(client::fetch("countres", 1), 3s);
    const auto memory = client->call(client::insert("notes", client::members{{"id", 1}}), 3s);
    CHECK(is_ready(world, "rabbitmq"));
    CHECK_FALSE(is_ready(world, "database rel"));
    servers().start(server::mariadb);

    for (const auto* got : {&read, &write, &called, &atomic}) {
        INFO(got->json());
        CHECK((*got)[0].code() == core::code::backend_unavailable);
        CHECK((*got)[0].effect() == core::effect::none);
        CHECK((*got)[0].retry_after() > 0ms);
    }
    CHECK(wrong.front().code() == core::code::unknown_template);
    CHECK(memory.ok());
    CHECK(world.ready());
    const auto served = client->call(both, 5s);
    INFO(served.json());
    CHECK(served.ok());
    CHECK(world.data.sql("SELECT value FROM counters WHERE id <= 2 ORDER BY id") == "0\n1");
}

TEST_CASE("the node comes first, then RabbitMQ, then MariaDB") {
    chaos_world world;
    servers().stop(server::mariadb);
    servers().stop(server::rabbitmq);
    lateness machine;
    const auto begin = std::chrono::steady_clock::now();
    world.start();
    CHECK(std::chrono::steady_clock::now() - begin < 5s + machine.most());
    CHECK(world.running->node().status().live);
    CHECK_FALSE(is_ready(world, "rabbitmq"));
    CHECK_FALSE(is_ready(world, "database rel"));
    auto client = world.running->new_client();
    const auto asked = std::chrono::steady_clock::now();
    const auto unheard = client->call(raise(1), 300ms);
    CHECK(std::chrono::steady_clock::now() - asked <= 400ms + machine.most());
    CHECK(unheard.front().code() == core::code::deadline_exceeded);
    CHECK(unheard.front().effect() == core::effect::none); // it was never sent

    servers().start(server::rabbitmq);
    REQUIRE(client->wait_ready(core::deadline::after(10s)));
    // The topology is there before the database is.
    bool told = false;
    for (int i = 0; i < 40 && !told; ++i) {
        told = client->call(client::fetch("counters", 1), 1s).front().code() ==
               core::code::backend_unavailable;
    }
    CHECK(told);
    CHECK_FALSE(world.running->node().status().ready);
    servers().start(server::mariadb);
    CHECK(world.ready());
    const auto last = client->call(raise(1), 5s);
    INFO(last.json() << world.running->log());
    CHECK(last.ok());
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 1") == 1);
}

TEST_CASE("RabbitMQ comes after MariaDB and the node") {
    chaos_world world;
    servers().stop(server::rabbitmq);
    world.start();
    const auto until = core::deadline::after(10s);
    while (!is_ready(world, "database rel") && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK(is_ready(world, "database rel"));
    CHECK_FALSE(is_ready(world, "rabbitmq"));
    CHECK(world.running->node().status().live);
    servers().start(server::rabbitmq);
    CHECK(world.ready());
    CHECK(world.running->new_client()->call(raise(1), 5s).ok());
}

TEST_CASE("the node comes first, then MariaDB, then RabbitMQ") {
    chaos_world world;
    servers().stop(server::rabbitmq);
    servers().stop(server::mariadb);
    world.start();
    servers().start(server::mariadb);
    const auto until = core::deadline::after(10s);
    while (!is_ready(world, "database rel") && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK(is_ready(world, "database rel"));
    CHECK_FALSE(world.running->node().status().ready);
    servers().start(server::rabbitmq);
    CHECK(world.ready());
    CHECK(world.running->new_client()->call(raise(1), 5s).ok());
    // A node that finds everything running is ready at once, beside the first.
    chaos_world other;
    other.start();
    CHECK(other.ready(5s));
}

TEST_CASE("a database that comes back shows soon, also when nobody asks for anything") {
    chaos_world world;
    gate network{world.rel.host, world.rel.port};
    world.rel.host = "127.0.0.1";
    world.rel.port = network.port();
    world.start_ready();
    // A node that rests looks at its database every five seconds; a machine may stand still once.
    auto least = std::chrono::steady_clock::duration::max();
    for (int round = 0; round < 3; ++round) {
        network.stop_accepting();
        network.reset();
        for (const auto until = core::deadline::after(30s);
             world.running->node().status().ready && !until.expired();) {
            std::this_thread::sleep_for(5ms);
        }
        REQUIRE_FALSE(world.running->node().status().ready);
        network.accept_again();
        const auto back = std::chrono::steady_clock::now();
        REQUIRE(world.ready(30s));
        least = std::min(least, std::chrono::steady_clock::now() - back);
    }
    INFO(std::chrono::duration_cast<std::chrono::milliseconds>(least).count() << " ms");
    CHECK(least < 2500ms);
}
