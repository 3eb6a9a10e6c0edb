#include "config/schema.hpp"

#include <beds/config/load.hpp>

namespace beds::config {
namespace {

std::string comment(const load_result* result, const std::string& key_path) {
    if (result == nullptr) {
        return "";
    }
    const auto found = result->origins.find(key_path);
    if (found == result->origins.end()) {
        return "  # default";
    }
    std::string text = "  # " + found->second.file;
    if (found->second.line != 0) {
        text += ':' + std::to_string(found->second.line);
    }
    if (!found->second.note.empty()) {
        text += " (" + found->second.note + ')';
    }
    // A file's name must not end the comment.
    for (char& c : text) {
        c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return text;
}

std::string print(const settings& value, const load_result* result) {
    std::string text;
    settings copy = value;
    for (const auto& section : schema::sections()) {
        for (const auto& where : section.list(value)) {
            text += (text.empty() ? "[" : "\n[") + schema::join(where) + "]\n";
            void* owner = section.at(copy, where);
            for (const auto& key : section.keys) {
                const auto shown = schema::format(key, key.at(owner));
                const auto origin = comment(result, schema::join(where, key.name));
                text += shown ? std::string{key.name} + " = " + *shown + origin + '\n'
                              : "# " + std::string{key.name} + ": not set\n";
            }
        }
    }
    return text;
}

std::string default_text(const schema::key& key, void* owner) {
    if (!key.default_note.empty()) {
        return std::string{key.default_note};
    }
    const auto shown = schema::format(key, key.at(owner));
    return shown ? '`' + *shown + '`' : "not set";
}

/// Of `[broker_services.<role>.instances.<connection>]`: what a "*" stands for.
std::string placeholder(const std::string& parent) {
    if (parent == "broker_services") {
        return "<role>";
    }
    return parent == "instances" ? "<connection>" : "<name>";
}

} // namespace

std::string print(const load_result& result) {
    return print(result.settings, &result);
}

std::string print(const settings& value) {
    return print(value, nullptr);
}

std::string reference() {
    std::string text = R"(# Configuration reference

Every key that BEDS knows, made from the table that the loader works by. An unknown key is an error.

Layers, later ones change only the keys that they name: the base file (`beds.toml`), the overlay
(`env_{BEDS_ENV}.toml` beside it; `BEDS_ENV` defaults to `dev`), `--set section.key=value`.

- **secret** keys: `x` may be given as `x`, as `x_file` (a file that holds it; one trailing line break
  is cut off) or as `x_env` (an environment variable that holds it); one layer gives at most one of
  them, and a later layer's replaces an earlier layer's. They print as `***` and cannot be set with
  `--set`; their twins can. `x_file = "${CREDENTIALS_DIRECTORY}/name"` is what systemd's
  `LoadCredential=name:…` hands to the unit.
- Durations are text: `"500ms"`, `"2s"`, `"5m"`, `"1h"`. Sizes are bytes, or text: `"64KiB"`, `"16MiB"`.
- Paths are relative to the folder of the file that names them; with `--set`, to the working directory.
- Names of roles and connections: lower-case letters, digits and `_`, at most 32. `beds`, `catalog`,
  `dead` and `reply` are not allowed as connections.
)";
    settings scratch;
    for (const auto& section : schema::sections()) {
        schema::path where;
        std::string title;
        for (const auto part : section.pattern) {
            title += (where.empty() ? "" : ".") +
                     (part == "*" ? placeholder(where.back()) : std::string{part});
            where.emplace_back(part);
        }
        text += "\n## `[" + title + "]`\n\n" + std::string{section.doc} + "\n\n";
        text += "| key | value | default | meaning |\n|---|---|---|---|\n";
        void* owner = section.at(scratch, where);
        for (const auto& key : section.keys) {
            text += "| `" + std::string{key.name} + "` | " + schema::expected(key) +
                    (schema::is_secret(key) ? "; **secret**" : "") + " | " +
                    default_text(key, owner) + " | " + std::string{key.doc} + " |\n";
        }
    }
    return text;
}

} // namespace beds::config
