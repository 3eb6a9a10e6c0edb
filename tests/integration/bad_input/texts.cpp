#include "texts.hpp"

#include "support/catch.hpp"

#include <beds/core/json.hpp>

#include <map>

namespace beds::test {

using namespace std::chrono_literals;

std::vector<std::string> texts() {
    return {
        "' OR '1'='1",
        "' OR 1=1 -- ",
        "'; DROP TABLE notes; -- ",
        "\\'; DROP TABLE notes; -- ",
        "\\",
        "\\\\'",
        "\"; DROP TABLE notes; #",
        "`; DROP TABLE notes; `",
        "1; DELETE FROM notes",
        "') UNION SELECT user, password FROM mysql.user -- ",
        "/*!50000 DROP TABLE notes */",
        "*/ DROP TABLE notes /*",
        "0x27",
        "\xEF\xBC\x87",          // a full-width apostrophe
        "\xE6\xBF\xBF\xC2\xA7'", // what becomes an apostrophe where bytes are taken for GBK
        "%bf%27",
        "%",
        "_",
        "100%_\\%",
        std::string("before\0after", 12),
        std::string(1, '\0'),
        "\x1A\b\t\r\n\x1B[2J",
        "\xF0\x9F\x92\xA3 \xF0\x9F\x87\xB2\xF0\x9F\x87\xBD",
        "\xE2\x80\xAE"
        "abc",                // right to left
        "e\xCC\x81 \xC3\xA9", // composed and not: not the same, and stays so
        "trailing space ",
        " ",
        "",
        "${jndi:ldap://x/}",
        "{\"$gt\":\"\"}",
        "$where",
        "__proto__",
        "NULL",
        "null",
        "1e309",
        "-0",
        "9223372036854775808",
        "@@version",
        "SLEEP(10)",
        "?",
        ":name",
        "beds_inbox",
        std::string(15'999, '\''),
    };
}

void check_texts(client::client& client,
                 const std::function<std::string(const std::string&)>& said) {
    std::int64_t id = 1000;
    for (const auto& text : texts()) {
        INFO("text: " << text.substr(0, 60));
        ++id;
        // As a value.
        std::string base64;
        core::append_base64(base64, text);
        client::request insert{client::insert(
            "notes", {{"id", id}, {"title", text}, {"doc", text}, {"image", base64}})};
        insert.id = text.substr(0, 200) + "/" + std::to_string(id); // and in the id
        const auto inserted = client.call(insert);
        INFO(inserted.json().substr(0, 300));
        REQUIRE(inserted.ok());
        const auto again = client.call(insert);
        CHECK(again.front().effect() == core::effect::applied); // the first reply
        const auto fetched = client.call(client::fetch("notes", id));
        REQUIRE(fetched.front().size() == 1);
        CHECK(fetched.front()[0].text("title") == text);
        CHECK(fetched.front()[0].data().find("title")->is(core::datum::kind::string));
        CHECK(fetched.front()[0].text("doc") == text);
        CHECK(fetched.front()[0].text("image") == base64);
        // In conditions: it finds its own row and no other.
        const auto found = client.call(client::find("notes", {{"title", text}}));
        CHECK(found.front().size() == 1);
        // `%` and `_` mean nothing in a prefix.
        const auto begins = client.call(client::count(
            "notes",
            {{"title", client::value::object({{"prefix", text.substr(0, 1000)}})}, {"id", id}}));
        CHECK(begins.front().total() == 1U);
        // In `set`, in `if`.
        auto change = client::update("notes", id, {{"title", text + text.substr(0, 1)}});
        change.expect = client::value::object({{"title", text}});
        CHECK(client.call(change).front().count() == 1U);
        // As a key, and as an argument of a procedure.
        if (text.size() < 700) {
            REQUIRE(client.call(client::insert("tags", {{"name", text}, {"note", text}})).ok());
            const auto tag = client.call(client::fetch("tags", text));
            REQUIRE(tag.front().size() == 1);
            CHECK(tag.front()[0].text("name") == text);
            CHECK(client.call(client::update("tags", text, {{"note", "x"}})).front().count() == 1U);
            CHECK(client.call(client::remove("tags", text)).front().count() == 1U);
        }
        CHECK(said(text) == text);

        // Where names and values of other types belong it is refused, and the answer holds no SQL.
        if (text.empty()) {
            continue; // an empty name is no name
        }
        const auto named = client::value::object({{text, 1}});
        std::vector<client::operation> refused{
            client::insert("notes", {{"id", 1}, {text, 1}}),
            client::update("notes", 1, {{text, 1}}),
            client::find("notes", {{text, 1}}),
            client::find("notes", {{"title", client::value::object({{text, "x"}})}}),
            client::fetch("notes", named),
            client::fetch("notes", text), // the key is a number
            client::call("tags", text),
            client::call("tags", "say", {{"what", "x"}, {text, "x"}}),
        };
        refused.emplace_back(client::update("notes", 1, {})).inc = named;
        refused.emplace_back(client::remove("notes", 1)).expect = named;
        refused.emplace_back(client::find("notes")).sort = {text};
        refused.emplace_back(client::find("notes")).after = text;
        refused.emplace_back(client::fetch("notes", 1)).fields = {text};
        for (const char* field : {"small", "ratio", "ok", "due", "day", "code", "color"}) {
            refused.push_back(client::insert("notes", {{"id", 1}, {field, text}}));
        }
        if (text != "-0") {
            refused.push_back(client::insert("notes", {{"id", 1}, {"amount", text}}));
        }
        if (text.size() != 4) { // some are base64
            refused.push_back(client::insert("notes", {{"id", 1}, {"image", text}}));
        }
        const auto got = client.call(refused);
        INFO(got.json().substr(0, 300));
        REQUIRE(got.size() == refused.size());
        for (std::size_t i = 0; i < refused.size(); ++i) {
            INFO("operation " << i);
            CHECK(got[i].code() == core::code::invalid_field);
            CHECK(got[i].effect() == core::effect::none);
        }
        if (text.find("SELECT") == std::string::npos) {
            CHECK(got.json().find("SELECT") == std::string::npos);
        }
    }
}

void check_texts(running_node& running, raw_client& raw) {
    using counters = observe::broker_counters;
    const auto before = running.sum(&counters::messages);
    const std::string fetch = R"("template":"notes","op":"fetch","key":1)";
    const std::string served = R"("title":"one")";
    const std::string envelope = R"("code":"INVALID_ENVELOPE")";
    std::size_t sent = 0;
    std::size_t letters = 0;
    for (const auto& text : texts()) {
        if (text.empty()) {
            continue; // absent
        }
        const auto brief = text.substr(0, 200); // properties have 255 bytes
        INFO("text: " << brief);
        std::string json;
        core::append_json_string(json, text);
        // What the reply to each must hold, by its correlation_id.
        std::map<std::string, std::string> expected;
        const auto send = [&](raw_message message, const std::string& in_the_reply) {
            message.key = message.key.empty() ? "notes.read" : message.key;
            message.body = message.body.empty() ? R"({"v":1,)" + fetch + '}' : message.body;
            message.correlation_id = std::to_string(++sent) + ' ' + brief;
            if (message.reply_to.empty()) {
                message.reply_to = raw.reply_queue();
                expected[message.correlation_id] = in_the_reply;
            }
            raw.publish(message);
        };
        send({.body = R"({"v":1,"template":)" + json + R"(,"op":"fetch","key":1})"},
             R"("code":"UNKNOWN_TEMPLATE")");
        send({.body = R"({"v":1,"template":"notes","op":)" + json + R"(,"key":1})"}, envelope);
        send({.body = R"({"v":)" + json + ',' + fetch + '}'}, envelope);
        send({.body = R"({"v":1,)" + fetch + ',' + json + ":1}"}, envelope);
        send({.body = R"({"v":1,"ops":[{)" + fetch + "}]," + json + ":1}"}, envelope);
        send({.body = R"({"v":1,"ops":[{)" + fetch + R"(}],"mode":)" + json + '}'}, envelope);
        send({.key = brief}, R"("code":"MISROUTED")");
        send({.content_type = brief}, envelope);
        send({.content_encoding = brief}, envelope);
        send({.text_headers = {{"beds-deadline", text}}},
             text == "-0" ? R"("code":"DEADLINE_EXCEEDED")" : envelope);
        send({.text_headers = {{brief, text}, {"beds-int64", text}, {"beds-parts", text}}}, served);
        send({.reply_to = brief}, {});
        send({.body = text, .reply_to = brief}, {}); // no JSON
        REQUIRE(raw.settle());
        while (!expected.empty()) {
            const auto reply = raw.reply();
            REQUIRE(reply);
            const auto asked = expected.find(reply->correlation_id);
            INFO(reply->correlation_id << ": " << reply->body.substr(0, 300));
            REQUIRE(asked != expected.end());
            CHECK(reply->body.find(asked->second) != std::string::npos);
            expected.erase(asked);
        }
        const auto letter = raw.dead();
        REQUIRE(letter);
        ++letters;
        CHECK(letter->body == text);
        CHECK(letter->header("beds-error-code") == "INVALID_ENVELOPE");
    }
    CHECK_FALSE(raw.reply(50ms));
    CHECK_FALSE(raw.dead(50ms));
    CHECK(running.sum(&counters::messages) == before + sent);
    REQUIRE(running.node().stop(core::deadline::after(10s)));
    CHECK(running.sum(&counters::dead) == letters);
    CHECK(running.sum(&counters::requeued) == 0);
    CHECK(running.sum(&counters::quarantined) == 0);
}

} // namespace beds::test
