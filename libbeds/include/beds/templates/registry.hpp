#pragma once

#include <beds/templates/template_def.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beds::templates {

/// One thing that is wrong with a template file.
struct problem {
    std::filesystem::path file;
    std::uint32_t line = 0; ///< 1-based; 0: the file as a whole
    std::string key;        ///< for example `fields.balance.type`
    std::string message;    ///< what was found, what was expected, and a suggestion
};
std::string to_string(const problem& value); ///< `file:line: key: message`

/// Whether templates may read and write tables themselves, or only views and procedures. With
/// `deny` a template needs a view and one procedure each for insert, update and delete.
enum class direct_access : std::uint8_t { allow, deny };

struct load_settings {
    std::filesystem::path directory; ///< every `*.toml` in it, in order of name
    direct_access direct = direct_access::allow;
    std::string wbid;                  ///< `object` must begin with it and `_`; empty: not checked
    std::vector<std::string> services; ///< those that the configuration knows; empty: not checked
    /// Services of other nodes. Their templates are not kept, and of their files nothing but the
    /// TOML syntax and `[template]`'s service is looked at.
    std::vector<std::string> elsewhere;
    /// Connections of the configuration with their engine; a template naming another one is
    /// refused. Empty: not checked.
    std::vector<std::pair<std::string, engine>> connections;
};

class registry;

struct load_result {
    std::shared_ptr<const registry> templates; ///< those without problems
    std::vector<problem> problems;             ///< all of them, in order of file and line
};

/// The templates of one node. Immutable; reloading makes another one.
class registry {
public:
    /// Names must be unique; throws core::error(duplicate_name).
    explicit registry(std::vector<template_def> templates);

    /// Null when there is none of that name.
    [[nodiscard]] const template_def* find(std::string_view name) const;
    [[nodiscard]] std::span<const template_def> all() const { return templates_; }
    /// "; did you mean 'x'?" or "". Closed templates are suggested to BEDS services only.
    [[nodiscard]] std::string suggest(std::string_view name, bool to_service = false) const;

private:
    std::vector<template_def> templates_; ///< sorted by name
};

/// One template that is not the same in two sets.
struct change {
    std::string name;
    std::optional<std::uint32_t> before; ///< its version; nothing: it was not there
    std::optional<std::uint32_t> after;  ///< nothing: it is not there any more

    friend bool operator==(const change&, const change&) = default;
};
/// `name (version 2)`; where the version changed `name (version 1 to 2)`.
std::string to_string(const change& value);

/// What makes two sets differ, in order of name. A template is the same when all that its file says
/// is; where the file lies and how it is written does not count.
std::vector<change> compare(const registry& before, const registry& after);

/// Reads and checks every template of a directory. Never throws for what is in the files; a
/// directory or file that cannot be read, and a directory without templates, are problems too.
load_result load(const load_settings& settings);

/// One template from TOML text, for embedding programs and tests; `file` is what messages name.
/// `parsed` is empty exactly when there are problems, or when it is served elsewhere.
struct parse_result {
    std::optional<template_def> parsed;
    std::vector<problem> problems;
};
parse_result parse(std::string_view toml, const load_settings& settings = {},
                   const std::filesystem::path& file = "template.toml");

/// The keys of a template file as Markdown tables, one per section: the tables of
/// libbeds/doc/template-reference.md, made from what the loader works by.
std::string reference();

} // namespace beds::templates
