#include "fixture.hpp"

using namespace beds;
using namespace beds::test;

TEST_CASE("MariaDB stops under load and comes back: honest answers, then served again") {
    chaos_world world;
    world.start_ready();
    lateness machine;
    history told;
    callers load{*world.running, told, 3, callers::giving_up::sometimes};
    REQUIRE(load.wait_for(50));
    for (int round = 0; round < 2; ++round) {
        servers().stop(server::mariadb);
        std::this_thread::sleep_for(1500ms);
        const auto status = world.running->node().status();
        CHECK(status.live);
        CHECK_FALSE(status.ready);
        // The other connection of the same node goes on.
        CHECK(world.running->new_client()->call(client::count("notes"), 2s).ok());
        servers().start(server::mariadb);
        REQUIRE(load.wait_for(50));
    }
    CHECK(world.ready(5s));
    load.finish();
    INFO(told.text() << "machine late by " << machine.most().count() << " ms\n"
                     << world.running->log());
    CHECK(told.codes["BACKEND_UNAVAILABLE/none"] > 0);
    CHECK_FALSE(told.refused.empty());
    CHECK(told.latest <= 100ms + 2 * machine.most());
    for (const auto& [code, count] : told.codes) {
        INFO(code);
        CHECK((code.starts_with("BACKEND_UNAVAILABLE/") || code.starts_with("DEADLINE_EXCEEDED/")));
    }
    check_effects(world.data, told);
}

TEST_CASE("MariaDB is killed during writes: acknowledged is there, nothing twice") {
    chaos_world world;
    world.start_ready();
    lateness machine;
    history told;
    callers load{*world.running, told, 4, callers::giving_up::sometimes};
    for (int round = 0; round < 3; ++round) {
        REQUIRE(load.wait_for(40));
        servers().kill(server::mariadb);
        std::this_thread::sleep_for(200ms);
        servers().start(server::mariadb);
    }
    REQUIRE(load.wait_for(40));
    load.finish();
    INFO(told.text() << "machine late by " << machine.most().count() << " ms\n"
                     << world.running->log());
    CHECK(told.sent_again > 0);
    CHECK(told.latest <= 100ms + 2 * machine.most());
    check_effects(world.data, told);
}

TEST_CASE(
    "MariaDB freezes: calls end by their deadlines, the rest is answered, then served again") {
    chaos_world world;
    world.start_ready();
    auto client = world.running->new_client();
    REQUIRE(client->call(raise(1)).ok());
    raw_client raw{servers().amqp(), world.running->tag()};
    const auto now = [] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::system_clock::now().time_since_epoch())
            .count();
    };

    lateness machine;
    servers().pause(server::mariadb);
    // Three deadlines and a mistake in one batch.
    raw.publish({.key = "counters.write",
                 .body = R"({"v":1,"ops":[{"template":"counters","op":"update","key":2,"inc":)"
                         R"({"value":1},"deadline":)" +
                         std::to_string(now() + 400) +
                         R"(},{"template":"counters","op":"update","key":3,"inc":{"valeu":1}},)"
                         R"({"template":"counters","op":"update","key":4,"inc":{"value":1},)"
                         R"("deadline":)" +
                         std::to_string(now() + 20'000) + "}]}",
                 .message_id = "frozen",
                 .reply_to = raw.reply_queue()});
    REQUIRE(raw.settle());
    const auto answer = raw.reply(10s);
    for (int i = 0; i < 6; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        const auto got = i % 2 == 0 ? client->call(client::fetch("counters", 1), 400ms)
                                    : client->call(raise(5), 400ms);
        const auto took = std::chrono::steady_clock::now() - begin;
        INFO(got.json());
        CHECK_FALSE(got.ok());
        CHECK((got.front().code() == core::code::deadline_exceeded ||
               got.front().code() == core::code::backend_unavailable));
        CHECK(took <= 500ms + machine.most());
    }
    CHECK(world.running->node().status().live);
    CHECK(client->call(client::count("notes"), 2s).ok());
    servers().resume(server::mariadb);

    REQUIRE(answer);
    INFO(answer->body);
    const auto first = answer->body.find("DEADLINE_EXCEEDED");
    const auto second = answer->body.find("INVALID_FIELD");
    const auto third = answer->body.find("BACKEND_UNAVAILABLE");
    REQUIRE(first != std::string::npos);
    REQUIRE(second != std::string::npos);
    REQUIRE(third != std::string::npos);
    CHECK(first < second);
    CHECK(second < third);
    CHECK(answer->body.find(R"("effect":"unknown")") == std::string::npos);
    CHECK(answer->body.find("retry_after_ms") != std::string::npos);

    // Served again, by the same node; and what was refused did not happen.
    bool served = false;
    for (int i = 0; i < 50 && !served; ++i) {
        served = client->call(raise(6), 1s).ok();
    }
    CHECK(served);
    CHECK(world.ready(10s));
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 2") == 0);
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 4") == 0);
}

