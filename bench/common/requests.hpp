#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// The requests that the benches send over their table of users, and the marks of right answers.
/// Templates where the bytes are made inside what is measured.
namespace beds::bench {

/// The same number for the same one, as if at random (splitmix64).
inline std::uint64_t scattered(std::uint64_t number) {
    auto mixed = number + 0x9E3779B97F4A7C15U;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31U);
}

/// Row of an operation: all of so many in turn, neighbours far apart.
inline std::int64_t spread_row(std::uint64_t operation, std::int64_t rows) {
    return 1 + static_cast<std::int64_t>(operation * 7919 % static_cast<std::uint64_t>(rows));
}

/// Members of one operation, without braces.
inline void append_fetch(std::string& to, std::int64_t row) {
    to.append(R"("template":"users","op":"fetch","key":)").append(std::to_string(row));
}
inline void append_increment(std::string& to, std::int64_t row) {
    to.append(R"("template":"users","op":"update","key":)")
        .append(std::to_string(row))
        .append(R"(,"inc":{"balance":1})");
}
inline void append_credit(std::string& to, std::int64_t row) {
    to.append(R"("template":"users","op":"call","name":"credit","args":{"id":)")
        .append(std::to_string(row))
        .append(R"(,"amount":1})");
}

/// `load::make`: message i is the operation on `row_of(i)`.
template <class Append, class RowOf>
auto single_requests(Append append, RowOf row_of) {
    return [=](std::uint64_t i, std::string& body) {
        body.append(R"({"v":1,)");
        append(body, row_of(i));
        body.push_back('}');
    };
}

/// `load::make`: message i holds the operations from `i * per_message` on.
template <class Append, class RowOf>
auto envelopes_of(std::uint64_t per_message, Append append, RowOf row_of,
                  std::string_view head = R"({"v":1,"ops":[)") {
    return [=](std::uint64_t i, std::string& body) {
        body.append(head);
        for (std::uint64_t k = 0; k < per_message; ++k) {
            body.append(k == 0 ? "{" : ",{");
            append(body, row_of(i * per_message + k));
            body.push_back('}');
        }
        body.append("]}");
    };
}

/// `load::verify`: every operation's answer is there, in the order of the request.
template <class Expected, class RowOf>
auto answers_in_order(std::uint64_t per_message, Expected expected, RowOf row_of) {
    return [=](std::uint64_t i, std::string_view got) {
        std::size_t at = 0;
        for (std::uint64_t k = 0; k < per_message; ++k) {
            at = got.find(expected(row_of(i * per_message + k)), at);
            if (at == std::string_view::npos) {
                return false;
            }
        }
        return true;
    };
}

/// The result of an increment that was applied.
inline constexpr std::string_view applied_once = R"({"status":"ok","effect":"applied","count":1})";

/// How often the mark stands there.
inline std::uint64_t occurrences(std::string_view text, std::string_view mark) {
    std::uint64_t found = 0;
    for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
        ++found;
    }
    return found;
}

} // namespace beds::bench
