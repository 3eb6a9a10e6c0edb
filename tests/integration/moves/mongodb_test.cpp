#include "integration/mongodb/fixture.hpp"
#include "moves.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace std::chrono_literals;

namespace {

std::string pipeline(const std::string& member) {
    return R"(pipeline = '[{"$match":{"id":{"$lte":)" + std::to_string(test::moved_rows) +
           R"(}}},{"$project":{"word":"$)" + member + R"("}}]')";
}

} // namespace

TEST_CASE("MongoDB: reloads move a template to another collection and other members, under load") {
    const auto rabbitmq = test::require_amqp();
    const auto uri = test::require_mongodb().uri;
    test::mongodb::raw_database data{uri, test::unique_name()};
    for (const auto& each : test::moved_things()) {
        std::string documents;
        for (int id = 1; id <= test::moved_rows; ++id) {
            documents += std::string{id == 1 ? "" : ","} + R"({"id":{"$numberLong":")" +
                         std::to_string(id) + R"("},"a":")" + each.a + R"(","b":")" + each.b +
                         R"(","n":{"$numberLong":")" + std::to_string(each.n) +
                         R"("},"m":{"$numberLong":")" + std::to_string(each.m) + R"("}})";
        }
        data.run(R"({"insert":")" + each.object + R"(","documents":[)" + documents + "]}");
    }
    for (const auto& text : test::object_templates("rec")) {
        data.make_indexes(text);
    }
    const auto before = test::things_template("rec", false, pipeline("a"));
    const auto after = test::things_template("rec", true, pipeline("b"));
    const test::folder files;
    files.write("things.toml", before);
    test::node_options options{.rec = {.read = 2, .write = 2, .bulk = 0}};
    options.mongodb = test::mongodb::settings_for(uri, data.name());
    options.directory = files.root();
    options.templates = test::object_templates("rec");
    const test::running_node running{rabbitmq, nullptr, options};
    REQUIRE(running.ready(30s));
    test::check_moves(running, files, before, after);
}
