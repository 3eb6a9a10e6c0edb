#include "support/catch.hpp"

#include <beds/core/name.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/outcome.hpp>

#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

using namespace beds::core;

namespace {

// As the protocol document lists them; without OK, which is not sent.
constexpr const char* codes_of_the_protocol =
    "INVALID_ENVELOPE INVALID_FIELD UNKNOWN_TEMPLATE MISROUTED ID_REUSED UNAUTHENTICATED FORBIDDEN "
    "NOT_FOUND CONFLICT REJECTED INVALID_TRANSITION GUARD_FAILED CONSENT_REQUIRED DUPLICATE_KEY "
    "CONSTRAINT LIMIT_EXCEEDED DEADLINE_EXCEEDED OVERLOADED BACKEND_UNAVAILABLE "
    "BACKEND_PERMISSION_DENIED BACKEND_STORAGE_FULL BACKEND_CONFLICT SKIPPED UNSUPPORTED INTERNAL";

} // namespace

TEST_CASE("the codes are those of the protocol, in its order, and no others", "[outcome]") {
    std::istringstream words{codes_of_the_protocol};
    std::vector<std::string> wanted{"OK"};
    for (std::string word; words >> word;) {
        wanted.push_back(word);
    }
    REQUIRE(code_count == wanted.size());
    for (std::size_t i = 0; i < code_count; ++i) {
        const auto value = static_cast<code>(i);
        CHECK(to_string(value) == wanted[i]);
        CHECK(parse_code(wanted[i]) == value);
    }
    for (const char* const text : {"", "ok", "internal", "INTERNAL ", "CONFLICTS", "?"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_code(text).has_value());
    }
    CHECK(to_string(static_cast<code>(code_count)) == "?");
    CHECK(parse_code("INVALID_FIELD") == code::invalid_field);
    CHECK(to_string(code::backend_storage_full) == "BACKEND_STORAGE_FULL");
}

TEST_CASE("retryable: what passes by itself", "[outcome]") {
    const std::set<code> retryable{code::overloaded, code::backend_unavailable,
                                   code::backend_storage_full, code::backend_conflict};
    for (std::size_t i = 0; i < code_count; ++i) {
        const auto value = static_cast<code>(i);
        CAPTURE(to_string(value));
        CHECK(is_retryable(value) == retryable.contains(value));
    }
}

TEST_CASE("names of effect, status, verb and class", "[outcome]") {
    const std::vector<std::string> effects{"none", "applied", "unknown"};
    const std::vector<std::string> statuses{"ok", "error", "skipped"};
    const std::vector<std::string> verbs{"fetch",  "find",   "count", "exists",  "insert",
                                         "update", "delete", "call",  "describe"};
    const std::vector<std::string> classes{"read", "write", "bulk"};
    const auto check = [](const std::vector<std::string>& names, auto parse) {
        using value_type = typename decltype(parse(""))::value_type;
        for (std::size_t i = 0; i < names.size(); ++i) {
            CHECK(to_string(static_cast<value_type>(i)) == names[i]);
            CHECK(parse(names[i]) == static_cast<value_type>(i));
        }
        CHECK(to_string(static_cast<value_type>(names.size())) == "?");
        CHECK_FALSE(parse("").has_value());
        CHECK_FALSE(parse("remove").has_value());
        CHECK_FALSE(parse("Fetch").has_value());
    };
    check(effects, [](std::string_view text) { return parse_effect(text); });
    check(statuses, [](std::string_view text) { return parse_status(text); });
    check(verbs, [](std::string_view text) { return parse_verb(text); });
    check(classes, [](std::string_view text) { return parse_op_class(text); });
    CHECK(to_string(verb::remove) == "delete");
    CHECK(std::max(op_class::read, op_class::bulk) == op_class::bulk);
}

TEST_CASE("outcomes", "[outcome]") {
    CHECK(outcome{}.ok());
    CHECK(outcome{}.effect == effect::none);
    CHECK(outcome::applied().ok());
    CHECK(outcome::applied().effect == effect::applied);
    const auto failed = outcome::failure(code::conflict, "changed meanwhile", "version");
    CHECK_FALSE(failed.ok());
    CHECK(failed.status == status::error);
    CHECK(failed.code == code::conflict);
    CHECK(failed.effect == effect::none);
    CHECK(failed.field == "version");
    CHECK(outcome::failure(code::internal, "", "", effect::unknown).effect == effect::unknown);
    const auto skipped = outcome::skip("after a failure");
    CHECK(skipped.status == status::skipped);
    CHECK(skipped.code == code::skipped);
    CHECK(skipped.effect == effect::none);
}

TEST_CASE("names of different kinds are different types", "[name]") {
    using queue = name<struct queue_tag>;
    using exchange = name<struct exchange_tag>;
    STATIC_REQUIRE_FALSE(std::is_convertible_v<queue, exchange>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<queue, exchange>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, queue>);
    CHECK(queue{"rel.read"}.str() == "rel.read");
    CHECK(queue{"a"} < queue{"b"});
    CHECK(queue{}.empty());
}
