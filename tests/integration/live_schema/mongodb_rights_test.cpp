// What a MongoDB says of rights, views and of what it cannot do, from a scripted one: the server of
// the tests knows none of them.
#include "integration/mongodb/fixture.hpp"
#include "integration/mongodb/scripted_server.hpp"
#include "support/catch.hpp"

#include <beds/templates/registry.hpp>

#include <algorithm>
#include <map>

using namespace beds;
using namespace beds::test;
using namespace beds::test::mongodb;
using namespace std::chrono_literals;
using core::op_class;

namespace {

constexpr std::string_view things = R"([template]
name = "t"
store = "rec"
object = "things"
key = ["id"]
[fields]
id = { type = "int64", required = true }
)";

std::string refusal(int code, const std::string& words) {
    return R"({"ok": 0, "code": )" + std::to_string(code) + R"(, "errmsg": ")" + words + R"("})";
}
std::string batch(const std::string& documents) {
    return R"({"ok": 1, "cursor": {"id": {"$numberLong": "0"}, "ns": "db.x", "firstBatch": [)" +
           documents + "]}}";
}
std::string rights_of(const std::string& list) {
    return R"({"ok": 1, "authInfo": {"authenticatedUsers": [{"user": "beds", "db": "admin"}],
               "authenticatedUserPrivileges": [)" +
           list + "]}}";
}

/// A server in which everything is right, but what a test changes.
struct world {
    world() {
        says["listCollections"] = batch(R"({"name": "things", "type": "collection"},
            {"name": "seen", "type": "view"}, {"name": "beds_inbox", "type": "collection"})");
        says["listIndexes"] = batch(R"({"name": "_id_", "key": {"_id": 1}},
            {"name": "key", "key": {"id": 1}, "unique": true},
            {"name": "w", "key": {"t": 1}, "expireAfterSeconds": 86400})");
        says["find"] = batch("");
        says["explain"] = R"({"ok": 1, "queryPlanner": {}})";
        says["connectionStatus"] =
            R"({"ok": 1, "authInfo": {"authenticatedUsers": [], "authenticatedUserPrivileges": []}})";
    }
    std::string found(std::string_view toml, op_class highest = op_class::bulk) {
        const auto parsed = templates::parse(std::string{toml}, {}, "t.toml");
        INFO((parsed.problems.empty() ? "" : to_string(parsed.problems.front())));
        REQUIRE(parsed.parsed);
        std::string lines;
        ask([&](adapters::adapter& in, adapters::session& with) {
            const auto all = in.compare(with, *parsed.parsed, highest, limit());
            for (const auto& each : all.value()) {
                CHECK(parsed.parsed->line_of(each.key) != 0);
                lines += to_string(each, *parsed.parsed) + '\n';
            }
        });
        return lines;
    }
    std::string own(const std::string& more = "") {
        std::string lines;
        ask(
            [&](adapters::adapter& in, adapters::session& with) {
                for (const auto& each : in.compare_own(with, {}, op_class::write, limit())) {
                    lines += (each.how == adapters::difference::severity::error ? "error: "
                                                                                : "warning: ") +
                             each.text + '\n';
                }
            },
            more);
        return lines;
    }

