#include "config/schema.hpp"
#include "core/toml_include.hpp"

#include <beds/config/load.hpp>
#include <beds/core/error.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

namespace beds::config {
namespace {

namespace fs = std::filesystem;
using schema::path;

constexpr std::string_view override_name = "--set";

std::optional<std::string> process_environment(const std::string& name) {
    // Set-up runs before any thread of BEDS that could change the environment.
    const char* value = std::getenv(name.c_str()); // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

struct position {
    unsigned line = 0;
    unsigned column = 0;
};

position position_of(const toml::source_region& region) {
    return {region.begin.line, region.begin.column};
}

/// One file or one override.
struct layer {
    std::size_t rank = 0; ///< orders the problems
    std::string name;     ///< as problems and origins call it
    fs::path directory;   ///< relative paths start here
};

/// A secret as it was given; resolved only when all layers are read, because a later layer may
/// replace it and then the file that an earlier one names need not exist.
struct pending_secret {
    enum class form { text, file, variable };
    form given = form::text;
    std::string text; ///< the secret, an absolute path, or a variable's name
    core::secret* target = nullptr;
    std::string key_path; ///< with the twin's ending
    std::size_t rank = 0;
    std::string file;
    position at;
};

std::string article(toml::node_type type) {
    switch (type) {
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return "an array";
    case toml::node_type::string:
        return "text";
    case toml::node_type::integer:
        return "an integer";
    case toml::node_type::floating_point:
        return "a number with a fraction";
    case toml::node_type::boolean:
        return "true or false";
    default:
        return "a date or time";
    }
}

class loader {
public:
    explicit loader(const load_options& options) : options_(options) {
        if (!options_.environment) {
            options_.environment = process_environment;
        }
    }

    load_result run();

private:
    void read_file(const fs::path& file, std::size_t rank);
    void read_override(const std::string& text, std::size_t number);
    void walk(const layer& from, const toml::table& table, const path& where);
    void walk_key(const layer& from, const path& where, const toml::key& name,
                  const toml::node& value);
    void assign(const layer& from, const path& where, const schema::section& owner,
                const schema::key& key, const toml::node& value, position at);
    bool assign_secret(const layer& from, const path& where, const schema::section& owner,
                       std::string_view name, const toml::node& value, position at);
    void unknown(const layer& from, const path& where, std::string_view name, position at);
    void resolve_secrets();
    void derive(const std::string& environment);
    void check_whole();

    void complain(const layer& from, position at, std::string key_path, std::string expected,
                  std::string message) {
        complain(from.rank, from.name, at, std::move(key_path), std::move(expected),
                 std::move(message));
    }
    void complain(std::size_t rank, const std::string& file, position at, std::string key_path,
                  std::string expected, std::string message) {
        problems_.emplace_back(rank, problem{.file = file,
                                             .line = at.line,
                                             .column = at.column,
                                             .key = std::move(key_path),
                                             .expected = std::move(expected),
                                             .message = std::move(message)});
    }
    void remember(const layer& from, const std::string& key_path, position at,
                  std::string note = {}) {
        result_.origins[key_path] = {from.name, at.line, std::move(note)};
        touched_.insert(key_path);
    }

    struct place {
        std::size_t rank = 0;
        std::string file;
        position at;
    };

    load_options options_;
    load_result result_;
    std::vector<std::pair<std::size_t, problem>> problems_;
    std::map<std::string, pending_secret> secrets_;
    std::set<std::string> touched_;         ///< keys that some layer gave, good or bad
    std::map<std::string, place> sections_; ///< where each section was seen last
    bool whole_ = true;                     ///< every layer could be read
};

/// A parser's message quotes what it stumbled on; that may be a piece of a password.
std::string safe_description(std::string_view description) {
    std::string text{description.substr(0, description.find("saw '"))};
    text.resize(std::min(text.size(), text.find('\'')));
    while (!text.empty() &&
           (text.back() == ' ' || text.back() == ',' || text.back() == ';' || text.back() == ':')) {
        text.pop_back();
    }
    return text;
}

void loader::read_file(const fs::path& file, std::size_t rank) {
    const layer from{rank, file.string(), fs::absolute(file).parent_path()};
    std::error_code failure;
    if (fs::is_directory(file, failure)) {
        complain(from, {}, "", "a TOML file", "is a folder; expected a TOML file");
        whole_ = false;
        return;
    }
    std::ifstream stream{file, std::ios::binary};
    if (!stream) {
        complain(from, {}, "", "a TOML file that can be read", "cannot be opened for reading");
        whole_ = false;
        return;
    }
    result_.files.push_back(file);
    const auto parsed = toml::parse(stream, from.name);
    if (!parsed) {
        const auto& error = parsed.error();
        complain(from, position_of(error.source()), "", "TOML",
                 "is not valid TOML: " + safe_description(error.description()) +
                     " (text is written in quotes)");
        whole_ = false;
        return;
    }
    walk(from, parsed.table(), {});
}

/// A value of an override, by what the key wants: text needs no quotes.
std::optional<toml::table> parse_override(std::string_view value, const schema::section& owner,
                                          const schema::key* key) {
    settings scratch;
    path where;
    for (const auto part : owner.pattern) {
        where.emplace_back(part);
    }
    bool takes_text = true;
    bool takes_size = false;
    if (key != nullptr) {
        const auto target = key->at(owner.at(scratch, where));
        takes_text = !std::holds_alternative<bool*>(target) &&
                     !std::holds_alternative<std::uint16_t*>(target) &&
                     !std::holds_alternative<std::uint32_t*>(target);
        takes_size = std::holds_alternative<std::size_t*>(target);
    }
    const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'');
    if (takes_text && !takes_size && !quoted) {
        toml::table made;
        made.insert("value", std::string{value});
        return made;
    }
    auto parsed = toml::parse("value = " + std::string{value});
    if (parsed) {
        return std::move(parsed).table();
    }
    if (quoted) {
        return std::nullopt;
    }
    // Text where a number is wanted: the type check says what was expected.
    toml::table made;
    made.insert("value", std::string{value});
    return made;
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    for (std::size_t start = 0;;) {
        const auto dot = text.find('.', start);
        parts.emplace_back(text.substr(start, dot - start));
        if (dot == std::string_view::npos) {
            return parts;
        }
        start = dot + 1;
    }
}

/// What begins so lies where systemd puts the credentials of a unit (systemd.exec(5)).
constexpr std::string_view credentials = "${CREDENTIALS_DIRECTORY}/";

/// `pass` of `pass_file` and `pass_env`; nothing when `name` is no twin of a secret key.
const schema::key* twin_of(const schema::section& owner, std::string_view name,
                           pending_secret::form& given) {
    for (const auto& [ending, form] :
         {std::pair{std::string_view{"_file"}, pending_secret::form::file},
          std::pair{std::string_view{"_env"}, pending_secret::form::variable}}) {
        if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending) {
            const auto* key = owner.find(name.substr(0, name.size() - ending.size()));
            if (key != nullptr && schema::is_secret(*key)) {
                given = form;
                return key;
            }
        }
    }
    return nullptr;
}

void loader::read_override(const std::string& text, std::size_t number) {
    const layer from{std::numeric_limits<std::size_t>::max() - 1, std::string{override_name},
                     fs::current_path()};
    static constexpr std::string_view shape = "section.key=value";
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
        // The text is not shown: it may be anything, a password too.
        complain(from, {}, "", std::string{shape},
                 "override number " + std::to_string(number) + " must have the form " +
                     std::string{shape});
        return;
    }
    auto where = split(std::string_view{text}.substr(0, equals));
    const auto name = where.back();
    where.pop_back();
    const auto value = std::string_view{text}.substr(equals + 1);
    for (const auto& section : schema::sections()) {
        if (!schema::matches(section, where)) {
            continue;
        }
        const auto* key = section.find(name);
        auto form = pending_secret::form::text;
        if (key != nullptr && schema::is_secret(*key)) {
            const auto full = schema::join(where, name);
            complain(from, {}, full, full + "_file or " + full + "_env",
                     "is secret and cannot be set on a command line, where every user of the "
                     "machine can read it; set " +
                         name + "_file or " + name + "_env");
            return;
        }
        if (key == nullptr && twin_of(section, name, form) == nullptr) {
            continue;
        }
        const auto parsed = parse_override(value, section, key);
        if (!parsed) {
            complain(from, {}, schema::join(where, name), key ? schema::expected(*key) : "text",
                     "is not a valid value");
            return;
        }
        toml::table holder;
        holder.insert(name, *parsed->get("value"));
        walk(from, holder, where);
        return;
    }
    // No such key; the message is the same as for a file.
    toml::table holder;
    holder.insert(name, toml::table{});
    path known = where;
    while (!known.empty() &&
           std::none_of(schema::sections().begin(), schema::sections().end(),
                        [&](const auto& each) { return schema::begins(each, known); })) {
        known.pop_back();
    }
    if (known.size() < where.size()) {
        unknown(from, known, where[known.size()], {});
        return;
    }
    path full = where;
    full.push_back(name);
    const bool is_table = std::any_of(schema::sections().begin(), schema::sections().end(),
                                      [&](const auto& each) { return schema::begins(each, full); });
    if (is_table) {
        complain(from, {}, schema::join(full), "a key of this table",
                 "is a table; override its keys one by one");
        return;
    }
    unknown(from, where, name, {});
}

