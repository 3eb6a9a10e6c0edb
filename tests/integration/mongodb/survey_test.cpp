#include "fixture.hpp"
#include "support/catch.hpp"

#include <beds/templates/registry.hpp>
#include <beds/templates/writer.hpp>

#include <string>

// What a collection looks like as a template.

using namespace beds;
using namespace beds::test::mongodb;

namespace {

constexpr std::chrono::seconds soon{10};

struct surveying {
    surveying() {
        session = adapter->open_session({});
        session->connect(core::deadline::after(soon));
    }
    [[nodiscard]] adapters::surveyed ask(const std::string& collection) const {
        return adapter->survey(*session, collection, core::deadline::after(soon));
    }
    /// The template's text, after a loader has taken it.
    [[nodiscard]] std::string text(const std::string& collection) const {
        auto made = ask(collection);
        made.found.name = templates::name_for_object(collection, "");
        made.found.service = "app_server";
        made.found.connection = "rec";
        auto written = templates::to_toml(made.found, made.beside);
        const auto parsed = templates::parse(written);
        for (const auto& each : parsed.problems) {
            written += "# problem: " + to_string(each) + '\n';
        }
        return written;
    }

    std::string uri = test::require_mongodb().uri;
    raw_database data{uri, test::unique_name()};
    std::shared_ptr<adapters::adapter> adapter =
        adapters::make_mongodb("rec", settings_for(uri, data.name()));
    std::unique_ptr<adapters::session> session;
};

} // namespace

TEST_CASE("survey: a collection becomes a template of what its documents hold") {
    surveying here;
    here.data.run(R"({"insert": "people", "documents": [
        {"_id": 1, "name": "Ann", "age": 30, "big": {"$numberLong": "5000000000"}, "ok": true,
         "ratio": 0.5, "money": {"$numberDecimal": "10.25"}, "address": {"city": "Oaxaca"},
         "tags": ["a"], "key": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}},
         "photo": {"$binary": {"base64": "AAAA", "subType": "00"}},
         "at": {"$date": "2026-01-31T12:00:00Z"}, "ref": {"$oid": "0123456789abcdef01234567"},
         "mixed": 1, "first name": "x", "nothing": null},
        {"_id": 2, "name": "Bob", "age": null, "big": 7, "mixed": "one", "money": {"$numberDecimal": "1.125"}},
        {"_id": 3, "name": "Cid", "ratio": 2}]})");
    here.data.run(R"({"createIndexes": "people", "indexes": [
        {"key": {"name": 1}, "name": "by_name", "unique": true},
        {"key": {"age": -1, "name": 1}, "name": "by_age"},
        {"key": {"address.city": 1}, "name": "by_city"}]})");
    const auto text = here.text("people");
    INFO(text);
    for (const auto* part : {
             "# Made from 3 documents of the collection people, all that it holds.",
             "object = \"people\"\nkey = [\"id\"]\n",
             "id      = { type = \"int32\", required = true, column = \"_id\" }\n",
             "name    = { type = \"string\" }\n",
             "age     = { type = \"int32\" } # in 1 of them\n",
             "big     = { type = \"int64\" } # in 2 of them\n",
             "ok      = { type = \"bool\" } # in 1 of them\n",
             "ratio   = { type = \"double\" } # in 2 of them\n",
             "money   = { type = \"decimal(34,3)\" } # in 2 of them\n",
             "address = { type = \"document\" } # in 1 of them\n",
             "tags    = { type = \"document\" }",
             "key     = { type = \"uuid\" }",
             "photo   = { type = \"bytes\" }",
             "at      = { type = \"datetime\", stored = \"date\" } # in 1 of them\n",
             "ref     = { type = \"string\", stored = \"object_id\" } # in 1 of them\n",
             "nothing = { type = \"document\" } # null in all that was looked at",
             "# Left out: member mixed: it holds values of several types: strings, whole "
             "numbers.\n",
             "# Left out: member first name: no field can have its name.\n",
             "# Left out: index by_city: it is over what is no field.\n",
             "[[index]]\nfields = [\"name\"]\nunique = true\n",
             "[[index]]\nfields = [\"age\", \"name\"]\n",
         }) {
        INFO(part);
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("# problem") == std::string::npos);
}

TEST_CASE("survey: what is beside a field says what BEDS does with it") {
    surveying here;
    here.data.run(R"({"insert": "visits", "documents": [
        {"code": "a", "until": {"$date": "2026-01-31T12:00:00Z"}, "seen": {"$date": "2026-01-31T12:00:00Z"},
         "ratio": {"$numberDouble": "NaN"}, "like": {"$regularExpression": {"pattern": "^a", "options": ""}}},
        {"code": "b", "until": {"$date": "2026-02-28T12:00:00Z"}, "seen": {"$date": "2026-01-31T12:00:00Z"},
         "ratio": 0.5}]})");
    here.data.run(R"({"createIndexes": "visits", "indexes": [
        {"key": {"code": 1}, "name": "by_code", "unique": true},
        {"key": {"until": 1}, "name": "ends", "expireAfterSeconds": 3600}]})");
    const auto text = here.text("visits");
    INFO(text);
    for (const auto* part : {
             "key = [\"code\"]\n",
             "id    = { type = \"string\", stored = \"object_id\", column = \"_id\" }\n",
             "until = { type = \"datetime\", stored = \"date\" }\n",
             "seen  = { type = \"datetime\", stored = \"date\" }\n",
             "[[index]]\nfields = [\"id\"]\nunique = true\n",
             "# NaN or infinite in 1 of them: who reads one is refused\n",
             "# Left out: member like: it holds regular expressions, which no type of a template "
             "holds.\n",
             "protected = [\"id\"]\n",
             "expire_after = \"1h\"",
         }) {
        INFO(part);
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("# problem") == std::string::npos);
}

TEST_CASE("survey: an _id that no request can name is no key") {
    surveying here;
    here.data.run(
        R"({"insert": "orders", "documents": [{"_id": {"a": 1}, "code": "a", "n": 1},
            {"_id": {"a": 2}, "code": "b", "n": 2}]})");
    const auto keyless = here.text("orders");
    INFO(keyless);
    CHECK(keyless.find("# No unique index is over fields that a request can name") !=
          std::string::npos);
    CHECK(keyless.find("# problem") != std::string::npos);
    here.data.run(R"({"createIndexes": "orders", "indexes": [
        {"key": {"code": 1}, "name": "by_code", "unique": true}]})");
    const auto keyed = here.text("orders");
    INFO(keyed);
    CHECK(keyed.find("key = [\"code\"]") != std::string::npos);
    CHECK(keyed.find("# problem") == std::string::npos);

    const auto all = here.adapter->objects(*here.session, core::deadline::after(soon));
    CHECK(all == std::vector<std::string>{"orders"});
    CHECK_THROWS_AS(here.ask("order"), core::error);
}

TEST_CASE("survey: an ObjectId is the key where nothing else tells documents apart") {
    surveying here;
    here.data.run(R"({"insert": "logs", "documents": [
        {"_id": {"$oid": "0123456789abcdef01234567"}, "text": "a"}]})");
    const auto text = here.text("logs");
    INFO(text);
    CHECK(text.find("key = [\"id\"]\n") != std::string::npos);
    CHECK(text.find("id   = { type = \"string\", stored = \"object_id\", required = true, column = "
                    "\"_id\" }\n") != std::string::npos);
    CHECK(text.find("protected") == std::string::npos);
}
