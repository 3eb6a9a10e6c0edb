#include "config/schema.hpp"

#include <beds/config/settings.hpp>
#include <beds/core/error.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <ostream>
#include <unistd.h>
#include <utility>

namespace beds::config {

std::string to_string(const problem& value) {
    std::string text = value.file;
    if (value.line != 0) {
        text += (text.empty() ? "line " : ":") + std::to_string(value.line);
        if (value.column != 0) {
            text += ':' + std::to_string(value.column);
        }
    }
    for (const auto* part : {&value.key, &value.message}) {
        if (!part->empty()) {
            text += (text.empty() ? "" : ": ") + *part;
        }
    }
    return text;
}

std::string to_string(const std::vector<problem>& values) {
    std::string text;
    for (const auto& each : values) {
        text += (text.empty() ? "" : "\n") + to_string(each);
    }
    return text;
}

std::ostream& operator<<(std::ostream& out, const problem& value) {
    return out << to_string(value);
}

std::optional<coalesce_features> parse_coalesce(std::string_view text) {
    if (text == "auto") {
        return coalesce_features{true, true, true, true, true, true, true};
    }
    coalesce_features made;
    if (text == "off") {
        return made;
    }
    constexpr std::pair<std::string_view, bool coalesce_features::*> names[]{
        {"fetch", &coalesce_features::fetch},        {"find", &coalesce_features::find},
        {"insert", &coalesce_features::insert},      {"update", &coalesce_features::update},
        {"delete", &coalesce_features::remove},      {"call", &coalesce_features::call},
        {"returning", &coalesce_features::returning}};
    bool any = false;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (word.empty()) {
            continue;
        }
        const auto found = std::find_if(std::begin(names), std::end(names),
                                        [word](const auto& each) { return each.first == word; });
        if (found == std::end(names)) {
            return std::nullopt;
        }
        made.*found->second = any = true;
    }
    return any ? std::optional{made} : std::nullopt;
}

std::optional<listen_address> parse_listen(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || text.size() > 64) {
        return std::nullopt;
    }
    listen_address made;
    const auto digits = text.substr(colon + 1);
    const auto* const end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, made.port);
    if (digits.empty() || parsed.ec != std::errc{} || parsed.ptr != end) {
        return std::nullopt;
    }
    auto address = text.substr(0, colon);
    const bool v6 = address.size() > 2 && address.front() == '[' && address.back() == ']';
    made.address = v6 ? address.substr(1, address.size() - 2) : address;
    std::array<unsigned char, 16> bytes{};
    if (::inet_pton(v6 ? AF_INET6 : AF_INET, made.address.c_str(), bytes.data()) != 1) {
        return std::nullopt;
    }
    constexpr std::array<unsigned char, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    made.loopback = v6 ? bytes == one : bytes[0] == 127;
    return made;
}

std::vector<problem> check(const settings& value,
                           const std::vector<std::string>& other_connections) {
    std::vector<problem> found;
    // The table's accessors give mutable references; a copy keeps the caller's settings untouched.
    settings copy = value;
    for (const auto& section : schema::sections()) {
        for (const auto& where : section.list(value)) {
            void* owner = section.at(copy, where);
            for (const auto& key : section.keys) {
                if (auto message = schema::breaks(key, key.at(owner))) {
                    found.push_back({.file = {},
                                     .line = 0,
                                     .column = 0,
                                     .key = schema::join(where, key.name),
                                     .expected = schema::expected(key),
                                     .message = std::move(*message)});
                }
            }
        }
    }
    for (auto& each : schema::check_relations(value, other_connections)) {
        found.push_back(std::move(each));
    }
    return found;
}

void validate(const settings& value, const std::vector<std::string>& other_connections) {
    const auto problems = check(value, other_connections);
    if (!problems.empty()) {
        throw core::error{core::errc::invalid_configuration, to_string(problems)};
    }
}

std::string host_name() {
    std::array<char, 256> buffer{};
    // A name that fills the buffer need not be terminated.
    if (::gethostname(buffer.data(), buffer.size() - 1) != 0) {
        return "localhost";
    }
    std::string name{buffer.data()};
    name.resize(std::min(name.size(), name.find('.')));
    return name.empty() ? "localhost" : name;
}

} // namespace beds::config
