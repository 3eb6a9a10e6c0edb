#include "fixture.hpp"

using namespace beds;
using namespace std::chrono_literals;

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
