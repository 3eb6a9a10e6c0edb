#include "fixture.hpp"

#include <beds/client/value.hpp>
#include <beds/core/json.hpp>
#include <beds/wire/reply.hpp>

using namespace beds;
using namespace std::chrono_literals;
using test::raw_message;

namespace {

/// One message that cannot be worked on, and what becomes of it. `%` in body and key stands for the
/// template's name.
struct bad_message {
    std::string name;
    std::string key;
    std::string body;
    std::string code;
    /// What of the message is not as usual, beside its body.
    std::function<void(raw_message&)> change{};
    std::string field{}; ///< that the reply must name; empty: not looked at
};

std::string nested(int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
}

std::string insert_with(const std::string& members) {
    return R"({"v":1,"template":"%","op":"insert","data":{"id":70,)" + members + "}}";
}

const std::string fetch_one = R"({"v":1,"template":"%","op":"fetch","key":1})";
const std::string insert_row = insert_with(R"("title":"x")");

std::vector<bad_message> bad_messages() {
    const auto no_id = [](raw_message& m) { m.message_id.clear(); };
    const std::string invalid_utf8 = "\xC3\x28";
    const std::string nul(1, '\0');
    std::vector<bad_message> all{
        // The bytes
        {"not JSON", "%.read", "hello", "INVALID_ENVELOPE"},
        {"not JSON on the write queue", "%.write", "<xml/>", "INVALID_ENVELOPE"},
        {"0 bytes", "%.read", "", "INVALID_ENVELOPE"},
        {"0 bytes on the write queue", "%.write", "", "INVALID_ENVELOPE"},
        {"truncated", "%.read", fetch_one.substr(0, fetch_one.size() - 3), "INVALID_ENVELOPE"},
        {"truncated in a string", "%.write", R"({"v":1,"template":"%","op":"ins)",
         "INVALID_ENVELOPE"},
        {"more behind the object", "%.read", fetch_one + "{}", "INVALID_ENVELOPE"},
        {"a byte order mark", "%.read", "\xEF\xBB\xBF" + fetch_one, "INVALID_ENVELOPE"},
        {"a comment", "%.read", "/* hi */" + fetch_one, "INVALID_ENVELOPE"},
        {"NaN", "%.read", R"({"v":1,"template":"%","op":"fetch","key":NaN})", "INVALID_ENVELOPE"},
        {"a leading zero", "%.read", R"({"v":1,"template":"%","op":"fetch","key":01})",
         "INVALID_ENVELOPE"},
        {"a NUL byte outside of strings", "%.read", fetch_one + nul, "INVALID_ENVELOPE"},
        {"invalid UTF-8 in a value", "%.write",
         R"({"v":1,"template":"%","op":"insert","data":{"id":70,"title":")" + invalid_utf8 + "\"}}",
         "INVALID_ENVELOPE"},
        {"invalid UTF-8 in a member's name", "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":1,")" + invalid_utf8 + "\":1}",
         "INVALID_ENVELOPE"},
        {"a lone surrogate", "%.write", insert_with(R"("title":"\ud800")"), "INVALID_ENVELOPE"},
        {"101 arrays deep", "%.read", nested(101), "INVALID_ENVELOPE"},
        {"101 deep inside of a document", "%.write", insert_with("\"doc\":" + nested(99)),
         "INVALID_ENVELOPE"},
        {"100,000 arrays deep", "%.read", std::string(100'000, '['), "INVALID_ENVELOPE"},
        {"16 MiB and a byte", "%.write",
         insert_row + std::string(16 * 1024 * 1024 + 1 - insert_row.size(), ' '), "LIMIT_EXCEEDED"},
        {"16 MiB and a byte, reading", "%.read", std::string(16 * 1024 * 1024 + 1, ' '),
         "LIMIT_EXCEEDED"},
        {"duplicate members", "%.read", R"({"v":1,"template":"%","op":"fetch","key":1,"key":2})",
         "INVALID_ENVELOPE"},
        {"too many operations", "%.read",
         [] {
             std::string ops = R"({"v":1,"ops":[{})";
             for (int i = 0; i < 4096; ++i) {
                 ops += ",{}";
             }
             return ops + "]}";
         }(),
         "LIMIT_EXCEEDED"},

        // The envelope
        {"an array", "%.read", "[1,2]", "INVALID_ENVELOPE"},
        {"a string", "%.read", R"("fetch")", "INVALID_ENVELOPE"},
        {"no version", "%.read", R"({"template":"%","op":"fetch","key":1})", "INVALID_ENVELOPE"},
        {"another version",
         "%.read",
         R"({"v":2,"template":"%","op":"fetch","key":1})",
         "INVALID_ENVELOPE",
         {},
         "v"},
        {"unknown member",
         "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":1,"keys":2})",
         "INVALID_ENVELOPE",
         {},
         "keys"},
        {"unknown operation",
         "%.read",
         R"({"v":1,"template":"%","op":"fetsch","key":1})",
         "INVALID_ENVELOPE",
         {},
         "op"},
        {"unknown mode",
         "%.write",
         R"({"v":1,"mode":"all","ops":[{}]})",
         "INVALID_ENVELOPE",
         {},
         "mode"},
        {"no operations", "%.write", R"({"v":1,"ops":[]})", "INVALID_ENVELOPE", {}, "ops"},
        {"operations of the wrong type",
         "%.write",
         R"({"v":1,"ops":{"op":"fetch"}})",
         "INVALID_ENVELOPE",
         {},
         "ops"},
        {"an operation of the wrong type", "%.write", R"({"v":1,"ops":[7]})", "INVALID_ENVELOPE"},
        {"template of the wrong type",
         "%.read",
         R"({"v":1,"template":7,"op":"fetch","key":1})",
         "INVALID_ENVELOPE",
         {},
         "template"},
        {"no template",
         "%.read",
         R"({"v":1,"op":"fetch","key":1})",
         "INVALID_ENVELOPE",
         {},
         "template"},
        {"id of the wrong type",
         "%.write",
         R"({"v":1,"ops":[{"id":7,"template":"%","op":"delete","key":1}]})",
         "INVALID_ENVELOPE",
         {},
         "id"},
        {"an id of 256 bytes",
         "%.write",
         R"({"v":1,"ops":[{"id":")" + std::string(256, 'i') +
             R"(","template":"%","op":"delete","key":1}]})",
         "INVALID_ENVELOPE",
         {},
         "id"},
        {"deadline of the wrong type",
         "%.write",
         R"({"v":1,"ops":[{"deadline":"soon","template":"%","op":"delete","key":1}]})",
         "INVALID_ENVELOPE",
         {},
         "deadline"},
        {"a deadline that passed, on the operation", "%.write",
         R"({"v":1,"ops":[{"deadline":1000,"template":"%","op":"delete","key":1}]})",
         "DEADLINE_EXCEEDED"},
        {"set with fetch",
         "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":1,"set":{"title":"x"}})",
         "INVALID_ENVELOPE",
         {},
         "set"},

        // The message
        {"no message_id", "%.write", insert_row, "INVALID_ENVELOPE", no_id, "message_id"},
        {"no message_id with update", "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"set":{"title":"x"}})", "INVALID_ENVELOPE",
         no_id, "message_id"},
        {"no message_id with delete", "%.write", R"({"v":1,"template":"%","op":"delete","key":1})",
         "INVALID_ENVELOPE", no_id, "message_id"},
        {"a message_id too long to carry a position", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) { m.message_id.assign(255, 'm'); }, "message_id"},
        {"another content_type", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) { m.content_type = "application/xml"; }, "content_type"},
        {"another content_encoding", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) { m.content_encoding = "gzip"; }, "content_encoding"},
        {"a deadline that is a word", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) { m.text_headers.emplace_back("beds-deadline", "soon"); },
         "beds-deadline"},
        {"a deadline below zero", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) { m.integer_headers.emplace_back("beds-deadline", -1); },
         "beds-deadline"},
        {"a deadline beyond all clocks", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) { m.integer_headers.emplace_back("beds-deadline", INT64_MAX); },
         "beds-deadline"},
        {"a deadline that passed", "%.write", insert_row, "DEADLINE_EXCEEDED",
         [](raw_message& m) { m.integer_headers.emplace_back("beds-deadline", 1'000); }},
        {"a deadline that passed, reading", "%.read", fetch_one, "DEADLINE_EXCEEDED",
         [](raw_message& m) { m.text_headers.emplace_back("beds-deadline", "1000"); }},
        {"a deadline behind more headers than are read", "%.write", insert_row, "INVALID_ENVELOPE",
         [](raw_message& m) {
             for (int i = 0; i < 70; ++i) {
                 m.text_headers.emplace_back("a" + std::to_string(i), "x");
             }
             m.text_headers.emplace_back("beds-deadline", "1000");
         }},

        // What the template says
        {"unknown template", "%.read", R"({"v":1,"template":"nots","op":"fetch","key":1})",
         "UNKNOWN_TEMPLATE"},
        {"unknown template in the routing key too", "nots.read",
         R"({"v":1,"template":"nots","op":"fetch","key":1})", "UNKNOWN_TEMPLATE"},
        {"a key of routing that nobody has", "a.b.c.d.e",
         R"({"v":1,"template":"nots","op":"fetch","key":1})", "UNKNOWN_TEMPLATE"},
        {"a template's name of 60,000 bytes", "%.read",
         R"({"v":1,"template":")" + std::string(60'000, 't') + R"(","op":"fetch","key":1})",
         "UNKNOWN_TEMPLATE"},
        {"a write on the read queue", "%.read", insert_row, "MISROUTED"},
        {"unknown field in data",
         "%.write",
         insert_with(R"("titel":"x")"),
         "INVALID_FIELD",
         {},
         "titel"},
        {"unknown field in fields",
         "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":1,"fields":["nope"]})",
         "INVALID_FIELD",
         {},
         "nope"},
        {"unknown field in where",
         "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"nope":1}})",
         "INVALID_FIELD",
         {},
         "nope"},
        {"unknown field in sort", "%.read", R"({"v":1,"template":"%","op":"find","sort":["nope"]})",
         "INVALID_FIELD"},
        {"unknown operator", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"like":"x"}}})", "INVALID_FIELD"},
        {"unknown call", "%.write", R"({"v":1,"template":"%","op":"call","name":"nope","args":{}})",
         "INVALID_FIELD"},
        {"a cursor that is none", "%.read", R"({"v":1,"template":"%","op":"find","after":"AAAA"})",
         "INVALID_FIELD"},
        {"a limit below zero", "%.read", R"({"v":1,"template":"%","op":"find","limit":-1})",
         "INVALID_FIELD"},
        {"a limit that is a word", "%.read", R"({"v":1,"template":"%","op":"find","limit":"all"})",
         "INVALID_FIELD"},
        {"where of the wrong type", "%.read", R"({"v":1,"template":"%","op":"find","where":[1]})",
         "INVALID_FIELD"},
        {"sort of the wrong type", "%.read", R"({"v":1,"template":"%","op":"find","sort":{"a":1}})",
         "INVALID_FIELD"},
        {"fields of the wrong type", "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":1,"fields":"title"})", "INVALID_FIELD"},
        {"no key", "%.read", R"({"v":1,"template":"%","op":"fetch"})", "INVALID_ENVELOPE"},
        {"a key of the wrong type", "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":{"$gt":0}})", "INVALID_FIELD"},
        {"a key that is null", "%.read", R"({"v":1,"template":"%","op":"fetch","key":null})",
         "INVALID_FIELD"},
        {"a key that is an array", "%.read", R"({"v":1,"template":"%","op":"fetch","key":[1]})",
         "INVALID_FIELD"},
        {"data of the wrong type", "%.write", R"({"v":1,"template":"%","op":"insert","data":7})",
         "INVALID_FIELD"},
        {"no data", "%.write", R"({"v":1,"template":"%","op":"insert"})", "INVALID_ENVELOPE"},
        {"data without rows", "%.write", R"({"v":1,"template":"%","op":"insert","data":[]})",
         "INVALID_FIELD"},
        {"nothing to set", "%.write", R"({"v":1,"template":"%","op":"update","key":1})",
         "INVALID_ENVELOPE"},
        {"a required field is missing",
         "%.write",
         R"({"v":1,"template":"%","op":"insert","data":{"title":"x"}})",
         "INVALID_FIELD",
         {},
         "id"},
        {"a required field is null",
         "%.write",
         R"({"v":1,"template":"%","op":"insert","data":{"id":null}})",
         "INVALID_FIELD",
         {},
         "id"},
        {"a number where text belongs",
         "%.write",
         insert_with(R"("title":7)"),
         "INVALID_FIELD",
         {},
         "title"},
        {"an object where a number belongs",
         "%.write",
         insert_with(R"("small":{"$inc":1})"),
         "INVALID_FIELD",
         {},
         "small"},
        {"text where a bool belongs",
         "%.write",
         insert_with(R"("ok":"true")"),
         "INVALID_FIELD",
         {},
         "ok"},
        {"a name that begins with $", "%.write", insert_with(R"("$where":"1")"), "INVALID_FIELD"},
        {"a name with a dot", "%.write", insert_with(R"("doc.a":1)"), "INVALID_FIELD"},
        {"a name with NUL", "%.write", insert_with(R"("title\u0000":"x")"), "INVALID_FIELD"},
        {"an empty name", "%.write", insert_with(R"("":"x")"), "INVALID_FIELD"},
        {"$ in where", "%.read", R"({"v":1,"template":"%","op":"find","where":{"$or":[{"id":1}]}})",
         "INVALID_FIELD"},
        {"$ as an operator", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"$ne":null}}})", "INVALID_FIELD"},

        // Numbers
        {"above int64", "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":9223372036854775808})", "INVALID_FIELD"},
        {"above uint64",
         "%.write",
         insert_with(R"("big":18446744073709551616)"),
         "INVALID_FIELD",
         {},
         "big"},
        {"below zero in uint64", "%.write", insert_with(R"("big":-1)"), "INVALID_FIELD", {}, "big"},
        {"above int8", "%.write", insert_with(R"("small":128)"), "INVALID_FIELD", {}, "small"},
        {"below int8", "%.write", insert_with(R"("small":-129)"), "INVALID_FIELD", {}, "small"},
        {"a fraction in an integer",
         "%.write",
         insert_with(R"("small":1.5)"),
         "INVALID_FIELD",
         {},
         "small"},
        {"above all doubles",
         "%.write",
         insert_with(R"("ratio":1e309)"),
         "INVALID_FIELD",
         {},
         "ratio"},
        {"too many digits for the decimal",
         "%.write",
         insert_with(R"("amount":"123456789.00")"),
         "INVALID_FIELD",
         {},
         "amount"},
        {"too many places for the decimal",
         "%.write",
         insert_with(R"("amount":"1.005")"),
         "INVALID_FIELD",
         {},
         "amount"},
        {"an exponent of 400",
         "%.write",
         insert_with(R"("amount":1e400)"),
         "INVALID_FIELD",
         {},
         "amount"},
        {"no date",
         "%.write",
         insert_with(R"("due":"2026-02-30T00:00:00Z")"),
         "INVALID_FIELD",
         {},
         "due"},
        {"inc by text", "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"inc":{"small":"many"}})", "INVALID_FIELD"},
        {"text too long for the field",
         "%.write",
         insert_with(R"("title":")" + std::string(16'001, 'x') + "\""),
         "INVALID_FIELD",
         {},
         "title"},
    };
    return all;
}