void loader::walk(const layer& from, const toml::table& table, const path& where) {
    for (const auto& section : schema::sections()) {
        if (schema::matches(section, where)) {
            section.at(result_.settings, where);
            sections_[schema::join(where)] = {from.rank, from.name, position_of(table.source())};
        }
    }
    for (const auto& [name, value] : table) {
        walk_key(from, where, name, value);
    }
}

void loader::walk_key(const layer& from, const path& where, const toml::key& name,
                      const toml::node& value) {
    const auto at = position_of(name.source());
    path inner = where;
    inner.emplace_back(name.str());
    bool is_table = false;
    for (const auto& section : schema::sections()) {
        if (schema::matches(section, where)) {
            if (const auto* key = section.find(name.str())) {
                if (schema::is_secret(*key)) {
                    assign_secret(from, where, section, name.str(), value, at);
                } else {
                    assign(from, where, section, *key, value, at);
                }
                return;
            }
            if (assign_secret(from, where, section, name.str(), value, at)) {
                return;
            }
        }
        is_table = is_table || schema::begins(section, inner);
    }
    if (!is_table) {
        unknown(from, where, name.str(), at);
        return;
    }
    if (const auto* table = value.as_table()) {
        sections_.try_emplace(schema::join(inner), place{from.rank, from.name, at});
        walk(from, *table, inner);
        return;
    }
    const bool counts = inner.size() == 4;
    complain(from, at, schema::join(inner), "a table",
             std::string{"must be a table"} +
                 (counts ? " such as { read = 4, write = 2, bulk = 1 }" : "") + ", not " +
                 article(value.type()));
    touched_.insert(schema::join(inner));
}

