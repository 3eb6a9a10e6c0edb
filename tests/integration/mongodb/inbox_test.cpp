#include "fixture.hpp"
#include "requests.hpp"
#include "scripted_server.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

// A write that comes again happens once, and gets its first reply again; where that can no longer
// be told, it says so.

using namespace beds;
using namespace beds::test::mongodb;
using adapters::lookup;
using adapters::operation_identity;
using adapters::stored_reply;
using adapters::work_kind;
using testing::operations;
using testing::template_maker;

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
[calls.all]
class = "read"
pipeline = '[{"$project": {"_id": 0, "whole": "$$ROOT"}}]'
[[calls.all.returns]]
name = "rows"
fields = [["whole", "document"]]
)toml";

constexpr std::string_view notes_text = R"toml(
[template]
name = "notes"
store = "rec"
connection = "rec"
object = "notes"
key = ["id"]
[fields]
id   = { type = "uuid", generated = "uuid", column = "_id" }
text = { type = "string", max = 20 }
)toml";

/// As a ring that goes back long enough has it.
constexpr std::string_view old_entry = R"({"$oid": "5f0000000000000000000001"})";

struct world {
    world() : world([](config::rec_service_settings&) {}) {}
    template <class Change>
    explicit world(Change change) : raw(test::require_mongodb().uri, test::unique_name()) {
        auto settings = settings_for(test::require_mongodb().uri, raw.name());
        change(settings);
        adapter = adapters::make_mongodb("rec", settings);
        registry = registry_of({things_text, notes_text});
        for (const auto& target : registry->all()) {
            raw.make(target);
        }
    }
    [[nodiscard]] requests broker() { return requests{adapter, registry, log()}; }
    observe::log_sink log() {
        return observe::log_sink{observe::level::debug, [this](const observe::log_record& one) {
                                     const std::lock_guard lock{mutex};
                                     logged.push_back(std::string{one.id});
                                 }};
    }
    const templates::template_def& things() { return *registry->find("things"); }
    const templates::template_def& notes() { return *registry->find("notes"); }
    void thing(int id, int n, const std::string& ring) {
        raw.run(R"({"insert": "things", "documents": [{"_id": {"$numberLong": ")" +
                std::to_string(id) + R"("}, "n": {"$numberLong": ")" + std::to_string(n) +
                R"("}, "owner": "a", "_beds": [)" + ring + "]}]}");
    }
    void change(int id, const std::string& change) {
        raw.run(R"({"update": "things", "updates": [{"q": {"_id": )" + std::to_string(id) +
                R"(}, "u": )" + change + "}]}");
    }
    std::string find(const std::string& collection, const std::string& id) {
        for (const auto& one : raw.documents(collection)) {
            if (one.find(id) != std::string::npos) {
                return one;
            }
        }
        return {};
    }
    long long n(int id) {
        const auto text =
            find("things", R"("_id" : { "$numberLong" : ")" + std::to_string(id) + "\"");
        constexpr std::string_view before = R"("n" : { "$numberLong" : ")";
        const auto at = text.find(before);
        return at == std::string::npos ? -1 : std::stoll(text.substr(at + before.size()));
    }

    /// A broker that runs these operations and dies before it stores a reply.
    void run_and_die(operations& ops, const std::string& id) {
        const auto session = adapter->open_session({"dies", nullptr, {}});
        session->connect(core::deadline::after(std::chrono::seconds{5}));
        std::vector<std::string> names;
        const auto ids = identities(ops, id, names);
        std::vector<stored_reply> known;
        answer got;
        got.outcomes.resize(ops.size());
        REQUIRE(session->begin(work_kind::write, core::deadline::after(std::chrono::seconds{5}),
                               ids, lookup::none, ops.memory(),
                               known) == adapters::step_result::done);
        REQUIRE(session->run(ops.group(), got.sink, got.outcomes, ops.memory()) ==
                adapters::step_result::done);
        for (const auto& one : got.outcomes) {
            REQUIRE(text_of(one) == "ok OK applied");
        }
        forget_the_time();
    }
    /// Nobody waits any more for what was begun.
    void forget_the_time() {
        raw.run(R"({"update": "beds_inbox", "updates": [{"q": {}, "multi": true,
            "u": {"$set": {"t": {"$date": "2020-01-01T00:00:00Z"}}}}]})");
    }
    /// Another one, to which the message is delivered again.
    answer run_again(operations& ops, const std::string& id) {
        const auto session = adapter->open_session({"next", nullptr, {}});
        session->connect(core::deadline::after(std::chrono::seconds{5}));
        std::vector<std::string> names;
        const auto ids = identities(ops, id, names);
        std::vector<stored_reply> known;
        answer got;
        got.outcomes.resize(ops.size());
        REQUIRE(session->begin(work_kind::write, core::deadline::after(std::chrono::seconds{5}),
                               ids, lookup::all, ops.memory(),
                               known) == adapters::step_result::done);
        for (const auto& one : known) {
            REQUIRE(one.reply.empty());
        }
        REQUIRE(session->run(ops.group(), got.sink, got.outcomes, ops.memory()) ==
                adapters::step_result::done);
        session->commit();
        return got;
    }
    std::string again(operations& ops, const std::string& id) {
        return text_of(run_again(ops, id).outcomes[0]);
    }

    test::mongodb::raw_database raw;
    std::shared_ptr<adapters::adapter> adapter;
    std::shared_ptr<const templates::registry> registry;
    std::mutex mutex;
    std::vector<std::string> logged;

    static std::vector<operation_identity> identities(operations& ops, const std::string& id,
                                                      std::vector<std::string>& names) {
        std::vector<operation_identity> made;
        for (std::size_t i = 0; i < ops.size(); ++i) {
            names.push_back(id + "/" + std::to_string(i));
        }
        for (std::size_t i = 0; i < ops.size(); ++i) {
            made.push_back({static_cast<core::op_index>(i), "tester", names[i],
                            core::hash(std::string_view{"content"}), &ops[i]});
        }
        return made;
    }
};

