#include "config/schema.hpp"
#include "support/catch.hpp"

#include <set>

using namespace beds;
using namespace std::chrono_literals;
namespace schema = beds::config::schema;

TEST_CASE("durations are whole numbers with a unit") {
    CHECK(schema::parse_duration("500ms") == std::optional{500ms});
    CHECK(schema::parse_duration("2s") == std::optional{2000ms});
    CHECK(schema::parse_duration("5m") == std::optional<std::chrono::milliseconds>{5min});
    CHECK(schema::parse_duration("1h") == std::optional<std::chrono::milliseconds>{1h});
    for (const auto* text : {"", "5", "s", "-1s", "1.5s", "2 s", " 2s", "2S", "2sec", "1d",
                             "99999999999999999999s", "9999999999999h", "0x1s"}) {
        INFO(text);
        CHECK_FALSE(schema::parse_duration(text).has_value());
    }
    CHECK(schema::format_duration(90s) == "90s");
    CHECK(schema::format_duration(120s) == "2m");
    CHECK(schema::format_duration(1500ms) == "1500ms");
    CHECK(schema::format_duration(0ms) == "0s");
}

TEST_CASE("sizes are bytes or have a binary unit") {
    CHECK(schema::parse_size("1") == std::optional<std::uint64_t>{1});
    CHECK(schema::parse_size("64KiB") == std::optional<std::uint64_t>{65536});
    CHECK(schema::parse_size("1GiB") == std::optional<std::uint64_t>{1U << 30U});
    for (const auto* text : {"", "KiB", "1KB", "1kib", "-1", "1.5MiB", "99999999999999999999"}) {
        INFO(text);
        CHECK_FALSE(schema::parse_size(text).has_value());
    }
    CHECK(schema::format_size(65537) == "65537");
    CHECK(schema::format_size(16U << 20U) == "16MiB");
}

TEST_CASE("text is quoted as TOML wants it") {
    CHECK(schema::quote("a\"b\\c\n\x7f"
                        "Ñ") == "\"a\\\"b\\\\c\\u000A\\u007FÑ\"");
}

namespace {

const void* place(const schema::value_ref& of) {
    if (const auto* choice = std::get_if<schema::choice_ref>(&of)) {
        return choice->target;
    }
    return std::visit(
        [](const auto& target) -> const void* {
            if constexpr (std::is_pointer_v<std::decay_t<decltype(target)>>) {
                return target;
            }
            return nullptr;
        },
        of);
}

} // namespace

TEST_CASE("the table is sound") {
    config::settings scratch;
    std::set<std::string> seen;
    for (const auto& section : schema::sections()) {
        schema::path where;
        for (const auto part : section.pattern) {
            where.emplace_back(part);
        }
        CHECK_FALSE(section.doc.empty());
        void* owner = section.at(scratch, where);
        CHECK(section.at(scratch, where) == owner);
        std::set<const void*> places;
        for (const auto& key : section.keys) {
            const auto full = schema::join(where, key.name);
            INFO(full);
            CHECK(seen.insert(full).second);
            CHECK(places.insert(place(key.at(owner))).second);
            CHECK_FALSE(key.doc.empty());
            CHECK(key.low <= key.high);
            CHECK_FALSE(schema::expected(key).empty());
            CHECK(section.find(key.name) == &key);
            // Every default keeps its own bounds.
            CHECK(schema::breaks(key, key.at(owner)) == std::nullopt);
        }
    }
}

namespace {

/// Sets a number or duration; false where the type cannot hold it or there is none.
bool set_number(const schema::value_ref& of, std::uint64_t number) {
    return std::visit(
        [&](const auto& target) {
            using target_type = std::decay_t<decltype(target)>;
            if constexpr (std::is_same_v<target_type, std::uint16_t*> ||
                          std::is_same_v<target_type, std::uint32_t*> ||
                          std::is_same_v<target_type, std::size_t*>) {
                using integer = std::remove_pointer_t<target_type>;
                *target = static_cast<integer>(number);
                return std::uint64_t{*target} == number;
            } else if constexpr (std::is_same_v<target_type, std::chrono::seconds*>) {
                const std::chrono::milliseconds span{number};
                *target = std::chrono::floor<std::chrono::seconds>(span);
                return std::chrono::milliseconds{*target} == span;
            } else if constexpr (std::is_same_v<target_type, std::chrono::milliseconds*> ||
                                 std::is_same_v<target_type,
                                                std::optional<std::chrono::milliseconds>*>) {
                *target = std::chrono::milliseconds{number};
                return true;
            } else {
                return false;
            }
        },
        of);
}

} // namespace

TEST_CASE("the bounds of every key are exact") {
    config::settings scratch;
    std::size_t bounded = 0;
    for (const auto& section : schema::sections()) {
        schema::path where;
        for (const auto part : section.pattern) {
            where.emplace_back(part);
        }
        for (const auto& key : section.keys) {
            if (key.high == 0) {
                continue;
            }
            const auto value = key.at(section.at(scratch, where));
            INFO(schema::join(where, key.name) << ": " << schema::expected(key));
            ++bounded;
            // Of whole seconds the next one, else the next number.
            const bool seconds = std::holds_alternative<std::chrono::seconds*>(value);
            const std::uint64_t step = seconds ? 1000 : 1;
            const bool is_duration =
                seconds || std::holds_alternative<std::chrono::milliseconds*>(value) ||
                std::holds_alternative<std::optional<std::chrono::milliseconds>*>(value);
            for (const auto good : {key.low, key.low + step, key.high - step, key.high}) {
                REQUIRE(set_number(value, good));
                CHECK(schema::breaks(key, value) == std::nullopt);
            }
            if (set_number(value, key.high + step)) {
                CHECK(schema::breaks(key, value).has_value());
            }
            if (key.low > 0 || is_duration) { // a duration may be below zero
                REQUIRE(set_number(value, key.low - step));
                CHECK(schema::breaks(key, value).has_value());
            }
            // As an operator reads and writes them.
            const auto said = schema::expected(key);
            for (const auto bound : {key.low, key.high}) {
                REQUIRE(set_number(value, bound));
                const auto shown = is_duration
                                       ? schema::format_duration(std::chrono::milliseconds{bound})
                                   : key.unit == schema::unit::bytes ? schema::format_size(bound)
                                                                     : std::to_string(bound);
                CHECK(said.find(shown) != std::string::npos);
            }
        }
    }
    CHECK(bounded > 20);
}
