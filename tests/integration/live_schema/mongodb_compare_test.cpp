// What the comparison of a template with a live MongoDB finds.
#include "integration/mongodb/fixture.hpp"
#include "support/catch.hpp"

#include <beds/templates/registry.hpp>

#include <algorithm>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;
using core::op_class;

namespace {

constexpr std::string_view head = R"([template]
name = "t"
store = "rec"
object = "things"
key = ["id"]
[fields]
id = { type = "int64", required = true }
)";

class world {
public:
    std::string found(const std::string& more, op_class highest = op_class::bulk) const {
        return found_in(std::string{head} + more, highest);
    }
    /// All findings, as lines; on a session of its own, as a node makes it.
    std::string found_in(const std::string& toml, op_class highest = op_class::bulk) const {
        const auto parsed = templates::parse(toml, {}, "t.toml");
        INFO((parsed.problems.empty() ? "" : to_string(parsed.problems.front())));
        REQUIRE(parsed.parsed);
        const auto session = open();
        std::string lines;
        const auto all = adapter->compare(*session, *parsed.parsed, highest, limit());
        REQUIRE(all.has_value());
        for (const auto& each : *all) {
            CHECK_FALSE(each.advice.empty());
            CHECK(parsed.parsed->line_of(each.key) != 0);
            lines += to_string(each, *parsed.parsed) + '\n';
        }
        return lines;
    }
    /// Runs what makes the indexes of the template; afterwards everything fits.
    void make_indexes(const std::string& more) {
        const auto parsed = templates::parse(std::string{head} + more, {}, "t.toml");
        REQUIRE(parsed.parsed);
        for (const auto& command : adapters::mongodb_index_commands(*parsed.parsed)) {
            INFO(command);
            data.run(command);
        }
    }
    std::string own(const std::shared_ptr<adapters::adapter>& of,
                    op_class highest = op_class::write) const {
        const auto session = of->open_session({});
        session->connect(limit());
        std::string lines;
        for (const auto& each : of->compare_own(*session, {}, highest, limit())) {
            CHECK_FALSE(each.advice.empty());
            lines += (each.how == adapters::difference::severity::error ? "error: " : "warning: ") +
                     each.text + '\n';
        }
        return lines;
    }
    void index(const std::string& spec) {
        data.run(R"({"createIndexes": "things", "indexes": [)" + spec + "]}");
    }
    void drop(const std::string& name) {
        data.run(R"({"dropIndexes": "things", "index": ")" + name + R"("})");
    }
    void key() { index(R"({"key": {"id": 1}, "name": "key", "unique": true})"); }

    std::string uri = require_mongodb().uri;
    mongodb::raw_database data{uri, unique_name()};
    std::shared_ptr<adapters::adapter> adapter =
        adapters::make_mongodb("rec", mongodb::settings_for(uri, data.name()));

private:
    static core::deadline limit() { return core::deadline::after(30s); }
    [[nodiscard]] std::unique_ptr<adapters::session> open() const {
        auto session = adapter->open_session({});
        session->connect(limit());
        return session;
    }
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::size_t lines_in(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

constexpr const char* name = "name = { type = \"string\" }\n";
constexpr const char* by_name = "name = { type = \"string\" }\n[[index]]\nfields = [\"name\"]\n";

} // namespace

TEST_CASE("MongoDB: a key without a unique index is an error where it is written, with the command "
          "that mends it") {
    world at;
    at.data.run(R"({"create": "things"})");
    CHECK(at.found("") ==
          "t.toml:5: template.key: error: no unique index of 'things' tells documents apart by id: "
          "two inserts of one key both succeed, and no DUPLICATE_KEY is told; db.runCommand({ "
          "\"createIndexes\" : \"things\", \"indexes\" : [ { \"key\" : { \"id\" : 1 }, \"name\" : "
          "\"id_1\", \"unique\" : true } ] }), or name the fields of a unique index in `key`\n");
    CHECK(has(at.found("", op_class::read), "template.key: warning: no unique index"));
    at.index(R"({"key": {"id": 1}, "name": "id_1"})");
    CHECK(has(at.found(""), "template.key: error"));
    at.drop("id_1");
    at.index(R"({"key": {"id": 1}, "name": "some", "unique": true,
                 "partialFilterExpression": {"state": "open"}})");
    CHECK(has(at.found(""), "template.key: error"));
    at.drop("some");
    at.make_indexes("");
    CHECK(at.found("") == "");