constexpr const char* unknown = "error BACKEND_CONFLICT unknown";
constexpr const char* applied = "ok OK applied";

} // namespace

TEST_CASE("inbox: a message that comes again gets its first reply, byte for byte") {
    world on;
    auto one = on.broker();
    auto other = on.broker();
    on.thing(1, 0, std::string{old_entry});
    const std::vector<sent> batch{
        {"m1", R"("template":"things","op":"update","key":1,"inc":{"n":1})"},
        {"m2", R"("template":"things","op":"insert","data":{"id":2,"n":5})"},
        {"m3", R"("template":"things","op":"update","key":9,"set":{"n":5})"},
        {"m4", R"("template":"things","op":"update","key":1,"set":{"n":5},"if":{"n":77})"},
        {"m5", R"("template":"things","op":"insert","data":{"id":1})"},
        {"m6", R"("template":"notes","op":"insert","data":[{"text":"x"},{"text":"y"}])"},
        {"m7", R"("ops":[{"template":"things","op":"insert","data":{"id":3}},
                         {"template":"things","op":"delete","key":3},
                         {"template":"things","op":"delete","key":3}])"},
    };
    const auto first = one.run(batch);
    CHECK(first[0] == R"({"v":1,"status":"ok","effect":"applied","count":1})");
    CHECK(first[2].find("NOT_FOUND") != std::string::npos);
    CHECK(first[3].find("CONFLICT") != std::string::npos);
    CHECK(first[4].find("DUPLICATE_KEY") != std::string::npos);
    const auto before = on.raw.documents("things").size();
    for (auto* broker : {&one, &other}) {
        CHECK(broker->run(batch) == first);
        auto redelivered = batch;
        for (auto& message : redelivered) {
            message.redelivered = true;
        }
        std::reverse(redelivered.begin(), redelivered.end());
        auto got = broker->run(redelivered);
        std::reverse(got.begin(), got.end());
        CHECK(got == first);
    }
    CHECK(on.n(1) == 1);
    CHECK(on.raw.documents("things").size() == before);
    CHECK(on.raw.documents("notes").size() == 2);

    // Other content under a known id, whatever became of the first; another principal's is another.
    const auto reused =
        other.run("m1", R"("template":"things","op":"update","key":1,"inc":{"n":2})");
    CHECK(reused.find("ID_REUSED") != std::string::npos);
    CHECK(reused.find(R"("effect":"none")") != std::string::npos);
    CHECK(on.n(1) == 1);
}

