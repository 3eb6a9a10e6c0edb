#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <algorithm>

using namespace beds;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_request = 64 * 1024;
constexpr std::size_t max_reply = 2 * 1024;
constexpr std::size_t max_packet = 1024 * 1024;

std::string repeated(std::size_t times, const std::string& what, const char* between = "") {
    std::string made;
    for (std::size_t i = 0; i < times; ++i) {
        made += (i == 0 ? "" : between) + what;
    }
    return made;
}

/// `{"v":1,"template":"items",` and the rest.
std::string items(const std::string& members) {
    return R"({"v":1,"template":"items",)" + members + '}';
}

/// A server of its own, whose figures are read, and a node over it.
class world {
public:
    explicit world(std::size_t request = max_request, std::size_t reply = max_reply)
        : rabbitmq(test::require_amqp()), server({test::server::mariadb}),
          data(
              (server.mariadb_root("SET GLOBAL max_allowed_packet = " + std::to_string(max_packet)),
               server.mariadb()),
              server) {
        data.sql(
            "CREATE TABLE items (id BIGINT PRIMARY KEY, title VARCHAR(10), image VARBINARY(10), "
            "n BIGINT, large LONGTEXT, KEY (n), KEY (title)) ENGINE=InnoDB");
        test::node_options options;
        options.max_request_bytes = request;
        options.max_reply_bytes = reply;
        options.templates = {R"toml(
[template]
name = "items"
store = "rel"
object = "items"
key = ["id"]
[fields]
id    = { type = "int64", required = true }
title = { type = "string", max = 10 }
image = { type = "bytes", max = 10 }
n     = { type = "int64" }
large = { type = "string" }
[[index]]
fields = ["n"]
[[index]]
fields = ["title"]
[limits]
max_rows = 5
max_in = 4
)toml"};
        const auto rel = data.settings();
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        raw = std::make_unique<test::raw_client>(rabbitmq, running->tag());
        ask({.key = "items.write",
             .body = items(R"("op":"insert","data":{"id":1,"title":"one","n":1})"),
             .message_id = "first"});
    }

    std::string ask(test::raw_message message) {
        message.reply_to = raw->reply_queue();
        raw->publish(message);
        REQUIRE(raw->settle());
        const auto answer = raw->reply();
        REQUIRE(answer);
        return answer->body;
    }

    /// Within the limit: not refused.
    void taken(const std::string& what, test::raw_message message) {
        const auto got = ask(number(std::move(message)));
        INFO(what << ": " << got.substr(0, 300));
        CHECK(got.find(R"("status":"ok")") != std::string::npos);
        CHECK(got.find("\"code\"") == std::string::npos);
    }
    /// Beyond it: its code, and the database is not even asked.
    void refused(const std::string& what, const std::string& code, test::raw_message message,
                 const std::string& field = {}) {
        const auto before = asked();
        const auto got = ask(number(std::move(message)));
        INFO(what << ": " << got.substr(0, 300));
        CHECK(got.find("\"code\":\"" + code + '"') != std::string::npos);
        CHECK(got.find(R"("effect":"none")") != std::string::npos);
        CHECK(got.find("applied") == std::string::npos);
        CHECK(got.find(R"("retryable":false)") != std::string::npos);
        if (!field.empty()) {
            CHECK(got.find("\"field\":\"" + field + '"') != std::string::npos);
        }
        CHECK(asked() == before);
    }
    /// Statements that were executed so far.
    [[nodiscard]] long long asked() const {
        const auto text = data.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'");
        return std::atoll(text.substr(text.find('\t')).c_str());
    }

    test::endpoint rabbitmq;
    test::private_servers server;
    test::database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<test::raw_client> raw;

private:
    test::raw_message number(test::raw_message message) {
        message.key = message.key.empty() ? "items.read" : message.key;
        if (message.message_id.empty()) {
            message.message_id = "m" + std::to_string(++messages_);
        }
        return message;
    }
    int messages_ = 0;
};

} // namespace

