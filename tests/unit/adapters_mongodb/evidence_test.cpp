#include "adapters/mongodb/evidence.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace beds::adapters::mongodb;
using namespace std::chrono_literals;

namespace {

constexpr auto now = std::chrono::seconds{1'800'000'000};

write_token made(std::chrono::seconds at) {
    return write_token::make(at);
}

/// What a ring of these entries, the oldest first, says about a token.
evidence ring(const std::vector<write_token>& entries, const write_token& wanted) {
    bson_t document;
    bson_init(&document);
    bson_t array;
    bson_append_array_begin(&document, "_beds", -1, &array);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        bson_oid_t id;
        std::copy(entries[i].bytes.begin(), entries[i].bytes.end(), std::begin(id.bytes));
        bson_append_oid(&array, std::to_string(i).c_str(), -1, &id);
    }
    bson_append_array_end(&document, &array);
    bson_iter_t at;
    REQUIRE(bson_iter_init_find(&at, &document, "_beds"));
    const auto found = read_ring(&at, wanted);
    bson_destroy(&document);
    return found;
}

} // namespace

TEST_CASE("evidence: tokens") {
    const auto one = made(now);
    CHECK(one.seconds() == now);
    CHECK(one == one);
    CHECK_FALSE(one == made(now));
}

TEST_CASE("evidence: a ring that holds the token") {
    const auto wanted = made(now);
    CHECK(ring({wanted}, wanted) == evidence::token);
    CHECK(ring({made(now - 1h), wanted, made(now + 1s)}, wanted) == evidence::token);
    CHECK(ring({wanted, made(now + 1s)}, wanted) == evidence::token);
}

TEST_CASE("evidence: a ring without the token tells something only when it goes back far enough") {
    const auto wanted = made(now);
    CHECK(ring({made(now - ring_margin - 1s)}, wanted) == evidence::none_since);
    CHECK(ring({made(now - 1h), made(now + 1s), made(now + 2s)}, wanted) == evidence::none_since);
    CHECK(ring({made(now - ring_margin)}, wanted) == evidence::lost);
    CHECK(ring({made(now - 1s), made(now + 1s)}, wanted) == evidence::lost);
    CHECK(ring({made(now + 1s)}, wanted) == evidence::lost);
    // The oldest entry counts, wherever older ones stand.
    CHECK(ring({made(now), made(now - 1h)}, wanted) == evidence::lost);
    CHECK(ring({}, wanted) == evidence::lost);
    CHECK(read_ring(nullptr, wanted) == evidence::lost);
}

TEST_CASE("evidence: what is no ring tells nothing") {
    const auto wanted = made(now);
    for (const char* text :
         {R"({"_beds": 5})", R"({"_beds": {"0": {"$oid": "5f0000000000000000000001"}}})",
          R"({"_beds": [{"$oid": "5f0000000000000000000001"}, 7]})"}) {
        bson_error_t error;
        bson_t* const document =
            bson_new_from_json(reinterpret_cast<const std::uint8_t*>(text), -1, &error);
        REQUIRE(document != nullptr);
        bson_iter_t at;
        REQUIRE(bson_iter_init_find(&at, document, "_beds"));
        CHECK(read_ring(&at, wanted) == evidence::lost);
        bson_destroy(document);
    }
}

TEST_CASE("evidence: verdicts") {
    using enum evidence;
    CHECK(settle(write_kind::insert, token) == verdict::applied);
    for (const auto other : {no_document, none_since, lost}) {
        CHECK(settle(write_kind::insert, other) == verdict::unknown);
    }
    CHECK(settle(write_kind::change, token) == verdict::applied);
    CHECK(settle(write_kind::change, none_since) == verdict::run);
    CHECK(settle(write_kind::change, lost) == verdict::unknown);
    CHECK(settle(write_kind::change, no_document) == verdict::unknown);
    // Its token is a mark that precedes the delete: what is still there was not deleted.
    CHECK(settle(write_kind::remove, token) == verdict::run);
    CHECK(settle(write_kind::remove, none_since) == verdict::run);
    CHECK(settle(write_kind::remove, lost) == verdict::unknown);
    CHECK(settle(write_kind::remove, no_document) == verdict::unknown);
    for (const auto any : {no_document, token, none_since, lost}) {
        CHECK(settle(write_kind::many, any) == verdict::run);
    }
}