std::string filled(std::string text, const std::string& name) {
    for (auto at = text.find('%'); at != std::string::npos; at = text.find('%', at)) {
        text.replace(at, 1, name);
    }
    return text;
}

/// The first result of a reply; checks that it is one.
struct decoded {
    explicit decoded(const std::string& body) : text(body) {
        core::json_parser parser;
        understood = wire::decode_reply(text, parser, memory, reply) && !reply.results.empty();
    }
    std::string text;
    core::arena memory;
    wire::reply_view reply;
    bool understood = false;
};

} // namespace

TEST_CASE("a bad message gets its code, changes nothing, and the next good one is served") {
    test::notes_world world;
    auto& raw = *world.raw;
    auto client = world.running->new_client();
    const auto inbox_before = world.data.sql("SELECT COUNT(*) FROM beds_inbox");
    const auto before = client->call(client::find("mnotes"));
    const auto rows_before = world.data.sql("SELECT * FROM notes");

    std::uint64_t published = 0;
    int number = 0;
    for (const std::string name : {"notes", "mnotes"}) {
        for (const auto& one : bad_messages()) {
            INFO(name << ": " << one.name);
            raw_message message;
            message.key = filled(one.key, name);
            message.body = filled(one.body, name);
            message.message_id = "bad-" + std::to_string(++number);
            message.correlation_id = "c-" + std::to_string(number);
            message.reply_to = raw.reply_queue();
            if (one.change) {
                one.change(message);
            }

            // 1. Somebody waits for the reply.
            raw.publish(message);
            REQUIRE(raw.settle());
            const auto answer = raw.reply();
            REQUIRE(answer);
            CHECK(answer->correlation_id == message.correlation_id);
            const decoded got{answer->body};
            INFO(got.text.substr(0, 300));
            REQUIRE(got.understood);
            CHECK(got.reply.results.front().code_text == one.code);
            CHECK(got.reply.results.front().outcome.effect == core::effect::none);
            CHECK_FALSE(got.reply.results.front().retryable);
            CHECK(got.text.size() < 1024); // nothing long is echoed
            if (!one.field.empty()) {
                CHECK(got.reply.results.front().outcome.field == one.field);
            }

            // 2. No reply_to. 3. A reply_to that does not exist. Both end among the dead.
            for (const std::string lost : {"", "nobody-has-this-queue"}) {
                INFO("reply_to: '" << lost << "'");
                message.reply_to = lost;
                raw.publish(message);
                REQUIRE(raw.settle());
                const auto letter = raw.dead();
                REQUIRE(letter);
                CHECK(letter->header("beds-error-code") == one.code);
                CHECK(letter->header("beds-error-effect") == "none");
                CHECK(letter->header("beds-routing-key") == message.key);
                CHECK_FALSE(letter->header("beds-event").empty());
                CHECK(letter->correlation_id == message.correlation_id);
                CHECK(letter->message_id == message.message_id);
                if (message.body.size() <= 16 * 1024 * 1024) {
                    CHECK(letter->body == message.body);
                }
            }
            published += 3;

            // The next good message is served.
            raw_message good;
            good.key = name + (one.key.ends_with(".write") ? ".write" : ".read");
            good.body = filled(fetch_one, name);
            good.reply_to = raw.reply_queue();
            raw.publish(good);
            REQUIRE(raw.settle());
            ++published;
            const auto served = raw.reply();
            REQUIRE(served);
            CHECK(served->body.find(R"("title":"one")") != std::string::npos);
        }
    }
    CHECK_FALSE(raw.reply(50ms));
    CHECK_FALSE(raw.dead(50ms));

    CHECK(world.data.sql("SELECT * FROM notes") == rows_before);
    CHECK(world.data.sql("SELECT COUNT(*) FROM beds_inbox") == inbox_before);
    const auto after = client->call(client::find("mnotes"));
    REQUIRE(after.front().size() == before.front().size());
    CHECK(after.front()[0].text("title") == "one");

    // Nothing was delivered twice, nothing is left: 2 reads and 2 writes are the client's own.
    CHECK(world.running->sum(&observe::broker_counters::messages) == published + 4);
    REQUIRE(world.running->node().stop(core::deadline::after(10s)));
    for (const auto op_class : {core::op_class::read, core::op_class::write}) {
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
