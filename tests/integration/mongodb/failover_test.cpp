#include "fixture.hpp"
#include "requests.hpp"
#include "scripted_server.hpp"
#include "support/catch.hpp"

#include <mongoc/mongoc.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

// A replica set changes its primary while a write is under way. A scripted server says what the
// servers of a set say then; what it is told to do before that is done by a real one. There is no
// real replica set here.

using namespace beds;
using namespace beds::test::mongodb;
using action = scripted_reply::action;

namespace {

constexpr std::string_view things_text = R"toml(
[template]
name = "things"
store = "rec"
connection = "rec"
object = "things"
key = ["id"]
[fields]
id    = { type = "int64", required = true, column = "_id" }
n     = { type = "int64", default = 0 }
owner = { type = "string", max = 20 }
[[index]]
fields = ["owner"]
)toml";

/// What happens to one command.
struct trouble {
    std::string_view name;
    bool done; ///< by the server, before it says what it says
    scripted_reply says;
};

std::string refusal(int code) {
    return R"({"ok": 0, "code": )" + std::to_string(code) + R"(, "errmsg": "words"})";
}

std::string not_kept(int code) {
    return R"({"ok": 1, "n": 1, "nModified": 1, "writeConcernError": {"code": )" +
           std::to_string(code) + R"(, "errmsg": "words"}})";
}

/// A service behind which a real database works, and that meets one trouble with the next write to
/// `things`.
struct world {
    world()
        : raw(test::require_mongodb().uri, test::unique_name()),
          server([this](std::string_view, const std::string& command) { return answer(command); }),
          broker(adapters::make_mongodb("rec", settings_for(server.uri(), "db")),
                 registry_of({things_text})) {
        start_over();
        // Connects, and looks at what there is.
        REQUIRE(run("first", R"("template":"things","op":"fetch","key":1)").find("\"n\":0") !=
                std::string::npos);
    }
    ~world() {
        for (const auto& command : server.without_limit()) {
            FAIL_CHECK("no maxTimeMS: " << command);
        }
    }

    void start_over() {
        raw.forget("things");
        raw.forget("beds_inbox");
        for (const auto* const each : {R"({"_id": {"$numberLong": "1"})", //
                                       R"({"_id": {"$numberLong": "2"})", //
                                       R"({"_id": {"$numberLong": "4"})"}) {
            raw.run(R"({"insert": "things", "documents": [)" + std::string{each} +
                    R"(, "n": {"$numberLong": "0"}, "owner": ")" +
                    (std::string_view{each}.find('4') == std::string_view::npos ? "a" : "b") + R"(",
                        "_beds": [{"$oid": "5f0000000000000000000001"}]}]})");
        }
    }
    std::string run(std::string id, std::string body, bool redelivered = false) {
        return broker.run(std::move(id), std::move(body), redelivered);
    }
    [[nodiscard]] long long n(int id) {
        for (const auto& one : raw.documents("things")) {
            if (one.find(R"("_id" : { "$numberLong" : ")" + std::to_string(id) + "\"") !=
                std::string::npos) {
                constexpr std::string_view before = R"("n" : { "$numberLong" : ")";
                return std::stoll(one.substr(one.find(before) + before.size()));
            }
        }
        return -1;
    }

    scripted_reply answer(const std::string& command) {
        trouble now{};
        {
            const std::lock_guard lock{mutex};
            const bool here =
                !next.name.empty() &&
                command.starts_with("{ \"" + std::string{next.name} + R"(" : "things")");
            if (here) {
                std::swap(now, next);
            }
        }
        if (now.name.empty()) {
            return {action::answer, forward(command)};
        }
        if (now.done) {
            forward(command);
        }
        return now.says;
    }
    std::string forward(const std::string& command) {
        bson_error_t error{};
        bson_t* const given =
            bson_new_from_json(reinterpret_cast<const std::uint8_t*>(command.data()), -1, &error);
        bson_t plain = BSON_INITIALIZER;
        bson_copy_to_excluding_noinit(given, &plain, "$db", "lsid", "$readPreference", nullptr);
        char* const text = bson_as_canonical_extended_json(&plain, nullptr);
        const std::string copy = text;
        bson_free(text);
        bson_destroy(&plain);
        bson_destroy(given);
        const std::lock_guard lock{forwarding};
        try {
            return raw.run(copy);
        } catch (const std::runtime_error&) {
            return refusal(26); // NamespaceNotFound: listIndexes of what is not there
        }
    }

    std::mutex mutex;
    std::mutex forwarding;
    trouble next{};
    raw_database raw;
    scripted_server server;
    requests broker;
};

enum class kind { insert, rows, update, remove, where, remove_where };

bool is_insert(kind what) {
    return what == kind::insert || what == kind::rows;
}
bool by_where(kind what) {
    return what == kind::where || what == kind::remove_where;
}

std::string body_of(kind what) {
    switch (what) {
    case kind::insert:
        return R"("template":"things","op":"insert","data":{"id":3,"n":1})";
    case kind::rows:
        return R"("template":"things","op":"insert","data":[{"id":3,"n":1},{"id":5,"n":1}])";
    case kind::remove_where:
        return R"("template":"things","op":"delete","where":{"owner":"b"})";
    case kind::update:
        return R"("template":"things","op":"update","key":1,"inc":{"n":1})";
    case kind::remove:
        return R"("template":"things","op":"delete","key":1)";
    case kind::where:
        return R"("template":"things","op":"update","where":{"owner":"a"},"inc":{"n":1})";
    }
    return {};
}