void loader::unknown(const layer& from, const path& where, std::string_view name, position at) {
    std::vector<std::string> known;
    for (const auto& section : schema::sections()) {
        if (schema::matches(section, where)) {
            for (const auto& key : section.keys) {
                known.emplace_back(key.name);
                if (schema::is_secret(key)) {
                    known.push_back(std::string{key.name} + "_file");
                    known.push_back(std::string{key.name} + "_env");
                }
            }
        } else if (schema::begins(section, where)) {
            const auto next = section.pattern[where.size()];
            if (next != "*" && std::find(known.begin(), known.end(), next) == known.end()) {
                known.emplace_back(next);
            }
        }
    }
    std::string expected = "one of ";
    for (const auto& each : known) {
        expected += (&each == &known.front() ? "" : ", ") + each;
    }
    const auto full = schema::join(where, name);
    auto hint = core::did_you_mean(name, known);
    if (hint.empty()) {
        hint = "; expected " + expected;
    }
    complain(
        from, at, full, std::move(expected),
        (where.empty() ? "is not a section" : "is not a key of [" + schema::join(where) + "]") +
            hint);
    touched_.insert(full);
}

/// Writes the value into the target, or says what is wrong. `directory`: where relative paths
/// start.
std::optional<std::string> write(const schema::key& key, const schema::value_ref& target,
                                 const toml::node& value, const fs::path& directory) {
    const auto wrong_type = [&] {
        return std::optional{"must be " + schema::expected(key) + ", not " + article(value.type())};
    };
    const auto text = value.value_exact<std::string>();
    const auto wrong_text = [&] {
        return std::optional{"must be " + schema::expected(key) + ", not " + schema::quote(*text)};
    };
    const auto number = value.value_exact<std::int64_t>();
    const auto store_integer = [&](auto* place) -> std::optional<std::string> {
        using type = std::remove_pointer_t<decltype(place)>;
        std::optional<std::uint64_t> parsed;
        if (number) {
            parsed = *number < 0 ? std::numeric_limits<std::uint64_t>::max()
                                 : static_cast<std::uint64_t>(*number);
        } else if (text && key.unit == schema::unit::bytes) {
            parsed = schema::parse_size(*text);
            if (!parsed) {
                return wrong_text();
            }
        } else {
            return wrong_type();
        }
        const auto high = key.high == 0 && key.low == 0
                              ? static_cast<std::uint64_t>(std::numeric_limits<type>::max())
                              : key.high;
        if (*parsed < key.low || *parsed > high) {
            return "must be " + schema::expected(key) + ", not " +
                   (number ? std::to_string(*number) : schema::quote(*text));
        }
        *place = static_cast<type>(*parsed);
        return std::nullopt;
    };
    const auto store_duration = [&](auto* place) -> std::optional<std::string> {
        if (!text) {
            return wrong_type();
        }
        const auto span = schema::parse_duration(*text);
        if (!span) {
            return wrong_text();
        }
        if constexpr (std::is_same_v<decltype(place), std::chrono::seconds*>) {
            if (span->count() % 1000 != 0) {
                return wrong_text();
            }
            *place = std::chrono::duration_cast<std::chrono::seconds>(*span);
        } else {
            *place = *span;
        }
        return schema::breaks(key, place);
    };
    struct visitor {
        decltype(wrong_type)& type;
        decltype(store_integer)& integer;
        decltype(store_duration)& duration;
        const std::optional<std::string>& text;
        const toml::node& value;
        const schema::key& key;
        const fs::path& directory;

        std::optional<std::string> operator()(std::string* place) const {
            if (!text) {
                return type();
            }
            *place = *text;
            return schema::breaks(key, place);
        }
        std::optional<std::string> operator()(fs::path* place) const {
            if (!text) {
                return type();
            }
            *place = text->empty() ? fs::path{} : (directory / *text).lexically_normal();
            return std::nullopt;
        }
        std::optional<std::string> operator()(core::secret*) const { return std::nullopt; }
        std::optional<std::string> operator()(bool* place) const {
            const auto flag = value.value_exact<bool>();
            if (!flag) {
                return type();
            }
            *place = *flag;
            return std::nullopt;
        }
        std::optional<std::string> operator()(std::uint16_t* place) const { return integer(place); }
        std::optional<std::string> operator()(std::uint32_t* place) const { return integer(place); }
        std::optional<std::string> operator()(std::size_t* place) const { return integer(place); }
        std::optional<std::string> operator()(std::chrono::seconds* place) const {
            return duration(place);
        }
        std::optional<std::string> operator()(std::chrono::milliseconds* place) const {
            return duration(place);
        }
        std::optional<std::string>
        operator()(std::optional<std::chrono::milliseconds>* place) const {
            return duration(place);
        }
        std::optional<std::string> operator()(const schema::choice_ref& choice) const {
            if (!text) {
                return type();
            }
            const auto found = std::find(choice.words.begin(), choice.words.end(), *text);
            if (found == choice.words.end()) {
                const std::vector<std::string> words{choice.words.begin(), choice.words.end()};
                return "must be " + schema::expected(key) + ", not " + schema::quote(*text) +
                       core::did_you_mean(*text, words);
            }
            choice.set(choice.target, static_cast<std::size_t>(found - choice.words.begin()));
            return std::nullopt;
        }
    };
    return std::visit(
        visitor{wrong_type, store_integer, store_duration, text, value, key, directory}, target);
}

