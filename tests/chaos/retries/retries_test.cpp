#include "faults/fixture.hpp"

#include <ctime>

using namespace beds;
using namespace beds::test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_measured = false;
#else
constexpr bool is_measured = true;
#endif

std::string raise_body(int row) {
    return R"({"v":1,"template":"counters","op":"update","key":)" + std::to_string(row) +
           R"(,"inc":{"value":1}})";
}

raw_message unasked(int number, std::string body) {
    return {.key = "counters.write",
            .body = std::move(body),
            .message_id = "unasked-" + std::to_string(number)};
}

/// Waits until the sum of all counters is that; it must not become more.
long long settled_sum(const chaos_world& world, long long expected,
                      std::chrono::seconds within = 20s) {
    const auto sum = [&] { return world.data.number("SELECT SUM(value) FROM counters"); };
    const auto until = core::deadline::after(within);
    while (sum() < expected && !until.expired()) {
        std::this_thread::sleep_for(20ms);
    }
    std::this_thread::sleep_for(300ms);
    return sum();
}

/// A template over the same table whose operations may take 400 ms.
std::string hasty_template() {
    return R"toml(
[template]
name  = "hasty"
store = "rel"
object = "counters"
key   = ["id"]
[fields]
id    = { type = "int64", required = true }
value = { type = "int64", default = 0 }
[limits]
deadline = "400ms"
)toml";
}

raw_message hasty(int number, int row) {
    return {.key = "hasty.write",
            .body = R"({"v":1,"template":"hasty","op":"update","key":)" + std::to_string(row) +
                    R"(,"inc":{"value":1}})",
            .message_id = "hasty-" + std::to_string(number)};
}

/// Another session that holds a row's lock.
class row_lock {
public:
    row_lock(const chaos_world& world, int row, std::chrono::milliseconds time)
        : holder_([&world, row, time] {
              world.data.sql("BEGIN; SELECT value FROM counters WHERE id = " + std::to_string(row) +
                             " FOR UPDATE; SELECT SLEEP(" +
                             std::to_string(static_cast<double>(time.count()) / 1000) +
                             "); COMMIT");
          }) {
        std::this_thread::sleep_for(300ms);
    }
    ~row_lock() { holder_.join(); }
    row_lock(const row_lock&) = delete;
    row_lock& operator=(const row_lock&) = delete;

private:
    std::thread holder_;
};

} // namespace

TEST_CASE("writes that nobody waits for outlive an outage of their database, each once") {
    chaos_world world;
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    raw.listen_to_the_dead();
    constexpr int before = 20;
    const int during = in_full() ? 1000 : 300;
    const auto outage = in_full() ? 30s : 3s;
    for (int i = 0; i < before; ++i) {
        raw.publish(unasked(i, raise_body(1 + i % 12)));
    }
    REQUIRE(raw.settle());
    REQUIRE(settled_sum(world, before) == before);

    servers().stop(server::mariadb);
    const auto cpu_before = std::clock();
    for (int i = before; i < before + during; ++i) {
        raw.publish(unasked(i, raise_body(1 + i % 12)));
    }
    REQUIRE(raw.settle());
    // Who waits for an answer is told at once all the while.
    const auto told = world.running->new_client()->call(raise(1), 5s);
    CHECK(told.front().code() == core::code::backend_unavailable);
    std::this_thread::sleep_for(outage - 1s);
    const auto busy = world.running->sum(&observe::broker_counters::requeued);
    std::this_thread::sleep_for(1s);
    // They wait: nobody takes them in hand again and again.
    CHECK(world.running->sum(&observe::broker_counters::requeued) <= busy + 2);
    // The node's, and this test's own, from the outage on.
    const auto cpu = static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC;
    INFO("CPU " << cpu << " s");
    if (is_measured) {
        CHECK(cpu < std::chrono::duration<double>{outage}.count() / 30);
    }
    servers().start(server::mariadb);

    CHECK(settled_sum(world, before + during, 10s) == before + during);
    CHECK_FALSE(raw.dead(200ms));
    INFO(world.running->log());
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") == before + during);
}

