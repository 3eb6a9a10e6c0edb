#include "faults/fixture.hpp"
#include "support/gate.hpp"

#include <cstdlib>
#include <random>

using namespace beds;
using namespace beds::test;

namespace {

struct seen {
    int applied = 0;  ///< at the first attempt
    int unknown = 0;  ///< at the first attempt
    int none = 0;     ///< at the first attempt
    int resolved = 0; ///< by asking again with the same id
};

/// What the table says of one request: its own row is raised by one, once.
long long effect_of(const chaos_world& world, int row) {
    return world.data.number("SELECT value FROM counters WHERE id = " + std::to_string(row));
}

unsigned seed() {
    const char* given = std::getenv("BEDS_TEST_SEED");
    return given == nullptr ? std::random_device{}() : static_cast<unsigned>(std::atoi(given));
}

int times(const std::string& text, std::string_view part) {
    int count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE(
    "the connection to MariaDB is cut after any number of bytes: what is said of the data holds") {
    const int writes = in_full() ? 200 : 60;
    chaos_world world{writes};
    const auto real = servers().mariadb();
    gate network{real.host, real.port};
    world.rel.host = "127.0.0.1";
    world.rel.port = network.port();
    world.options.rel = {.read = 0, .write = 1, .bulk = 0};
    world.start_ready();
    const auto client = world.running->new_client();

    const auto chosen = seed();
    std::mt19937 random{chosen};
    // A write is about 600 bytes to the server and 150 back; a cut in the middle of either, at its
    // end, or in what follows.
    std::uniform_int_distribution<std::uint64_t> to_server{1, 900};
    std::uniform_int_distribution<std::uint64_t> to_client{1, 220};
    std::uniform_int_distribution<int> coin{0, 1};
    seen counts;
    int late = 0;
    for (int row = 1; row <= writes; ++row) {
        if (coin(random) == 0) {
            network.cut_after(gate::direction::to_server, to_server(random));
        } else {
            network.cut_after(gate::direction::to_client, to_client(random));
        }
        client::request asked{raise(row)};
        asked.id = "cut-" + std::to_string(row);
        // Short, so that a broken connection is also met by requests that cannot wait for the next.
        const auto first = client->call(asked, core::deadline::after(row % 2 == 0 ? 2s : 60ms));
        const auto& result = first.front();
        INFO("seed " << chosen << ", write " << row << ": " << first.json());
        if (result.effect() == core::effect::applied) {
            ++counts.applied;
            continue;
        }
        if (result.effect() == core::effect::none) {
            ++counts.none;
            late += result.code() == core::code::deadline_exceeded ? 1 : 0;
            CHECK(effect_of(world, row) == 0);
            std::this_thread::sleep_for(20ms);
            CHECK(effect_of(world, row) == 0); // and the node does not come back to it
        } else {
            ++counts.unknown;
        }
        bool resolved = false;
        for (const auto until = core::deadline::after(20s); !resolved && !until.expired();) {
            const auto again = client->call(asked, core::deadline::after(3s));
            resolved = again.ok() && again.front().effect() == core::effect::applied;
        }
        CHECK(resolved);
        ++counts.resolved;
    }
    INFO("seed " << chosen << ": applied " << counts.applied << ", unknown " << counts.unknown
                 << ", none " << counts.none << " (late " << late << "), cut "
                 << network.count().cut);
    CHECK(static_cast<int>(network.count().cut) >
          writes / 4); // about half; 26 of 60 have been seen
    CHECK(world.data.number("SELECT COUNT(*) FROM counters WHERE value <> 1") == 0);
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") == writes);
}

TEST_CASE(
    "the connection is cut between COMMIT and its answer: applied, or unknown until asked again") {
    const int writes = in_full() ? 200 : 32;
    chaos_world world{3 * writes};
    const auto real = servers().mariadb();
    gate network{real.host, real.port};
    world.rel.host = "127.0.0.1";
    world.rel.port = network.port();
    world.options.rel = {.read = 0, .write = 1, .bulk = 0};
    // A comparison of templates, which follows each cut, would get cuts that are meant for commits.
    world.options.on_mismatch = config::mismatch_action::ignore;
    world.start_ready();
    const auto client = world.running->new_client();

    const auto chosen = seed();
    std::mt19937 random{chosen};
    // The last packet of a write's unit in each direction: COMMIT, and that it is done.
    constexpr std::uint64_t commit_bytes = 11;
    std::uniform_int_distribution<std::uint64_t> missing{1, commit_bytes};
    std::uniform_int_distribution<int> manner{0, 3};
    const auto write = [&](int row, std::chrono::milliseconds within) {
        client::request asked{raise(row)};
        asked.id = "cut-" + std::to_string(10'000 + row); // as long as any other
        return client->call(asked, core::deadline::after(within));
    };
    const auto bytes = [&] {
        std::this_thread::sleep_for(5ms);
        return network.count();
    };
    seen counts;
    for (int i = 0; i < writes; ++i) {
        // The first prepares its statements on a new connection, the second tells their size.
        const auto prepared = write(3 * i + 1, 5s);
        const auto before = bytes();
        const auto plain = write(3 * i + 2, 5s);
        const auto after = bytes();
        INFO("seed " << chosen << ", write " << i << ": " << prepared.json() << plain.json());
        REQUIRE(prepared.ok());
        REQUIRE(plain.ok());
        const auto to_server = after.bytes_to_server - before.bytes_to_server;
        const auto to_client = after.bytes_to_client - before.bytes_to_client;
        switch (manner(random)) {
        case 0: // all of it arrives, and then the end of the stream
            network.cut_after(gate::direction::to_server, to_server, gate::cut_by::close);
            break;
        case 1: // it may arrive, or the reset overtakes it
            network.cut_after(gate::direction::to_server, to_server);
            break;
        case 2: // it does not arrive, and who sent it cannot know
            network.cut_after(gate::direction::to_server, to_server - missing(random));
            break;
        default: // it is done, and the answer does not arrive
            network.cut_after(gate::direction::to_client, to_client - missing(random));
        }
        // Where the node cannot come back to ask, it cannot know until then either.
        const bool away = i % 4 == 3;
        if (away) {
            network.stop_accepting();
        }
        const int row = 3 * i + 3;
        const auto first = write(row, away ? 300ms : 5s);
        const auto& result = first.front();
        INFO(first.json());
        if (result.effect() == core::effect::none) {
            ++counts.none;
            CHECK(effect_of(world, row) == 0);
            std::this_thread::sleep_for(100ms);
            CHECK(effect_of(world, row) == 0);
        }
        network.accept_again();
        if (result.effect() == core::effect::applied) {
            ++counts.applied;
            CHECK(effect_of(world, row) == 1);
            continue;
        }
        counts.unknown += result.effect() == core::effect::unknown ? 1 : 0;
        bool resolved = false;
        for (const auto until = core::deadline::after(20s); !resolved && !until.expired();) {
            const auto again = write(row, 3s);
            resolved = again.ok() && again.front().effect() == core::effect::applied;
        }
        CHECK(resolved);
        CHECK(effect_of(world, row) == 1);
    }
    const int unanswered = times(world.running->log(), "BEDS_MARIADB_COMMIT");
    INFO("seed " << chosen << ": applied " << counts.applied << ", unknown " << counts.unknown
                 << ", none " << counts.none << ", cut " << network.count().cut
                 << ", commits without an answer " << unanswered);
    CHECK(unanswered > writes * 3 / 4); // aimed well
    CHECK(counts.unknown > writes / 8);
    CHECK(counts.applied > writes / 2); // looked up
    CHECK(world.data.number("SELECT COUNT(*) FROM counters WHERE value <> 1") == 0);
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") == 3 * writes);
}
