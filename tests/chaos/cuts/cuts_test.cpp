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

} // namespace

TEST_CASE(
    "the connection to MariaDB is cut after any number of bytes: what is said of the data holds") {
    const char* full = std::getenv("BEDS_CHAOS_FULL"); // tests/run chaos --full
    const int writes = full != nullptr && std::string_view{full} == "1" ? 200 : 60;
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
            if (result.code() != core::code::deadline_exceeded) {
                CHECK(effect_of(world, row) == 0); // and the node does not come back to it
            }
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
                 << ", none " << counts.none << ", cut " << network.count().cut);
    CHECK(static_cast<int>(network.count().cut) > writes / 2);
    CHECK(world.data.number("SELECT COUNT(*) FROM counters WHERE value <> 1") == 0);
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox") == writes);
}
