#include "texts.hpp"

#include "support/catch.hpp"

namespace beds::test {

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
        client::request insert{client::insert("notes", {{"id", id}, {"title", text}})};
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

        // Where names belong it is refused, and the answer holds no SQL.
        const auto refused = [&](client::operation op, core::code why) {
            const auto got = client.call(std::move(op));
            INFO(got.json().substr(0, 300));
            CHECK(got.front().code() == why);
            CHECK(got.front().effect() == core::effect::none);
            if (text.find("SELECT") == std::string::npos) {
                CHECK(got.json().find("SELECT") == std::string::npos);
            }
        };
        if (text.empty()) {
            continue; // an empty name is no name
        }
        refused(client::insert("notes", {{"id", 1}, {text, 1}}), core::code::invalid_field);
        refused(client::find("notes", {{text, 1}}), core::code::invalid_field);
        refused(client::fetch("notes", client::value::object({{text, 1}})),
                core::code::invalid_field);
        refused(client::call("tags", text), core::code::invalid_field);
        auto sorted = client::find("notes");
        sorted.sort = {text};
        refused(sorted, core::code::invalid_field);
        auto some = client::fetch("notes", 1);
        some.fields = {text};
        refused(some, core::code::invalid_field);
        auto paged = client::find("notes");
        paged.after = text;
        refused(paged, core::code::invalid_field);
    }
}

} // namespace beds::test
