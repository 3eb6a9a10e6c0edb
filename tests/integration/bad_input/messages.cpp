#include "messages.hpp"

#include "support/catch.hpp"

#include <beds/core/json.hpp>
#include <beds/wire/reply.hpp>

namespace beds::test {

namespace {

struct decoded {
    explicit decoded(const std::string& body) : text(body) {
        core::json_parser parser;
        if (wire::decode_reply(text, parser, memory, reply)) {
            for (const auto& one : reply.results) {
                if (failed == nullptr && !one.outcome.ok()) {
                    failed = &one;
                }
            }
        }
    }
    std::string text;
    core::arena memory;
    wire::reply_view reply;
    const wire::result_view* failed = nullptr; ///< the first result that is a failure
};

} // namespace

std::string nested(int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
}

std::string insert_with(const std::string& members) {
    return R"({"v":1,"template":"%","op":"insert","data":{"id":70,)" + members + "}}";
}

std::vector<bad_message> bad_messages() {
    const std::string insert_row = insert_with(R"("title":"x")");
    const auto no_id = [](raw_message& m) { m.message_id.clear(); };
    const std::string invalid_utf8 = "\xC3\x28";
    const std::string nul(1, '\0');
    std::vector<bad_message> all{
        // The bytes
        {"not JSON", "%.read", "hello", "INVALID_ENVELOPE"},
        {"not JSON on the write queue", "%.write", "<xml/>", "INVALID_ENVELOPE"},
        {"not JSON on the bulk queue", "%.bulk", "v=1", "INVALID_ENVELOPE"},
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
        {"no message_id with a write behind a read", "%.write",
         R"({"v":1,"ops":[{"template":"%","op":"fetch","key":1},)"
         R"({"template":"%","op":"delete","key":1}]})",
         "INVALID_ENVELOPE", no_id, "message_id"},
        {"no message_id on the bulk queue", "%.bulk", insert_row, "INVALID_ENVELOPE", no_id,
         "message_id"},
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
        {"unknown field on the bulk queue",
         "%.bulk",
         insert_with(R"("titel":"x")"),
         "INVALID_FIELD",
         {},
         "titel"},
        {"a name that begins with $", "%.write", insert_with(R"("$where":"1")"), "INVALID_FIELD"},
        {"a name with a dot", "%.write", insert_with(R"("doc.a":1)"), "INVALID_FIELD"},
        {"a name with NUL", "%.write", insert_with(R"("title\u0000":"x")"), "INVALID_FIELD"},
        {"an empty name", "%.write", insert_with(R"("":"x")"), "INVALID_FIELD"},
        {"$ in where", "%.read", R"({"v":1,"template":"%","op":"find","where":{"$or":[{"id":1}]}})",
         "INVALID_FIELD"},
        {"$ as an operator", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"$ne":null}}})", "INVALID_FIELD"},

        // Operators of MongoDB where values belong, and names of its own
        {"an operator object as text",
         "%.write",
         insert_with(R"("title":{"$gt":""})"),
         "INVALID_FIELD",
         {},
         "title"},
        {"an operator object as a date",
         "%.write",
         insert_with(R"("due":{"$date":"2026-01-01T00:00:00Z"})"),
         "INVALID_FIELD",
         {},
         "due"},
        {"an operator object to set",
         "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"set":{"title":{"$gt":""}}})",
         "INVALID_FIELD",
         {},
         "title"},
        {"an operator object in if",
         "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"set":{"title":"x"},)"
         R"("if":{"title":{"$gt":""}}})",
         "INVALID_FIELD",
         {},
         "title"},
        {"an operator object in where", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"$gt":""}}})", "INVALID_FIELD"},
        {"an operator object inside of an operator", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"eq":{"$gt":""}}}})",
         "INVALID_FIELD"},
        {"an operator object in a list", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"in":["one",{"$gt":""}]}}})",
         "INVALID_FIELD"},
        {"an operator object as the key's field", "%.write",
         R"({"v":1,"template":"%","op":"delete","key":{"id":{"$gt":0}}})", "INVALID_FIELD"},
        {"a pattern in where", "%.read",
         R"({"v":1,"template":"%","op":"find","where":{"title":{"$regex":".*"}}})",
         "INVALID_FIELD"},
        {"$where in if", "%.write",
         R"({"v":1,"template":"%","op":"delete","key":1,"if":{"$where":"1"}})", "INVALID_FIELD"},
        {"$set in set", "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"set":{"$set":{"title":"x"}}})",
         "INVALID_FIELD"},
        {"$inc in inc", "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"inc":{"$inc":1}})", "INVALID_FIELD"},
        {"a dot in set", "%.write",
         R"({"v":1,"template":"%","op":"update","key":1,"set":{"doc.a":1}})", "INVALID_FIELD"},
        {"a dot in fields", "%.read",
         R"({"v":1,"template":"%","op":"fetch","key":1,"fields":["doc.a"]})", "INVALID_FIELD"},
        {"$natural in sort", "%.read", R"({"v":1,"template":"%","op":"find","sort":["$natural"]})",
         "INVALID_FIELD"},
        {"NUL in where", "%.read", R"({"v":1,"template":"%","op":"find","where":{"id\u0000":1}})",
         "INVALID_FIELD"},
        {"the stored name of a field", "%.write", insert_with(R"("_id":71)"), "INVALID_FIELD"},
        {"the adapter's own name", "%.write", insert_with(R"("_beds":1)"), "INVALID_FIELD"},
        {"a collection for a template", "%.read",
         R"({"v":1,"template":"$cmd","op":"fetch","key":1})", "UNKNOWN_TEMPLATE"},
        {"a template's name with NUL", "%.read",
         R"({"v":1,"template":"%\u0000","op":"fetch","key":1})", "UNKNOWN_TEMPLATE"},

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

