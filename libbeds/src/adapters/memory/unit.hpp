#pragma once

#include "adapters/memory/store.hpp"

#include <deque>
#include <memory>
#include <vector>

namespace beds::adapters::memory {

/// Which columns of a table a template's fields are. Valid for one unit of work: tables only grow,
/// and templates stay while a batch lives.
struct binding {
    const templates::template_def* target = nullptr;
    std::uint64_t unit = 0;
    table* rows = nullptr;          ///< null: no row was ever written
    std::vector<column_id> columns; ///< by field; `no_column`: always null
    std::string problem;            ///< why the template cannot use the table; empty: it can
};

/// Runs operations on the store for one session and remembers how to undo them. The caller holds
/// the store's lock.
class unit {
public:
    unit(store& shared, const session_context& context) : store_(shared), context_(context) {}

    void forget_templates() { bindings_.clear(); }
    void begin(work_kind kind, core::deadline until);

    /// Before many fetches of one template.
    void fetch_ahead(std::span<const bound_operation* const> fetches);
    /// False: the deadline passed.
    bool run(const bound_operation& op, core::row_sink& rows, core::outcome& result,
             core::arena& memory);

    [[nodiscard]] std::size_t savepoint() const { return undo_.size(); }
    void undo_to(std::size_t savepoint);
    /// Forgets how to undo.
    void keep();

    [[nodiscard]] bool may_write() const { return kind_ == work_kind::write; }
    [[nodiscard]] core::deadline until() const { return until_; }

private:
    friend class call_in_unit;

    struct change {
        enum class kind { inserted, replaced, removed };
        kind what;
        table* where;
        record* place;
        row::ptr before;                 ///< replaced
        std::unique_ptr<record> removed; ///< removed
    };

    binding& bind(const templates::template_def& target);
    const core::value& cell(const binding& bound, const row& from, field_id field) const;

    core::outcome fetch(const bound_operation& op, core::row_sink& rows);
    core::outcome find(const bound_operation& op, core::row_sink& rows);
    core::outcome count(const bound_operation& op, core::row_sink& rows);
    core::outcome insert(const bound_operation& op, core::row_sink& rows, core::arena& memory);
    core::outcome update(const bound_operation& op, core::row_sink& rows, core::arena& memory);
    core::outcome remove(const bound_operation& op, core::row_sink& rows);
    core::outcome call(const bound_operation& op, core::row_sink& rows, core::arena& memory);

    /// Calls `visit(record&)` for every row that `where` holds for, in key order, until it says
    /// false.
    template <class Visit>
    void each_match(const binding& bound, std::span<const condition> where, Visit visit);
    bool matches(const binding& bound, const row& candidate,
                 std::span<const condition> where) const;
    bool equal(const binding& bound, const row& candidate,
               std::span<const assignment> expected) const;
    /// The rows that an update or delete is about go to `hits_`.
    core::outcome select_targets(const binding& bound, const bound_operation& op);

    core::outcome insert_row(binding& bound, std::span<const assignment> given, core::arena& memory,
                             record*& added);
    core::outcome update_row(binding& bound, record& changed, const bound_operation& op,
                             core::arena& memory);
    core::outcome duplicate(const binding& bound, violation broken) const;
    /// The first field that must not be null and is.
    core::outcome check_nulls(const binding& bound, std::span<const core::value> cells) const;
    void set_cell(const binding& bound, const assignment& given, core::arena& memory);
    void emit_row(const binding& bound, const row& from, const bound_operation& op,
                  core::row_sink& rows);
    /// The row that has these values of the given one; null: none has.
    record* row_with(const binding& bound, std::span<const field_id> unique,
                     std::span<const assignment> given);
    /// Those of `hits_`, for `return`.
    void return_rows(const binding& bound, const bound_operation& op, core::row_sink& rows);
    int compare(const binding& bound, const row& left, const row& right,
                std::span<const sort_key> by) const;
    bool is_after(const binding& bound, const row& candidate, const bound_operation& op) const;
    bool late();
    /// So that remembering a change cannot fail after it was made.
    void make_room();

    store& store_;
    const session_context& context_;
    work_kind kind_ = work_kind::read;
    core::deadline until_ = core::deadline::never();
    std::uint64_t number_ = 0;
    bool expired_ = false;
    std::uint32_t visited_ = 0;
    std::deque<binding> bindings_; // in place: operations hold references
    std::vector<change> undo_;
    std::vector<record*> hits_;         // scratch
    std::vector<core::value> cells_;    // scratch: the row in the making
    std::vector<core::value> values_;   // scratch: keys and cursors
    std::vector<column_id> columns_;    // scratch: of an index that `where` may pin
    std::vector<core::value> in_order_; // scratch: its values
    std::vector<std::size_t> hashes_;   // scratch
};

} // namespace beds::adapters::memory
