#include "support/catch.hpp"
#include "unit/core/random.hpp"
#include "unit/wire/support.hpp"

#include <beds/wire/cursor.hpp>
#include <beds/wire/reply.hpp>

#include <cstdlib>
#include <cstring>
#include <vector>

using namespace beds;
using core::code;
using core::outcome;
using core::value;
using wire::reply_writer;
using namespace std::string_literals;

namespace {

const core::row_layout& layout() {
    static const core::row_layout made{
        {{"id", {.kind = core::type_kind::int64}}, {"name", {.kind = core::type_kind::string}}}};
    return made;
}

void row(reply_writer& writer, core::op_index op, std::int64_t id, std::string_view name) {
    writer.begin_row(op, layout());
    writer.cell(value::of_int(id));
    writer.cell(value::of_text(value::kind::string, name));
    writer.end_row();
}

std::string one(const reply_writer& writer, core::op_index op, const outcome& result = {}) {
    std::string text;
    writer.append_reply(text, "", false, op, std::span{&result, 1});
    return text;
}

std::string rows_of(const std::string& reply) {
    const auto from = reply.find("\"rows\":");
    return from == std::string::npos ? "(none)" : reply.substr(from + 7, reply.size() - from - 8);
}

} // namespace

TEST_CASE("rows of several operations may come in any order") {
    reply_writer writer;
    writer.start(3);
    row(writer, 0, 1, "a");
    row(writer, 2, 7, "x");
    row(writer, 0, 2, "b");
    writer.no_rows(1);
    row(writer, 2, 8, "y");
    row(writer, 2, 9, "z");
    CHECK(rows_of(one(writer, 0)) == R"([{"id":1,"name":"a"},{"id":2,"name":"b"}])");
    CHECK(rows_of(one(writer, 1)) == "[]");
    CHECK(rows_of(one(writer, 2)) ==
          R"([{"id":7,"name":"x"},{"id":8,"name":"y"},{"id":9,"name":"z"}])");
}

TEST_CASE("reset forgets what a first attempt wrote, and keeps what the caller wants") {
    reply_writer writer;
    writer.start(2);
    writer.int64_as_string(0);
    row(writer, 0, 1, "first attempt");
    writer.count(0, 9);
    writer.next(0, 1, {});
    row(writer, 1, 5, "other");
    writer.reset(0);
    row(writer, 0, 2, "second");
    CHECK(one(writer, 0) ==
          R"({"v":1,"status":"ok","effect":"none","rows":[{"id":"2","name":"second"}]})");
    CHECK(rows_of(one(writer, 1)) == R"([{"id":5,"name":"other"}])");
    writer.start(1);
    CHECK(one(writer, 0) == R"({"v":1,"status":"ok","effect":"none"})");
}

TEST_CASE("shared rows: the same bytes, without what their owner adds later") {
    reply_writer writer;
    writer.start(3);
    row(writer, 0, 1, "a");
    writer.share_rows(0, 2);
    writer.start(3);
    row(writer, 0, 1, "a");
    writer.share_rows(0, 2);
    writer.total(0, 3);
    writer.next(0, 1, {});
    CHECK(one(writer, 2) ==
          R"({"v":1,"status":"ok","effect":"none","rows":[{"id":1,"name":"a"}]})");
    writer.no_rows(1);
    writer.share_rows(1, 2);
    CHECK(rows_of(one(writer, 2)) == "[]");
}

TEST_CASE("a result above the limit is refused with its effect, and harms no other") {
    wire::reply_limits limits;
    limits.max_reply = 100;
    reply_writer writer{limits};
    writer.start(3);
    for (int i = 0; i < 1000; ++i) {
        row(writer, 0, i, "a name of some length");
        if (i == 0) {
            row(writer, 1, 1, "ok");
        }
    }
    writer.share_rows(0, 2);
    const auto refused = one(writer, 0);
    CHECK(refused.find(R"("status":"error","code":"LIMIT_EXCEEDED","effect":"none")") !=
          std::string::npos);
    CHECK(refused.find("rows\":") == std::string::npos);
    CHECK(one(writer, 2) == refused);
    CHECK(rows_of(one(writer, 1)) == R"([{"id":1,"name":"ok"}])");
    CHECK(one(writer, 0, outcome::applied()).find("\"effect\":\"applied\"") != std::string::npos);
    const auto other = outcome::failure(code::deadline_exceeded, "late");
    CHECK(one(writer, 0, other).find("DEADLINE_EXCEEDED") != std::string::npos);

    std::string envelope;
    const outcome results[] = {{}, {}, {}};
    writer.append_reply(envelope, "", true, 0, results);
    CHECK(envelope.starts_with(R"({"v":1,"status":"partial","results":[{"status":"error")"));
    writer.reset(0);
    row(writer, 0, 1, "again");
    CHECK(rows_of(one(writer, 0)) == R"([{"id":1,"name":"again"}])");
}