TEST_CASE("a row that stays locked and a procedure that sleeps end by the deadline") {
    chaos_world world;
    world.options.heartbeat = 3s;
    world.start_ready();
    auto client = world.running->new_client();
    lateness machine;
    // Somebody else holds the row for longer than anybody waits.
    std::thread holder{[&] {
        world.data.sql("BEGIN; UPDATE counters SET value = value WHERE id = 1; DO SLEEP(3); "
                       "ROLLBACK");
    }};
    std::this_thread::sleep_for(500ms);
    const auto begin = std::chrono::steady_clock::now();
    const auto locked = client->call(raise(1), 600ms);
    const auto took = std::chrono::steady_clock::now() - begin;
    const auto slow =
        client->call(client::call("counters", "slow", {{"id", 2}, {"seconds", 10.5}}), 600ms);
    // A deadline beyond what a broker may stay away from RabbitMQ does not cost it its connection.
    const auto patient =
        client->call(client::call("counters", "slow", {{"id", 3}, {"seconds", 10.5}}), 12s);
    holder.join();
    INFO(locked.json() << '\n'
                       << slow.json() << '\n'
                       << patient.json() << '\n'
                       << world.running->log());
    CHECK(locked.front().code() == core::code::deadline_exceeded);
    CHECK(took <= 700ms + machine.most());
    CHECK_FALSE(slow.ok());
    CHECK(patient.front().code() == core::code::deadline_exceeded);
    CHECK(patient.front().effect() == core::effect::none);
    REQUIRE(client->call(raise(4), 5s).ok());
    CHECK(world.data.sql("SELECT value FROM counters WHERE id <= 4 ORDER BY id") == "0\n0\n0\n1");
    for (const auto& one : world.running->node().status().brokers) {
        INFO(one.broker);
        CHECK(one.amqp_connects == 1);
    }
    CHECK(world.running->sum(&observe::broker_counters::messages) == 4 + 1); // and the catalog
}

TEST_CASE("a call that is late ends at the server; what shares its batch is done") {
    chaos_world world;
    world.options.rel = {.read = 1, .write = 1, .bulk = 0};
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    lateness machine;
    const auto begin = std::chrono::steady_clock::now();
    raw.publish({.key = "counters.write",
                 .body = R"({"v":1,"ops":[{"template":"counters","op":"update","key":2,"inc":)"
                         R"({"value":1}},{"template":"counters","op":"call","name":"slow",)"
                         R"("args":{"id":3,"seconds":30},"deadline":)" +
                         std::to_string(now + 500) +
                         R"(},{"template":"counters","op":"update","key":4,"inc":{"value":1}}]})",
                 .message_id = "late",
                 .reply_to = raw.reply_queue()});
    REQUIRE(raw.settle());
    const auto answer = raw.reply(10s);
    const auto took = std::chrono::steady_clock::now() - begin;
    REQUIRE(answer);
    INFO(answer->body << '\n' << world.running->log());
    const auto late = answer->body.find(R"("code":"DEADLINE_EXCEEDED")");
    REQUIRE(late != std::string::npos);
    CHECK(answer->body.find(R"("effect":"none")") != std::string::npos);
    CHECK(answer->body.find(R"("effect":"applied")") < late);
    CHECK(answer->body.rfind(R"("effect":"applied")") > late);
    CHECK(answer->body.find(R"("effect":"unknown")") == std::string::npos);
    CHECK(took <= 500ms + 300ms + machine.most());
    CHECK(world.data.sql("SELECT value FROM counters WHERE id BETWEEN 2 AND 4 ORDER BY id") ==
          "1\n0\n1");
    CHECK(world.data.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE command <> "
                         "'Sleep' AND info LIKE '%SLEEP%' AND id <> CONNECTION_ID()") == "0");
    for (const auto& one : world.running->node().status().brokers) {
        INFO(one.broker);
        CHECK(one.backend_connects <= 1);
    }
}