void loader::assign(const layer& from, const path& where, const schema::section& owner,
                    const schema::key& key, const toml::node& value, position at) {
    const auto full = schema::join(where, key.name);
    remember(from, full, at);
    auto target = key.at(owner.at(result_.settings, where));
    if (auto message = write(key, target, value, from.directory)) {
        complain(from, at, full, schema::expected(key), std::move(*message));
    }
}

bool loader::assign_secret(const layer& from, const path& where, const schema::section& owner,
                           std::string_view name, const toml::node& value, position at) {
    auto form = pending_secret::form::text;
    const auto* key = owner.find(name);
    if (key == nullptr) {
        key = twin_of(owner, name, form);
    }
    if (key == nullptr) {
        return false;
    }
    const auto full = schema::join(where, key->name);
    const auto given = schema::join(where, name);
    const auto text = value.value_exact<std::string>();
    if (!text) {
        complain(from, at, given, "text", "must be text, not " + article(value.type()));
        touched_.insert(full);
        return true;
    }
    if (const auto before = secrets_.find(full); before != secrets_.end() &&
                                                 before->second.rank == from.rank &&
                                                 before->second.key_path != given) {
        complain(from, at, given, "one of the three",
                 "is given beside " + before->second.key_path + "; give only one of " + full +
                     ", " + full + "_file and " + full + "_env");
        return true;
    }
    remember(from, full, at,
             form == pending_secret::form::text ? std::string{} : std::string{name});
    pending_secret pending;
    pending.given = form;
    pending.text = form == pending_secret::form::file && !text->starts_with(credentials)
                       ? (from.directory / *text).lexically_normal().string()
                       : *text;
    pending.target = std::get<core::secret*>(key->at(owner.at(result_.settings, where)));
    pending.key_path = given;
    pending.rank = from.rank;
    pending.file = from.name;
    pending.at = at;
    secrets_[full] = std::move(pending);
    return true;
}