    std::map<std::string, std::string, std::less<>> says; ///< by command
    std::vector<std::string> asked;

private:
    static core::deadline limit() { return core::deadline::after(30s); }
    template <class Function>
    void ask(Function what, const std::string& more = "") {
        scripted_server server{[this](std::string_view name, const std::string&) {
            const auto at = says.find(name);
            return scripted_reply{scripted_reply::action::answer,
                                  at == says.end() ? R"({"ok": 1})" : at->second};
        }};
        const auto adapter = adapters::make_mongodb("rec", settings_for(server.uri() + more, "db"));
        const auto session = adapter->open_session({});
        session->connect(limit());
        what(*adapter, *session);
        asked = server.commands();
        for (const auto& command : server.without_limit()) {
            FAIL_CHECK("no maxTimeMS: " << command);
        }
    }
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("MongoDB: rights that the account lacks are told with the server's words") {
    world at;
    CHECK(at.found(things) == "");
    at.says["find"] = refusal(13, "not authorized on db to execute command find");
    CHECK(at.found(things) ==
          "t.toml:4: template.object: error: this account may not find in 'things', and no "
          "document can be read: not authorized on db to execute command find; grant find on it\n");
    at.says["find"] = batch("");
    at.says["listIndexes"] = refusal(13, "no listIndexes for you");
    const auto unseen = at.found(things);
    CHECK(has(unseen, "t.toml:5: template.key: warning: the indexes of 'things' are not compared, "
                      "and nobody knows whether two documents may have one key: this account may "
                      "not listIndexes: no listIndexes for you; grant listIndexes on it\n"));
    CHECK_FALSE(has(unseen, "error"));
    at = {};
    at.says["listCollections"] =
        refusal(13, "no list for you"); // the rest can be asked all the same
    CHECK(at.found(things) == "");
    at.says["listIndexes"] = refusal(26, "ns does not exist");
    CHECK(has(at.found(things), "warning: there is no collection 'things'"));
}

TEST_CASE("MongoDB: rights to write are read from what the server says of the account") {
    world at;
    const auto with = [&](const std::string& list) {
        at.says["connectionStatus"] = rights_of(list);
        return at.found(things);
    };
    const auto all = R"("actions": ["find", "insert", "update", "remove", "listIndexes"])";
    CHECK(with(R"({"resource": {"db": "db", "collection": ""}, )" + std::string{all} + "}") == "");
    CHECK(with(R"({"resource": {"db": "", "collection": "things"}, )" + std::string{all} + "}") ==
          "");
    CHECK(with(R"({"resource": {"anyResource": true}, )" + std::string{all} + "}") == "");
    const auto less = with(R"({"resource": {"db": "db", "collection": "things"},
                               "actions": ["find", "insert"]},
                              {"resource": {"db": "other", "collection": ""}, )" +
                           std::string{all} + R"(},
                              {"resource": {"cluster": true}, "actions": ["update"]})");
    INFO(less);
    CHECK_FALSE(has(less, "may not insert"));
    CHECK(has(less, "t.toml:4: template.object: warning: this account may not update in 'things', "
                    "and every update is refused, and every delete, which marks first; grant "
                    "update on it, or give the role no write instances\n"));
    CHECK(has(less, "may not remove in 'things'"));
    CHECK(at.found(things, op_class::read) == "");
    const auto own = at.own();
    INFO(own);
    CHECK(has(own, "error: this account may not insert in 'beds_inbox': writes are refused"));
    CHECK(has(own, "error: this account may not remove in 'beds_inbox'"));
    at.says["connectionStatus"] = refusal(59, "no such command"); // it does not tell
    CHECK(at.found(things) == "");
    CHECK(at.own() == "");
}

TEST_CASE("MongoDB: views are explained and not run; one that is broken, and one that is written, "
          "is told") {
    world at;
    const auto viewed = std::string{things} + "[read]\nview = \"seen\"\n";
    at.says["find"] = refusal(13, "a view is not run");
    CHECK(at.found(viewed) == "");
    at.says["explain"] = refusal(17124, "the view is broken");
    CHECK(has(at.found(viewed), "t.toml:9: read.view: error: 'seen' cannot be read: the view is "
                                "broken; mend the view"));
    at = {};
    auto written = std::string{things};
    written.replace(written.find("things"), 6, "seen");
    CHECK(has(at.found(written),
              "t.toml:4: template.object: warning: 'seen' is a view, which takes "
              "no writes"));
    CHECK(at.found(written, op_class::read) == "");
    at.says["listCollections"] = batch(R"({"name": "beds_inbox", "type": "view"})");
    at.says["listIndexes"] = refusal(166, "on a view");
    CHECK(has(at.own(), "error: 'beds_inbox' is a view: writes are refused"));
}

TEST_CASE("MongoDB: what the server cannot do for a template is an error with its reason") {
    world at;
    const auto calling = std::string{things} + R"([calls.c]
class = "read"
pipeline = '[{"$changeStream":{}},{"$limit":{"$arg":"n"}}]'
args = [["n", "int32"]]
[[calls.c.returns]]
name = "rows"
fields = [["id", "int64"]]
)";
    CHECK(at.found(calling) == "");
    CHECK(std::any_of(at.asked.begin(), at.asked.end(), [](const std::string& each) {
        return has(each, "\"explain\"") && has(each, "$changeStream") && has(each, "queryPlanner");
    }));
    at.says["explain"] =
        refusal(40573, "The $changeStream stage is only supported on replica sets");
    CHECK(has(at.found(calling),
              "t.toml:10: calls.c.pipeline: error: this server cannot do what call 'c' asks for: "
              "The $changeStream stage is only supported on replica sets; "));
    at.says["explain"] = refusal(40324, "Unrecognized pipeline stage name: '$x'");
    CHECK(has(at.found(calling), "error: this server cannot do what call 'c' asks for"));
    at.says["explain"] = refusal(13, "not on the other collection");
    CHECK(has(at.found(calling), "error: this account may not run call 'c': not on the other"));
    at.says["explain"] = refusal(15958, "the limit must be positive"); // of the trial's own value
    CHECK(at.found(calling) == "");

    CHECK(at.own("?w=2") == "error: w=2 asks for the answers of a replica set, and this server "
                            "stands alone: writes are refused\n");
    CHECK(at.own("?w=majority") == "");
}
