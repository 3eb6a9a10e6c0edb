#include "faults/fixture.hpp"

using namespace beds;
using namespace beds::test;

namespace {

std::size_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t size = 0;
    std::size_t resident = 0;
    file >> size >> resident;
    return resident * 4096;
}

} // namespace

TEST_CASE(
    "RabbitMQ raises an alarm under load: the node says so, keeps nothing more, and resumes") {
    const bool memory = GENERATE(true, false);
    chaos_world world;
    world.options.heartbeat = 10s; // so that the alarm outlasts what a reply may usually take
    world.start_ready();
    lateness machine;
    history told;
    callers load{*world.running, told, 3, callers::giving_up::never};
    REQUIRE(load.wait_for(50));

    // RabbitMQ tells only those who publish that it blocks them: a reply that is due later does.
    const auto client = world.running->new_client();
    auto slow = client::call("counters", "slow");
    slow.args = client::value::object({{"id", 12}, {"seconds", 4.5}});
    std::atomic<bool> answered{false};
    client->submit(slow, core::deadline::after(60s),
                   [&](const client::reply& got) { answered = got.ok(); });
    std::this_thread::sleep_for(300ms);
    const auto before = resident_bytes();
    if (memory) {
        servers().rabbitmqctl({"set_vm_memory_high_watermark", "0"});
    } else {
        servers().rabbitmqctl({"set_disk_free_limit", "10000GB"});
    }
    const auto until = core::deadline::after(15s);
    while (world.running->node().status().ready && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    const auto status = world.running->node().status();
    CHECK(status.live);
    CHECK_FALSE(status.ready);
    CHECK(status.dependencies.front().trouble.find("blocks publishers") != std::string::npos);
    std::this_thread::sleep_for(memory ? 9s : 1s);
    CHECK(resident_bytes() < before + 64 * 1024 * 1024);
    if (memory) {
        servers().rabbitmqctl({"set_vm_memory_high_watermark", "absolute", "1GB"});
    } else {
        servers().rabbitmqctl({"set_disk_free_limit", "50MB"});
    }

    REQUIRE(load.wait_for(50));
    CHECK(world.ready(10s));
    load.finish();
    for (const auto end = core::deadline::after(10s); !answered && !end.expired();) {
        std::this_thread::sleep_for(10ms);
    }
    CHECK(answered);
    CHECK(world.running->sum(&observe::broker_counters::quarantined) == 0); // delivered once
    // This test's own write.
    world.data.sql("UPDATE counters SET value = value - 1 WHERE id = 12;"
                   "DELETE FROM beds_inbox WHERE LENGTH(id) > 30"); // a UUID
    INFO(told.text() << "machine late by " << machine.most().count() << " ms\n"
                     << world.running->log());
    CHECK(told.latest <= 100ms + machine.most());
    check_effects(world.data, told);
}

TEST_CASE("RabbitMQ raises an alarm in the middle of a large reply: it arrives when that is over") {
    constexpr std::size_t rows = 220;
    constexpr std::size_t letters = 50'000; // 11 MB in all: more than sockets hold
    chaos_world world;
    world.options.heartbeat = 6s; // a reply may usually take 4.5 s
    world.options.templates.emplace_back(R"toml(
[template]
name = "pages"
store = "rel"
object = "pages"
key = ["id"]
[fields]
id = { type = "int64", required = true }
text = { type = "string", max = 100000 }
[limits]
max_rows = 1000
deadline = "60s"
)toml");
    world.data.sql("CREATE TABLE pages (id BIGINT PRIMARY KEY, text MEDIUMTEXT) ENGINE = InnoDB;"
                   "INSERT INTO pages SELECT seq, REPEAT('x', " +
                   std::to_string(letters) + ") FROM seq_1_to_" + std::to_string(rows));
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    // The alarm is raised while the find waits for its table.
    std::thread holder{
        [&] { world.data.sql("LOCK TABLES pages WRITE; DO SLEEP(3); UNLOCK TABLES"); }};
    std::this_thread::sleep_for(200ms);
    raw.publish({.key = "pages.read",
                 .body = R"({"v":1,"template":"pages","op":"find","limit":1000})",
                 .correlation_id = "large",
                 .reply_to = raw.reply_queue()});
    CHECK(raw.settle());
    servers().rabbitmqctl({"set_vm_memory_high_watermark", "0"});
    holder.join();
    const auto until = core::deadline::after(5s);
    while (world.running->node().status().ready && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK_FALSE(world.running->node().status().ready);
    std::this_thread::sleep_for(7s); // longer than a reply may usually take
    CHECK(world.running->node().status().live);
    CHECK_FALSE(world.running->node().status().ready);
    servers().rabbitmqctl({"set_vm_memory_high_watermark", "absolute", "1GB"});
    const auto got = raw.reply(20s);
    INFO(world.running->log());
    REQUIRE(got);
    CHECK(got->body.size() > rows * letters);
    CHECK(world.ready(10s));
    // On the connection that it began on, at the first delivery.
    CHECK(world.running->sum(&observe::broker_counters::amqp_connects) ==
          world.running->node().status().brokers.size());
    CHECK(world.running->sum(&observe::broker_counters::quarantined) == 0);
    CHECK_FALSE(raw.reply(200ms));
}
