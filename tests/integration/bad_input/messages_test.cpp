#include "fixture.hpp"
#include "messages.hpp"

#include <algorithm>
#include <fstream>

using namespace beds;
using namespace std::chrono_literals;
using test::fetch_one;
using test::filled;
using test::nested;
using test::raw_message;

namespace {

std::size_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::size_t size = 0;
    std::size_t resident = 0;
    file >> size >> resident;
    return resident * 4096;
}

} // namespace

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

TEST_CASE("a storm of bad messages takes no memory, writes no long lines, and none comes again") {
    test::notes_world world{{.log_level = observe::level::debug}};
    auto& raw = *world.raw;
    std::uint64_t sent = 0;
    // Half of them can be told, half become dead letters.
    const auto storm = [&](std::uint64_t at_least) {
        auto all = test::bad_messages();
        const std::string name(3000, 'n');
        for (const auto& body :
             {R"({"v":1,"template":")" + name + R"(","op":"fetch","key":1})",
              R"({"v":1,"template":"%","op":"fetch","key":1,"fields":[")" + name + R"("]})",
              R"({"v":1,"template":"%","op":"call","name":")" + name + R"("})",
              R"({"v":1,"template":"%","op":")" + name + R"("})",
              R"({"v":1,")" + name + R"(":1})"}) {
            all.insert(all.begin(),
                       {"long names", "%.read", body, ""}); // of each second 50 are logged
        }
        for (const auto goal = sent + at_least; sent < goal;) {
            std::uint64_t replies = 0;
            std::uint64_t letters = 0;
            for (const auto& one : all) {
                if (one.body.size() > 200'000) {
                    continue;
                }
                raw_message message;
                message.key = filled(one.key, "mnotes");
                message.body = filled(one.body, "mnotes");
                message.message_id = "storm-" + std::to_string(++sent);
                message.reply_to = sent % 2 == 0 ? raw.reply_queue() : std::string{};
                if (one.change) {
                    one.change(message);
                }
                ++(message.reply_to.empty() ? letters : replies);
                raw.publish(message);
            }
            REQUIRE(raw.settle());
            while (replies > 0) {
                REQUIRE(raw.reply());
                --replies;
            }
            while (letters > 0) {
                REQUIRE(raw.dead());
                --letters;
            }
        }
    };
    storm(2'000); // until all buffers have their size
    const auto logged = world.running->log().size();
    const auto before = resident_bytes();
    storm(10'000);
    const auto text = world.running->log();
    // The log that this test keeps doubles when it grows, and was copied here.
    [[maybe_unused]] const auto of_the_log = 4 * (text.size() - logged) + text.size();
    const auto grown = resident_bytes() - std::min(before, resident_bytes());
    INFO("grown by " << grown << " bytes, log " << logged << " to " << text.size());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(grown <= of_the_log + 16 * 1024 * 1024);
#endif
    std::size_t longest = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        longest = std::max(longest, end - at);
        at = end + 1;
    }
    CHECK(longest > 20);
    CHECK(longest <= 1024);
    // Served as before, and nothing was delivered twice.
    raw.publish(
        {.key = "mnotes.read", .body = filled(fetch_one, "mnotes"), .reply_to = raw.reply_queue()});
    REQUIRE(raw.settle());
    const auto served = raw.reply();
    REQUIRE(served);
    CHECK(served->body.find("\"title\":\"one\"") != std::string::npos);
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    using counters = observe::broker_counters;
    CHECK(world.running->sum(&counters::messages) == sent + 3);
    CHECK(world.running->sum(&counters::requeued) == 0);
    CHECK(world.running->sum(&counters::quarantined) == 0);
}
