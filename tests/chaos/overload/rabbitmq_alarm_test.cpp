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
