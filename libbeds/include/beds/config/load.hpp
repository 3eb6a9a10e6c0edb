#pragma once

#include <beds/config/problem.hpp>
#include <beds/config/settings.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace beds::config {

/// What to read, in the order in which it applies; a later layer changes only the keys that it
/// names.
struct load_options {
    std::filesystem::path base = "beds.toml";
    /// Nothing: `env_{BEDS_ENV}.toml` beside `base`, where BEDS_ENV defaults to `dev`; it must
    /// exist when BEDS_ENV is set.
    std::optional<std::filesystem::path> overlay = {};
    /// `section.key=value`, for every key that is not secret. Text needs no quotes.
    std::vector<std::string> overrides = {};
    /// Looks up BEDS_ENV and the variables that `…_env` keys name. Nothing: the process's
    /// environment.
    std::function<std::optional<std::string>(const std::string& name)> environment = {};
};

/// Where a value comes from.
struct origin {
    /// Path as it was opened, `--set`, or what a derived value comes from, for example `BEDS_ENV`.
    std::string file = {};
    unsigned line = 0;     ///< counted from 1; 0: no position
    std::string note = {}; ///< how, when that is not plain: `pass_file`, …
};

struct load_result {
    config::settings settings = {}; ///< to be used only when `ok()`
    /// Every one that was found, in the order of files and lines.
    std::vector<problem> problems = {};
    /// By full key; a key that is absent has its default.
    std::map<std::string, origin> origins = {};
    std::vector<std::filesystem::path> files = {}; ///< those that were read

    [[nodiscard]] bool ok() const { return problems.empty(); }
};

/// Reads the layers into settings and checks them. A secret key `x` has the twins `x_file` (the
/// file holds the secret; one trailing line break is cut off) and `x_env` (the variable holds it);
/// one layer gives at most one of the three, and a later layer's replaces an earlier layer's.
/// Relative paths start at the folder of the file that names them, in overrides at the working
/// directory.
///
/// Everything that is wrong with the configuration, files that cannot be read included, is in
/// `problems`; nothing is thrown for it. Unknown keys are problems too.
load_result load(const load_options& options = {});

/// `load()` that throws `core::error` (invalid_configuration) with all problems, one per line.
settings load_or_throw(const load_options& options = {});

/// The settings as TOML, defaults included, with the origin of each value as a comment. Secrets
/// print as `***`.
std::string print(const load_result& result);
std::string print(const settings& value);

/// The reference of all keys as Markdown: libbeds/doc/config-reference.md, made from the table that
/// the loader works by.
std::string reference();

} // namespace beds::config
