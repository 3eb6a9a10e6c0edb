#include "faults/fixture.hpp"
#include "support/gate.hpp"

using namespace beds;
using namespace beds::test;

namespace {

endpoint behind(const gate& network) {
    auto made = servers().amqp();
    made.host = "127.0.0.1";
    made.port = network.port();
    return made;
}

} // namespace

TEST_CASE("when RabbitMQ is away nobody storms it, and all are back soon after it") {
    chaos_world world;
    const auto real = servers().amqp();
    gate network{real.host, real.port};  // of one node and the clients
    gate of_nodes{real.host, real.port}; // of the other nodes
    world.options.tag = unique_name("t") + "_";
    world.running = std::make_unique<running_node>(behind(network), &world.rel, world.options);
    const running_node second{behind(of_nodes), &world.rel, world.options};
    const running_node third{behind(of_nodes), &world.rel, world.options};
    REQUIRE((world.ready() && second.ready(20s) && third.ready(20s)));
    std::vector<std::unique_ptr<client::client>> clients;
    for (int i = 0; i < 50; ++i) {
        clients.push_back(world.running->new_client());
    }
    for (const auto& one : clients) {
        REQUIRE(one->wait_ready(core::deadline::after(20s)));
    }

    servers().kill(server::rabbitmq);
    std::this_thread::sleep_for(2s); // the first attempts, 100 ms and 300 ms apart
    const auto before = network.count().accepted;
    const auto before_of_nodes = of_nodes.count().accepted;
    constexpr auto away = 20s;
    std::this_thread::sleep_for(away);
    const auto by_nodes = of_nodes.count().accepted - before_of_nodes;
    const auto attempts = network.count().accepted - before + by_nodes;
    servers().start(server::rabbitmq);
    const auto back = std::chrono::steady_clock::now();
    for (const auto& one : clients) {
        const auto got = one->call(client::fetch("counters", 1), core::deadline::after(20s));
        INFO(got.json() << '\n' << world.running->log() << second.log());
        REQUIRE(got.ok()); // one that waits for nothing takes 20 seconds
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - back;
    // 50 clients, and of the brokers of each node one: each tries less and less often, at random,
    // up to nine seconds apart.
    INFO(attempts << " attempts, " << by_nodes << " of them by two nodes, in " << away.count()
                  << " s, all back after " << took.count() << " s");
    CHECK(attempts <= 10U * static_cast<std::uint64_t>(away.count()));
    CHECK(by_nodes <= 14);
    CHECK(took.count() < 10);
    CHECK((world.ready(10s) && second.ready(10s) && third.ready(10s)));
}

TEST_CASE("a node whose connections are all closed serves again at once") {
    chaos_world world;
    world.start_ready();
    const auto client = world.running->new_client();
    REQUIRE(client->call(raise(1), 5s).ok());
    servers().rabbitmqctl({"close_all_connections", "maintenance"});
    const auto began = std::chrono::steady_clock::now();
    auto request = client::request{raise(1)};
    request.id = "after the cut";
    bool served = false;
    while (!served && std::chrono::steady_clock::now() - began < 10s) {
        served = client->call(request, core::deadline::after(1s)).ok();
    }
    const auto took = std::chrono::steady_clock::now() - began;
    INFO(std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
    CHECK(served);
    CHECK(took < 3s);
    CHECK(world.ready(5s));
    CHECK(world.data.number("SELECT value FROM counters WHERE id = 1") == 2);
}
