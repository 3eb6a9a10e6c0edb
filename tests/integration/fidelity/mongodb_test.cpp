#include "integration/mongodb/fixture.hpp"
#include "round_trips.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <beds/client/local_client.hpp>

using namespace beds;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t rows = 10'000;

/// All types but enum (arguments have none) into a pipeline, and out as what it projects. Nested
/// data stay out: the server of our tests takes the names in a `$literal` for paths.
std::string echo_call() {
    std::string args;
    std::string projected;
    for (const auto& field : test::typed_fields()) {
        if (field.type == "json" || field.type == "document") {
            continue;
        }
        const auto* comma = args.empty() ? "" : ", ";
        args += comma + std::string{"[\""} + field.name + "\", \"" +
                (field.type == "enum" ? "string" : field.type) + "\"]";
        projected += ", \"" + field.name + R"(": {"$arg": ")" + field.name + "\"}";
    }
    return "[calls.echo]\nclass = \"read\"\nargs = [" + args +
           R"(]
pipeline = '[{"$match": {"id": -1}}, {"$project": {"_id": 0)" +
           projected + "}}]'\n[[calls.echo.returns]]\nname = \"again\"\nfields = [" + args + "]\n";
}

class mongodb_world {
public:
    mongodb_world()
        : rabbitmq(test::require_amqp()), data(test::require_mongodb().uri, test::unique_name()) {
        test::node_options options;
        options.mongodb =
            test::mongodb::settings_for(test::require_mongodb().uri, std::string{data.name()});
        options.templates = {test::everything_template("rec", echo_call())};
        data.run(
            R"({"createIndexes":"everything","indexes":[{"key":{"id":1},"name":"id","unique":true}]})");
        running = std::make_unique<test::running_node>(rabbitmq, nullptr, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        client = running->new_client();
        local = client::make_local_client(running->node().registry(), running->node().adapters());
    }

    test::endpoint rabbitmq;
    test::mongodb::raw_database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<client::client> client;
    std::unique_ptr<client::client> local;
};

} // namespace

TEST_CASE(
    "fidelity on MongoDB: 10,000 random rows of every type come back exactly, over RabbitMQ") {
    mongodb_world here;
    test::check_rows(*here.client, 0, rows, test::chosen_seed());
    CHECK(here.data.documents("everything").size() == rows);
}

TEST_CASE("fidelity on MongoDB: 10,000 random rows of every type come back exactly, in process") {
    mongodb_world here;
    test::check_rows(*here.local, 0, rows, test::chosen_seed());
    CHECK(here.data.documents("everything").size() == rows);
}

TEST_CASE("fidelity on MongoDB: arguments of pipelines are exact") {
    mongodb_world here;
    here.data.run(R"({"insert": "everything", "documents": [{"id": {"$numberLong": "-1"}}]})");
    const auto calls = test::in_full() ? rows : 1'000;
    test::check_calls(*here.client, calls, test::chosen_seed(), test::nested_data::left_out);
    test::check_calls(*here.local, calls, test::chosen_seed(), test::nested_data::left_out);
}

TEST_CASE("fidelity on MongoDB: a document of 15 MiB") {
    mongodb_world here;
    test::check_large_document(*here.client, 1, 15U << 20);
    test::check_large_document(*here.local, 2, 15U << 20);
}