    // `_id` is unique by itself, and what is unique in one field is in more.
    auto by_id = std::string{head};
    by_id.replace(by_id.find("required = true"), 15, "required = true, column = \"_id\"");
    at.drop("id_1");
    CHECK(at.found_in(by_id) == "");
    auto both = std::string{head} + "part = { type = \"string\", required = true }\n";
    both.replace(both.find("[\"id\"]"), 6, "[\"id\", \"part\"]");
    CHECK(has(at.found_in(both), "tells documents apart by id, part"));
    at.index(R"({"key": {"part": 1}, "name": "part", "unique": true})");
    CHECK(at.found_in(both) == "");
    at.drop("part");
    at.index(R"({"key": {"part": -1, "id": 1}, "name": "both", "unique": true})");
    CHECK(at.found_in(both) == "");
    CHECK(has(at.found(""), "template.key: error"));
}

TEST_CASE("MongoDB: a collection that is not there is a warning, and what the first insert would "
          "make is compared") {
    world at;
    at.data.run(R"({"create": "thing"})");
    const auto told = at.found(by_name);
    INFO(told);
    CHECK(has(told, "t.toml:4: template.object: warning: there is no collection 'things' that this "
                    "account may see: the first insert makes it, with an index of `_id` only; did "
                    "you mean 'thing'?"));
    CHECK(has(told, "t.toml:5: template.key: error: no unique index"));
    CHECK(has(told, "t.toml:9: index[0]: error: 'things' has no index that begins with name"));
    const auto reading = at.found(by_name, op_class::read);
    INFO(reading);
    CHECK(has(reading, "warning: there is no collection 'things'"));
    CHECK(lines_in(reading) == 1);
    at.data.forget("thing");
    CHECK(has(at.found(""), "; its DBA makes it and its indexes: bedsctl schema --engine mongodb "
                            "--indexes"));
    auto by_id = std::string{head};
    by_id.replace(by_id.find("required = true"), 15, "required = true, column = \"_id\"");
    CHECK(lines_in(at.found_in(by_id)) == 1);
    at.make_indexes(by_name);
    CHECK(at.found(by_name) == "");
    // A view is nothing that an insert makes.
    auto viewed = std::string{head} + "[read]\nview = \"thingz\"\n";
    CHECK(has(at.found_in(viewed, op_class::read),
              "t.toml:9: read.view: error: there is no view or collection 'thingz' that this "
              "account may see; did you mean 'things'?"));
}

TEST_CASE("MongoDB: the indexes of a template are compared: their fields in order, and what they "
          "hold") {
    world at;
    at.key();
    const auto two =
        std::string{name} + "n = { type = \"int32\" }\n[[index]]\nfields = [\"name\", \"n\"]\n";
    CHECK(has(at.found(two), "t.toml:10: index[0]: error: 'things' has no index that begins with "
                             "name, n, in that order: finds would read all of it; db.runCommand("));
    at.index(R"({"key": {"n": 1, "name": 1}, "name": "order"})");
    CHECK(has(at.found(two), "index[0]: error"));
    at.index(R"({"key": {"name": 1, "n": -1, "more": 1}, "name": "longer"})");
    CHECK(at.found(two) == "");

    struct other {
        const char* index;
        const char* told;
    };
    for (const auto& each : std::initializer_list<other>{
             {R"({"key": {"name": 1}, "name": "x", "partialFilterExpression": {"state": "a"}})",
              "index[0]: error: index 'x' of 'things' over name holds only documents with { "
              "\"state\" : \"a\" }: finds would read all documents"},
             {R"({"key": {"name": 1}, "name": "x", "sparse": true})",
              "index[0]: error: index 'x' of 'things' over name holds only documents that have "
              "them"},
             {R"({"key": {"name": 1}, "name": "x", "hidden": true})", "index[0]: error: 'things' "
                                                                      "has no index"},
             {R"({"key": {"name": "hashed"}, "name": "x"})", "index[0]: error: 'things' has no "
                                                             "index"},
             {R"({"key": {"name": 1}, "name": "x", "collation": {"locale": "en", "strength": 2}})",
              "index[0]: error: 'things' has no index"},
         }) {
        at.drop("longer");
        at.index(each.index);
        const auto told = at.found(by_name);
        INFO(each.index << '\n' << told);
        CHECK(has(told, each.told));
        CHECK(lines_in(told) == 1);
        at.drop("x");
        at.index(R"({"key": {"name": 1, "n": -1, "more": 1}, "name": "longer"})");
    }
}

