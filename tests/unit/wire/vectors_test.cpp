// The golden vectors that are installed with the protocol: the codec must agree with every one.
#include "support/catch.hpp"
#include "unit/wire/support.hpp"

#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <deque>

using namespace beds;
using beds::core::datum;
using beds::test::json_of;
using beds::test::same;

namespace {

std::string_view text_of(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr ? std::string_view{} : found->text;
}

datum read(const std::string& text, core::arena& memory) {
    // Deeper than a request may be: a vector holds one.
    core::json_parser parser{core::json_limits{200}};
    datum root;
    const auto failed = parser.parse(text, memory, root);
    if (failed) {
        throw std::runtime_error{"vectors: " + std::string{failed->what} + " at " +
                                 std::to_string(failed->offset)};
    }
    return root;
}

const datum* member_of(const core::operation& op, std::string_view name) {
    if (name == "key") {
        return op.key;
    }
    if (name == "where") {
        return op.where;
    }
    if (name == "data") {
        return op.data;
    }
    if (name == "set") {
        return op.set;
    }
    if (name == "inc") {
        return op.inc;
    }
    if (name == "if") {
        return op.expect;
    }
    if (name == "args") {
        return op.args;
    }
    if (name == "sort") {
        return op.sort;
    }
    if (name == "fields") {
        return op.fields;
    }
    if (name == "limit") {
        return op.limit;
    }
    if (name == "return") {
        return op.returning;
    }
    return name == "on_conflict" ? op.on_conflict : nullptr;
}

void check_operation(const core::operation& op, const datum& expected) {
    if (const auto* refused = expected.find("refused")) {
        CHECK(to_string(op.refused) == text_of(*refused, "code"));
        CHECK(op.refused_field == text_of(*refused, "field"));
        CHECK_FALSE(op.refusal.empty());
        return;
    }
    INFO(op.refusal);
    REQUIRE(op.refused == core::code::ok);
    CHECK(op.template_name == text_of(expected, "template"));
    CHECK(to_string(op.op) == text_of(expected, "op"));
    CHECK(op.id == text_of(expected, "id"));
    CHECK(op.name == text_of(expected, "name"));
    CHECK(op.after == text_of(expected, "after"));
    const auto* deadline = expected.find("deadline");
    REQUIRE(op.deadline.has_value() == (deadline != nullptr));
    if (deadline != nullptr) {
        CHECK(std::chrono::duration_cast<std::chrono::milliseconds>(op.deadline->time_since_epoch())
                  .count() == deadline->integer);
    }
    for (const auto* name : {"key", "where", "data", "set", "inc", "if", "args", "sort", "fields",
                             "limit", "return", "on_conflict"}) {
        INFO(name << ": " << json_of(member_of(op, name)));
        CHECK(same(member_of(op, name), expected.find(name)));
    }
}

} // namespace

TEST_CASE("every request vector is read, or refused, as it says") {
    const auto text = test::read_protocol_file("vectors/requests.json");
    core::arena file;
    const auto vectors = read(text, file);
    REQUIRE(vectors.count > 80);
    wire::request_decoder decoder;
    for (const auto& vector : vectors.items()) {
        INFO(text_of(vector, "name"));
        core::arena memory;
        auto body = text_of(vector, "request");
        if (vector.find("request") == nullptr) {
            const auto bytes = core::decode_base64(text_of(vector, "request_base64"), memory);
            REQUIRE(bytes);
            body = *bytes;
        }
        core::request request;
        const auto refused = decoder.decode(body, memory, request);
        if (const auto* expected = vector.find("refused")) {
            REQUIRE(refused);
            CHECK(to_string(refused->code) == text_of(*expected, "code"));
            CHECK(refused->field == text_of(*expected, "field"));
            CHECK_FALSE(refused->detail.empty());
            continue;
        }
        INFO((refused ? refused->detail : std::string_view{}));
        REQUIRE_FALSE(refused);
        const auto* means = vector.find("means");
        REQUIRE(means != nullptr);
        CHECK(request.enveloped == means->find("enveloped")->boolean);
        const auto mode = text_of(*means, "mode");
        CHECK(request.mode == (mode == "atomic"     ? core::envelope_mode::atomic
                               : mode == "sequence" ? core::envelope_mode::sequence
                                                    : core::envelope_mode::each));
        const auto operations = means->find("operations")->items();
        REQUIRE(request.operations.size() == operations.size());
        for (std::size_t i = 0; i < operations.size(); ++i) {
            check_operation(request.operations[i], operations[i]);
        }
    }
}

namespace {

/// Layouts and values of one reply vector; kept until the reply is written.
struct reply_parts {
    core::arena memory;
    std::deque<core::row_layout> layouts;

    const core::row_layout& layout(const datum& columns) {
        std::vector<core::row_layout::column> made;
        for (const auto& column : columns.items()) {
            auto type = core::parse_field_type(column.items()[1].text);
            if (column.items()[1].text == "enum") { // its values do not matter to a reply
                type = core::field_type{.kind = core::type_kind::enumeration, .values = {"open"}};
            }
            REQUIRE(type);
            made.push_back({std::string{column.items()[0].text}, *type});
        }
        return layouts.emplace_back(std::move(made));
    }

