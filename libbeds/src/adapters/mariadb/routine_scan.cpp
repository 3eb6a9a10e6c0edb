#include "adapters/mariadb/routine_scan.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace beds::adapters::mariadb {
namespace {

struct token {
    std::string text;    ///< words in capitals, quoted names as written, one character otherwise
    bool quoted = false; ///< a name in backticks: never a keyword
};

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

/// Position behind a quoted text that begins at `at`.
std::size_t skip_quoted(std::string_view text, std::size_t at, std::string* content) {
    const char quote = text[at++];
    while (at < text.size()) {
        if (text[at] == '\\' && quote != '`') {
            at += 2;
        } else if (text[at] == quote) {
            if (at + 1 < text.size() && text[at + 1] == quote) {
                if (content != nullptr) {
                    *content += quote;
                }
                at += 2;
            } else {
                return at + 1;
            }
        } else {
            if (content != nullptr) {
                *content += text[at];
            }
            ++at;
        }
    }
    return text.size();
}

std::vector<token> tokens_of(std::string_view text) {
    std::vector<token> made;
    std::size_t at = 0;
    while (at < text.size()) {
        const char c = text[at];
        const auto rest = text.substr(at);
        if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            ++at;
        } else if (c == '#' ||
                   (rest.starts_with("--") &&
                    (rest.size() == 2 || std::isspace(static_cast<unsigned char>(rest[2])) != 0))) {
            at = std::min(text.find('\n', at), text.size());
        } else if (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
            // Run by some servers: what stands in it counts. The end is skipped as punctuation.
            at += std::size_t{3} + (rest[2] == 'M' ? 1U : 0U);
            while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) {
                ++at;
            }
        } else if (rest.starts_with("/*")) {
            const auto end = text.find("*/", at + 2);
            at = end == std::string_view::npos ? text.size() : end + 2;
        } else if (c == '\'' || c == '"') {
            at = skip_quoted(text, at, nullptr);
            made.push_back({"'", false});
        } else if (c == '`') {
            token name{{}, true};
            at = skip_quoted(text, at, &name.text);
            made.push_back(std::move(name));
        } else if (is_word(c)) {
            token word;
            while (at < text.size() && is_word(text[at])) {
                word.text += static_cast<char>(std::toupper(static_cast<unsigned char>(text[at])));
                ++at;
            }
            made.push_back(std::move(word));
        } else {
            made.push_back({std::string{c}, false});
            ++at;
        }
    }
    return made;
}

class scanner {
public:
    explicit scanner(std::string_view definition) : tokens_(tokens_of(definition)) {}

    routine_findings run() {
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            look_at(i);
        }
        return std::move(found_);
    }