TEST_CASE("MongoDB: what the template says of an index is compared: unique, where, expire_after") {
    world at;
    at.key();
    const auto unique = std::string{by_name} + "unique = true\n";
    at.index(R"({"key": {"name": 1}, "name": "plain"})");
    CHECK(has(at.found(unique), "t.toml:11: index[0].unique: error: no unique index of 'things' is "
                                "over name; drop 'plain', then db.runCommand("));
    at.drop("plain");
    at.make_indexes(unique);
    CHECK(at.found(unique) == "");
    at.drop("name_1");

    const auto partial = std::string{name} +
                         "n = { type = \"decimal(8,2)\" }\nopen = { type = \"bool\" }\n[[index]]\n"
                         "fields = [\"name\"]\nwhere = { open = true, n = \"1.50\" }\n";
    at.index(R"({"key": {"name": 1}, "name": "some", "partialFilterExpression": {"open": true}})");
    CHECK(has(at.found(partial), "t.toml:13: index[0].where: error: index 'some' of 'things' over "
                                 "name holds only documents with { \"open\" : true }, the template "
                                 "says { \"open\" : true, \"n\" : { \"$numberDecimal\" : \"1.50\" "
                                 "} }; drop it, then "));
    at.drop("some");
    at.index(R"({"key": {"name": 1}, "name": "some", "partialFilterExpression":
                 {"n": {"$eq": {"$numberDecimal": "1.50"}}, "open": true}})");
    CHECK(at.found(partial) == "");
    at.drop("some");
    at.make_indexes(partial);
    CHECK(at.found(partial) == "");
    at.drop("name_1");
    at.index(R"({"key": {"name": 1}, "name": "whole"})"); // holds those, too
    CHECK(at.found(partial) == "");

    const auto expiring = std::string{"seen = { type = \"datetime\" }\n[[index]]\nfields = "
                                      "[\"seen\"]\nexpire_after = \"2h\"\n"};
    at.index(R"({"key": {"seen": 1}, "name": "seen"})");
    CHECK(has(at.found(expiring),
              "t.toml:11: index[0].expire_after: error: no index of 'things' over seen lets "
              "documents go, the template says after 7200 s; db.runCommand({ \"collMod\" : "
              "\"things\", \"index\" : { \"name\" : \"seen\", \"expireAfterSeconds\" : 7200 } })"));
    at.drop("seen");
    at.index(R"({"key": {"seen": 1}, "name": "seen", "expireAfterSeconds": 60})");
    CHECK(has(at.found(expiring), "index[0].expire_after: error: index 'seen' of 'things' lets "
                                  "documents go after 60 s, the template says after 7200 s"));
    const auto silent = expiring.substr(0, expiring.find("expire_after"));
    CHECK(has(at.found(silent), "t.toml:9: index[0]: warning: index 'seen' of 'things' lets "
                                "documents go after 60 s, and the template does not say so"));
    at.drop("seen");
    at.make_indexes(expiring);
    CHECK(at.found(expiring) == "");
}

