#include "statements.hpp"

#include <cctype>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <utility>

namespace beds::test {

namespace {

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80U;
}

struct entry {
    std::string session;
    std::string kind;
    std::string text;
};

/// What begins with this line of the log, if anything does: `260101 12:00:00` or nothing, tabs, the
/// session, the kind of the command, a tab.
std::optional<entry> begins(const std::string& line) {
    const auto tab = line.find('\t');
    if (tab != 0 && tab != 15) {
        return std::nullopt;
    }
    const auto session = line.find_first_not_of("\t ", tab);
    const auto blank = line.find_first_not_of("0123456789", session);
    if (session == std::string::npos || blank == session || blank == std::string::npos ||
        line[blank] != ' ') {
        return std::nullopt;
    }
    const auto end = line.find('\t', blank);
    if (end == std::string::npos) {
        return std::nullopt;
    }
    return entry{line.substr(session, blank - session), line.substr(blank + 1, end - blank - 1),
                 line.substr(end + 1)};
}

} // namespace

std::string without_literals(std::string_view statement) {
    std::string made;
    std::size_t at = 0;
    const auto skip_quoted = [&] {
        const char quote = statement[at++];
        while (at < statement.size()) {
            if (statement[at] == '\\' && quote != '`') {
                at += 2;
            } else if (statement[at] != quote) {
                ++at;
            } else if (at + 1 < statement.size() && statement[at + 1] == quote) {
                at += 2;
            } else {
                ++at;
                return;
            }
        }
        throw std::runtime_error{"no end of a literal: " + std::string{statement.substr(0, 2000)}};
    };
    while (at < statement.size()) {
        const char c = statement[at];
        if (c == '\'' || c == '"') {
            skip_quoted();
            made += '?';
        } else if (c == '`') {
            const auto begin = at;
            skip_quoted();
            made += statement.substr(begin, at - begin);
        } else if (is_word(c)) {
            const auto begin = at;
            const bool number = std::isdigit(static_cast<unsigned char>(c)) != 0;
            while (at < statement.size() &&
                   (is_word(statement[at]) || (number && statement[at] == '.'))) {
                ++at;
            }
            const auto word = statement.substr(begin, at - begin);
            if (at < statement.size() && statement[at] == '\'' &&
                (word == "X" || word == "DATE" || word == "TIME" || word == "TIMESTAMP")) {
                continue; // of the literal that follows
            }
            if (number) {
                if (made.ends_with("-") && (made.size() < 2 || made[made.size() - 2] != ' ')) {
                    made.pop_back();
                }
                made += '?';
            } else if (word == "NULL") {
                made += '?';
            } else {
                made += word;
            }
        } else {
            made += c;
            ++at;
        }
    }
    return made;
}

general_log::general_log(const server_control& server)
    : server_(&server), file_(server.directory() / "statements.log") {
    // Not to a table, which cuts off what its character set does not hold.
    server_->mariadb_root("SET GLOBAL log_output = 'FILE', GLOBAL general_log_file = '" +
                          file_.string() + "', GLOBAL general_log = 1");
}

general_log::statements general_log::take() {
    server_->mariadb_root("SET GLOBAL general_log = 0");
    std::vector<entry> entries;
    {
        std::ifstream lines{file_, std::ios::binary};
        for (std::string line; std::getline(lines, line);) {
            if (auto one = begins(line)) {
                entries.push_back(std::move(*one));
            } else if (!entries.empty()) {
                entries.back().text += '\n' + line; // within a value
            }
        }
    }
    std::filesystem::remove(file_);
    server_->mariadb_root("SET GLOBAL general_log = 1");
    statements made;
    for (const auto& [session, kind, text] : entries) {
        // The account `beds` is the node's alone: the test's own statements are root's.
        if (kind == "Connect" && text.starts_with("beds@")) {
            sessions_.insert(session);
        }
        if (!sessions_.contains(session)) {
            continue;
        }
        if (kind == "Prepare") {
            ++made.prepared[text];
        } else if (kind == "Execute") {
            ++made.executed[without_literals(text)];
        } else if (kind == "Query") {
            ++made.queries[text];
        } else {
            ++made.others[kind];
        }
    }
    return made;
}

} // namespace beds::test
