#include "table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <string_view>

namespace quickstart {
namespace {

constexpr std::array<std::size_t, 8> widths{2, 33, 44, 7, 27, 7, 4, 7};
using cells = std::array<std::string, 8>;

/// Characters of UTF-8 text.
std::size_t length(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80;
    }));
}

void print(const cells& given) {
    std::string text;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const auto used = length(given[i]);
        const std::string fill(used < widths[i] ? widths[i] - used : 0, ' ');
        const bool number = i == 0 || i > 5;
        text.append(i == 0 ? "" : " | ").append(number ? fill : "").append(given[i]);
        text.append(number || i + 1 == given.size() ? "" : fill);
    }
    std::cout << text << std::endl; // seen at once, also in a pipe
}

std::string milliseconds(std::chrono::microseconds took) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", static_cast<double>(took.count()) / 1000.0);
    return text;
}

} // namespace

table::table() {
    print({"#", "shows", "request", "engine", "status/code", "effect", "rows", "ms"});
    cells rule;
    for (std::size_t i = 0; i < rule.size(); ++i) {
        rule[i].assign(widths[i], '-');
    }
    print(rule);
}

void table::add(const line& shown, const difference& wrong, const std::string& note) {
    print({std::to_string(++number_), shown.shows, shown.request, shown.engine, shown.answer,
           shown.effect, shown.rows, milliseconds(shown.took)});
    if (!note.empty()) {
        std::cout << "   |   " << note << std::endl;
    }
    if (!wrong.none()) {
        ++wrong_;
        std::cout << "   | WRONG  expected: " << wrong.expected
                  << "\n   |        got:      " << wrong.got << std::endl;
    }
}

void table::skip(const std::string& shows, const std::string& request, const std::string& engine,
                 const std::string& reason) {
    ++skipped_;
    print({std::to_string(++number_), shows, request, engine, "skipped: " + reason, "", "", ""});
}

bool table::finish() const {
    std::cout << '\n'
              << number_ << " lines: " << number_ - wrong_ - skipped_ << " right, " << wrong_
              << " wrong, " << skipped_ << " skipped" << std::endl;
    return wrong_ == 0;
}

} // namespace quickstart