TEST_CASE("MongoDB: documents that hold what the template does not say are counted") {
    world at;
    at.key();
    const std::string fields = R"toml(name = { type = "string" }
sum = { type = "decimal(10,2)", nullable = false }
day = { type = "date" }
more = { type = "document" }
)toml";
    at.data.run(R"({"insert": "things", "documents": [
        {"id": 1, "name": "a", "sum": {"$numberDecimal": "1.50"}, "more": 1, "day": "2026-01-31"},
        {"id": 2, "name": null, "sum": {"$numberDecimal": "2"}, "more": {"a": [1]}}]})");
    CHECK(at.found(fields) == "");
    at.data.run(R"({"insert": "things", "documents": [
        {"id": "3", "name": 7, "sum": {"$numberDecimal": "1.505"}, "day": "31.1.2026"},
        {"id": 4, "name": {"first": "x"}}]})");
    CHECK(at.found(fields) ==
          "t.toml:7: fields.id.type: warning: 'id' is no int64 in 1 of 4 documents that were "
          "looked at (strings): who reads one of them is refused; say the type that they have, or "
          "mend them\n"
          "t.toml:8: fields.name.type: warning: 'name' is no string in 2 of 4 documents that were "
          "looked at (documents, whole numbers): who reads one of them is refused; say the type "
          "that they have, or mend them\n"
          "t.toml:9: fields.sum.type: warning: 'sum' is no decimal(10,2) in 1 of 4 documents that "
          "were looked at (decimals): who reads one of them is refused; say the type that they "
          "have, or mend them\n"
          "t.toml:9: fields.sum.nullable: warning: 'sum' is not there, or null, in 1 of 4 "
          "documents that were looked at: null is read there; say nullable = true, or mend them\n"
          "t.toml:10: fields.day.type: warning: 'day' is no date in 1 of 4 documents that were "
          "looked at (strings): who reads one of them is refused; say the type that they have, or "
          "mend them\n");
}

TEST_CASE("MongoDB: of many documents the first and the last are looked at") {
    world at;
    at.key();
    std::string list;
    for (int i = 0; i < 300; ++i) {
        const auto number = std::to_string(i);
        list += (i == 0 ? "" : ", ") + std::string{"{\"_id\": "} + number + ", \"id\": " + number +
                ", \"name\": " + (i == 0 || i == 150 || i == 299 ? "1}" : "\"n\"}");
    }
    at.data.run(R"({"insert": "things", "documents": [)" + list + "]}");
    CHECK(has(at.found(name), "in 2 of 200 documents"));
}

TEST_CASE("MongoDB: one list of collections serves all templates of a comparison") {
    world at;
    at.key();
    const auto parsed = templates::parse(std::string{head}, {}, "t.toml");
    const auto session = at.adapter->open_session({});
    session->connect(core::deadline::after(30s));
    const auto compare = [&] {
        return at.adapter
            ->compare(*session, *parsed.parsed, op_class::bulk, core::deadline::after(30s))
            .value();
    };
    CHECK(compare().empty());
    at.data.run(R"({"create": "others"})");
    CHECK(at.adapter->objects(*session, core::deadline::after(30s)) ==
          std::vector<std::string>{"things"});
    session->connect(core::deadline::after(30s)); // as every comparison begins
    CHECK(at.adapter->objects(*session, core::deadline::after(30s)).size() == 2);
}

TEST_CASE("MongoDB: the inbox is compared where it is written") {
    world at;
    CHECK(has(at.own(at.adapter), "warning: there is no collection 'beds_inbox': the first write "
                                  "makes it, without the index that lets old entries go"));
    CHECK(at.own(at.adapter, op_class::read) == "");
    at.data.run(R"({"create": "beds_inbox"})");
    CHECK(has(at.own(at.adapter), "warning: 'beds_inbox' has no index that lets old entries go"));
    const auto window = [&](int seconds) {
        at.data.run(R"({"createIndexes": "beds_inbox", "indexes": [{"key": {"t": 1}, "name": "w)" +
                    std::to_string(seconds) + R"(", "expireAfterSeconds": )" +
                    std::to_string(seconds) + "}]}");
    };
    window(60);
    CHECK(has(at.own(at.adapter), "warning: 'beds_inbox' forgets after 60 s"));
    at.data.forget("beds_inbox");
    window(86400);
    CHECK(at.own(at.adapter) == "");

    auto without = mongodb::settings_for(at.uri, at.data.name());
    without.inbox = false;
    at.data.forget("beds_inbox");
    CHECK(at.own(adapters::make_mongodb("rec", without)) == "");
}