TEST_CASE(
    "the results of one reply are bounded together; one that does not fit makes room for others") {
    wire::reply_limits limits;
    limits.max_reply = 100;
    reply_writer writer{limits};
    writer.start(5);
    writer.same_reply(0, 4);
    row(writer, 0, 1, "twenty bytes of name");
    for (int i = 0; i < 10; ++i) {
        row(writer, 1, i, "twenty bytes of name");
    }
    row(writer, 2, 2, "twenty bytes of name");
    writer.share_rows(2, 3); // would be the third of 38 bytes
    row(writer, 4, 3, std::string(60, 'x'));
    CHECK(one(writer, 0).find("\"ok\"") != std::string::npos);
    CHECK(one(writer, 1).find("LIMIT_EXCEEDED") != std::string::npos);
    CHECK(one(writer, 2).find("\"ok\"") != std::string::npos);
    CHECK(one(writer, 3).find("LIMIT_EXCEEDED") != std::string::npos);
    CHECK(one(writer, 4).find("\"ok\"") != std::string::npos);

    writer.reset(2); // run again: its bytes count once
    row(writer, 2, 2, "twenty bytes of name");
    CHECK(one(writer, 2).find("\"ok\"") != std::string::npos);
}

TEST_CASE("keys and out arguments count for the limit too") {
    wire::reply_limits limits;
    limits.max_reply = 1000;
    reply_writer writer{limits};
    writer.start(2);
    const auto text = value::of_text(value::kind::string, "0123456789");
    const core::row_layout name{{{"name", {.kind = core::type_kind::string}}}};
    for (int i = 0; i < 1000; ++i) {
        writer.key(0, name, std::span{&text, 1});
    }
    const auto keys = one(writer, 0, outcome::applied());
    CHECK(keys.find("LIMIT_EXCEEDED") != std::string::npos);
    CHECK(keys.find("\"effect\":\"applied\"") != std::string::npos);

    const std::string huge(2000, 'x');
    const auto long_text = value::of_text(value::kind::string, huge);
    writer.out(1, name, std::span{&long_text, 1});
    CHECK(one(writer, 1, outcome::applied()).find("LIMIT_EXCEEDED") != std::string::npos);
}

TEST_CASE("what encode gives is what a stored reply says again") {
    core::arena memory;
    reply_writer writer;
    writer.start(1);
    writer.count(0, 1);
    const std::string stored{writer.encode(0, outcome::applied(), memory)};
    const auto first = one(writer, 0, outcome::applied());
    writer.start(2);
    writer.stored(0, stored);
    CHECK(one(writer, 0, outcome::applied()) == first);
    // The status of an envelope comes from the stored bytes.
    const auto failure = outcome::failure(code::conflict, "no");
    const std::string refused{writer.encode(1, failure, memory)};
    writer.stored(1, refused);
    std::string envelope;
    const outcome results[] = {outcome{}, outcome{}};
    writer.append_reply(envelope, "e", true, 0, results);
    CHECK(envelope == R"({"v":1,"event":"e","status":"partial","results":[{)" + stored + "},{" +
                          refused + "}]}");
}

TEST_CASE("members that the node adds itself stand only in a good result") {
    reply_writer writer;
    writer.start(1);
    writer.raw(0, R"("templates":[])");
    CHECK(one(writer, 0) == R"({"v":1,"status":"ok","effect":"none","templates":[]})");
    CHECK(one(writer, 0, outcome::failure(code::internal, "")).find("templates") ==
          std::string::npos);
}

TEST_CASE("details and fields are escaped, whatever a caller sent") {
    std::string reply;
    wire::append_refusal(reply, "ev\"ent",
                         outcome::failure(code::invalid_field, "no '\"\n\xff'", "a\\b\"\x01"));
    core::json_parser parser;
    core::arena memory;
    wire::reply_view got;
    INFO(reply);
    REQUIRE(wire::decode_reply(reply, parser, memory, got));
    CHECK(got.event == "ev\"ent");
    CHECK(got.results[0].outcome.field == "a\\b\"\x01");
    CHECK(got.results[0].outcome.detail == "no '\"\n\uFFFD'");
}

TEST_CASE("doubles: the shortest text that reads back the same") {
    const core::row_layout real{{{"d", {.kind = core::type_kind::float64}}}};
    test::seeded random;
    INFO(random.note());
    for (int round = 0; round < 2000; ++round) {
        const auto bits = random.between(std::uint64_t{0}, ~std::uint64_t{0});
        double number = 0;
        std::memcpy(&number, &bits, sizeof number);
        if (number != number || number - number != 0) {
            continue; // NaN and infinity never reach a writer
        }
        reply_writer writer;
        writer.start(1);
        writer.begin_row(0, real);
        writer.cell(value::of_real(number));
        writer.end_row();
        const auto reply = one(writer, 0);
        core::arena memory;
        core::datum tree;
        REQUIRE_FALSE(core::parse_json(reply, memory, tree));
        const auto token = tree.find("rows")->items()[0].find("d")->text;
        CHECK(std::strtod(std::string{token}.c_str(), nullptr) == number);
    }
}

// ---- the client's side ----

