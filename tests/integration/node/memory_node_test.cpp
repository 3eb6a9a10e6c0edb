#include "fixture.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;
using beds::client::value;

TEST_CASE("a request goes from the client through RabbitMQ to the engine and back") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    REQUIRE(running.node().wait_ready(core::deadline::after(10s)));
    auto& client = running.client();

    const auto inserted = client.call(
        client::insert("items", members{{"id", 1}, {"name", "rope"}, {"owner", "ann"}}));
    INFO(inserted.json());
    REQUIRE(inserted.ok());
    CHECK(inserted.front().effect() == core::effect::applied);
    CHECK(inserted.front().count() == 1U);

    const auto fetched = client.call(client::fetch("items", 1));
    INFO(fetched.json());
    REQUIRE(fetched.front().size() == 1);
    CHECK(fetched.front()[0].text("name") == "rope");
    CHECK(fetched.front()[0].text("price") == "0.00");

    const auto missing = client.call(client::fetch("items", 99));
    CHECK(missing.ok());
    CHECK(missing.front().size() == 0);

    const auto unknown = client.call(client::fetch("itmes", 1));
    INFO(unknown.json());
    CHECK(unknown.front().code() == core::code::unknown_template);
    CHECK(unknown.front().detail().find("did you mean 'items'") != std::string_view::npos);
}

TEST_CASE("the same write sent twice happens once and gets its first reply again") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    auto& client = running.client();
    REQUIRE(
        client.call(client::insert("items", members{{"id", 1}, {"name", "rope"}, {"stock", 10}}))
            .ok());

    auto change = client::update("items", 1, {});
    change.inc = value::object({{"stock", -1}});
    client::request request{change};
    request.id = "order-4711";
    const auto first = client.call(request);
    const auto second = client.call(request);
    INFO(first.json() << '\n' << second.json());
    CHECK(first.front().effect() == core::effect::applied);
    CHECK(second.front().effect() == core::effect::applied);
    CHECK(client.call(client::fetch("items", 1)).front()[0].integer("stock") == 9);

    change.inc = value::object({{"stock", -5}});
    client::request other{change};
    other.id = "order-4711";
    const auto reused = client.call(other);
    CHECK(reused.front().code() == core::code::id_reused);
    CHECK(client.call(client::fetch("items", 1)).front()[0].integer("stock") == 9);
}

TEST_CASE("an envelope: one bad operation harms no other, order per key holds") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    auto& client = running.client();

    auto bad = client::fetch("items", 1);
    bad.fields = {"nmae"};
    auto raise = client::update("items", 1, members{{"stock", 7}});
    client::request envelope{std::vector<client::operation>{
        client::insert("items", members{{"id", 1}, {"name", "rope"}}), raise, bad,
        client::fetch("items", 1), client::remove("items", 1), client::fetch("items", 1)}};
    const auto got = client.call(envelope);
    INFO(got.json());
    REQUIRE(got.size() == 6);
    CHECK_FALSE(got.ok());
    CHECK(got[0].ok());
    CHECK(got[1].ok());
    CHECK(got[2].code() == core::code::invalid_field);
    REQUIRE(got[3].size() == 1);
    CHECK(got[3][0].integer("stock") == 7);
    CHECK(got[4].ok());
    CHECK(got[5].size() == 0);
}

TEST_CASE("atomic: all or nothing; sequence: stops at the first failure") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    auto& client = running.client();
    const auto insert = [](int id, const char* name) {
        return client::insert("items", members{{"id", id}, {"name", name}});
    };
    REQUIRE(client.call(insert(1, "rope")).ok());

    const auto atomic = client.call(client::request{
        {insert(2, "hook"), insert(3, "rope"), insert(4, "line")}, core::envelope_mode::atomic});
    INFO(atomic.json());
    CHECK(atomic[0].status() == core::status::skipped);
    CHECK(atomic[1].code() == core::code::duplicate_key);
    CHECK(atomic[1].field() == "name");
    CHECK(atomic[2].status() == core::status::skipped);
    CHECK(client.call(client::count("items")).front().total() == 1U);

    const auto sequence = client.call(client::request{
        {insert(2, "hook"), insert(3, "rope"), insert(4, "line")}, core::envelope_mode::sequence});
    INFO(sequence.json());
    CHECK(sequence[0].ok());
    CHECK(sequence[1].code() == core::code::duplicate_key);
    CHECK(sequence[2].status() == core::status::skipped);
    CHECK(client.call(client::count("items")).front().total() == 2U);
}

TEST_CASE("describe lists what a client may know") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    const auto got = running.client().call(client::describe());
    INFO(got.json());
    REQUIRE(got.ok());
    const auto* templates = got.front().data().find("templates");
    REQUIRE(templates != nullptr);
    REQUIRE(templates->count == 1);
    CHECK(templates->items()[0].find("name")->text == "items");
}

TEST_CASE("an orderly stop answers what was taken") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq};
    REQUIRE(running.node().wait_ready(core::deadline::after(10s)));
    CHECK(running.node().stop(core::deadline::after(5s)));
    CHECK_FALSE(running.node().status().live);
}
