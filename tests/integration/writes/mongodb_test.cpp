#include "guests.hpp"
#include "integration/mongodb/fixture.hpp"
#include "ladders.hpp"
#include "payments.hpp"
#include "support/running_node.hpp"

using namespace beds;
using namespace std::chrono_literals;

namespace {

struct mongodb_world {
    mongodb_world()
        : rabbitmq(test::require_amqp()), data(test::require_mongodb().uri, test::unique_name()) {
        test::node_options options;
        options.mongodb =
            test::mongodb::settings_for(test::require_mongodb().uri, std::string{data.name()});
        options.templates = test::guest_templates("rec");
        for (const auto& text : options.templates) {
            data.make_indexes(text);
        }
        running = std::make_unique<test::running_node>(rabbitmq, nullptr, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        client = running->new_client();
    }

    test::endpoint rabbitmq;
    test::mongodb::raw_database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<client::client> client;
};

} // namespace

TEST_CASE("MongoDB: what is deleted by a mark is not there any more") {
    const mongodb_world here;
    test::check_soft_delete(*here.client);
}

TEST_CASE("MongoDB: on_conflict by the key, and what is sent again") {
    const mongodb_world here;
    test::check_conflicts(*here.client);
}

TEST_CASE("MongoDB: rows that are returned, and what is sent again") {
    const mongodb_world here;
    test::check_returned_rows(*here.client);
}

TEST_CASE("MongoDB: rows of writes by where are refused") {
    const mongodb_world here;
    test::check_by_where(*here.client, false);
}

TEST_CASE("MongoDB: code beside a template") {
    const auto rabbitmq = test::require_amqp();
    test::mongodb::raw_database data{test::require_mongodb().uri, test::unique_name()};
    test::node_options options;
    options.mongodb =
        test::mongodb::settings_for(test::require_mongodb().uri, std::string{data.name()});
    options = test::with_payments(options, "rec");
    for (const auto& text : options.templates) {
        data.make_indexes(text);
    }
    const test::running_node running{rabbitmq, nullptr, options};
    REQUIRE(running.ready(30s));
    const auto client = running.new_client();
    test::check_payments(*client, false);
    test::check_lineage(*client);
}

TEST_CASE("MongoDB: with a view reads go there and writes to the object, which returns no rows") {
    const auto rabbitmq = test::require_amqp();
    test::mongodb::raw_database data{test::require_mongodb().uri, test::unique_name()};
    test::node_options options;
    options.mongodb =
        test::mongodb::settings_for(test::require_mongodb().uri, std::string{data.name()});
    options.templates = {R"toml([template]
name = "people"
store = "rec"
object = "people"
key = ["id"]
[fields]
id   = { type = "int64", required = true, column = "_id" }
name = { type = "string", max = 40 }
[read]
view = "people_seen"
[calls.all]
class = "read"
pipeline = '[{"$project":{"_id":0,"name":1}}]'
[[calls.all.returns]]
name = "rows"
fields = [["name", "string"]]
)toml"};
    // Whatever has the name: the server of our tests has no views.
    data.run(R"({"insert": "people_seen", "documents": [{"_id": 7, "name": "shown"}]})");
    const test::running_node running{rabbitmq, nullptr, options};
    REQUIRE(running.ready(30s));
    const auto client = running.new_client();
    test::guest_desk ask{*client};
    using Catch::Contains;
    CHECK_THAT(ask(R"("op":"insert","data":{"id":1,"name":"ann"},"return":["name"])", "people"),
               Contains("UNSUPPORTED") && Contains("reads a view"));
    CHECK_THAT(ask(R"("op":"insert","data":{"id":1,"name":"ann"})", "people"), Contains("applied"));
    CHECK_THAT(ask(R"("op":"update","key":1,"set":{"name":"bob"})", "people"), Contains("applied"));
    CHECK_THAT(ask(R"("op":"fetch","key":1)", "people"), Contains(R"("rows":[])"));
    CHECK_THAT(ask(R"("op":"find")", "people"), Contains(R"("rows":[{"id":7,"name":"shown"}])"));
    CHECK_THAT(ask(R"("op":"count")", "people"), Contains(R"("total":1)"));
    CHECK_THAT(ask(R"("op":"call","name":"all","args":{})", "people"), Contains("shown"));
    REQUIRE(data.documents("people").size() == 1);
    CHECK_THAT(data.documents("people").front(), Contains(R"("name" : "bob")"));
}

TEST_CASE("MongoDB: the order holds by values of every type that order_by takes") {
    const auto rabbitmq = test::require_amqp();
    test::mongodb::raw_database data{test::require_mongodb().uri, test::unique_name()};
    test::node_options options;
    options.mongodb =
        test::mongodb::settings_for(test::require_mongodb().uri, std::string{data.name()});
    for (const auto& text : test::ladder_templates("rec")) {
        data.make_indexes(text);
    }
    test::check_ladders(rabbitmq, nullptr, options);
}