TEST_CASE("inbox: the ring is in nothing that is read") {
    world on;
    auto broker = on.broker();
    broker.run("i", R"("template":"things","op":"insert","data":{"id":1,"owner":"a"})");
    broker.run("u", R"("template":"things","op":"update","key":1,"inc":{"n":1})");
    REQUIRE(on.find("things", "_beds").find("$oid") != std::string::npos);
    for (const auto* body :
         {R"("template":"things","op":"fetch","key":1)", R"("template":"things","op":"find")",
          R"("template":"things","op":"call","name":"all","args":{})"}) {
        const auto got = broker.run("r", body);
        CHECK(got.find(R"("status":"ok")") != std::string::npos);
        CHECK(got.find("_beds") == std::string::npos);
        CHECK(got.find("\"a\"") != std::string::npos);
    }
}

TEST_CASE("inbox: what several documents hold is labelled, and so is a service without inbox") {
    world on;
    auto broker = on.broker();
    const auto label = R"("guarantee":"at_least_once")";
    const auto labelled = [&](requests& by, const std::string& id, const std::string& body) {
        const auto got = by.run(id, body);
        CHECK(got.find(R"("status":"ok")") != std::string::npos);
        return got.find(label) != std::string::npos;
    };
    CHECK_FALSE(
        labelled(broker, "1", R"("template":"things","op":"insert","data":{"id":1,"owner":"a"})"));
    CHECK_FALSE(
        labelled(broker, "2", R"("template":"things","op":"insert","data":[{"id":2},{"id":3}])"));
    CHECK_FALSE(
        labelled(broker, "3", R"("template":"things","op":"update","key":1,"inc":{"n":1})"));
    CHECK_FALSE(labelled(broker, "4", R"("template":"things","op":"delete","key":2)"));
    CHECK(labelled(broker, "5",
                   R"("template":"things","op":"update","where":{"owner":"a"},"inc":{"n":1})"));
    CHECK(labelled(broker, "6", R"("template":"things","op":"delete","where":{"owner":"a"})"));
    // Its reply is kept, too.
    CHECK(labelled(broker, "5",
                   R"("template":"things","op":"update","where":{"owner":"a"},"inc":{"n":1})"));

    const auto catalog = broker.run("d", R"("op":"describe","template":"things")");
    CHECK(catalog.find(R"({"op":"insert","class":"write","on_conflict":{"unique":[["id"]],)") !=
          std::string::npos); // once, and by the key only
    const std::string by_where = R"("class":"write","guarantee_by_where":"at_least_once"})";
    CHECK(catalog.find(R"({"op":"update",)" + by_where) != std::string::npos);
    CHECK(catalog.find(R"({"op":"delete",)" + by_where) != std::string::npos);

    world without{[](config::rec_service_settings& settings) { settings.inbox = false; }};
    auto plain = without.broker();
    CHECK(labelled(plain, "1", R"("template":"things","op":"insert","data":{"id":1})"));
    CHECK(labelled(plain, "1", R"("template":"things","op":"update","key":1,"inc":{"n":1})"));
    CHECK(without.raw.documents("beds_inbox").empty());
    CHECK(without.find("things", "_beds").empty());
    CHECK(plain.run("d", R"("op":"describe","template":"things")")
              .find(R"({"op":"update","class":"write","guarantee":"at_least_once"})") !=
          std::string::npos);
}