private:
    [[nodiscard]] bool word(std::size_t i, std::string_view text) const {
        return i < tokens_.size() && !tokens_[i].quoted && tokens_[i].text == text;
    }
    template <std::size_t N>
    [[nodiscard]] bool any_word(std::size_t i, const std::array<std::string_view, N>& texts) const {
        return std::any_of(texts.begin(), texts.end(),
                           [&](std::string_view text) { return word(i, text); });
    }

    void commits(std::size_t i) {
        if (!found_.may_commit) {
            found_.why = tokens_[i].text;
        }
        found_.may_commit = true;
    }

    void look_at(std::size_t i) {
        static constexpr std::array<std::string_view, 11> alone{
            "COMMIT",  "ALTER", "RENAME",  "GRANT",     "REVOKE", "PREPARE",
            "EXECUTE", "XA",    "INSTALL", "UNINSTALL", "FLUSH"};
        static constexpr std::array<std::string_view, 5> of_servers{"SLAVE", "REPLICA", "MASTER",
                                                                    "ALL", "QUERY"};
        static constexpr std::array<std::string_view, 4> of_tables{"ANALYZE", "OPTIMIZE", "REPAIR",
                                                                   "CHECK"};
        if (word(i, "AUTOCOMMIT")) { // also as @@session.autocommit
            commits(i);
            return;
        }
        // A name behind a dot is a column or table, whatever it is called.
        if (i > 0 && word(i - 1, ".")) {
            return;
        }
        if (word(i, "HANDLER")) {
            found_.handles = true;
        } else if (any_word(i, alone)) {
            commits(i);
        } else if (word(i, "ROLLBACK")) {
            const std::size_t next = word(i + 1, "WORK") ? i + 2 : i + 1;
            if (!word(next, "TO")) {
                commits(i);
            }
        } else if (word(i, "START") || word(i, "BEGIN")) {
            if (word(i + 1, "TRANSACTION") || word(i + 1, "WORK") ||
                (word(i, "START") && any_word(i + 1, of_servers))) {
                commits(i);
            }
        } else if (word(i, "STOP") || word(i, "CHANGE") || word(i, "RESET")) {
            if (any_word(i + 1, of_servers)) {
                commits(i);
            }
        } else if (word(i, "SET")) {
            if (word(i + 1, "PASSWORD")) {
                commits(i);
            }
        } else if (word(i, "CACHE") || (word(i, "LOAD") && word(i + 2, "INTO"))) {
            if (word(i + 1, "INDEX")) {
                commits(i);
            }
        } else if (word(i, "CREATE") || word(i, "DROP")) {
            if (!word(i + 1, "TEMPORARY") &&
                !(word(i + 1, "OR") && word(i + 2, "REPLACE") && word(i + 3, "TEMPORARY"))) {
                commits(i);
            }
        } else if (word(i, "TRUNCATE")) {
            if (!word(i + 1, "(")) { // the function of that name
                commits(i);
            }
        } else if (word(i, "LOCK") || word(i, "UNLOCK")) {
            if (word(i + 1, "TABLES") || word(i + 1, "TABLE")) {
                commits(i);
            }
        } else if (any_word(i, of_tables)) {
            if (word(i + 1, "TABLE") || word(i + 1, "TABLES") || word(i + 1, "VIEW") ||
                word(i + 1, "LOCAL") || word(i + 1, "NO_WRITE_TO_BINLOG")) {
                commits(i);
            }
        } else if (word(i, "CALL")) {
            take_call(i + 1);
        }
    }

    void take_call(std::size_t i) {
        if (i >= tokens_.size()) {
            return;
        }
        std::string name = name_at(i);
        if (word(i + 1, ".") && i + 2 < tokens_.size()) {
            name += '.' + name_at(i + 2);
        }
        found_.calls.push_back(std::move(name));
    }

    /// Names are compared without case by the server; lower case reads best.
    [[nodiscard]] std::string name_at(std::size_t i) const {
        std::string made = tokens_[i].text;
        if (!tokens_[i].quoted) {
            std::transform(made.begin(), made.end(), made.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        }
        return made;
    }

    std::vector<token> tokens_;
    routine_findings found_;
};

} // namespace

std::vector<std::pair<std::string, std::string>> tables_of_view(std::string_view definition) {
    std::vector<std::pair<std::string, std::string>> made;
    const auto tokens = tokens_of(definition);
    for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
        if (!tokens[i].quoted || tokens[i + 1].text != "." || !tokens[i + 2].quoted) {
            continue;
        }
        std::size_t before = i;
        while (before > 0 && tokens[before - 1].text == "(" && !tokens[before - 1].quoted) {
            --before;
        }
        if (before > 0 && !tokens[before - 1].quoted &&
            (tokens[before - 1].text == "FROM" || tokens[before - 1].text.ends_with("JOIN"))) {
            made.emplace_back(tokens[i].text, tokens[i + 2].text);
        }
    }
    return made;
}

routine_findings scan_routine(std::string_view definition) {
    return scanner{definition}.run();
}

} // namespace beds::adapters::mariadb