TEST_CASE("limits of a message: the last one is taken, the next one refused, and nothing done") {
    world here;
    const std::string fetch = R"("op":"fetch","key":1)";

    // Bytes
    const auto padded = [&](std::size_t size) {
        auto body = items(fetch);
        body.resize(size, ' ');
        return body;
    };
    here.taken("a byte less", {.body = padded(max_request - 1)});
    here.taken("max_request_bytes", {.body = padded(max_request)});
    here.refused("a byte more", "LIMIT_EXCEEDED", {.body = padded(max_request + 1)});

    // Depth: the request's own object counts.
    const auto deep = [&](std::size_t arrays) {
        return items(R"("op":"find","where":{"n":{"in":[)" + std::string(arrays, '[') +
                     std::string(arrays, ']') + "]}}");
    };
    for (const std::size_t arrays : {95U, 96U}) { // taken as JSON; no such value of the field
        here.refused("depth", "INVALID_FIELD", {.body = deep(arrays)}, "n");
    }
    here.refused("101 deep", "INVALID_ENVELOPE", {.body = deep(97)});

    // Ids
    const auto with_id = [&](std::size_t size) {
        return items(R"("op":"update","key":1,"set":{"n":1},"id":")" + std::string(size, 'i') +
                     '"');
    };
    here.taken("an id of 254", {.key = "items.write", .body = with_id(254)});
    here.taken("an id of 255", {.key = "items.write", .body = with_id(255)});
    here.refused("an id of 256", "INVALID_ENVELOPE", {.key = "items.write", .body = with_id(256)},
                 "id");
    here.refused("an id of 0", "INVALID_ENVELOPE", {.key = "items.write", .body = with_id(0)},
                 "id");
    const auto change = R"({"template":"items","op":"update","key":1,"set":{"n":1}})";
    for (const std::size_t operations : {1U, 11U}) { // the position has one digit, or two
        const std::size_t most = operations == 1 ? 253 : 252;
        const auto body = R"({"v":1,"ops":[)" + repeated(operations, change, ",") + "]}";
        for (const auto size : {most - 1, most}) {
            here.taken("message_id with position",
                       {.key = "items.write", .body = body, .message_id = std::string(size, 'm')});
        }
    }
    here.refused("a message_id too long for its position", "INVALID_ENVELOPE",
                 {.key = "items.write",
                  .body = items(R"("op":"update","key":1,"set":{"n":2})"),
                  .message_id = std::string(254, 'm')},
                 "message_id");

    // Deadlines
    constexpr std::int64_t latest = 4'102'444'800'000;
    for (const auto& [at, code] : {std::pair{latest - 1, ""}, std::pair{latest, ""},
                                   std::pair{latest + 1, "INVALID_ENVELOPE"},
                                   std::pair{std::int64_t{0}, "DEADLINE_EXCEEDED"},
                                   std::pair{std::int64_t{-1}, "INVALID_ENVELOPE"}}) {
        const test::raw_message in_header{.body = items(fetch),
                                          .integer_headers = {{"beds-deadline", at}}};
        const test::raw_message in_operation{
            .body = items(fetch + R"(,"deadline":)" + std::to_string(at))};
        if (*code == '\0') {
            here.taken("beds-deadline", in_header);
            here.taken("deadline", in_operation);
        } else {
            here.refused("beds-deadline", code, in_header);
            here.refused("deadline", code, in_operation);
        }
    }

    // Headers
    const auto with_headers = [&](int count) {
        test::raw_message made{.body = items(fetch)};
        for (int i = 0; i < count; ++i) {
            made.text_headers.emplace_back("h" + std::to_string(i), "x");
        }
        return made;
    };
    here.taken("63 headers", with_headers(63));
    here.taken("64 headers", with_headers(64));
    here.refused("65 headers", "INVALID_ENVELOPE", with_headers(65), "headers");
    // A header's name has a byte for its length; its value may fill a frame.
    here.taken("a large header",
               {.body = items(fetch),
                .text_headers = {{std::string(255, 'h'), std::string(100'000, 'x')}}});
    CHECK(here.data.sql("SELECT n FROM items") == "1");
}

TEST_CASE("limits of an envelope: 4096 operations are served, 4097 are not begun") {
    world here{1024 * 1024, 1024 * 1024};
    const auto envelope = [](std::size_t count) {
        return test::raw_message{
            .key = "items.write",
            .body = R"({"v":1,"ops":[{"template":"items","op":"update","key":1,"inc":{"n":1}},)" +
                    repeated(count - 1,
                             R"({"template":"items","op":"fetch","key":1,"fields":["id"]})", ",") +
                    "]}"};
    };
    here.taken("4095", envelope(4095));
    here.taken("4096", envelope(4096));
    here.refused("4097", "LIMIT_EXCEEDED", envelope(4097), "ops");
    CHECK(here.data.sql("SELECT n FROM items") == "3");
}

TEST_CASE("limits of a template: the last one is taken, the next one refused, and nothing done") {
    world here;
    int id = 100;
    const auto insert = [&](const std::string& members) {
        return test::raw_message{.key = "items.write",
                                 .body = items(R"("op":"insert","data":{"id":)" +
                                               std::to_string(++id) + ',' + members + '}')};
    };
    // Characters, not bytes; bytes, not base64.
    for (const char* one : {"x", "\xC3\xA9", "\xF0\x9F\x92\xA3", "\\u0000", "'"}) {
        const auto title = [&](std::size_t characters) {
            return R"("title":")" + repeated(characters, one) + '"';
        };
        here.taken("characters", insert(title(9)));
        here.taken("characters", insert(title(10)));
        here.refused("characters", "INVALID_FIELD", insert(title(11)), "title");
        here.refused("characters", "INVALID_FIELD",
                     {.key = "items.write",
                      .body = items(R"("op":"update","key":1,"set":{)" + title(11) + '}')},
                     "title");
        here.refused("characters", "INVALID_FIELD",
                     {.body = items(R"("op":"find","where":{)" + title(11) + '}')}, "title");
    }
    here.taken("9 bytes", insert(R"("image":"eHh4eHh4eHh4")"));
    here.taken("10 bytes", insert(R"("image":"eHh4eHh4eHh4eA==")"));
    here.refused("11 bytes", "INVALID_FIELD", insert(R"("image":"eHh4eHh4eHh4eHg=")"), "image");

    // Rows
    const auto rows = [&](int count) {
        std::string data;
        for (int i = 0; i < count; ++i) {
            data += (i == 0 ? "{\"id\":" : ",{\"id\":") + std::to_string(++id) + '}';
        }
        return test::raw_message{.key = "items.write",
                                 .body = items(R"("op":"insert","data":[)" + data + ']')};
    };
    here.taken("4 rows", rows(4));
    here.taken("max_rows", rows(5));
    here.refused("6 rows", "LIMIT_EXCEEDED", rows(6), "data");
    here.refused("no row", "INVALID_FIELD", rows(0), "data");
    const auto find = [&](const std::string& members) {
        return test::raw_message{.body = items(R"("op":"find",)" + members)};
    };
    here.taken("limit 1", find(R"("limit":1)"));
    here.taken("limit 5", find(R"("limit":5)"));
    here.refused("limit 6", "LIMIT_EXCEEDED", find(R"("limit":6)"), "limit");
    here.refused("limit 0", "INVALID_FIELD", find(R"("limit":0)"), "limit");
    for (const char* far : {"9223372036854775807", "4294967297"}) { // 1 in 32 bits
        here.refused("limit", "LIMIT_EXCEEDED", find(R"("limit":)" + std::string{far}), "limit");
    }

    // Lists and conditions
    const auto in = [&](std::size_t count) {
        return find(R"("where":{"n":{"in":[)" + repeated(count, "1", ",") + "]}}");
    };
    here.taken("3 values", in(3));
    here.taken("max_in", in(4));
    here.refused("5 values", "LIMIT_EXCEEDED", in(5), "n");
    here.refused("no value", "INVALID_FIELD", in(0), "n");
    const auto conditions = [&](std::size_t count) { // no such operators: each counts
        std::string all;
        for (std::size_t i = 0; i < count; ++i) {
            all += (i == 0 ? "\"o" : ",\"o") + std::to_string(i) + "\":1";
        }
        return find(R"("where":{"n":{)" + all + "}}");
    };
    here.refused("64 conditions", "INVALID_FIELD", conditions(64), "n");
    here.refused("65 conditions", "LIMIT_EXCEEDED", conditions(65), "where");
}

TEST_CASE("limits of a reply: what fits to the byte is answered, a byte more is LIMIT_EXCEEDED") {
    world here;
    const auto answer = [&](std::size_t characters) {
        here.data.sql("UPDATE items SET large = REPEAT('x', " + std::to_string(characters) +
                      ") WHERE id = 1");
        return here.ask(
            {.key = "items.read", .body = items(R"("op":"fetch","key":1,"fields":["large"])")});
    };
    // [{"large":"…"}]: what of the brackets counts is not promised, but that it is always the same.
    std::size_t most = 0;
    for (std::size_t size = max_reply - 32; size <= max_reply; ++size) {
        const auto got = answer(size);
        INFO(size << ": " << got.substr(0, 200));
        if (got.find(R"("status":"ok")") != std::string::npos) {
            CHECK(most == (size == max_reply - 32 ? 0 : size - 1));
            most = size;
        } else {
            CHECK(got.find(R"("code":"LIMIT_EXCEEDED")") != std::string::npos);
            CHECK(got.find("\"rows\"") == std::string::npos);
        }
    }
    CHECK(most + std::string{R"({"large":""})"}.size() == max_reply);
}

TEST_CASE(
    "limits of MariaDB: around max_allowed_packet a write is done, or refused and harms none") {
    world here{2 * max_packet, 2 * max_packet};
    // Where exactly it ends depends on the statement; there is one such place, and no connection
    // is lost over it.
    bool refused = false;
    std::size_t last = 0;
    for (std::size_t size = max_packet - 320; size <= max_packet + 32; size += 16) {
        const auto got = here.ask(
            {.key = "items.write",
             .body = R"({"v":1,"ops":[{"template":"items","op":"update","key":1,"inc":{"n":1}},)"
                     R"({"template":"items","op":"update","key":1,"set":{"large":")" +
                     std::string(size, 'x') + "\"}}]}",
             .message_id = "of " + std::to_string(size)});
        INFO(size << ": " << got.substr(0, 300));
        CHECK(got.find(R"("results":[{"status":"ok","effect":"applied")") != std::string::npos);
        if (got.find("\"code\"") == std::string::npos) {
            CHECK_FALSE(refused);
            last = size;
        } else {
            refused = true;
            CHECK(got.find(R"("code":"LIMIT_EXCEEDED","effect":"none")") != std::string::npos);
        }
        CHECK(here.data.number("SELECT LENGTH(large) FROM items") == static_cast<long long>(last));
    }
    CHECK(refused);
    CHECK(last > 0);
    CHECK(here.data.number("SELECT n FROM items") == 1 + (320 + 32) / 16 + 1);
    CHECK(here.running->log().find("BEDS_MARIADB_LOST") == std::string::npos);
}
