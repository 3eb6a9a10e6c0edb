#include "integration/concurrency/world.hpp"
#include "support/becomes.hpp"
#include "support/gate.hpp"

#include <set>
#include <thread>

using namespace beds;
using namespace std::chrono_literals;

// A write broker works on its next batch while RabbitMQ confirms the replies to the one before.
TEST_CASE("the next batch is applied while replies are unconfirmed, the one behind it is not, and "
          "a connection that is lost then repeats nothing") {
    // Every message is a batch.
    test::counters_world on{3, {.rel = {.read = 0, .write = 1, .bulk = 0}, .max_batch = 1}};
    test::gate gate{on.rabbitmq.host, on.rabbitmq.port};
    const auto direct = on.rabbitmq;
    on.rabbitmq.host = "127.0.0.1";
    on.rabbitmq.port = gate.port();
    on.start();
    test::raw_client raw{direct, on.options.tag};
    const auto publish = [&](const std::string& id, const std::string& body) {
        raw.publish({.key = "counters.write",
                     .body = body,
                     .message_id = id,
                     .correlation_id = id,
                     .reply_to = raw.reply_queue()});
        REQUIRE(raw.settle());
    };
    const auto value = [&](int id) {
        return on.data.number("SELECT value FROM counters WHERE id = " + std::to_string(id));
    };
    const auto raised = [](int id) {
        return R"({"v":1,"template":"counters","op":"update","key":)" + std::to_string(id) +
               R"(,"inc":{"value":1}})";
    };
    const auto under_way = [&] {
        std::uint64_t count = 0;
        for (const auto& one : on.running->node().traffic()) {
            count += one.in_flight;
        }
        return count;
    };

    // While the first takes its time the others arrive. Then RabbitMQ is not heard any more.
    publish("first", R"({"v":1,"template":"counters","op":"call","name":"slow",)"
                     R"("args":{"id":1,"seconds":1.5}})");
    REQUIRE(test::becomes([&] { return under_way() == 1; }));
    publish("second", raised(2));
    publish("third", raised(3));
    std::this_thread::sleep_for(300ms);
    REQUIRE(value(1) == 0);
    gate.freeze(test::gate::direction::to_client);
    REQUIRE(test::becomes([&] { return value(2) == 1; }));
    CHECK(value(1) == 1);
    CHECK(under_way() == 2); // nobody has confirmed the first
    std::this_thread::sleep_for(300ms);
    CHECK(value(3) == 0);

    gate.reset();
    gate.thaw(test::gate::direction::to_client);
    REQUIRE(test::becomes([&] { return value(3) == 1 && under_way() == 0; }));
    CHECK(value(1) == 1);
    CHECK(value(2) == 1);
    CHECK(on.data.number("SELECT COUNT(*) FROM beds_inbox") == 3);
    std::uint64_t requeued = 0;
    for (const auto& one : on.running->node().traffic()) {
        requeued += one.requeued;
    }
    CHECK(requeued >= 2);
    CHECK(raw.ready_messages(
              amqp::request_queue_name(on.options.tag, "rel", core::op_class::write)) == 0);
    std::set<std::string> answered;
    while (answered.size() < 3) {
        const auto got = raw.reply();
        REQUIRE(got);
        INFO(got->body);
        CHECK(got->body.find(R"("status":"ok")") != std::string::npos);
        answered.insert(got->correlation_id);
    }
}

TEST_CASE("a write without a reply is acknowledged when it is committed: there is no confirm to "
          "wait for") {
    test::counters_world on{1, {.rel = {.read = 0, .write = 1, .bulk = 0}}};
    on.start();
    test::raw_client raw{on.rabbitmq, on.options.tag};
    const auto begin = std::chrono::steady_clock::now();
    constexpr std::uint64_t writes = 10;
    for (std::uint64_t i = 1; i <= writes; ++i) {
        raw.publish({.key = "counters.write",
                     .body = R"({"v":1,"template":"counters","op":"update","key":1,)"
                             R"("inc":{"value":1}})",
                     .message_id = std::to_string(i)});
        REQUIRE(raw.settle());
        REQUIRE(test::becomes([&] {
            std::uint64_t done = 0;
            for (const auto& one : on.running->node().traffic()) {
                done += one.replied_ok;
            }
            return done == i;
        }));
    }
    CHECK(std::chrono::steady_clock::now() - begin < writes * 400ms); // a turn takes 500 ms at most
    CHECK(on.data.number("SELECT value FROM counters") == writes);
}