TEST_CASE("inbox: an update that was begun and not ended") {
    world on;
    const auto add = [&](operations& ops) { ops.update(on.things(), {1}).inc({{"n", 1}}); };
    on.thing(1, 0, std::string{old_entry});
    operations ops;
    add(ops);
    on.run_and_die(ops, "m");
    CHECK(on.n(1) == 1);
    SECTION("its token is there: applied, and not again") {
        CHECK(on.again(ops, "m") == applied);
        CHECK(on.n(1) == 1);
    }
    SECTION("its token was pushed out: nobody knows") {
        auto broker = on.broker();
        for (int i = 0; i < 16; ++i) {
            broker.run("x" + std::to_string(i),
                       R"("template":"things","op":"update","key":1,"inc":{"n":100})");
        }
        CHECK(on.again(ops, "m") == unknown);
        CHECK(on.again(ops, "m") == unknown);
        CHECK(on.n(1) == 1601);
    }
    SECTION("the ring has room, and is of another document: nobody knows") {
        const auto young = core::machine_clock().system_now().time_since_epoch();
        std::string seconds(8, '0');
        std::snprintf(
            seconds.data(), 9, "%08x",
            static_cast<unsigned>(std::chrono::duration_cast<std::chrono::seconds>(young).count()));
        on.change(1, R"({"$set": {"n": {"$numberLong": "0"}, "_beds": [{"$oid": ")" + seconds +
                         R"(0000000000000001"}]}})");
        CHECK(on.again(ops, "m") == unknown);
        CHECK(on.n(1) == 0);
    }
    SECTION("there is no ring: nobody knows") {
        on.change(1, R"({"$set": {"n": {"$numberLong": "0"}}, "$unset": {"_beds": 1}})");
        CHECK(on.again(ops, "m") == unknown);
        CHECK(on.n(1) == 0);
    }
    SECTION("the document is gone: nobody knows") {
        on.raw.run(R"({"delete": "things", "deletes": [{"q": {"_id": 1}, "limit": 1}]})");
        CHECK(on.again(ops, "m") == unknown);
    }
    SECTION("the ring goes back to before it was begun: it did not happen, and does") {
        on.change(1, R"({"$set": {"n": {"$numberLong": "0"}, "_beds": [)" + std::string{old_entry} +
                         "]}}");
        CHECK(on.again(ops, "m") == applied);
        CHECK(on.n(1) == 1);
        CHECK(on.again(ops, "m") == applied);
        CHECK(on.n(1) == 1);
    }
    SECTION("the same id with other content") {
        auto broker = on.broker();
        const auto got =
            broker.run("m", R"("template":"things","op":"update","key":1,"inc":{"n":7})");
        CHECK(got.find("ID_REUSED") != std::string::npos);
        CHECK(on.n(1) == 1);
    }
}

TEST_CASE("inbox: inserts that were begun and not ended") {
    world on;
    operations ops;
    ops.insert(on.things(), {{"id", 1}, {"n", 5}, {"owner", "a"}});
    on.run_and_die(ops, "m");
    CHECK(on.again(ops, "m") == applied);
    CHECK(on.n(1) == 5);
    SECTION("deleted by somebody else: it is not inserted again") {
        operations second;
        second.insert(on.things(), {{"id", 2}, {"n", 5}, {"owner", "a"}});
        on.run_and_die(second, "s");
        on.raw.run(R"({"delete": "things", "deletes": [{"q": {"_id": 2}, "limit": 1}]})");
        CHECK(on.again(second, "s") == unknown);
        on.thing(2, 9, std::string{old_entry}); // somebody else's
        CHECK(on.again(second, "s") == unknown);
        CHECK(on.n(2) == 9);
    }
    SECTION("several rows: all of them, or nobody knows") {
        operations rows;
        rows.insert(on.things())
            .row({{"id", 11}, {"n", 1}, {"owner", "b"}})
            .row({{"id", 12}, {"n", 1}, {"owner", "b"}});
        on.run_and_die(rows, "r");
        CHECK(on.again(rows, "r") == applied);
        on.raw.run(R"({"delete": "things", "deletes": [{"q": {"_id": 12}, "limit": 1}]})");
        CHECK(on.again(rows, "r") == unknown);
        CHECK(on.n(12) == -1);
    }
    SECTION("a key that the node made is the one of the first time") {
        const std::string one = "11111111-2222-4333-8444-555555555555";
        operations first;
        first.insert(on.notes(), {{"id", one}, {"text", "x"}});
        on.run_and_die(first, "n");
        operations again;
        auto insert = again.insert(on.notes(),
                                   {{"id", "99999999-2222-4333-8444-555555555555"}, {"text", "x"}});
        const auto got = on.run_again(again, "n");
        CHECK(text_of(got.outcome(insert)) == applied);
        REQUIRE(got.of(insert).keys.size() == 1);
        CHECK(to_string(got.of(insert).keys[0].at(0)).find(one) != std::string::npos);
        CHECK(on.raw.documents("notes").size() == 1);
    }
}

