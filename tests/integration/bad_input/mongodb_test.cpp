#include "fixture.hpp"
#include "integration/mongodb/fixture.hpp"
#include "messages.hpp"
#include "texts.hpp"

using namespace beds;
using namespace std::chrono_literals;
using test::raw_message;

namespace {

constexpr std::string_view tags_template = R"toml(
[template]
name = "tags"
store = "rec"
object = "tags"
key = ["name"]
[fields]
name = { type = "string", max = 700, required = true, column = "_id" }
note = { type = "string", max = 100 }
[calls.say]
class = "read"
args = [["what", "string"]]
pipeline = '[{"$match":{"_id":"anchor"}},{"$project":{"_id":0,"again":{"$arg":"what"}}}]'
[[calls.say.returns]]
name = "rows"
fields = [["again", "string"]]
)toml";

/// One node over MongoDB alone: `notes` with a row 1, and `tags`.
class mongodb_world {
public:
    mongodb_world()
        : rabbitmq(test::require_amqp()), data(test::require_mongodb().uri, test::unique_name()) {
        test::node_options options;
        options.mongodb =
            test::mongodb::settings_for(test::require_mongodb().uri, std::string{data.name()});
        options.rec.bulk = 1;
        options.templates = {test::notes_template("notes", "rec"), std::string{tags_template}};
        data.make_indexes(options.templates.front());
        running = std::make_unique<test::running_node>(rabbitmq, nullptr, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(15s)));
        raw = std::make_unique<test::raw_client>(rabbitmq, running->tag());
        raw->listen_to_the_dead();
        client = running->new_client();
        REQUIRE(client->call(client::insert("notes", {{"id", 1}, {"title", "one"}})).ok());
    }

    [[nodiscard]] std::vector<std::string> notes() { return data.documents("notes"); }
    /// The reply's text.
    std::string ask(raw_message message) {
        message.reply_to = raw->reply_queue();
        raw->publish(message);
        REQUIRE(raw->settle());
        const auto answer = raw->reply();
        REQUIRE(answer);
        return answer->body;
    }

    test::endpoint rabbitmq;
    test::mongodb::raw_database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<test::raw_client> raw;
    std::unique_ptr<client::client> client;
};

/// What only MongoDB cannot store.
std::vector<test::bad_message> unstorable() {
    const auto set = [](const std::string& doc) {
        return R"({"v":1,"template":"%","op":"update","key":1,"set":{"doc":)" + doc + "}}";
    };
    return {
        {"NUL in the name of a document's member",
         "%.write",
         test::insert_with(R"("doc":{"a\u0000b":1})"),
         "INVALID_FIELD",
         {},
         "doc"},
        {"NUL in a name further down",
         "%.write",
         set(R"([{"a":[{"\u0000":1}]}])"),
         "INVALID_FIELD",
         {},
         "doc"},
        {"the name that is the adapter's own",
         "%.write",
         set(R"({"a":{"_beds":1}})"),
         "INVALID_FIELD",
         {},
         "doc"},
        {"a number of more digits than MongoDB has",
         "%.write",
         set("{\"n\":" + std::string(40, '7') + "}"),
         "INVALID_FIELD",
         {},
         "doc"},
    };
}

} // namespace

TEST_CASE(
    "MongoDB: a bad message gets its code, changes nothing, and the next good one is served") {
    mongodb_world world;
    const auto before = world.notes();
    auto messages = test::bad_messages();
    for (auto& one : unstorable()) {
        messages.push_back(std::move(one));
    }
    test::check_bad_messages(*world.raw, "notes", messages);
    CHECK_FALSE(world.raw->reply(50ms));
    CHECK_FALSE(world.raw->dead(50ms));
    CHECK(world.notes() == before);
    CHECK(before.size() == 1);
    // `_id` needs no index of the operator's, and the collections were not there at the start.
    CHECK(world.running->log().find("BEDS_MONGODB_NO_KEY_INDEX") == std::string::npos);
    // Nothing was delivered twice, nothing is left; one write is the client's own.
    CHECK(world.running->sum(&observe::broker_counters::messages) ==
          test::sent_for_each * messages.size() + 1);
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    for (const auto op_class :
         {core::op_class::read, core::op_class::write, core::op_class::bulk}) {
        CHECK(world.raw->ready_messages(
                  amqp::request_queue_name(world.running->tag(), "rec", op_class)) == 0);
    }
}

