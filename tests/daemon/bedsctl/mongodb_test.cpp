// What bedsctl makes of collections.

#include "daemon/bedsd/process.hpp"
#include "integration/mongodb/fixture.hpp"
#include "support/catch.hpp"

using namespace beds;
using namespace daemon_test;
using Catch::Contains;

namespace {

struct collections {
    collections() {
        files.write("templates/.keep", "");
        config = files
                     .write("beds.toml", "[rec_services.rec]\nuri = " + in_quotes(uri) +
                                             "\ndatabase = " + in_quotes(data.name()) + "\n")
                     .string();
        data.run(R"({"insert": "people", "documents": [
            {"_id": 1, "name": "Ann", "age": 30, "money": {"$numberDecimal": "10.25"}},
            {"_id": 2, "name": "Bob", "age": 31, "money": {"$numberDecimal": "1.50"}}]})");
        data.run(R"({"createIndexes": "people", "indexes": [
            {"key": {"name": 1}, "name": "by_name", "unique": true}]})");
    }
    [[nodiscard]] answer ask(const std::string& what, std::vector<std::string> more) const {
        more.insert(more.begin(), {BEDSCTL_PROGRAM, what, "--config", config});
        return run_program(std::move(more), {}, std::chrono::seconds{60});
    }

    std::string uri = test::require_mongodb().uri;
    test::mongodb::raw_database data{uri, test::unique_name()};
    folder files;
    std::string config;
};

} // namespace

TEST_CASE("a collection becomes a template that fits it, until its documents are others") {
    collections here;
    const auto made =
        here.ask("scaffold", {"people", "--directory", here.files.path("templates").string()});
    INFO(made.out << made.err);
    REQUIRE(made.code == 0);
    const auto text = here.files.read("templates/people.toml");
    CHECK_THAT(text, Contains("name  = { type = \"string\" }\n") &&
                         Contains("# Made from 2 documents of the collection people"));
    const auto fits = here.ask("check", {"people", "--diff"});
    INFO(fits.out << fits.err);
    CHECK(fits.code == 0);
    CHECK_THAT(fits.out, Contains("people: as the database has it") && !Contains("+ "));

    here.data.run(
        R"({"insert": "people", "documents": [{"_id": 3, "name": "Cid", "age": "old"}]})");
    const auto other = here.ask("check", {"people", "--diff"});
    INFO(other.out << other.err);
    CHECK(other.code == 0);
    CHECK_THAT(other.out, Contains("fields.age.type: warning: 'age' is no int32 in 1 of 3") &&
                              Contains("- age   = { type = \"int32\" }") &&
                              Contains("1 template compared, 0 errors, 2 warnings"));

    here.data.run(R"({"dropIndexes": "people", "index": "by_name"})");
    const auto without = here.ask("check", {"people", "--diff"});
    INFO(without.out << without.err);
    CHECK(without.code == 1);
    CHECK_THAT(without.out, Contains("error: ") && Contains("- fields = [\"name\"]") &&
                                Contains("- unique = true"));
}

TEST_CASE("a collection that is not there is named, with what is like it") {
    const collections here;
    const auto made = here.ask("scaffold", {"peopel"});
    CHECK(made.code == 1);
    CHECK_THAT(made.err, Contains("there is no collection 'peopel'") && Contains("people"));
}