TEST_CASE("inbox: deletes that were begun and not ended") {
    world on;
    on.thing(1, 0, std::string{old_entry});
    on.thing(2, 0, std::string{old_entry});
    operations ops;
    ops.remove(on.things(), {1});
    on.run_and_die(ops, "m");
    CHECK(on.n(1) == -1);
    SECTION("gone: by whom, nobody knows") {
        CHECK(on.again(ops, "m") == unknown);
    }
    SECTION("there again: somebody else's, it is not deleted") {
        on.raw.run(R"({"insert": "things", "documents": [{"_id": {"$numberLong": "1"}}]})");
        CHECK(on.again(ops, "m") == unknown);
        CHECK(on.raw.documents("things").size() == 2);
    }
    SECTION("there, and goes back to before it was begun: it was not deleted, and is") {
        on.thing(1, 7, std::string{old_entry});
        CHECK(on.again(ops, "m") == applied);
        CHECK(on.n(1) == -1);
        CHECK(on.n(2) == 0);
    }
    SECTION("marked and not deleted: it is") {
        const auto intent = on.find("beds_inbox", R"("k" : )");
        const auto at = intent.find(R"("k" : )") + 6;
        const auto token = intent.substr(at, intent.find('}', at) + 1 - at);
        on.thing(1, 7, token);
        CHECK(on.again(ops, "m") == applied);
        CHECK(on.n(1) == -1);
    }
}

TEST_CASE("inbox: a broker that was slow does not do what another one took over") {
    world on;
    on.thing(1, 0, std::string{old_entry});
    on.thing(2, 0, std::string{old_entry});
    const auto both = [&](operations& ops) {
        ops.update(on.things(), {1}).inc({{"n", 1}});
        ops.update(on.things(), {2}).inc({{"n", 1}});
    };
    operations ops;
    both(ops);
    const auto slow = on.adapter->open_session({"slow", nullptr, {}});
    slow->connect(core::deadline::after(std::chrono::seconds{5}));
    std::vector<std::string> names;
    const auto ids = world::identities(ops, "m", names);
    std::vector<stored_reply> known;
    answer got;
    got.outcomes.resize(ops.size());
    REQUIRE(slow->begin(work_kind::write, core::deadline::after(std::chrono::seconds{20}), ids,
                        lookup::none, ops.memory(), known) == adapters::step_result::done);
    const auto step = [&](std::size_t i) {
        return slow->run(ops.group(i, 1, adapters::group_mode::independent), got.sink, got.outcomes,
                         ops.memory());
    };
    REQUIRE(step(0) == adapters::step_result::done);
    on.forget_the_time();
    operations again;
    both(again);
    for (const auto& outcome : on.run_again(again, "m").outcomes) {
        CHECK(text_of(outcome) == applied);
    }
    CHECK(step(1) == adapters::step_result::done);
    CHECK(text_of(got.outcomes[1]) == applied);
    CHECK(on.n(1) == 1);
    CHECK(on.n(2) == 1);
}

TEST_CASE("inbox: what did not happen leaves nothing there") {
    world on;
    auto broker = on.broker();
    const auto sequence = broker.run("m", R"("mode":"sequence","ops":[
             {"id":"a","template":"things","op":"update","key":9,"inc":{"n":1}},
             {"id":"b","template":"things","op":"insert","data":{"id":1}},
             {"id":"c","template":"things","op":"insert","data":{"id":2}}])");
    CHECK(sequence.find("NOT_FOUND") != std::string::npos);
    CHECK(sequence.find("skipped") != std::string::npos);
    CHECK(on.raw.documents("beds_inbox").size() == 1); // the refusal
    const auto insert =
        broker.run("m2", R"("ops":[{"id":"b","template":"things","op":"insert","data":{"id":1}}])");
    CHECK(insert.find(R"("effect":"applied")") != std::string::npos);
}

