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
            look_for_writes(i);
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
        if (i < tokens_.size()) {
            found_.calls.push_back(qualified_at(i));
        }
    }

    // ---- what is written ----

    void look_for_writes(std::size_t i) {
        static constexpr std::array<std::string_view, 2> at_run_time{"PREPARE", "EXECUTE"};
        static constexpr std::array<std::string_view, 3> of_the_server{"RENAME", "GRANT", "REVOKE"};
        static constexpr std::array<std::string_view, 2> of_sequences{"NEXTVAL", "SETVAL"};
        if (i > 0 && word(i - 1, ".")) {
            return;
        }
        if (!word(i, "UPDATE") && (word(i + 1, "(") || (word(i + 1, ".") && word(i + 3, "(")))) {
            if (any_word(i, of_sequences)) {
                writes(i, {});
            } else if (is_name(i)) {
                found_.functions.push_back(qualified_at(i));
            }
            return; // REPLACE, INSERT and TRUNCATE are functions, too
        }
        if (any_word(i, at_run_time)) {
            found_.made_at_run_time = true;
        } else if (any_word(i, of_the_server) ||
                   (word(i, "NEXT") && word(i + 1, "VALUE") && word(i + 2, "FOR"))) {
            writes(i, {});
        } else if (word(i, "INSERT") || (word(i, "REPLACE") && !(i > 0 && word(i - 1, "OR")))) {
            writes(i, {qualified_at(behind_modifiers(i + 1))});
        } else if (word(i, "UPDATE")) {
            take_update(i);
        } else if (word(i, "DELETE")) {
            take_delete(i);
        } else if (word(i, "TRUNCATE") && (word(i + 1, "TABLE") || starts_statement(i))) {
            writes(i, {qualified_at(behind_modifiers(i + 1))});
        } else if (word(i, "LOAD") && (word(i + 1, "DATA") || word(i + 1, "XML"))) {
            writes(i, {});
        } else if (word(i, "INTO") && (word(i + 1, "OUTFILE") || word(i + 1, "DUMPFILE"))) {
            writes(i + 1, {});
        } else if (word(i, "CREATE") || word(i, "DROP") || word(i, "ALTER")) {
            take_definition(i);
        }
    }

    [[nodiscard]] bool starts_statement(std::size_t i) const {
        static constexpr std::array<std::string_view, 8> before{"BEGIN", "THEN",   "ELSE", "DO",
                                                                "LOOP",  "REPEAT", ";",    ":"};
        return i == 0 || any_word(i - 1, before);
    }

    void writes(std::size_t i, std::vector<std::string> tables) {
        found_.writes.push_back({tokens_[i].text, std::move(tables)});
    }

    [[nodiscard]] std::size_t behind_modifiers(std::size_t i) const {
        static constexpr std::array<std::string_view, 13> modifiers{
            "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "CONCURRENT", "QUICK", "IGNORE", "INTO",
            "FROM",         "TABLE",         "ONLINE",  "IF",         "NOT",   "EXISTS"};
        while (any_word(i, modifiers)) {
            ++i;
        }
        return i;
    }

    void take_definition(std::size_t i) {
        auto at = i + 1;
        if (word(at, "OR") && word(at + 1, "REPLACE")) {
            at += 2;
        }
        if (word(at, "TEMPORARY")) {
            if (!word(i, "DROP")) {
                found_.temporary.push_back(qualified_at(behind_modifiers(at + 1)));
            }
            return;
        }
        // Also temporary ones may be dropped and altered without that word.
        if ((word(i, "DROP") || word(i, "ALTER")) &&
            (word(at, "TABLE") || word(at, "IGNORE") || word(at, "ONLINE"))) {
            writes(i, {qualified_at(behind_modifiers(at))});
            while (word(i, "DROP") && at < tokens_.size() && !word(at, ";")) {
                if (word(at++, ",")) {
                    writes(i, {qualified_at(at)});
                }
            }
            return;
        }
        while (at < tokens_.size() && !word(at, ";") && !word(at, "ON")) {
            if (word(at, "INDEX") && !word(i, "ALTER")) { // … INDEX name ON table
                const auto on = std::find_if(
                    tokens_.begin() + static_cast<std::ptrdiff_t>(at), tokens_.end(),
                    [](const token& each) { return !each.quoted && each.text == "ON"; });
                const auto table = static_cast<std::size_t>(on - tokens_.begin()) + 1;
                writes(i, {qualified_at(table)});
                return;
            }
            ++at;
        }
        writes(i, {});
    }

    struct table_ref {
        std::string table;
        std::string alias; ///< or the table's own name
    };

    /// Behind the parenthesis that closes the one at `i`.
    [[nodiscard]] std::size_t behind_group(std::size_t i) const {
        std::size_t depth = 0;
        for (; i < tokens_.size(); ++i) {
            if (word(i, "(")) {
                ++depth;
            } else if (word(i, ")") && --depth == 0) {
                return i + 1;
            }
        }
        return i;
    }

    /// The tables of a join that begins at `i`; moves it to where the join ends.
    std::vector<table_ref> take_tables(std::size_t& i) const {
        static constexpr std::array<std::string_view, 7> ends{"SET", "WHERE",     "ORDER", "LIMIT",
                                                              ";",   "RETURNING", "END"};
        static constexpr std::array<std::string_view, 14> no_alias{
            "JOIN",  "INNER", "LEFT", "RIGHT", "CROSS",     "STRAIGHT_JOIN", "NATURAL",
            "OUTER", "ON",    "USE",  "FORCE", "PARTITION", "IGNORE",        "USING"};
        std::vector<table_ref> made;
        bool awaited = true;
        while (i < tokens_.size() && !any_word(i, ends)) {
            if (word(i, "(")) {
                const bool nested_join = awaited && !word(i + 1, "SELECT");
                i = nested_join ? i + 1 : behind_group(i);
                awaited = nested_join;
            } else if (awaited && is_name(i)) {
                table_ref one{qualified_at(i), {}};
                i += word(i + 1, ".") ? 3U : 1U;
                one.alias = last_part(one.table);
                i += word(i, "AS") ? 1U : 0U;
                if (is_name(i) && !any_word(i, no_alias) && !any_word(i, ends)) {
                    one.alias = name_at(i++);
                }
                made.push_back(std::move(one));
                awaited = false;
            } else {
                awaited = word(i, ",") || word(i, "JOIN") || word(i, "STRAIGHT_JOIN");
                ++i;
            }
        }
        return made;
    }

    static std::string last_part(const std::string& name) {
        const auto dot = name.rfind('.');
        return dot == std::string::npos ? name : name.substr(dot + 1);
    }

    /// The table that a statement calls so.
    static std::string meant(const std::vector<table_ref>& among, const std::string& name) {
        const auto found = std::find_if(among.begin(), among.end(), [&](const table_ref& each) {
            return same(each.alias, last_part(name));
        });
        return found != among.end() ? found->table : name;
    }
    static bool same(std::string_view left, std::string_view right) {
        return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
            return std::tolower(static_cast<unsigned char>(a)) ==
                   std::tolower(static_cast<unsigned char>(b));
        });
    }

    void take_update(std::size_t i) {
        // SELECT … FOR UPDATE, ON DUPLICATE KEY UPDATE, ON UPDATE of a column.
        if (i > 0 && (word(i - 1, "FOR") || word(i - 1, "KEY") || word(i - 1, "ON"))) {
            return;
        }
        auto at = behind_modifiers(i + 1);
        const auto refs = take_tables(at);
        std::vector<std::string> all;
        for (const auto& each : refs) {
            all.push_back(each.table);
        }
        if (all.size() < 2) {
            writes(i, std::move(all));
            return;
        }
        // Which of them is told by the columns that are set, if those say so.
        bool target = true;
        for (++at; at < tokens_.size() && !word(at, "WHERE") && !word(at, ";");) {
            if (word(at, "(")) {
                at = behind_group(at);
                continue;
            }
            if (target) {
                if (!word(at + 1, ".")) {
                    writes(i, all);
                    return;
                }
                writes(i, {meant(refs, word(at + 3, ".") ? qualified_at(at) : name_at(at))});
            }
            target = word(at, ",");
            ++at;
        }
    }

    void take_delete(std::size_t i) {
        if (i > 0 && word(i - 1, "ON")) {
            return;
        }
        auto at = i + 1;
        while (word(at, "LOW_PRIORITY") || word(at, "QUICK") || word(at, "IGNORE")) {
            ++at;
        }
        // DELETE FROM t …, DELETE a, b FROM t a JOIN …, DELETE FROM a, b USING t a JOIN …
        const bool first = word(at, "FROM");
        at += first ? 1U : 0U;
        std::vector<std::string> targets;
        while (is_name(at) && !word(at, "FROM") && !word(at, "USING")) {
            targets.push_back(qualified_at(at));
            at += word(at + 1, ".") ? 3U : 1U;
            at += word(at, ".") && word(at + 1, "*") ? 2U : 0U;
            if (!word(at, ",")) {
                break;
            }
            ++at;
        }
        if (word(at, first ? "USING" : "FROM")) {
            const auto refs = take_tables(++at);
            for (auto& each : targets) {
                each = meant(refs, each);
            }
        }
        for (auto& each : targets) {
            writes(i, {std::move(each)});
        }
    }

    /// A word or a quoted name.
    [[nodiscard]] bool is_name(std::size_t i) const {
        return i < tokens_.size() && (tokens_[i].quoted || is_word(tokens_[i].text.front()));
    }

    [[nodiscard]] std::string qualified_at(std::size_t i) const {
        if (i >= tokens_.size()) {
            return {};
        }
        std::string name = name_at(i);
        if (word(i + 1, ".") && i + 2 < tokens_.size() && !word(i + 2, "*")) {
            name += '.' + name_at(i + 2);
        }
        return name;
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