void check_bad_messages(raw_client& raw, const std::string& name,
                        const std::vector<bad_message>& messages) {
    int number = 0;
    for (const auto& one : messages) {
        INFO(name << ": " << one.name);
        raw_message message;
        message.key = filled(one.key, name);
        message.body = filled(one.body, name);
        message.message_id = "bad-" + name + std::to_string(++number);
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
        REQUIRE(got.failed != nullptr);
        CHECK(got.failed->code_text == one.code);
        CHECK(got.failed->outcome.effect == core::effect::none);
        CHECK_FALSE(got.failed->retryable);
        CHECK(got.text.size() < 1024); // nothing long is echoed
        if (!one.field.empty()) {
            CHECK(got.failed->outcome.field == one.field);
        }

        // 2. No reply_to. 3. A reply_to that does not exist. Both end among the dead.
        for (const std::string lost : {"", "nobody-has-this-queue"}) {
            INFO("reply_to: '" << lost << "'");
            message.reply_to = lost;
            raw.publish(message);
            REQUIRE(raw.settle());
            const auto letter = raw.dead();
            REQUIRE(letter);
            CHECK((letter->body == message.body)); // not shown: it may be 16 MiB
            CHECK(letter->correlation_id == message.correlation_id);
            CHECK(letter->message_id == message.message_id);
            if (message.body.size() > 16 * 1024 * 1024) { // RabbitMQ moved it
                CHECK(letter->header("x-first-death-reason") == "rejected");
                continue;
            }
            CHECK(letter->header("beds-error-code") == one.code);
            CHECK(letter->header("beds-error-effect") == "none");
            CHECK(letter->header("beds-routing-key") == message.key);
            CHECK_FALSE(letter->header("beds-event").empty());
        }
        // The next good message is served.
        raw_message good;
        good.key = one.key.starts_with('%') ? message.key : name + ".read";
        good.body = filled(fetch_one, name);
        good.reply_to = raw.reply_queue();
        raw.publish(good);
        REQUIRE(raw.settle());
        const auto served = raw.reply();
        REQUIRE(served);
        CHECK(served->body.find(R"("title":"one")") != std::string::npos);
    }
}

} // namespace beds::test