namespace {

struct read_reply {
    explicit read_reply(std::string given) : text(std::move(given)) {
        good = wire::decode_reply(text, parser, memory, view);
    }
    std::string text;
    core::json_parser parser;
    core::arena memory;
    wire::reply_view view;
    bool good = false;
};

} // namespace

TEST_CASE("a client ignores members that it does not know") {
    const read_reply got{
        R"({"later":{"a":[1]},"v":1,"event":"e","status":"ok","effect":"applied","rows":[{"id":1}],)"
        R"("count":3,"hint":null,"next":"abc"})"};
    REQUIRE(got.good);
    CHECK(got.view.status == wire::reply_view::kind::ok);
    REQUIRE(got.view.results.size() == 1);
    const auto& result = got.view.results[0];
    CHECK(result.outcome.effect == core::effect::applied);
    CHECK(result.count == 3U);
    CHECK(result.next == "abc");
    CHECK(result.rows->count == 1);
    CHECK(result.keys == nullptr);
    CHECK_FALSE(result.total);
}

TEST_CASE("an unknown code counts by its effect and retryable") {
    const read_reply got{
        R"({"v":1,"status":"error","code":"NEW_IN_2030","effect":"none","retryable":true,"retry_after_ms":250})"};
    REQUIRE(got.good);
    const auto& result = got.view.results[0];
    CHECK(result.outcome.code == code::internal);
    CHECK(result.code_text == "NEW_IN_2030");
    CHECK(result.retryable);
    CHECK(result.outcome.effect == core::effect::none);
    CHECK(result.outcome.retry_after == std::chrono::milliseconds{250});
}

TEST_CASE("an effect that is missing or unknown is never taken for none; an error has a code") {
    for (const auto* text :
         {R"({"v":1,"status":"ok"})", R"({"v":1,"status":"ok","effect":"perhaps"})",
          R"({"v":1,"status":"error","code":"CONFLICT","effect":null})"}) {
        const read_reply got{text};
        INFO(text);
        REQUIRE(got.good);
        CHECK(got.view.results[0].outcome.effect == core::effect::unknown);
    }
    const read_reply bare{R"({"v":1,"status":"error","effect":"none"})"};
    REQUIRE(bare.good);
    CHECK(bare.view.results[0].outcome.code == code::internal);
}

TEST_CASE("what is no reply is none") {
    const auto good = R"({"v":1,"status":"partial","results":[{"status":"ok","effect":"none"}]})"s;
    REQUIRE(read_reply{good}.good);
    for (std::size_t size = 0; size < good.size(); ++size) {
        CHECK_FALSE(read_reply{good.substr(0, size)}.good);
    }
    for (const auto* text :
         {"", "null", "[]", "1", "{}", R"({"v":2,"status":"ok","effect":"none"})",
          R"({"v":"1","status":"ok","effect":"none"})", R"({"status":"ok","effect":"none"})",
          R"({"v":1,"effect":"none"})", R"({"v":1,"status":"fine","effect":"none"})",
          R"({"v":1,"status":1,"effect":"none"})", R"({"v":1,"status":"ok","results":{}})",
          R"({"v":1,"status":"ok","results":[1]})", R"({"v":1,"status":"ok","results":[{}]})",
          R"({"v":1,"status":"ok","status":"ok","effect":"none"})"}) {
        INFO(text);
        CHECK_FALSE(read_reply{text}.good);
    }
    // Numbers of the wrong kind are not there; nothing is guessed.
    const read_reply odd{
        R"({"v":1,"status":"ok","effect":"none","count":-1,"total":"3","next":7,"retryable":"yes"})"};
    REQUIRE(odd.good);
    CHECK_FALSE(odd.view.results[0].count);
    CHECK_FALSE(odd.view.results[0].total);
    CHECK(odd.view.results[0].next.empty());
    CHECK_FALSE(odd.view.results[0].retryable);
}

TEST_CASE("a batch that may run again leaves out what is too much, whole replies only") {
    const std::string long_text(100, 'x');
    reply_writer writer{{.max_reply = 10'000, .max_batch = 500}};
    writer.start(5);
    writer.same_reply(3, 2);
    writer.leave_out();
    for (int i = 0; i < 8; ++i) { // the first may take more than all may
        row(writer, 0, i, long_text);
    }
    writer.no_rows(1);
    row(writer, 2, 1, "small");
    row(writer, 3, 1, long_text);
    row(writer, 4, 1, long_text);
    writer.share_rows(2, 1);
    CHECK(writer.left_out() == 3);
    CHECK_FALSE(writer.left_out(0));
    CHECK(writer.left_out(1)); // its rows are those of one that was left out
    CHECK(writer.left_out(2));
    CHECK(writer.left_out(3));
    CHECK(rows_of(one(writer, 0)).size() > 800);
    CHECK(writer.offered() > 10 * long_text.size());

    writer.start(2); // and in a batch that must not run again nothing is
    row(writer, 0, 1, std::string(600, 'x'));
    row(writer, 1, 1, long_text);
    CHECK(writer.left_out() == 0);
    CHECK(rows_of(one(writer, 1)) != "[]");
}
