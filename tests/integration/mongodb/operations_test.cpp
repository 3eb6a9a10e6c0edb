#include "fixture.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace beds::test::mongodb;
using adapters::comparison;
using testing::operations;
using testing::template_maker;

namespace {

templates::template_def people() {
    return template_maker{"people"}
        .connection("rec", templates::engine::rec)
        .field("id", "int64", {.column = "_id"})
        .field("name", "string", {.indexed = true, .column = "name_pe"})
        .field("email", "string", {.column = "email_pe"})
        .field("age", "int32", {.column = "age_pe"})
        .field("extra", "document", {.column = "extra_pe"})
        .key({"id"})
        .unique({"email"})
        .build();
}

struct world {
    test::endpoint server = test::require_mongodb();
    raw_database raw{server.uri, test::unique_name()};
    std::shared_ptr<adapters::adapter> adapter =
        adapters::make_mongodb("rec", settings_for(server.uri, raw.name()));
    std::unique_ptr<adapters::session> session = adapter->open_session({"test", nullptr, {}});
    templates::template_def target = people();

    world() {
        raw.make(target);
        session->connect(core::deadline::after(std::chrono::seconds{10}));
    }
    answer run(operations& ops) { return test::mongodb::run(*session, ops); }
};

} // namespace

TEST_CASE("mongodb: insert and fetch") {
    world on;
    operations in;
    const auto one = in.insert(
        on.target, {{"id", 1}, {"name", "Ana"}, {"email", "a@x"}, {"age", 30}, {"extra", R"({"a":[1,2.5,"x"]})"}});
    const auto same = in.insert(
        on.target, {{"id", 2}, {"name", "Bo"}, {"email", "a@x"}, {"age", 31}, {"extra", nullptr}});
    const auto two = in.insert(
        on.target, {{"id", 3}, {"name", nullptr}, {"email", "c@x"}, {"age", 32}, {"extra", "[]"}});
    const auto got = on.run(in);
    CHECK(text_of(got.outcome(one)) == "ok OK applied");
    CHECK(text_of(got.outcome(same)) == "error DUPLICATE_KEY none field=email");
    CHECK(text_of(got.outcome(two)) == "ok OK applied");
    CHECK(got.outcome(one).at_least_once);

    operations out;
    auto first = out.fetch(on.target, {1});
    auto missing = out.fetch(on.target, {2});
    auto again = out.fetch(on.target, {1});
    auto third = out.fetch(on.target, {3});
    const auto read = on.run(out);
    CHECK(read.sink.violations().empty());
    REQUIRE(read.of(first).rows.size() == 1);
    CHECK(to_string(read.of(first).rows[0]) == to_string(read.of(again).rows.at(0)));
    CHECK(to_string(read.of(first).rows[0]) ==
          "{id: 1, name: \"Ana\", email: \"a@x\", age: 30, extra: json {\"a\":[1,2.5,\"x\"]}}");
    CHECK(read.of(missing).has_rows);
    CHECK(read.of(missing).rows.empty());
    CHECK(read.of(third).rows.size() == 1);
}
