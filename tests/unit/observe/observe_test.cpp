#include "support/catch.hpp"

#include <beds/observe/counters.hpp>
#include <beds/observe/log.hpp>

#include <string>
#include <vector>

using namespace beds::observe;

TEST_CASE("a sink gets what is at least as severe as asked", "[log]") {
    const level all[] = {level::debug, level::info, level::warning, level::error};
    for (const level least : all) {
        std::vector<std::string> seen;
        const log_sink sink{least, [&seen](const log_record& record) {
                                seen.push_back(std::string{to_string(record.severity)} + ' ' +
                                               std::string{record.id} + ' ' +
                                               std::string{record.source} + ' ' +
                                               std::string{record.text});
                            }};
        for (const level severity : all) {
            sink.write(severity, "BEDS_TEST", "rel.read/2", "words");
            CHECK(sink.wants(severity) == (severity >= least));
        }
        CHECK(seen.size() == 4 - static_cast<std::size_t>(least));
        CHECK(seen.back() == "error BEDS_TEST rel.read/2 words");
    }
}

TEST_CASE("the default sink discards everything", "[log]") {
    const log_sink none;
    CHECK_FALSE(none.wants(level::error));
    none.write(level::error, "BEDS_TEST", "", "");
    const log_sink empty{level::debug, nullptr};
    CHECK_FALSE(empty.wants(level::error));
    empty.write(level::error, "BEDS_TEST", "", "");
}

TEST_CASE("names of the levels", "[log]") {
    CHECK(to_string(level::debug) == "debug");
    CHECK(to_string(level::info) == "info");
    CHECK(to_string(level::warning) == "warning");
    CHECK(to_string(level::error) == "error");
}

TEST_CASE("a snapshot holds every figure", "[counters]") {
    live_counters live;
    std::atomic<std::uint64_t>* const counters[] = {
        &live.messages,         &live.operations, &live.batches,       &live.ok,
        &live.errors,           &live.unknown,    &live.dead,          &live.replies,
        &live.replies_returned, &live.reruns,     &live.amqp_connects, &live.backend_connects};
    std::uint64_t number = 0;
    for (auto* const each : counters) {
        live_counters::add(*each);
        live_counters::add(*each, ++number);
    }
    live.largest_batch = 77;
    live.amqp_connected = true;
    const broker_counters seen = live.snapshot("rel.read/0");
    CHECK(seen.broker == "rel.read/0");
    const std::uint64_t figures[] = {seen.messages, seen.operations,    seen.batches,
                                     seen.ok,       seen.errors,        seen.unknown,
                                     seen.dead,     seen.replies,       seen.replies_returned,
                                     seen.reruns,   seen.amqp_connects, seen.backend_connects};
    number = 0;
    for (const std::uint64_t figure : figures) {
        CHECK(figure == ++number + 1);
    }
    CHECK(seen.largest_batch == 77);
    CHECK(seen.amqp_connected);
    CHECK_FALSE(seen.backend_connected);
}
