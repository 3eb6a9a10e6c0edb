#pragma once

#include <beds/adapters/bound.hpp>
#include <beds/core/arena.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/cursor.hpp>

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace beds::factory {

/// What is worked out once per template instead of once per operation.
struct template_info {
    const templates::template_def* target = nullptr;
    std::vector<templates::field_id> all_fields;
    std::vector<adapters::sort_key> key_sort;
    std::vector<templates::field_id> inserted; ///< fields that an insert fills by itself
    std::uint32_t rank = 0;                    ///< order of locking: by object
    std::uint32_t object = 0;                  ///< equal for templates over one table or collection
    /// The bytes of a key do not tell which row it is: a collation decides, or another template
    /// over the object has another key.
    bool loose_key = false;
};

/// Types operations by their templates. Everything it makes lives in the batch's arena, except the
/// layouts of projections, which it keeps.
class binder {
public:
    /// `cursors`: what the cursors that are given were sealed with; without them, by this process.
    explicit binder(std::span<const templates::template_def> templates,
                    std::shared_ptr<const wire::cursor_keys> cursors = nullptr);

    [[nodiscard]] const template_info& info(const templates::template_def& target) const;

    /// Binds everything but deadline and index. On failure the outcome says why, with views into
    /// the arena.
    std::optional<core::outcome> bind(const core::operation& from, core::system_time now,
                                      core::arena& memory, adapters::bound_operation& into);

    /// Forgets projections when callers made up very many of them; only between batches.
    void trim();

    /// Of templates whose rows are deleted by a mark: only rows without one are there, and a delete
    /// sets it.
    void mark_instead(core::system_time now, core::arena& memory,
                      adapters::bound_operation& into) const;

private:
    struct projection {
        std::vector<templates::field_id> fields;
        core::row_layout layout;
    };

    using failed = std::optional<core::outcome>;

    failed bind_parts(const core::operation& from, core::system_time now, core::arena& memory,
                      adapters::bound_operation& into);
    failed bind_fields(const core::datum* given, std::string_view member, core::arena& memory,
                       adapters::bound_operation& into);
    failed bind_key(const core::datum& given, core::arena& memory,
                    adapters::bound_operation& into) const;
    failed bind_where(const core::datum& given, core::arena& memory,
                      adapters::bound_operation& into) const;
    failed bind_condition(templates::field_id id, std::string_view op, const core::datum& given,
                          core::arena& memory, const templates::template_def& target,
                          adapters::condition& into) const;
    failed bind_sort(const core::operation& from, core::arena& memory,
                     adapters::bound_operation& into) const;
    failed bind_page(const core::operation& from, core::system_time now, core::arena& memory,
                     adapters::bound_operation& into);
    failed bind_rows(const core::datum& given, core::system_time now, core::arena& memory,
                     adapters::bound_operation& into);
    failed bind_conflict(const core::datum& given, core::arena& memory,
                         adapters::bound_operation& into) const;
    failed bind_changes(const core::operation& from, core::arena& memory,
                        adapters::bound_operation& into) const;
    failed bind_assignments(const core::datum& given, std::string_view member, core::arena& memory,
                            const templates::template_def& target,
                            std::span<const adapters::assignment>& into) const;
    failed bind_call(const core::operation& from, core::arena& memory,
                     adapters::bound_operation& into) const;
    failed bind_value(const templates::field& field, const core::datum& given, core::arena& memory,
                      core::value& into) const;
    /// What is to be kept: nested data within the template's depth.
    failed bind_stored(const templates::template_def& target, const templates::field& field,
                       const core::datum& given, core::arena& memory, core::value& into) const;
    std::string_view new_uuid(core::arena& memory);

    const templates::template_def* first_; ///< of the templates, which stand side by side
    std::vector<template_info> infos_;     ///< in their order
    std::unordered_map<std::string, std::unique_ptr<projection>> projections_;
    std::string projection_key_;
    std::mt19937_64 random_;
    wire::cursor_codec cursors_;
};

/// Concatenates in the arena.
std::string_view join(core::arena& memory, std::initializer_list<std::string_view> parts);

} // namespace beds::factory
