// What bedsctl makes of collections.

#include "daemon/bedsd/process.hpp"
#include "daemon/broker_service.hpp"
#include "integration/mongodb/fixture.hpp"
#include "support/catch.hpp"
#include "support/queues.hpp"

using namespace beds;
using namespace daemon_test;
using Catch::Contains;
using namespace std::string_literals;

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

namespace {

/// A collection of a few documents of many types, and a bedsd that serves what scaffold made of it.
struct served_collection {
    served_collection() {
        test::remove_queues_after_the_test(amqp, tag);
        std::string documents;
        for (int i = 1; i <= count; ++i) {
            const auto n = std::to_string(i);
            documents += (i == 1 ? "" : ",") + R"({"_id": "part-)"s + std::to_string(100 + i) +
                         R"(", "n": {"$numberLong": "900000000000000000)" + std::to_string(i % 10) +
                         R"("}, "price": {"$numberDecimal": ")" + n +
                         R"(.50"}, "made": {"$date": "2024-02-29T12:00:)" +
                         std::to_string(10 + i % 50) + R"(.007Z"}, "sold": )" +
                         (i % 2 == 0 ? "true" : "false") + R"(, "weight": {"$numberDouble": ")" +
                         n +
                         R"(.25"}, "mark": {"$binary": {"base64": "AAH/", "subType": "00"}}, )"
                         R"("more": {"a": {"b.c": [{"$numberLong": "1"}, "two", null]}, "$x": ")" +
                         n + R"("}})";
        }
        data.run(R"({"insert": "parts", "documents": [)" + documents + "]}");
        data.run(R"({"createIndexes": "parts", "indexes": [{"key": {"n": 1}, "name": "by_n"}]})");
        data.run(R"({"insert": "notes", "documents": [
            {"_id": {"$oid": "65e06f000000000000000001"}, "at": {"$date": "2024-02-29T00:00:00Z"},
             "of": {"$oid": "65e06f000000000000000009"}},
            {"_id": {"$oid": "65e06f000000000000000002"}, "at": {"$date": "2024-03-01T00:00:00Z"},
             "of": {"$oid": "65e06f000000000000000001"}}]})");
        data.run(R"({"createIndexes": "notes", "indexes": [
            {"key": {"at": 1}, "name": "by_at"}, {"key": {"of": 1}, "name": "by_of"}]})");
        files.write("templates/.keep", "");
        config = files
                     .write("beds.toml",
                            broker_service(amqp, tag, "rec", "{ read = 1, write = 1 }") +
                                "[rec_services.rec]\n"
                                "uri = " +
                                in_quotes(uri) + "\ndatabase = " + in_quotes(data.name()) + "\n")
                     .string();
        const auto made = ask({"scaffold", "--config", config, "parts", "notes", "--directory",
                               files.path("templates").string()});
        INFO(made.out << made.err);
        REQUIRE(made.code == 0);
        bedsd = std::make_unique<process>(
            files, std::vector<std::string>{BEDSD_PROGRAM, "--config", config}, environment());
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        while (ask({"call", "parts", "count"}).code != 0 ||
               ask({"call", "parts", "delete", "key=none"}).code != 1) {
            INFO(files.read("err"));
            REQUIRE(bedsd->wait(std::chrono::milliseconds{50}) == -1);
            REQUIRE(std::chrono::steady_clock::now() < until);
        }
    }
    [[nodiscard]] std::vector<std::string> environment() const {
        return {"AMQP_URL=" + amqp.uri, "BEDS_QUEUE_TAG=" + tag, "TEST_AMQP_PASS=" + amqp.password};
    }
    [[nodiscard]] answer ask(std::vector<std::string> words) const {
        words.insert(words.begin(), BEDSCTL_PROGRAM);
        return run_program(std::move(words), environment(), std::chrono::seconds{60});
    }

    static constexpr int count = 120;
    test::endpoint amqp = test::require_amqp();
    std::string uri = test::require_mongodb().uri;
    test::mongodb::raw_database data{uri, test::unique_name()};
    std::string tag = test::unique_name("t") + "_";
    folder files;
    std::string config;
    std::unique_ptr<process> bedsd;
};

} // namespace

TEST_CASE("a collection that scaffold described is served, exported, imported and the same") {
    served_collection here;
    const auto before = here.data.documents("parts");
    REQUIRE(before.size() == here.count);
    INFO(here.files.read("templates/parts.toml"));
    for (const auto* name : {"parts.ndjson", "parts.csv"}) {
        CAPTURE(name);
        const auto file = here.files.path(name).string();
        const auto out = here.ask({"export", "parts", file, "--page", "7"});
        INFO(out.err);
        REQUIRE(out.code == 0);
        here.data.forget("parts");
        here.data.run(
            R"({"createIndexes": "parts", "indexes": [{"key": {"n": 1}, "name": "by_n"}]})");
        const auto in = here.ask({"import", "parts", file, "--batch", "50"});
        INFO(in.err << '\n' << (in.code == 0 ? "" : here.files.read("parts.rejects.csv")));
        REQUIRE(in.code == 0);
        CHECK_THAT(in.err, Contains("applied 120"));
        auto after = here.data.documents("parts");
        for (auto& document : after) { // but for the mark of the write
            const auto mark = document.find(R"(, "_beds" : [)");
            REQUIRE(mark != std::string::npos);
            document.replace(mark, document.find(']', mark) + 1 - mark, "");
        }
        std::sort(after.begin(), after.end());
        auto expected = before;
        std::sort(expected.begin(), expected.end());
        CHECK(after == expected);
        const auto again = here.ask({"import", "parts", file, "--restart"});
        INFO(again.err); // as each has its answer already
        CHECK(again.code == 0);
        CHECK(here.data.documents("parts").size() == here.count);
    }
}