void loader::resolve_secrets() {
    static constexpr std::size_t most = 64 * 1024;
    for (auto& [full, pending] : secrets_) {
        const auto refuse = [&, &pending = pending](std::string expected, std::string message) {
            complain(pending.rank, pending.file, pending.at, pending.key_path, std::move(expected),
                     std::move(message));
        };
        switch (pending.given) {
        case pending_secret::form::text:
            *pending.target = core::secret{std::move(pending.text)};
            break;
        case pending_secret::form::variable: {
            auto value = options_.environment(pending.text);
            if (!value) {
                refuse("an environment variable that is set", "names the environment variable " +
                                                                  schema::quote(pending.text) +
                                                                  ", which is not set");
                break;
            }
            *pending.target = core::secret{std::move(*value)};
            break;
        }
        case pending_secret::form::file: {
            if (pending.text.starts_with(credentials)) {
                const auto folder = options_.environment("CREDENTIALS_DIRECTORY");
                if (!folder || folder->empty()) {
                    refuse("a file that is there",
                           "names a credential of systemd, and CREDENTIALS_DIRECTORY is not set: "
                           "the unit needs LoadCredential= or SetCredential=");
                    break;
                }
                pending.text =
                    (fs::path{*folder} / pending.text.substr(credentials.size())).string();
            }
            std::error_code failure;
            std::ifstream stream;
            if (fs::is_regular_file(pending.text, failure) || fs::is_fifo(pending.text, failure)) {
                stream.open(pending.text, std::ios::binary);
            } else {
                stream.setstate(std::ios::failbit);
            }
            if (!stream) {
                refuse("a file that can be read", "names the file " + schema::quote(pending.text) +
                                                      ", which cannot be opened for reading");
                break;
            }
            std::string content{std::istreambuf_iterator<char>{stream}, {}};
            if (content.size() > most) {
                refuse("a file of at most 64KiB", "names the file " + schema::quote(pending.text) +
                                                      ", which is larger than 64KiB: not a secret");
                break;
            }
            if (!content.empty() && content.back() == '\n') {
                content.pop_back();
                if (!content.empty() && content.back() == '\r') {
                    content.pop_back();
                }
            }
            if (content.empty()) {
                refuse("a file that holds the secret",
                       "names the file " + schema::quote(pending.text) + ", which is empty");
                break;
            }
            *pending.target = core::secret{std::move(content)};
            break;
        }
        }
    }
}

/// Defaults that depend on the surroundings or on other keys.
void loader::derive(const std::string& environment) {
    auto& all = result_.settings;
    if (!touched_.contains("id.env_name")) {
        all.id.env_name = environment;
        result_.origins["id.env_name"] = {"BEDS_ENV", 0, {}};
    }
    if (all.id.node.empty()) {
        all.id.node = host_name();
        result_.origins["id.node"] = {"host name", 0, {}};
    }
    if (!touched_.contains("templates.directory")) {
        all.templates.directory =
            (fs::absolute(options_.base).parent_path() / all.templates.directory)
                .lexically_normal();
    }
    const auto imply_tls = [&](const path& where, tls_settings& tls) {
        const auto section = schema::join(where);
        const auto seen = sections_.find(section);
        const auto key_path = schema::join(where, "enabled");
        if (seen != sections_.end() && !touched_.contains(key_path)) {
            tls.enabled = true;
            result_.origins[key_path] = {seen->second.file, seen->second.at.line,
                                         "the table is there"};
        }
    };
    for (auto& [name, service] : all.broker_services) {
        imply_tls({"broker_services", name, "tls"}, service.tls);
        const auto port = schema::join({"broker_services", name, "port"});
        if (service.tls.enabled && !touched_.contains(port)) {
            service.port = 5671;
            result_.origins[port] = {"default with TLS", 0, {}};
        }
    }
    for (auto& [name, service] : all.rel_services) {
        imply_tls({"rel_services", name, "tls"}, service.tls);
    }
    for (auto& [name, service] : all.rec_services) {
        imply_tls({"rec_services", name, "tls"}, service.tls);
    }
}