    std::span<const core::value> values(const core::row_layout& layout, const datum& cells) {
        const auto made = memory.make_span<core::value>(cells.count);
        REQUIRE(cells.count == layout.size());
        for (std::size_t i = 0; i < made.size(); ++i) {
            if (cells.items()[i].is(datum::kind::null)) {
                continue;
            }
            INFO(json_of(cells.items()[i]));
            REQUIRE_FALSE(
                core::convert(cells.items()[i], layout.columns()[i].type, memory, made[i]));
        }
        return made;
    }
};

core::outcome outcome_of(const datum& from) {
    core::outcome made;
    if (const auto status = core::parse_status(text_of(from, "status"))) {
        made.status = *status;
    }
    if (const auto* code = from.find("code")) {
        made.code = core::parse_code(code->text).value();
    }
    if (const auto effect = core::parse_effect(text_of(from, "effect"))) {
        made.effect = *effect;
    }
    made.field = text_of(from, "field");
    made.reason = text_of(from, "reason");
    made.detail = text_of(from, "detail");
    if (const auto* after = from.find("retry_after_ms")) {
        made.retry_after = std::chrono::milliseconds{after->integer};
    }
    made.at_least_once = from.find("at_least_once") != nullptr;
    return made;
}

void write_rows(wire::reply_writer& writer, core::op_index op, const datum& from,
                reply_parts& parts) {
    const auto& layout = parts.layout(*from.find("columns"));
    for (const auto& row : from.find("rows")->items()) {
        writer.begin_row(op, layout);
        for (const auto& cell : parts.values(layout, row)) {
            writer.cell(cell);
        }
        writer.end_row();
    }
}

void write_result(wire::reply_writer& writer, core::op_index op, const datum& from,
                  reply_parts& parts) {
    if (from.find("rows") != nullptr) {
        writer.no_rows(op);
        write_rows(writer, op, from, parts);
    }
    if (const auto* next = from.find("next")) {
        const auto& layout = parts.layout(*next->find("columns"));
        writer.next(op, static_cast<std::uint64_t>(next->find("tag")->integer),
                    parts.values(layout, *next->find("position")));
    }
    if (const auto* total = from.find("total")) {
        writer.total(op, static_cast<std::uint64_t>(total->integer));
    }
    if (const auto* exists = from.find("exists")) {
        writer.exists(op, exists->boolean);
    }
    if (const auto* count = from.find("count")) {
        writer.count(op, static_cast<std::uint64_t>(count->integer));
    }
    if (const auto* keys = from.find("keys")) {
        const auto& layout = parts.layout(*from.find("key_columns"));
        for (const auto& key : keys->items()) {
            writer.key(op, layout, parts.values(layout, key));
        }
    }
    if (const auto* out = from.find("out")) {
        const auto& layout = parts.layout(*from.find("out_columns"));
        writer.out(op, layout, parts.values(layout, *out));
    }
    if (const auto* sets = from.find("sets")) {
        for (const auto& set : sets->items()) {
            writer.begin_set(op, text_of(set, "name"));
            write_rows(writer, op, set, parts);
        }
    }
}

/// Cursors differ from one to the next (cursor_test.cpp has them); all else does not.
std::string without_cursor(std::string_view reply) {
    constexpr std::string_view member = R"("next":")";
    const auto at = reply.find(member);
    if (at == std::string_view::npos) {
        return std::string{reply};
    }
    const auto begin = at + member.size();
    const auto end = reply.find('"', begin);
    CHECK(end - begin > 50);
    return std::string{reply.substr(0, begin)} + std::string{reply.substr(end)};
}

} // namespace

TEST_CASE("every reply vector is written byte for byte, and read back") {
    const auto text = test::read_protocol_file("vectors/replies.json");
    core::arena file;
    const auto vectors = read(text, file);
    REQUIRE(vectors.count > 20);
    wire::reply_writer writer;
    core::json_parser parser;
    for (const auto& vector : vectors.items()) {
        INFO(text_of(vector, "name"));
        reply_parts parts;
        const auto results = vector.find("results")->items();
        writer.start(results.size());
        std::vector<core::outcome> outcomes;
        for (std::size_t i = 0; i < results.size(); ++i) {
            const auto op = static_cast<core::op_index>(i);
            if (vector.find("int64_as_string") != nullptr) {
                writer.int64_as_string(op);
            }
            write_result(writer, op, results[i], parts);
            outcomes.push_back(outcome_of(*results[i].find("outcome")));
        }
        const bool enveloped = vector.find("enveloped")->boolean;
        std::string reply;
        writer.append_reply(reply, text_of(vector, "event"), enveloped, 0, outcomes);
        CHECK(without_cursor(reply) == without_cursor(text_of(vector, "reply")));

        wire::reply_view read_back;
        REQUIRE(wire::decode_reply(reply, parser, parts.memory, read_back));
        CHECK(read_back.enveloped == enveloped);
        CHECK(read_back.event == text_of(vector, "event"));
        REQUIRE(read_back.results.size() == outcomes.size());
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            const auto& got = read_back.results[i];
            CHECK(got.outcome.status == outcomes[i].status);
            CHECK(got.outcome.code == outcomes[i].code);
            CHECK(got.outcome.effect == outcomes[i].effect);
            CHECK(got.outcome.detail == outcomes[i].detail);
            CHECK(got.outcome.field == outcomes[i].field);
            CHECK(got.outcome.reason == outcomes[i].reason);
            CHECK(got.outcome.retry_after == outcomes[i].retry_after);
            CHECK(got.outcome.at_least_once == outcomes[i].at_least_once);
            CHECK(got.retryable == core::is_retryable(outcomes[i].code));
            if (const auto* total = results[i].find("total")) {
                CHECK(got.total == static_cast<std::uint64_t>(total->integer));
            }
            if (const auto* count = results[i].find("count")) {
                CHECK(got.count == static_cast<std::uint64_t>(count->integer));
            }
        }
    }
}
