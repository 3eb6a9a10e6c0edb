#include "fixture.hpp"

#include <thread>

using namespace beds;
using namespace std::chrono_literals;

TEST_CASE("a good request whose reply queue is gone is served once and is no dead letter") {
    test::notes_world world;
    auto& raw = *world.raw;
    for (const std::string name : {"notes", "mnotes"}) {
        INFO(name);
        const auto of = R"({"v":1,"template":")" + name;
        const auto fetch = of + R"(","op":"fetch","key":)";
        raw.publish({.key = name + ".write",
                     .body = of + R"(","op":"insert","data":{"id":70,"title":"kept"}})",
                     .message_id = name,
                     .reply_to = "nobody-has-this-queue"});
        raw.publish(
            {.key = name + ".read", .body = fetch + "1}", .reply_to = "nobody-has-this-queue"});
        // The next ones are served; the first may be of one batch with the insert.
        for (const auto& [key, body, title] :
             {std::tuple{".write", "1}", "one"}, std::tuple{".read", "70}", "kept"}}) {
            raw.publish({.key = name + key, .body = fetch + body, .reply_to = raw.reply_queue()});
            REQUIRE(raw.settle());
            const auto served = raw.reply();
            REQUIRE(served);
            CHECK(served->body.find(title) != std::string::npos);
        }
    }
    CHECK_FALSE(raw.reply(50ms));
    CHECK_FALSE(raw.dead(50ms));
    CHECK(world.data.number("SELECT COUNT(*) FROM notes WHERE id = 70 AND title = 'kept'") == 1);

    // Of these eight two wrote; two more are the rows that were there.
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    using counters = observe::broker_counters;
    CHECK(world.running->sum(&counters::messages) == 8 + 2);
    CHECK(world.running->sum(&counters::replies_returned) == 2);
    CHECK(world.running->sum(&counters::dead) == 0);
    CHECK(world.running->sum(&counters::requeued) == 0);
    CHECK_FALSE(raw.dead(50ms));
}

TEST_CASE("a made-up direct reply-to harms nobody: RabbitMQ ends a connection over it") {
    test::notes_world world;
    auto& raw = *world.raw;
    const auto dead_before = world.running->sum(&observe::broker_counters::dead);
    for (const char* body : {R"({"v":1,"template":"notes","op":"fetch","key":1})",
                             R"({"v":1,"template":"notes","op":"fetch","key":1,"nonsense":1})"}) {
        for (const char* address :
             {"amq.rabbitmq.reply-to.!!!.x", "amq.rabbitmq.reply-to.g2gA.x",
              "amq.rabbitmq.reply-to.AAAA", "amq.rabbitmq.reply-to.", "amq.rabbitmq.reply-to"}) {
            INFO(body << " to " << address);
            // A neighbour on each side: often of one batch.
            raw.publish({.key = "notes.read",
                         .body = R"({"v":1,"template":"notes","op":"fetch","key":1})",
                         .correlation_id = "before",
                         .reply_to = raw.reply_queue()});
            if (std::string_view{address} !=
                "amq.rabbitmq.reply-to") { // refused at once: no consumer
                raw.publish({.key = "notes.read", .body = body, .reply_to = address});
            }
            raw.publish({.key = "notes.read",
                         .body = R"({"v":1,"template":"notes","op":"fetch","key":1})",
                         .correlation_id = "after",
                         .reply_to = raw.reply_queue()});
            REQUIRE(raw.settle());
            CHECK(raw.reply(5s));
            CHECK(raw.reply(5s));
        }
    }
    CHECK_FALSE(raw.reply(100ms)); // none twice: no request came back
    // Who asked wrongly and cannot be told goes to the dead queue, once each.
    int letters = 0;
    while (raw.dead(500ms)) {
        ++letters;
    }
    CHECK(letters == 4);
    CHECK(world.running->sum(&observe::broker_counters::dead) == dead_before + 4);
}

TEST_CASE("500 callers that vanish after publishing stall nobody") {
    test::notes_world world;
    world.stop(); // so that all of them are gone before they are answered
    constexpr std::uint64_t callers = 500;
    const auto queue = amqp::request_queue_name(world.options.tag, "rel", core::op_class::write);
    const auto soon = [] { return core::deadline::after(20s); };
    for (std::uint64_t i = 0; i < callers; ++i) {
        const auto text = std::to_string(i + 1000);
        amqp::publisher_connection caller{test::amqp_settings(world.rabbitmq), soon()};
        const auto replies =
            amqp::reply_queue_name(world.options.tag, world.rabbitmq.user, "gone" + text);
        amqp::topology own;
        own.queues.push_back({replies, amqp::queue_kind::exclusive, {}});
        caller.declare(own, amqp::declare_mode::active, soon());
        caller.publish(amqp::events_exchange(world.options.tag).str(), "notes.write",
                       {.message_id = "gone-" + text,
                        .reply_to = replies.str(),
                        .content_type = "application/json"},
                       R"({"v":1,"template":"notes","op":"insert","data":{"id":)" + text +
                           R"(,"title":"gone"}})",
                       amqp::mandatory::yes, soon());
        REQUIRE(caller.wait_confirms(soon()));
        REQUIRE(caller.take_undelivered().empty());
    }
    auto& raw = *world.raw;
    REQUIRE(raw.ready_messages(queue) == callers);
    world.start();
    raw.publish({.key = "notes.write",
                 .body = R"({"v":1,"template":"notes","op":"insert","data":{"id":70}})",
                 .message_id = "next",
                 .reply_to = raw.reply_queue()});
    REQUIRE(raw.settle());
    const auto next = raw.reply(20s);
    REQUIRE(next);
    CHECK(next->body.find(R"("effect":"applied")") != std::string::npos);
    using counters = observe::broker_counters;
    const auto returned = [&] { return world.running->sum(&counters::replies_returned); };
    for (const auto until = soon(); returned() < callers && !until.expired();) {
        std::this_thread::sleep_for(5ms);
    }
    CHECK(returned() == callers);
    CHECK(raw.ready_messages(queue) == 0);
    CHECK(world.data.number("SELECT COUNT(*) FROM notes WHERE title = 'gone'") == callers);
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    CHECK(returned() == callers);
    CHECK(world.running->sum(&counters::messages) == callers + 1); // none came twice
    CHECK(world.running->sum(&counters::requeued) == 0);
    CHECK(world.running->sum(&counters::quarantined) == 0);
    CHECK(world.running->sum(&counters::dead) == 0);
    CHECK_FALSE(raw.dead(50ms));
}