TEST_CASE("inbox: a write that is sent again after a reload gets its first reply") {
    world on;
    on.thing(1, 0, std::string{old_entry});
    auto broker = on.broker();
    const std::string update = R"("template":"things","op":"update","key":1,"inc":{"n":1})";
    const std::string insert = R"("template":"things","op":"insert","data":{"id":2,"owner":"s"})";
    const auto updated = broker.run("u", update);
    const auto inserted = broker.run("i", insert);
    REQUIRE(updated.find(R"("effect":"applied")") != std::string::npos);
    REQUIRE(inserted.find(R"("effect":"applied")") != std::string::npos);
    // `things` is gone.
    broker.change_templates(std::make_shared<const factory::template_set>(
        factory::template_set{.registry = registry_of({notes_text}),
                              .generation = 1,
                              .since = {0},
                              .slots = {1},
                              .removed = {"things"}}));
    for (const bool redelivered : {false, true}) {
        CHECK(broker.run("u", update, redelivered) == updated);
        CHECK(broker.run("i", insert, redelivered) == inserted);
        const auto other = broker.run("new", update, redelivered);
        CHECK(other.find("UNKNOWN_TEMPLATE") != std::string::npos);
        CHECK(other.find(R"("effect":"none")") != std::string::npos);
    }
    CHECK(on.n(1) == 1);
}

TEST_CASE("inbox: each message five times at once over four brokers counts once") {
    world on;
    constexpr int messages = 120;
    constexpr int rows = 12;
    constexpr int copies = 5;
    for (int i = 0; i < rows; ++i) {
        on.thing(i, 0, std::string{old_entry});
    }
    std::mutex mutex;
    std::map<std::string, std::set<std::string>> final_replies;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            auto broker = on.broker();
            std::mt19937 random{t};
            std::vector<sent> all;
            for (int i = 0; i < messages; ++i) {
                const auto id = "m" + std::to_string(i);
                for (int k = 0; k < copies; ++k) {
                    if (i % 3 != 0) {
                        all.push_back({id, R"("template":"things","op":"update","key":)" +
                                               std::to_string(i % rows) + R"(,"inc":{"n":1})"});
                    } else {
                        all.push_back({id, R"("template":"things","op":"insert","data":{"id":)" +
                                               std::to_string(1000 + i) + R"(,"owner":"s"})"});
                    }
                    all.back().redelivered = k > 0;
                }
            }
            std::shuffle(all.begin(), all.end(), random);
            for (std::size_t i = 0; i < all.size(); i += 20) {
                const std::vector<sent> batch(
                    all.begin() + static_cast<std::ptrdiff_t>(i),
                    all.begin() + static_cast<std::ptrdiff_t>(std::min(i + 20, all.size())));
                const auto got = broker.run(batch);
                const std::lock_guard lock{mutex};
                for (std::size_t k = 0; k < got.size(); ++k) {
                    if (got[k].find(R"("effect":"unknown")") == std::string::npos) {
                        final_replies[batch[k].id].insert(got[k]);
                    }
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(final_replies.size() == messages);
    for (const auto& [id, replies] : final_replies) {
        CAPTURE(id, *replies.begin());
        CHECK(replies.size() == 1);
        CHECK(replies.begin()->find(R"("effect":"applied")") != std::string::npos);
    }
    long long sum = 0;
    for (int i = 0; i < rows; ++i) {
        sum += on.n(i);
    }
    CHECK(sum == messages - messages / 3);
    CHECK(on.raw.documents("things").size() == rows + messages / 3);
    CHECK(on.raw.documents("beds_inbox").size() == messages);
}

TEST_CASE("inbox: many writes of one row in one batch leave evidence of each") {
    world on;
    on.thing(1, 0, std::string{old_entry});
    std::vector<sent> batch;
    for (int i = 0; i < 40; ++i) {
        batch.push_back({"m" + std::to_string(i),
                         R"("template":"things","op":"update","key":1,"inc":{"n":1})"});
    }
    auto broker = on.broker();
    const auto first = broker.run(batch);
    CHECK(on.n(1) == 40);
    auto other = on.broker();
    CHECK(other.run(batch) == first);
    CHECK(on.n(1) == 40);
}

TEST_CASE("inbox: a database that refuses it takes no writes") {
    scripted_server server{[](std::string_view name, const std::string& command) {
        scripted_reply made;
        if (command.find("beds_inbox") != std::string::npos) {
            made.json = R"({"ok": 0, "code": 13, "errmsg": "not authorized"})";
        } else if (name == "listIndexes") {
            made.json = R"({"ok": 1, "cursor": {"id": {"$numberLong": "0"}, "ns": "db.x",
                         "firstBatch": []}})";
        } else {
            made.json = R"({"ok": 1, "n": 1})";
        }
        return made;
    }};
    std::vector<std::string> logged;
    requests broker{adapters::make_mongodb("rec", settings_for(server.uri(), "db")),
                    registry_of({things_text}),
                    observe::log_sink{observe::level::debug, [&](const observe::log_record& one) {
                                          logged.emplace_back(one.id);
                                      }}};
    const auto got = broker.run("m", R"("template":"things","op":"update","key":1,"inc":{"n":1})");
    CHECK(got.find("BACKEND_UNAVAILABLE") != std::string::npos);
    CHECK(got.find(R"("effect":"none")") != std::string::npos);
    CHECK(std::count(logged.begin(), logged.end(), "BEDS_MONGODB_INBOX") > 0);
    for (const auto& command : server.commands()) {
        CHECK(command.find(R"("update" : "things")") == std::string::npos);
    }
}

