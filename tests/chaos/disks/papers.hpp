#pragma once

#include "support/catch.hpp"
#include "support/running_node.hpp"
#include "support/small_disk.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// Texts that fill a disk.
namespace beds::test {

using namespace std::chrono_literals;

inline constexpr std::int64_t papers_a_request = 50;

inline std::string papers_template(std::string_view store, std::string_view key_column) {
    return R"toml([template]
name  = "papers"
store = ")toml" +
           std::string{store} + R"toml("
object = "papers"
key   = ["id"]
[fields]
text = { type = "string", max = 6000, required = true }
id   = { type = "int64", required = true, column = ")toml" +
           std::string{key_column} + "\" }\n";
}

/// Rows that stay within a page: InnoDB ends the server when the disk is full in a larger value.
inline client::request papers(std::int64_t first) {
    client::request made;
    for (std::int64_t id = first; id < first + papers_a_request; ++id) {
        made.operations.push_back(client::insert(
            "papers", client::members{{"id", id}, {"text", std::string(6000, 'x')}}));
    }
    made.id = "papers-" + std::to_string(first);
    return made;
}

/// What was told while there was room, and of the first request for which there was none.
struct filled {
    client::reply last;       ///< to the request that failed
    std::int64_t first = 0;   ///< number of that request's first paper
    std::int64_t there = 0;   ///< papers that were acknowledged
    std::int64_t refused = 0; ///< failed with effect none
    std::int64_t unknown = 0; ///< failed with effect unknown
};

/// Sends papers until one is not taken.
inline filled fill_with_papers(client::client& through) {
    filled made{.last = through.call(papers(0), 10s)};
    while (made.last.ok() && made.first < 20'000) {
        made.first += papers_a_request;
        made.last = through.call(papers(made.first), 10s);
    }
    made.there = made.first;
    for (std::size_t i = 0; i < made.last.size(); ++i) {
        const auto one = made.last[i];
        if (one.ok()) {
            ++made.there;
            continue;
        }
        CHECK(one.retryable());
        CHECK(one.retry_after() > 0ms);
        ++(one.effect() == core::effect::none ? made.refused : made.unknown);
    }
    return made;
}

} // namespace beds::test
