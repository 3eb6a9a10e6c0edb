#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <chrono>
#include <set>
#include <thread>

// RabbitMQ is killed while requests become dead letters: those that a node sends to the dead queue,
// and those that it rejects and RabbitMQ moves there.

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view notes_template = R"toml(
[template]
name = "notes"
store = "rel"
connection = "mem"
object = "notes"
key = ["id"]
[fields]
id = { type = "int64", required = true }
)toml";

} // namespace

TEST_CASE("RabbitMQ is killed while requests become dead letters: none is lost, none is changed") {
    const private_servers servers{server::rabbitmq};
    node_options options;
    options.mem = {.read = 0, .write = 1, .bulk = 0};
    options.templates = {std::string{notes_template}};
    options.max_batch = 16; // many small steps: it dies in the middle of one
    options.prefetch = 32;
    options.tag = unique_name("t") + "_";
    std::optional<running_node> running;
    running.emplace(servers.amqp(), nullptr, options);
    REQUIRE(running->node().wait_ready(core::deadline::after(20s)));
    REQUIRE(running->node().stop(core::deadline::after(10s)));
    running.reset();
    std::this_thread::sleep_for(1500ms); // a queue that is younger than that is forgotten whole

    constexpr std::size_t many = 1500;
    std::set<std::string> sent;
    {
        raw_client raw{servers.amqp(), options.tag};
        for (std::size_t i = 0; i < many; ++i) {
            const auto text = std::to_string(i);
            raw_message one{.key = "notes.write",
                            .body = R"({"v":1,"template":"notes","op":"update","key":)" + text +
                                    R"(,"set":{"nobody":")" +
                                    std::string(100, static_cast<char>(97 + i % 26)) + text +
                                    "\"}}",
                            .message_id = "lost-" + text};
            if (i % 3 == 0) { // more headers than a node keeps
                for (int header = 0; header < 100; ++header) {
                    one.integer_headers.emplace_back("h" + std::to_string(header), header);
                }
            }
            sent.insert(one.body);
            raw.publish(one);
        }
        REQUIRE(raw.settle());
        REQUIRE(raw.ready_messages(
                    amqp::request_queue_name(options.tag, "mem", core::op_class::write)) == many);
    }
    running.emplace(servers.amqp(), nullptr, options);
    const auto dead = [&] { return running->sum(&observe::broker_counters::dead); };
    for (const auto until = core::deadline::after(20s); dead() < 100 && !until.expired();) {
        std::this_thread::sleep_for(1ms);
    }
    servers.kill(server::rabbitmq);
    const auto before = dead();
    CHECK(before >= 100);
    CHECK(before < many);
    servers.start(server::rabbitmq);

    raw_client raw{servers.amqp(), options.tag};
    raw.listen_to_the_dead();
    std::set<std::string> bodies;
    std::size_t letters = 0;
    std::size_t moved = 0;
    const auto until = core::deadline::after(30s);
    while (bodies.size() < sent.size() && !until.expired()) {
        if (const auto one = raw.dead(1s)) {
            INFO(one->message_id);
            ++letters;
            CHECK(sent.count(one->body) == 1);
            bodies.insert(one->body);
            moved += one->header("beds-error-code").empty() ? 1U : 0U;
            if (!one->header("beds-error-code").empty()) {
                CHECK(one->header("beds-error-code") == "INVALID_FIELD");
                CHECK(one->header("beds-error-effect") == "none");
            }
        }
    }
    INFO("letters " << letters << ", moved by RabbitMQ " << moved << ", before the kill "
                    << before);
    CHECK(bodies.size() == sent.size()); // and each is one of those
    CHECK(moved >= many / 3);
    // What was on its way at that moment may be there twice, not more.
    CHECK(letters <= many + 2 * options.prefetch + many / 3);
}