TEST_CASE("evidence: of several rows") {
    using enum evidence;
    const auto of = [](std::vector<evidence> rows) { return together(rows); };
    CHECK(of({token, token}) == token);
    CHECK(of({token, no_document}) == lost);
    CHECK(of({no_document, no_document}) == no_document);
    CHECK(of({none_since}) == none_since);
    CHECK(of({}) == lost);
}

namespace {

struct event {
    write_token author;
    std::string reply{}; ///< or
    write_token taker{}; ///< who takes over
    std::int64_t when = 0;
};

struct told {
    write_token owner;
    std::chrono::milliseconds since;
    bool replied;
    std::string reply;
};

told after(const std::vector<event>& events, const write_token& began) {
    bson_t document;
    bson_init(&document);
    bson_t array;
    const auto oid = [](const write_token& token) {
        bson_oid_t id;
        std::copy(token.bytes.begin(), token.bytes.end(), std::begin(id.bytes));
        return id;
    };
    bson_append_array_begin(&document, "e", -1, &array);
    for (std::size_t i = 0; i < events.size(); ++i) {
        bson_t one;
        bson_append_document_begin(&array, std::to_string(i).c_str(), -1, &one);
        const auto author = oid(events[i].author);
        bson_append_oid(&one, "k", -1, &author);
        if (!events[i].reply.empty()) {
            bson_append_binary(&one, "r", -1, BSON_SUBTYPE_BINARY,
                               reinterpret_cast<const std::uint8_t*>(events[i].reply.data()),
                               static_cast<std::uint32_t>(events[i].reply.size()));
        } else {
            const auto taker = oid(events[i].taker);
            bson_append_oid(&one, "o", -1, &taker);
            bson_append_date_time(&one, "t", -1, events[i].when);
        }
        bson_append_document_end(&array, &one);
    }
    bson_append_array_end(&document, &array);
    bson_iter_t at;
    REQUIRE(bson_iter_init_find(&at, &document, "e"));
    const auto state = read_events(&at, began);
    told made{state.owner, state.since, state.replied, std::string{state.reply}};
    bson_destroy(&document);
    return made;
}

} // namespace

TEST_CASE("evidence: what happened to an intent, by the order of its events") {
    const auto a = made(now);
    const auto b = made(now + 3s);
    const auto c = made(now + 6s);
    CHECK_FALSE(read_events(nullptr, a).replied);
    CHECK(read_events(nullptr, a).owner == a);
    CHECK(after({{a, "one"}}, a).reply == "one");
    // Of two that take over, the first is in charge.
    const auto taken = after({{a, {}, b, 7'000}, {a, {}, c, 8'000}}, a);
    CHECK(taken.owner == b);
    CHECK(taken.since == 7s);
    CHECK_FALSE(taken.replied);
    // Who was taken over ends nothing any more, and nobody takes over what is ended.
    CHECK(after({{a, {}, b, 1}, {a, "late"}}, a).replied == false);
    CHECK(after({{a, {}, b, 1}, {a, "late"}, {b, "good"}}, a).reply == "good");
    CHECK(after({{a, "one"}, {a, {}, b, 1}, {b, "two"}}, a).reply == "one");
    CHECK(after({{a, {}, b, 1}, {b, {}, c, 2}, {b, "late"}, {c, "three"}}, a).reply == "three");
    CHECK_FALSE(after({{b, "a stranger's"}}, a).replied);
    CHECK(after({{a, "one"}, {a, "again"}}, a).reply == "one");
}