TEST_CASE("MongoDB: names and operators inside of a document are data") {
    mongodb_world world;
    const std::string doc = R"({"$where":"1","$oid":"a","a.b":{"$gt":""},"":null,"$set":{"id":7},)"
                            R"("n":[{"$ne":1},"$title","\u0000"]})";
    const auto sent = [&](const std::string& op, const std::string& id) {
        const auto got = world.ask({.key = "notes.write", .body = op, .message_id = id});
        INFO(got);
        CHECK(got.find(R"("effect":"applied")") != std::string::npos);
    };
    sent(R"({"v":1,"template":"notes","op":"insert","data":{"id":2,"title":"$id","doc":)" + doc +
             "}}",
         "insert");
    sent(R"({"v":1,"template":"notes","op":"update","key":1,"set":{"doc":)" + doc +
             R"(,"title":"$doc"},"if":{"title":"one"}})",
         "update");
    const auto one = world.ask(
        {.key = "notes.read", .body = R"({"v":1,"template":"notes","op":"fetch","key":1})"});
    const auto two = world.ask(
        {.key = "notes.read", .body = R"({"v":1,"template":"notes","op":"fetch","key":2})"});
    INFO(one << '\n' << two);
    CHECK(one.find("\"doc\":" + doc) != std::string::npos);
    CHECK(two.find("\"doc\":" + doc) != std::string::npos);
    CHECK(one.find(R"("title":"$doc")") != std::string::npos);
    CHECK(two.find(R"("title":"$id")") != std::string::npos);
    CHECK(world.notes().size() == 2);
}

TEST_CASE("MongoDB: hostile text comes back byte for byte, and the database stays as it was") {
    mongodb_world world;
    REQUIRE(world.client->call(client::insert("tags", client::members{{"name", "anchor"}})).ok());
    world.data.run(R"({"create": "bystander"})");
    const auto collections = [&] {
        return world.data.run(R"({"listCollections": 1, "nameOnly": true})");
    };
    const auto before = collections();
    test::check_texts(*world.client, [&](const std::string& text) {
        const auto got = world.client->call(client::call("tags", "say", {{"what", text}}));
        INFO(got.json().substr(0, 300));
        REQUIRE(got.ok());
        const auto* rows = got.front().set("rows");
        REQUIRE(rows != nullptr);
        REQUIRE(rows->count == 1);
        return std::string{rows->items()[0].find("again")->text};
    });
    test::check_texts(*world.running, *world.raw);
    CHECK(world.notes().size() == 1 + test::texts().size());
    CHECK(world.data.documents("tags").size() == 1);
    CHECK(collections() == before);
}

TEST_CASE("MongoDB: an atomic envelope is UNSUPPORTED before anything runs") {
    mongodb_world world;
    const auto before = world.notes();
    const std::string envelope =
        R"({"v":1,"mode":"atomic","ops":[)"
        R"({"template":"notes","op":"insert","data":{"id":50,"title":"x"}},)"
        R"({"template":"notes","op":"update","key":1,"set":{"title":"y"}}]})";
    const auto got =
        world.ask({.key = "notes.write", .body = envelope, .message_id = "all or nothing"});
    INFO(got);
    const auto first = got.find(R"("code":"UNSUPPORTED")");
    REQUIRE(first != std::string::npos);
    CHECK(got.find(R"("code":"UNSUPPORTED")", first + 1) != std::string::npos);
    CHECK(got.find("applied") == std::string::npos);
    CHECK(got.find("unknown") == std::string::npos);
    CHECK(world.notes() == before);
    // The same operations apart are served.
    auto apart = envelope;
    apart.replace(apart.find("atomic"), 6, "each");
    const auto served = world.ask({.key = "notes.write", .body = apart, .message_id = "apart"});
    INFO(served);
    CHECK(served.find(R"("code":)") == std::string::npos);
    CHECK(world.notes().size() == 2);
}
