#include "templates/builder.hpp"

#include <beds/core/error.hpp>
#include <beds/templates/registry.hpp>
#include <beds/templates/writer.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <variant>

namespace beds::templates {
namespace {

// Far above any real template; bounds what a wrong path can make the node read.
constexpr std::uintmax_t largest_file = std::uintmax_t{1} << 20;

bool name_less(const template_def& left, const template_def& right) {
    return left.name < right.name;
}

void sort_by_line(std::vector<problem>& problems) {
    std::stable_sort(
        problems.begin(), problems.end(),
        [](const problem& left, const problem& right) { return left.line < right.line; });
}

std::optional<std::string> read_file(const std::filesystem::path& path,
                                     std::vector<problem>& problems) {
    std::error_code failure;
    if (!std::filesystem::is_regular_file(path, failure)) {
        problems.push_back({path, 0, {}, "is not a file that can be read"});
        return std::nullopt;
    }
    const auto size = std::filesystem::file_size(path, failure);
    if (!failure && size > largest_file) {
        problems.push_back({path, 0, {}, "larger than 1 MiB, which no template is"});
        return std::nullopt;
    }
    std::string text(failure ? 0 : static_cast<std::size_t>(size), '\0');
    std::ifstream in{path, std::ios::binary};
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (failure || !in) {
        problems.push_back({path, 0, {}, "cannot be read"});
        return std::nullopt;
    }
    return text;
}

std::vector<std::filesystem::path> template_files(const std::filesystem::path& directory,
                                                  std::vector<problem>& problems) {
    std::vector<std::filesystem::path> files;
    std::error_code failure;
    std::filesystem::directory_iterator next{directory, failure};
    for (; !failure && next != std::filesystem::directory_iterator{}; next.increment(failure)) {
        const auto& path = next->path();
        if (path.extension() == ".toml" && !path.filename().native().starts_with('.')) {
            files.push_back(path);
        }
    }
    if (failure) {
        problems.push_back({directory, 0, {}, "cannot be read: " + failure.message()});
    } else if (files.empty()) {
        problems.push_back({directory, 0, {}, "there is no template (*.toml) in this directory"});
    }
    std::sort(files.begin(), files.end());
    return files;
}

void note_lines(const node& at_node, const std::string& path,
                std::map<std::string, std::uint32_t, std::less<>>& to) {
    for (const auto& each : at_node.members) {
        const auto key = join(path, each.name);
        to.emplace(key, each.line);
        note_lines(each.value, key, to);
    }
    for (std::size_t i = 0; i < at_node.items.size(); ++i) {
        const auto key = at(path, i);
        to.emplace(key, at_node.items[i].line);
        note_lines(at_node.items[i], key, to);
    }
}

struct located_result {
    parse_result result;
    std::uint32_t name_line = 0; ///< of `template.name`, for what is wrong between files
};

located_result parse_located(std::string_view toml, const load_settings& settings,
                             const std::filesystem::path& file) {
    located_result found;
    auto& [parsed, problems] = found.result;
    const auto text = toml_text::parse(toml);
    if (const auto* wrong = std::get_if<toml_text::syntax_error>(&text)) {
        problems.push_back({file, wrong->line, {}, "not TOML: " + wrong->message});
        return found;
    }
    const node& root = std::get<node>(text);
    if (is_served_elsewhere(root, settings)) {
        return found;
    }
    complaints out{file, problems};
    template_def made = build(root, settings, out);
    if (!problems.empty()) {
        sort_by_line(problems);
        return found;
    }
    made.file = file;
    auto lines = std::make_shared<std::map<std::string, std::uint32_t, std::less<>>>();
    note_lines(root, {}, *lines);
    made.lines = std::move(lines);
    parsed = std::move(made);
    found.name_line = root.find("template")->find("name")->line;
    return found;
}

} // namespace

std::string to_string(const problem& value) {
    std::string text = value.file.string();
    if (value.line != 0) {
        text += ':' + std::to_string(value.line);
    }
    text += ": ";
    if (!value.key.empty()) {
        text += value.key + ": ";
    }
    return text + value.message;
}

registry::registry(std::vector<template_def> templates) : templates_(std::move(templates)) {
    std::sort(templates_.begin(), templates_.end(), name_less);
    const auto twice = std::adjacent_find(
        templates_.begin(), templates_.end(),
        [](const auto& left, const auto& right) { return left.name == right.name; });
    if (twice != templates_.end()) {
        throw core::error{core::errc::duplicate_name,
                          "two templates are called '" + twice->name + "'"};
    }
}

const template_def* registry::find(std::string_view name) const {
    const auto found = std::lower_bound(
        templates_.begin(), templates_.end(), name,
        [](const template_def& each, std::string_view wanted) { return each.name < wanted; });
    return found != templates_.end() && found->name == name ? &*found : nullptr;
}

std::string registry::suggest(std::string_view name, bool to_service) const {
    std::vector<std::string> known;
    known.reserve(templates_.size());
    for (const template_def& each : templates_) {
        if (to_service || !each.closed) {
            known.push_back(each.name);
        }
    }
    return core::did_you_mean(name, known);
}

namespace {

/// The text that reads back as the same template says all that there is to it, except what a text
/// leaves out.
bool is_same(const template_def& left, const template_def& right) {
    return left.service == right.service && left.write_errors == right.write_errors &&
           to_toml(left) == to_toml(right);
}

} // namespace

std::string to_string(const change& value) {
    const auto now = std::to_string(value.after.value_or(value.before.value_or(0)));
    const bool moved = value.before && value.after && *value.before != *value.after;
    return value.name + " (version " + (moved ? std::to_string(*value.before) + " to " : "") + now +
           ')';
}

std::vector<change> compare(const registry& before, const registry& after) {
    std::vector<change> made;
    auto old = before.all().begin();
    auto now = after.all().begin();
    while (old != before.all().end() || now != after.all().end()) {
        if (now == after.all().end() || (old != before.all().end() && name_less(*old, *now))) {
            made.push_back({old->name, old->version, std::nullopt});
            ++old;
        } else if (old == before.all().end() || name_less(*now, *old)) {
            made.push_back({now->name, std::nullopt, now->version});
            ++now;
        } else {
            if (!is_same(*old, *now)) {
                made.push_back({now->name, old->version, now->version});
            }
            ++old;
            ++now;
        }
    }
    return made;
}

parse_result parse(std::string_view toml, const load_settings& settings,
                   const std::filesystem::path& file) {
    return parse_located(toml, settings, file).result;
}

load_result load(const load_settings& settings) {
    load_result result;
    std::vector<template_def> good;
    for (const auto& file : template_files(settings.directory, result.problems)) {
        const auto text = read_file(file, result.problems);
        if (!text) {
            continue;
        }
        auto [one, name_line] = parse_located(*text, settings, file);
        std::move(one.problems.begin(), one.problems.end(), std::back_inserter(result.problems));
        if (!one.parsed) {
            continue;
        }
        const std::string& name = one.parsed->name;
        const auto same = std::find_if(good.begin(), good.end(), [&](const template_def& other) {
            return other.name == name;
        });
        if (same != good.end()) {
            result.problems.push_back(
                {file, name_line, "template.name",
                 "template '" + name + "' is already in " + same->file.string()});
            continue;
        }
        good.push_back(std::move(*one.parsed));
    }
    result.templates = std::make_shared<const registry>(std::move(good));
    return result;
}

} // namespace beds::templates