TEST_CASE("a write that fails for a while is tried again later, and applied once") {
    chaos_world world;
    world.options.templates.push_back(hasty_template());
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    raw.listen_to_the_dead();
    {
        const row_lock held{world, 3, 1500ms};
        raw.publish(hasty(1, 3));
        raw.publish(hasty(2, 4)); // a neighbour
        REQUIRE(raw.settle());
    }
    CHECK(settled_sum(world, 2) == 2);
    CHECK(world.running->sum(&observe::broker_counters::requeued) >= 1);
    CHECK_FALSE(raw.dead(100ms));
}

TEST_CASE("a full database is told as such, and what nobody waits for is done when there is room") {
    chaos_world world;
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    raw.listen_to_the_dead();
    world.data.sql("CREATE TRIGGER full_disk BEFORE INSERT ON beds_inbox FOR EACH ROW SIGNAL "
                   "SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'");
    const auto told = world.running->new_client()->call(raise(1), 5s);
    CHECK(told.front().code() == core::code::backend_storage_full);
    CHECK(told.front().effect() == core::effect::none);
    raw.publish(unasked(1, raise_body(2)));
    REQUIRE(raw.settle());
    std::this_thread::sleep_for(300ms);
    CHECK(settled_sum(world, 1, 0s) == 0);
    world.data.sql("DROP TRIGGER full_disk");
    CHECK(settled_sum(world, 1) == 1);
    CHECK(world.running->sum(&observe::broker_counters::requeued) >= 1);
    CHECK_FALSE(raw.dead(100ms));
}

TEST_CASE("a write that fails every time becomes a dead letter, whole, with its history") {
    chaos_world world;
    world.options.templates.push_back(hasty_template());
    world.options.max_attempts = 2;
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    raw.listen_to_the_dead();
    auto sent = hasty(7, 5);
    sent.correlation_id = "what it is about";
    sent.text_headers = {{"traceparent", "00-11-22-01"}};
    sent.integer_headers = {{"shard", 9}};
    const row_lock held{world, 5, 5000ms};
    raw.publish(sent);
    raw.publish(hasty(8, 6));
    REQUIRE(raw.settle());
    const auto letter = raw.dead(10s);
    INFO(world.running->log());
    REQUIRE(letter);
    CHECK(letter->body == sent.body);
    CHECK(letter->message_id == sent.message_id);
    CHECK(letter->correlation_id == sent.correlation_id);
    CHECK(letter->header("traceparent") == "00-11-22-01");
    CHECK(letter->header("beds-error-code") == "DEADLINE_EXCEEDED");
    CHECK(letter->header("beds-error-detail").find("the deadline passed") == 0);
    CHECK(letter->header("beds-error-guarantee").empty());
    CHECK(letter->header("beds-routing-key") == "hasty.write");
    CHECK(letter->header("beds-queue") == world.running->tag() + "rel.write");
    // Two attempts, each with time, code and broker.
    const auto history = letter->header("beds-history");
    INFO(history);
    CHECK(std::count(history.begin(), history.end(), ';') == 1);
    CHECK(history.find(" DEADLINE_EXCEEDED test rel.write/") != std::string::npos);
    CHECK(letter->header("beds-node").starts_with("test rel.write/"));
    CHECK(history.ends_with(" " + letter->header("beds-node")));
    CHECK_FALSE(raw.dead(200ms));
    CHECK(settled_sum(world, 1) == 1); // the neighbour
}

TEST_CASE("what is refused for good is not tried again") {
    chaos_world world;
    world.start_ready();
    raw_client raw{servers().amqp(), world.running->tag()};
    raw.listen_to_the_dead();
    raw.publish(
        unasked(1, R"({"v":1,"template":"counters","op":"update","key":1,"inc":{"valeu":1}})"));
    raw.publish(unasked(2, raise_body(999)));
    REQUIRE(raw.settle());
    CHECK(raw.dead());
    CHECK(raw.dead());
    CHECK(world.running->sum(&observe::broker_counters::requeued) == 0);
}
