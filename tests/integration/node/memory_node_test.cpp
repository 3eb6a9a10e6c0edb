#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"
#include "support/running_node.hpp"

using namespace beds;
using namespace std::chrono_literals;
using beds::client::members;
using beds::client::value;
using test::contains;

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

TEST_CASE("the settings of the node decide about each message") {
    const auto rabbitmq = test::require_amqp();
    test::memory_node running{rabbitmq, [](config::settings& all) {
                                  all.id.wbid = "ms";
                                  all.id.env_name = "qa";
                                  auto& service = all.broker_services["app_server"];
                                  service.max_request_bytes = 4 * 1024;
                                  service.clock_skew = 20s;
                              }};
    test::raw_client raw{rabbitmq, running.tag()};
    const auto ask = [&](const std::string& more, std::chrono::milliseconds late) {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        raw.publish(
            {.key = "items.read",
             .body = R"({"v":1,"template":"items","op":"fetch","key":1)" + more + '}',
             .correlation_id = "7",
             .reply_to = raw.reply_queue(),
             .integer_headers = {
                 {"beds-deadline",
                  std::chrono::duration_cast<std::chrono::milliseconds>(now - late).count()}}});
        REQUIRE(raw.settle());
        const auto got = raw.reply();
        REQUIRE(got);
        return *got;
    };
    const auto served = ask("", 5s); // its clock is behind
    INFO(served.body);
    CHECK(contains(served.body, R"("status":"ok")"));
    CHECK(contains(served.body, R"("event":"ms.qa.)"));
    CHECK(served.type == "beds.reply");
    CHECK(contains(ask("", 60s).body, "DEADLINE_EXCEEDED"));
    const auto large = ask(std::string(5 * 1024, ' '), 0s);
    INFO(large.body);
    CHECK(contains(large.body, "LIMIT_EXCEEDED"));
}

TEST_CASE("where no node ever was, a read is told so and does not wait for its deadline") {
    const auto client = test::client_on(test::require_amqp(), test::unique_name("t") + "_");
    const auto began = std::chrono::steady_clock::now();
    client::request read{client::fetch("items", 1)};
    const auto got = client->call(read, core::deadline::after(60s));
    INFO(got.json());
    CHECK(got.front().code() == core::code::backend_unavailable);
    CHECK(contains(got.front().detail(), "no BEDS node has declared"));
    CHECK(std::chrono::steady_clock::now() - began < 30s);
}

TEST_CASE("RabbitMQ shows which broker of which node a connection is of") {
    const auto rabbitmq = test::require_amqp();
    const auto control = test::shared_servers();
    const auto name = test::unique_name("node");
    const test::memory_node running{rabbitmq, [&](config::settings& all) { all.id.node = name; }};
    const auto shown = control.rabbitmqctl({"list_connections", "client_properties"});
    INFO(shown);
    for (const auto* broker : {"mem.read/0", "mem.read/1", "mem.write/0", "mem.write/1"}) {
        CHECK(contains(shown, name + ' ' + broker + " consume"));
        CHECK(contains(shown, name + ' ' + broker + " publish"));
    }
}
