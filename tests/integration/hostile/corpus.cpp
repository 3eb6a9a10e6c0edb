#include "corpus.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <fstream>
#include <stdexcept>

namespace beds::test {

namespace {

std::string string_of(const std::string& json) {
    core::json_parser parser;
    core::arena memory;
    core::datum parsed;
    if (parser.parse(json, memory, parsed) || !parsed.is(core::datum::kind::string)) {
        throw std::runtime_error{"the corpus: no JSON string: " + json};
    }
    return std::string{parsed.text};
}

std::string bytes_of(const std::string& hex) {
    std::string made;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        made.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    return made;
}

} // namespace

hostile_corpus read_hostile_corpus() {
    hostile_corpus made;
    std::ifstream file{BEDS_HOSTILE_CORPUS};
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line.starts_with("# ") || line == "#") {
            continue;
        }
        const auto blank = line.find(' ');
        const auto kind = line.substr(0, blank);
        const auto rest = line.substr(blank + 1);
        if (kind == "text") {
            made.texts.push_back(string_of(rest));
        } else if (kind == "long") {
            const auto next = rest.find(' ');
            const auto one = string_of(rest.substr(next + 1));
            auto& all = made.texts.emplace_back();
            for (auto count = std::stoul(rest); count > 0; --count) {
                all += one;
            }
        } else if (kind == "bytes") {
            made.bytes.push_back(bytes_of(rest));
        } else if (kind == "json") {
            made.json.push_back(rest);
        } else {
            throw std::runtime_error{"the corpus: no such kind: " + line};
        }
    }
    if (made.texts.size() < 100 || made.bytes.empty() || made.json.empty()) {
        throw std::runtime_error{"the corpus is not there: " BEDS_HOSTILE_CORPUS};
    }
    return made;
}

std::vector<std::string> hostile_principals() {
    return {"app",
            "app ", // somebody else
            "App",
            "\xC3\xA4pp", // composed, and not
            "a\xCC\x88pp",
            "app'; DROP TABLE beds_inbox; -- ",
            "app\\",
            "app\\'",
            "$where",
            "{\"$gt\":\"\"}",
            "%",
            std::string("app\0", 4),
            std::string(255, '\''),
            "\xF0\x9F\x92\xA3"};
}

} // namespace beds::test