TEST_CASE("inbox: intent, effect and reply need no transaction: a mongod by itself has none") {
    scripted_server server{[](std::string_view name, const std::string&) {
        scripted_reply made;
        made.json = name == "listIndexes" || name == "listCollections" || name == "find"
                        ? R"({"ok": 1, "cursor": {"id": {"$numberLong": "0"}, "ns": "db.x",
                              "firstBatch": []}})"
                        : R"({"ok": 1, "n": 1, "nModified": 1})";
        return made;
    }};
    requests broker{adapters::make_mongodb("rec", settings_for(server.uri(), "db")),
                    registry_of({things_text}),
                    {}};
    int number = 0;
    for (const char* body : {R"("op":"insert","data":{"id":1})", R"("op":"delete","key":1)",
                             R"("op":"update","key":1,"inc":{"n":1})"}) {
        const auto got = broker.run("m" + std::to_string(++number),
                                    R"("template":"things",)" + std::string{body});
        INFO(got);
        CHECK(got.find(R"("effect":"applied")") != std::string::npos);
    }
    const auto commands = server.commands();
    const auto seen = [&](std::string_view verb, std::string_view collection) {
        const auto start = '"' + std::string{verb} + R"(" : ")" + std::string{collection} + '"';
        return std::count_if(commands.begin(), commands.end(), [&](const std::string& one) {
            return one.find(start) != std::string::npos;
        });
    };
    CHECK(seen("insert", "beds_inbox") == 3); // the intents
    CHECK(seen("update", "beds_inbox") >= 3); // the replies
    CHECK(seen("insert", "things") + seen("update", "things") + seen("delete", "things") >= 3);
}

TEST_CASE("inbox: the index that lets entries go") {
    world on;
    const auto look = [&] {
        const auto session = on.adapter->open_session({"ipl", nullptr, on.log()});
        session->connect(core::deadline::after(std::chrono::seconds{5}));
        const templates::template_def* const all[] = {&on.things()};
        on.adapter->inspect(*session, all, core::deadline::after(std::chrono::seconds{5}));
        return std::count(on.logged.begin(), on.logged.end(), "BEDS_MONGODB_WINDOW");
    };
    SECTION("is not there: the node says so, once") {
        CHECK(look() == 1);
        CHECK(look() == 1);
    }
    SECTION("is there") {
        on.raw.run(R"({"createIndexes": "beds_inbox", "indexes": [
            {"key": {"t": 1}, "name": "beds_window", "expireAfterSeconds": 86400}]})");
        CHECK(look() == 0);
    }
}