std::string short_of(const std::string& reply) {
    const auto part = [&](std::string_view name) {
        const auto at = reply.find("\"" + std::string{name} + "\":\"");
        const auto from = at + name.size() + 4;
        return at == std::string::npos ? std::string{"-"}
                                       : reply.substr(from, reply.find('"', from) - from);
    };
    return part("status") == "ok" ? "ok " + part("effect") : part("code") + " " + part("effect");
}

} // namespace

TEST_CASE("failover: the primary steps down, shuts down or is cut off in the middle of a write") {
    struct {
        const char* what;
        bool done;
        scripted_reply says;
        bool refused; ///< for certain
    } const troubles[] = {
        {"not the primary", false, {action::answer, refusal(10107)}, true},
        {"not the primary, and recovering", false, {action::answer, refusal(13436)}, true},
        {"steps down, not done", false, {action::answer, refusal(189)}, false},
        {"steps down, done", true, {action::answer, refusal(189)}, false},
        {"interrupted by the change, done", true, {action::answer, refusal(11602)}, false},
        {"interrupted at shutdown, not done", false, {action::answer, refusal(11600)}, false},
        {"interrupted at shutdown, done", true, {action::answer, refusal(11600)}, false},
        {"done, and steps down before others have it",
         true,
         {action::answer, not_kept(189)},
         false},
        {"the connection breaks, not done", false, {action::hang_up, ""}, false},
        {"the connection breaks, done", true, {action::hang_up, ""}, false},
        {"out of time, not done", false, {action::answer, refusal(50)}, false},
        {"out of time, done", true, {action::answer, refusal(50)}, false},
    };
    world on;
    const auto connections = [&] {
        const auto all = on.server.greetings();
        return std::count_if(all.begin(), all.end(), [](const std::string& one) {
            return one.find(R"("application" :)") != std::string::npos;
        });
    };
    for (const auto& each : troubles) {
        for (const auto what : {kind::insert, kind::rows, kind::update, kind::remove, kind::where,
                                kind::remove_where}) {
            CAPTURE(each.what, static_cast<int>(what));
            on.start_over();
            {
                const std::lock_guard lock{on.mutex};
                const bool removes = what == kind::remove || what == kind::remove_where;
                on.next = {is_insert(what) ? "insert"
                           : removes       ? "delete"
                                           : "update",
                           each.done, each.says};
            }
            const auto before = connections();
            const auto body = body_of(what);
            const auto told = short_of(on.run("m", body));
            {
                const std::lock_guard lock{on.mutex};
                CHECK(on.next.name.empty()); // it was met
            }

            // What is certain is told; `unknown` is what nobody can tell: whether rows of which
            // nothing is left, or that never were, were there; whether a write by `where` was done.
            const bool nobody_knows =
                !each.refused && (by_where(what) || (is_insert(what) && !each.done) ||
                                  (what == kind::remove && each.done));
            if (nobody_knows) {
                CHECK(told.ends_with(" unknown"));
            } else {
                CHECK(told == "ok applied");
            }
            // At most once, and what was told is so.
            const bool there = each.done || !nobody_knows;
            const auto check = [&] {
                switch (what) {
                case kind::insert:
                    CHECK(on.n(3) == (there ? 1 : -1));
                    break;
                case kind::rows:
                    CHECK(on.n(3) == (there ? 1 : -1));
                    CHECK(on.n(5) == (there ? 1 : -1));
                    break;
                case kind::remove_where:
                    CHECK(on.n(4) == (there ? -1 : 0));
                    break;
                case kind::update:
                    CHECK(on.n(1) == 1);
                    break;
                case kind::remove:
                    CHECK(on.n(1) == (there ? -1 : 0));
                    break;
                case kind::where:
                    CHECK(on.n(1) == (there ? 1 : 0));
                    CHECK(on.n(2) == (there ? 1 : 0));
                    break;
                }
            };
            check();
            // The session is another one, made once; the next request is served by it.
            CHECK(short_of(on.run("next",
                                  R"("template":"things","op":"update","key":2,"inc":{"n":5})")) ==
                  "ok applied");
            CHECK(connections() == before + 1);
            CHECK(on.n(2) == (what == kind::where && there ? 6 : 5));
            // The same message again gets the same answer, and does nothing; but for what several
            // rows hold, which says beforehand that it may happen twice.
            if (nobody_knows && each.says.what != action::hang_up) {
                continue; // waits two seconds for whoever began it: once for each kind is enough
            }
            const auto again = on.run("m", body, true);
            if (by_where(what)) {
                CHECK(again.find(R"("guarantee":"at_least_once")") != std::string::npos);
            } else {
                CHECK(short_of(again) == told);
                check();
            }
        }
    }
}

TEST_CASE("inbox: a right that was missing is no answer for good") {
    world on;
    for (const auto what : {kind::insert, kind::rows, kind::update, kind::remove}) {
        CAPTURE(static_cast<int>(what));
        on.start_over();
        const auto body = body_of(what);
        {
            const std::lock_guard lock{on.mutex};
            on.next = {is_insert(what)        ? "insert"
                       : what == kind::remove ? "delete"
                                              : "update",
                       false,
                       {action::answer, refusal(13)}};
        }
        CHECK(short_of(on.run("m", body)) == "BACKEND_PERMISSION_DENIED none");
        CHECK(short_of(on.run("m", body)) == "ok applied");
        CHECK(short_of(on.run("m", body)) == "ok applied"); // its first reply
    }
}