/// What only the merged settings can tell; a key that a layer already got wrong is not blamed
/// twice.
void loader::check_whole() {
    auto found = schema::check_relations(result_.settings, {});
    const auto& all = result_.settings;
    for (const auto& [name, service] : all.rel_services) {
        const auto pass = schema::join({"rel_services", name, "pass"});
        if (service.socket.empty() && !touched_.contains(pass)) {
            found.push_back({.file = {},
                             .line = 0,
                             .column = 0,
                             .key = pass,
                             .expected = "a value",
                             .message = "is required and not given"});
        }
    }
    const auto check_files = [&](const path& where, const tls_settings& tls) {
        if (!tls.enabled) {
            return;
        }
        for (const auto& [name, file] :
             {std::pair<std::string_view, const fs::path*>{"ca", &tls.ca},
              {"cert", &tls.cert},
              {"key", &tls.key}}) {
            if (!file->empty() && !std::ifstream{*file}) {
                found.push_back({.file = {},
                                 .line = 0,
                                 .column = 0,
                                 .key = schema::join(where, name),
                                 .expected = "a file that can be read",
                                 .message = "names the file " + schema::quote(file->string()) +
                                            ", which cannot be opened for reading"});
            }
        }
    };
    for (const auto& [name, service] : all.broker_services) {
        check_files({"broker_services", name, "tls"}, service.tls);
    }
    for (const auto& [name, service] : all.rel_services) {
        check_files({"rel_services", name, "tls"}, service.tls);
    }
    for (const auto& [name, service] : all.rec_services) {
        check_files({"rec_services", name, "tls"}, service.tls);
    }
    const auto already = [&](const std::string& key_path) {
        return std::any_of(problems_.begin(), problems_.end(), [&](const auto& each) {
            const auto& key = each.second.key;
            return key == key_path || key == key_path + "_file" || key == key_path + "_env";
        });
    };
    for (auto& each : found) {
        if (already(each.key)) {
            continue;
        }
        place where{0, options_.base.string(), {}};
        if (const auto origin = result_.origins.find(each.key); origin != result_.origins.end()) {
            const auto& file = origin->second.file;
            const auto layer_rank =
                std::find(result_.files.begin(), result_.files.end(), file) - result_.files.begin();
            where = {static_cast<std::size_t>(layer_rank), file, {origin->second.line, 0}};
        } else {
            // The section that holds the key, or that it is: the longest one that was seen.
            for (auto name = each.key; !name.empty();
                 name.resize(name.rfind('.') == std::string::npos ? 0 : name.rfind('.'))) {
                if (const auto seen = sections_.find(name); seen != sections_.end()) {
                    where = seen->second;
                    break;
                }
            }
        }
        complain(where.rank, where.file, where.at, std::move(each.key), std::move(each.expected),
                 std::move(each.message));
    }
}

load_result loader::run() {
    read_file(options_.base, 0);

    const auto chosen = options_.environment("BEDS_ENV");
    auto environment = chosen.value_or("dev");
    const auto& names = schema::sections();
    const auto* rule = names.front().find("env_name");
    if (schema::breaks(*rule, &environment)) {
        complain(1, "BEDS_ENV", {}, "", schema::expected(*rule),
                 "must be " + schema::expected(*rule) + ", not " + schema::quote(environment));
        environment = "dev";
        whole_ = false;
    } else if (options_.overlay) {
        read_file(*options_.overlay, 1);
    } else {
        const auto beside = options_.base.parent_path() / ("env_" + environment + ".toml");
        if (std::error_code failure; chosen || fs::exists(beside, failure)) {
            read_file(beside, 1);
        }
    }
    for (std::size_t i = 0; i < options_.overrides.size(); ++i) {
        read_override(options_.overrides[i], i + 1);
    }
    derive(environment);
    resolve_secrets();
    if (whole_) {
        check_whole();
    }

    std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) {
        return std::pair{a.first, a.second.line} < std::pair{b.first, b.second.line};
    });
    for (auto& each : problems_) {
        result_.problems.push_back(std::move(each.second));
    }
    return std::move(result_);
}

} // namespace

load_result load(const load_options& options) {
    return loader{options}.run();
}

settings load_or_throw(const load_options& options) {
    auto result = load(options);
    if (!result.ok()) {
        throw core::error{core::errc::invalid_configuration, to_string(result.problems)};
    }
    return std::move(result.settings);
}

} // namespace beds::config
