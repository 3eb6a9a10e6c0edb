#include "fixture.hpp"
#include "messages.hpp"

using namespace beds;
using namespace std::chrono_literals;
using test::fetch_one;
using test::filled;
using test::nested;
using test::raw_message;

TEST_CASE("a bad message gets its code, changes nothing, and the next good one is served") {
    test::notes_world world{{.rel = {.read = 1, .write = 1, .bulk = 1}}};
    auto& raw = *world.raw;
    auto client = world.running->new_client();
    const auto inbox_before = world.data.sql("SELECT COUNT(*) FROM beds_inbox");
    const auto before = client->call(client::find("mnotes"));
    const auto rows_before = world.data.sql("SELECT * FROM notes");

    auto messages = test::bad_messages();
    test::check_bad_messages(raw, "mnotes", messages);
    messages.push_back({"no message_id with a call that writes", "%.write",
                        R"({"v":1,"template":"%","op":"call","name":"erase"})", "INVALID_ENVELOPE",
                        [](raw_message& m) { m.message_id.clear(); }, "message_id"});
    test::check_bad_messages(raw, "notes", messages);
    const auto bad = 2 * messages.size() - 1;
    CHECK_FALSE(raw.reply(50ms));
    CHECK_FALSE(raw.dead(50ms));

    CHECK(world.data.sql("SELECT * FROM notes") == rows_before);
    CHECK(world.data.sql("SELECT COUNT(*) FROM beds_inbox") == inbox_before);
    const auto after = client->call(client::find("mnotes"));
    REQUIRE(after.front().size() == before.front().size());
    CHECK(after.front()[0].text("title") == "one");

    // Nothing was delivered twice, nothing is left: 2 reads and 2 writes are the client's own.
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    using counters = observe::broker_counters;
    CHECK(world.running->sum(&counters::messages) == test::sent_for_each * bad + 4);
    CHECK(world.running->sum(&counters::dead) == 2 * bad);
    CHECK(world.running->sum(&counters::replies_returned) == bad);
    CHECK(world.running->sum(&counters::requeued) == 0);
    CHECK(world.running->sum(&counters::quarantined) == 0);
    for (const auto op_class :
         {core::op_class::read, core::op_class::write, core::op_class::bulk}) {
        for (const char* connection : {"rel", "mem"}) {
            CHECK(raw.ready_messages(
                      amqp::request_queue_name(world.running->tag(), connection, op_class)) == 0);
        }
    }
    CHECK(raw.ready_messages(amqp::catalog_queue(world.running->tag())) == 0);
}

TEST_CASE("what looks odd and is allowed is served") {
    test::notes_world world;
    auto& raw = *world.raw;
    const auto ask = [&](raw_message message) {
        message.key = message.key.empty() ? "notes.write" : message.key;
        message.reply_to = raw.reply_queue();
        raw.publish(message);
        REQUIRE(raw.settle());
        const auto answer = raw.reply();
        REQUIRE(answer);
        return answer->body;
    };
    const auto padded = [](std::string body, std::size_t size) {
        body.resize(size, ' ');
        return body;
    };
    int id = 100;
    const auto insert = [&](const std::string& members) {
        return R"({"v":1,"template":"notes","op":"insert","data":{"id":)" + std::to_string(++id) +
               members + "}}";
    };
    const auto applied = [](const std::string& reply) {
        INFO(reply.substr(0, 300));
        CHECK(reply.find(R"("effect":"applied")") != std::string::npos);
    };

    applied(ask({.body = padded(insert(""), 16 * 1024 * 1024), .message_id = "exactly 16 MiB"}));
    applied(ask({.body = insert(""), .message_id = std::string(250, 'm')}));
    applied(ask({.body = insert(""), .message_id = "no content type", .content_type = ""}));
    applied(ask({.body = insert(""),
                 .message_id = "charset",
                 .content_type = "application/json; charset=utf-8"}));
    applied(ask({.body = insert(R"(,"doc":)" + nested(98)), .message_id = "100 deep"}));
    applied(
        ask({.body = insert(R"(,"doc":{"$oid":"a","a.b":{"$gt":1},"":null,"n\u0000ul":"\u0000"})"),
             .message_id = "names in a document"}));
    applied(ask({.body = insert(R"(,"small":-128,"big":18446744073709551615,"ratio":-0.0)"),
                 .message_id = "bounds"}));
    applied(ask({.body = insert(""), .message_id = std::string("nul\0in id", 9)}));
    applied(ask({.body = insert(""), .message_id = "\xff\xfe"}));
    applied(ask({.body = insert(""),
                 .message_id = "headers",
                 .text_headers = {{"x-long", std::string(60'000, 'h')},
                                  {"beds-event", std::string(10'000, 'e')},
                                  {"beds-int64", "who knows"},
                                  {"beds-depth", "deep"},
                                  {"beds-principal", "root"},
                                  {"x-death", "yes"}},
                 .integer_headers = {{"beds-int64", 7}, {"beds-event", -1}}}));
    CHECK(world.data.number("SELECT COUNT(*) FROM beds_inbox WHERE principal = 'root'") == 0);

    const auto doc = ask({.key = "notes.read",
                          .body = R"({"v":1,"template":"notes","op":"find","where":{"id":106}})"});
    INFO(doc);
    CHECK(doc.find(R"("$oid":"a")") != std::string::npos);
    CHECK(doc.find(R"("a.b":{"$gt":1})") != std::string::npos);
}

TEST_CASE("a reply_to that leads back into BEDS ends there") {
    test::notes_world world;
    auto& raw = *world.raw;
    const auto tag = world.running->tag();
    for (const char* queue : {"rel.read", "rel.write", "catalog.read"}) {
        INFO(queue);
        raw.publish(
            {.key = "notes.write", .body = filled(fetch_one, "notes"), .reply_to = tag + queue});
        REQUIRE(raw.settle());
        // The reply is no request: it is refused, and nobody can be told.
        const auto letter = raw.dead();
        REQUIRE(letter);
        CHECK(letter->header("beds-error-code") == "INVALID_ENVELOPE");
    }
    CHECK_FALSE(raw.dead(100ms));
    // Three requests and three replies, besides the two rows that were inserted.
    CHECK(world.running->sum(&observe::broker_counters::messages) == 3 + 3 + 2);
}
