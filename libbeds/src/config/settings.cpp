#include "config/schema.hpp"

#include <beds/config/settings.hpp>
#include <beds/core/error.hpp>

#include <array>
#include <ostream>
#include <unistd.h>

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