TEST_CASE("what MongoDB would be asked is shown, with a placeholder for each value") {
    const served_collection here;
    const auto find = here.ask({"explain", "--config", here.config, "parts", "find",
                                "n.ge:=9000000000000000005", "--sort=-n", "--limit", "3"});
    INFO(find.out << find.err);
    CHECK(find.code == 0);
    CHECK_THAT(find.out, Contains("\"find\"") && Contains("parts") && Contains("$gte") &&
                             Contains("?") && !Contains("9000000000000000005"));
    const auto update = here.ask(
        {"explain", "--config", here.config, "parts", "update", "key=part-101", "price=77.25"});
    INFO(update.out << update.err);
    CHECK(update.code == 0);
    CHECK_THAT(update.out, Contains("\"update\"") && Contains("$set") && !Contains("77.25") &&
                               !Contains("part-101"));
    const auto returning = here.ask({"explain", "--config", here.config, "parts", "update",
                                     "key=part-101", "price=77.25", "--return", "n"});
    INFO(returning.out << returning.err);
    CHECK(returning.code == 0);
    CHECK_THAT(returning.out, Contains("findAndModify") && Contains("parts") && Contains("$set") &&
                                  !Contains("77.25") && !Contains("part-101"));
    CHECK(here.ask({"call", "parts", "fetch", "key=part-101"}).out.find("77.25") ==
          std::string::npos);
}

TEST_CASE(
    "dates and ObjectIds that others stored are found, changed and deleted as what they are") {
    served_collection here;
    const auto call = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {"call", "--output", "json", "notes"});
        const auto got = here.ask(std::move(words));
        return got.out + got.err;
    };
    const std::string first = "65e06f000000000000000001";
    const std::string second = "65e06f000000000000000002";
    const std::string mine = "65e06f0000000000000000ff";
    CHECK_THAT(call({"fetch", "key=" + second}),
               Contains(R"("at":"2024-03-01T00:00:00Z")") && Contains(R"("of":")" + first + '"'));
    CHECK_THAT(call({"count", "at.ge=2024-03-01T00:00:00Z"}), Contains(R"("total":1)"));
    CHECK_THAT(call({"find", "at.lt=2024-03-01T00:00:00Z", "--fields", "id"}),
               Contains(R"([{"id":")" + first + "\"}]"));
    CHECK_THAT(call({"find", "of=" + first, "--fields", "id"}), Contains(second));
    CHECK_THAT(call({"find", "id.in:=[\"" + first + "\",\"" + second + "\"]", "--sort=-id",
                     "--fields", "id"}),
               Contains(second + R"("},{"id":")" + first));
    CHECK_THAT(call({"find", "of.prefix=65"}), Contains("'prefix' is for strings"));
    CHECK_THAT(call({"fetch", "key=someone"}),
               Contains("INVALID_FIELD") && Contains(R"("field":"id")") && Contains("an ObjectId"));
    CHECK_THAT(call({"insert", "id=" + mine, "at=2024-03-02T12:00:00.0001Z"}),
               Contains("INVALID_FIELD") && Contains(R"("field":"at")"));
    CHECK_THAT(call({"insert", "id=" + mine, "at=2024-03-02T12:00:00.001Z", "of=" + second}),
               Contains("applied"));
    CHECK_THAT(call({"insert", "id=" + mine}), Contains("DUPLICATE_KEY"));
    CHECK_THAT(call({"find", "at.lt=2024-03-01T00:00:00.0005Z"}),
               Contains("INVALID_FIELD") && Contains("whole milliseconds"));
    CHECK_THAT(call({"update", "key=" + second, "at=2024-03-03T00:00:00Z", "of=" + mine}),
               Contains("applied"));
    CHECK_THAT(call({"delete", "key=" + first}), Contains("applied"));
    const auto left = here.data.documents("notes");
    REQUIRE(left.size() == 2);
    CHECK_THAT(left[0],
               Contains(R"("_id" : { "$oid" : ")" + second + "\" }") &&
                   Contains(R"("at" : { "$date" : { "$numberLong" : "1709424000000" } })") &&
                   Contains(R"("of" : { "$oid" : ")" + mine + "\" }"));
    CHECK_THAT(left[1], Contains(R"("_id" : { "$oid" : ")" + mine + "\" }") &&
                            Contains(R"("$numberLong" : "1709380800001")"));

    here.data.run(R"({"insert": "notes", "documents": [{"_id": "text",
        "at": {"$numberLong": "1709380800001000"}}]})");
    const auto checked = here.ask({"check", "--config", here.config, "notes"});
    CHECK(checked.code == 0);
    CHECK_THAT(
        checked.out,
        Contains("fields.at.stored: warning: 'at' is stored in another form in 1 of 3 "
                 "documents that were looked at (whole numbers): no condition finds them") &&
            Contains("fields.id.stored: warning: '_id' is stored in another form in 1 of 3"));
    const auto schema = here.ask({"describe", "notes", "--as", "json-schema"});
    CHECK_THAT(schema.out, Contains("[0-9a-f]{24}"));
    const auto text = here.ask({"describe", "notes", "--output", "table"});
    CHECK_THAT(text.out, Contains("string up to 24, an ObjectId") &&
                             Contains("datetime, whole milliseconds"));
}
