#include "faults/fixture.hpp"

#include <map>
#include <thread>

using namespace beds;
using namespace beds::test;

namespace {

amqp::connection_settings account() {
    return amqp_settings(servers().amqp());
}

core::deadline limit() {
    return core::deadline::after(20s);
}

/// Takes what is there from a queue and vanishes with it, as a process that is killed.
std::size_t take_and_vanish(const amqp::queue_name& queue, std::uint16_t most) {
    amqp::consumer_connection in{account(), limit()};
    amqp::consume_options options;
    options.prefetch = most;
    in.consume(queue, options, limit());
    std::vector<amqp::delivery> held;
    const auto until = core::deadline::after(5s);
    while (held.size() < most && !until.expired()) {
        in.drain(held, most, 100ms);
    }
    in.close(limit()); // RabbitMQ requeues what was not acknowledged
    return held.size();
}

amqp::queue_name named(const chaos_world& world, std::string_view queue) {
    return amqp::queue_name{world.options.tag + std::string{queue}};
}

/// A node that has declared everything and is gone.
void declare_and_leave(chaos_world& world) {
    world.options.tag = unique_name("q") + "_";
    world.start_ready();
    REQUIRE(world.running->node().stop(limit()));
    world.running.reset();
}

void publish_marks(const chaos_world& world, int count) {
    raw_client raw{servers().amqp(), world.options.tag};
    for (int i = 0; i < count; ++i) {
        raw.publish({.key = "marks.write",
                     .body = R"({"v":1,"template":"marks","op":"insert","data":{"id":"m)" +
                             std::to_string(i) + R"(","value":)" + std::to_string(i) + "}}",
                     .message_id = "mark-" + std::to_string(i),
                     .user_id = servers().amqp().user});
    }
    REQUIRE(raw.settle());
}

} // namespace

TEST_CASE("what was delivered before is worked on one at a time, and once") {
    chaos_world world;
    declare_and_leave(world);
    publish_marks(world, 12);
    REQUIRE(take_and_vanish(named(world, "rel.write"), 5) == 5);

    world.start_ready();
    const auto until = core::deadline::after(20s);
    while (world.data.number("SELECT COUNT(*) FROM marks") < 12 && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    INFO(world.running->log());
    CHECK(world.data.number("SELECT COUNT(*) FROM marks") == 12);
    CHECK(world.running->sum(&observe::broker_counters::quarantined) == 5);
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") == 12);
    raw_client raw{servers().amqp(), world.options.tag};
    raw.listen_to_the_dead();
    CHECK_FALSE(raw.dead(300ms));
}

TEST_CASE("RabbitMQ gives a node one suspect at a time, so none dies of its neighbour") {
    chaos_world world;
    declare_and_leave(world);
    publish_marks(world, 6);
    REQUIRE(take_and_vanish(named(world, "rel.write"), 6) == 6);
    // Somebody else is about to insert all of them: the first one waits.
    std::thread holder{[&] {
        world.data.sql("BEGIN; INSERT INTO marks (id, value) VALUES ('m0', 0), ('m1', 0), "
                       "('m2', 0), ('m3', 0), ('m4', 0), ('m5', 0); DO SLEEP(6); ROLLBACK");
    }};
    world.start_ready();
    const auto aside = [&] { return world.running->sum(&observe::broker_counters::quarantined); };
    for (const auto until = core::deadline::after(5s); aside() < 6 && !until.expired();) {
        std::this_thread::sleep_for(10ms);
    }
    std::this_thread::sleep_for(500ms); // so long RabbitMQ needs at most to hand out the others
    raw_client raw{servers().amqp(), world.options.tag};
    const auto waiting = raw.ready_messages(named(world, "rel.write.quarantine"));
    const auto done = world.data.number("SELECT COUNT(*) FROM marks");
    holder.join();
    INFO(world.running->log());
    CHECK(done == 0);
    CHECK(waiting == 5);
    for (const auto until = core::deadline::after(20s);
         world.data.number("SELECT COUNT(*) FROM marks") < 6 && !until.expired();) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK(world.data.number("SELECT COUNT(*) FROM marks") == 6);
}

TEST_CASE("a redelivered read is answered by way of the quarantine, also one for the catalog") {
    chaos_world world;
    declare_and_leave(world);
    raw_client raw{servers().amqp(), world.options.tag};
    raw.publish({.key = "counters.read",
                 .body = R"({"v":1,"template":"counters","op":"fetch","key":1})",
                 .correlation_id = "read",
                 .reply_to = raw.reply_queue()});
    raw.publish({.key = "nowhere.read",
                 .body = R"({"v":1,"template":"nowhere","op":"fetch","key":1})",
                 .correlation_id = "lost",
                 .reply_to = raw.reply_queue()});
    REQUIRE(raw.settle());
    REQUIRE(take_and_vanish(named(world, "rel.read"), 1) == 1);
    REQUIRE(take_and_vanish(named(world, "catalog.read"), 1) == 1);
    world.start_ready();
    std::map<std::string, std::string> answers;
    for (int i = 0; i < 2; ++i) {
        const auto answer = raw.reply();
        REQUIRE(answer);
        answers[answer->correlation_id] = answer->body;
    }
    CHECK(answers["read"].find(R"("rows":[{"id":1,)") != std::string::npos);
    CHECK(answers["lost"].find("UNKNOWN_TEMPLATE") != std::string::npos);
    CHECK(world.running->sum(&observe::broker_counters::quarantined) == 2);
}

TEST_CASE("a suspect that takes every process with it becomes a dead letter") {
    chaos_world world;
    declare_and_leave(world);
    amqp::publisher_connection out{account(), limit()};
    amqp::properties properties;
    properties.message_id = "mark-0";
    out.publish({}, named(world, "rel.write.quarantine").str(), properties, "{}",
                amqp::mandatory::yes, limit());
    REQUIRE(out.wait_confirms(limit()));
    for (int life = 0; life < 4; ++life) {
        INFO("life " << life);
        REQUIRE(take_and_vanish(named(world, "rel.write.quarantine"), 1) == 1);
    }
    raw_client raw{servers().amqp(), world.options.tag};
    raw.listen_to_the_dead();
    const auto letter = raw.dead();
    REQUIRE(letter);
    CHECK(letter->message_id == "mark-0");
    CHECK(raw.ready_messages(named(world, "rel.write.quarantine")) == 0);
}

TEST_CASE("headers of a node are believed from the node's account alone") {
    chaos_world world;
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    const auto ask = [&](const std::string& id, const std::string& user) {
        raw.publish({.key = "marks.write",
                     .body = R"({"v":1,"template":"marks","op":"insert","data":{"id":")" + id +
                             R"(","value":1}})",
                     .message_id = id,
                     .correlation_id = id,
                     .reply_to = raw.reply_queue(),
                     .text_headers = {{"beds-principal", "somebody else"}},
                     .user_id = user});
        REQUIRE(raw.settle());
        REQUIRE(raw.reply());
    };
    ask("forged", "");
    ask("vouched", servers().amqp().user);
    CHECK(world.data.sql("SELECT principal FROM beds_inbox WHERE id = 'forged/0'") == "anonymous");
    CHECK(world.data.sql("SELECT principal FROM beds_inbox WHERE id = 'vouched/0'") ==
          "somebody else");
}
