#include "support/catch.hpp"

#include <beds/core/secret.hpp>

#include <concepts>
#include <cstring>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>

using beds::core::secret;

static_assert(!std::convertible_to<secret, std::string>);
static_assert(!std::convertible_to<secret, std::string_view>);
static_assert(!std::convertible_to<secret, const char*>);
static_assert(!std::convertible_to<std::string, secret>);
static_assert(std::is_nothrow_move_constructible_v<secret>);

namespace {

/// A secret in memory that stays readable after the secret is gone.
struct held {
    alignas(secret) unsigned char bytes[sizeof(secret)] = {};

    template <class... Arguments>
    secret* make(Arguments&&... arguments) {
        return ::new (static_cast<void*>(bytes)) secret(std::forward<Arguments>(arguments)...);
    }
    [[nodiscard]] bool contains(std::string_view text) const {
        const std::string_view all{reinterpret_cast<const char*>(bytes), sizeof bytes};
        return all.find(text) != std::string_view::npos;
    }
};

// Fits into the string object itself, which is what moving leaves behind.
constexpr const char* short_text = "pa55word";

} // namespace

TEST_CASE("a secret prints as stars", "[secret]") {
    std::ostringstream out;
    out << secret{"hunter2"} << ' ' << secret{};
    CHECK(out.str() == "*** ***");
    CHECK(secret{"hunter2"}.reveal() == "hunter2");
    CHECK(secret{}.empty());
    CHECK(secret{"a"} == secret{"a"});
    CHECK_FALSE(secret{"a"} == secret{"b"});
}

TEST_CASE("no trace stays in a secret's own memory", "[secret]") {
    held first;
    held second;

    SECTION("when it dies") {
        secret* const made = first.make(std::string{short_text});
        REQUIRE(first.contains(short_text));
        std::destroy_at(made);
        CHECK_FALSE(first.contains("pa55"));
    }
    SECTION("when it is moved from") {
        secret* const from = first.make(std::string{short_text});
        secret* const to = second.make(std::move(*from));
        CHECK(to->reveal() == short_text);
        CHECK_FALSE(first.contains("a55wor"));
        std::destroy_at(from);
        std::destroy_at(to);
        CHECK_FALSE(second.contains("a55wor"));
    }
    SECTION("when it is assigned from") {
        secret* const from = first.make(std::string{short_text});
        secret* const to = second.make(std::string{"01d-v4lue"});
        *to = std::move(*from);
        CHECK(to->reveal() == short_text);
        CHECK_FALSE(first.contains("a55wor"));
        CHECK_FALSE(second.contains("v4lue"));
        std::destroy_at(from);
        std::destroy_at(to);
    }
    SECTION("when it is overwritten with something shorter") {
        secret* const made = first.make(std::string{"long-pa55word"});
        *made = secret{"x"};
        CHECK_FALSE(first.contains("55wor"));
        std::destroy_at(made);
    }
}

TEST_CASE("the string that a secret was made of is wiped", "[secret]") {
    alignas(std::string) unsigned char bytes[sizeof(std::string)];
    auto* const text = ::new (static_cast<void*>(bytes)) std::string{short_text};
    const secret made{std::move(*text)};
    CHECK(made.reveal() == short_text);
    // Moved into the parameter: what stays behind here is the caller's, so look at a long one,
    // whose buffer moves along, and at the secret itself.
    std::destroy_at(text);
    std::string large(200, 'k');
    const char* const buffer = large.data();
    const secret taken{std::move(large)};
    CHECK(taken.reveal().data() == buffer);
}

TEST_CASE("copies and assignment keep the text", "[secret]") {
    const std::string large(500, 'q');
    secret one{large};
    secret two{one};
    CHECK(two.reveal() == large);
    two = secret{"small"};
    CHECK(two.reveal() == "small");
    two = one;
    CHECK(two.reveal() == large);
    CHECK(one.reveal() == large);
    const secret& itself = two;
    two = itself;
    CHECK(two.reveal() == large);
    secret three{std::move(two)};
    CHECK(three.reveal() == large);
    two = three;
    CHECK(two.reveal() == large);
}
