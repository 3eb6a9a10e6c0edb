#include "fixture.hpp"
#include "support/raw_publisher.hpp"

#include <beds/amqp/topology.hpp>

using namespace beds;
using namespace std::chrono_literals;
using test::nested;
using test::raw_publisher;

TEST_CASE("a publisher's nested, many or huge headers do not take the node down") {
    test::notes_world world;
    auto& raw = *world.raw;
    const auto queue =
        amqp::request_queue_name(world.running->tag(), "mem", core::op_class::read).str();
    const auto served = [&] {
        raw.publish({.key = "mnotes.read",
                     .body = R"({"v":1,"template":"mnotes","op":"fetch","key":1})",
                     .reply_to = raw.reply_queue()});
        const auto reply = raw.settle() ? raw.reply(10s) : std::nullopt;
        return reply && reply->body.find("\"title\":\"one\"") != std::string::npos;
    };
    const auto connects = world.running->sum(&observe::broker_counters::amqp_connects);
    std::size_t sent = 0;
    raw_publisher hostile{world.rabbitmq};
    for (const char kind : {'A', 'F'}) {
        for (const std::size_t depth : {1U, 100U, 10'000U, 20'000U}) {
            INFO(kind << " nested " << depth << " deep");
            hostile.publish(queue, nested(kind, depth));
            ++sent;
            CHECK(served());
        }
    }
    std::string many;
    for (int i = 0; i < 20'000; ++i) {
        many += raw_publisher::short_string("") + 'V';
    }
    hostile.publish(queue, many);
    ++sent;
    CHECK(served());
    // What BEDS reads, with every type that it is not, and names as long as few have them.
    using text = std::string;
    for (const auto& name :
         {text{"beds-deadline"}, text{"beds-int64"}, text{"traceparent"}, text(200, 'n')}) {
        for (const auto& value :
             {text{"V"}, text{"t\1", 2}, text{"b\xff"}, 'd' + text(8, '\x7f'),
              'T' + text(8, '\xff'), 'S' + raw_publisher::long_string("soon"),
              'x' + raw_publisher::long_string("\xff"), 'A' + raw_publisher::long_string(""),
              'F' + raw_publisher::long_string("")}) {
            hostile.publish(queue, raw_publisher::short_string(name) + value);
            ++sent;
        }
    }
    CHECK(served());
    // Nobody could be told: they are in the dead queue, once each.
    for (std::size_t i = 0; i < sent; ++i) {
        INFO(i << " of " << sent);
        REQUIRE(raw.dead());
    }
    CHECK_FALSE(raw.dead(200ms));

    // Headers have to fit into one frame, and RabbitMQ's frames have 128 KiB: it ends the
    // connection of whoever sends more, and brokers never see it.
    const auto huge = raw_publisher::short_string("huge") + 'S' +
                      raw_publisher::long_string(std::string(1024 * 1024, 'x'));
    CHECK(hostile.is_cut_off_by(queue, huge));
    raw_publisher again{world.rabbitmq};
    again.publish(queue, raw_publisher::short_string("large") + 'S' +
                             raw_publisher::long_string(std::string(120 * 1024, 'x')));
    CHECK(raw.dead());
    CHECK(served());
    CHECK(world.running->sum(&observe::broker_counters::amqp_connects) == connects);
}
