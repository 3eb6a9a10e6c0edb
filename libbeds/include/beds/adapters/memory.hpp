#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace beds::adapters {

/// What a procedure of the memory engine works with while it runs: its arguments, the rows of the
/// store, and the place for its results. Everything it changes belongs to the unit of work of the
/// operation: an outcome that is not ok undoes it, and so does the caller's rollback.
///
/// Templates given here are the ones of the node or others of the embedding program; they must
/// outlive the call only.
class memory_call {
public:
    virtual ~memory_call() = default;

    [[nodiscard]] virtual const templates::template_def& target() const = 0;
    [[nodiscard]] virtual const templates::call& called() const = 0;
    /// In the template's order; null where the caller gave none.
    [[nodiscard]] virtual std::span<const core::value> args() const = 0;

    /// The row with this key, its cells in the order of the template's fields; empty: there is
    /// none. Valid until the procedure returns.
    [[nodiscard]] virtual std::span<const core::value> fetch(const templates::template_def& of,
                                                             std::span<const core::value> key) = 0;
    /// Every row in key order until `visit` returns false; cells are valid during `visit`, which
    /// must not write.
    virtual void scan(const templates::template_def& of,
                      const std::function<bool(std::span<const core::value>)>& visit) = 0;

    /// Writes, with the outcome a client's operation would have. In a call of class `read` they are
    /// refused (`INTERNAL`).
    virtual core::outcome insert(const templates::template_def& into,
                                 std::span<const assignment> row) = 0;
    virtual core::outcome update(const templates::template_def& of,
                                 std::span<const core::value> key, std::span<const assignment> set,
                                 std::span<const assignment> inc = {}) = 0;
    virtual core::outcome remove(const templates::template_def& of,
                                 std::span<const core::value> key) = 0;

    /// One of the template's result sets, by its place in `returns`; then its rows, one value per
    /// field.
    virtual void begin_set(std::size_t set) = 0;
    virtual void row(std::span<const core::value> cells) = 0;
    /// The out arguments, all at once.
    virtual void out(std::span<const core::value> values) = 0;

    /// The outcome of a procedure that refuses: `REJECTED` with this reason. The text is copied.
    [[nodiscard]] virtual core::outcome reject(std::string_view reason,
                                               std::string_view detail = {}) = 0;
    /// For values that the procedure makes; lives as long as the batch.
    [[nodiscard]] virtual core::arena& memory() = 0;
};

/// A procedure in C++. Runs on the thread of the operation's session with the store locked (for
/// writing unless the call is of class `read`): it must be quick, and must not use the adapter by
/// another way than the `memory_call` it was given. Returning an outcome that is ok commits with
/// the unit; an exception is `INTERNAL`, logged, and undone.
using memory_procedure = std::function<core::outcome(memory_call&)>;

struct memory_settings {
    /// By the name that templates give in `procedure`.
    std::map<std::string, memory_procedure, std::less<>> calls;

    /// Replies of writes that are kept for operations that come a second time; the oldest go first.
    std::size_t inbox_replies = 100'000;
};

/// An engine in this process's memory, for embedding, examples and tests: every operation of the
/// protocol, procedures as C++ callables, unique indexes, units of work with rollback, the inbox.
/// Nothing is kept when the adapter and its sessions are gone, or when the process ends.
///
/// Tables come into being when they are first written; templates that name one object share its
/// rows (columns go by their names). All sessions of one adapter share one store. A unit of work
/// that writes holds the store's lock from `begin` to `commit` or `rollback`: units are serial,
/// nobody sees an unfinished one, and no deadlock or rerun exists. Reading locks for each group
/// only and shares with other readers. A unit that waits for the lock past its deadline has
/// `expired`.
///
/// Text is compared by its bytes. `check` refuses what the engine does not have: collations, views,
/// `[write]` procedures, expiring and partial unique indexes, generated keys that are not integers,
/// pipelines, procedures that are not in `settings.calls`.
///
/// Fetch is a hash look-up, hands out views of the row as it lies in memory and allocates nothing;
/// find and count scan, unless `where` pins the key or a unique index, or the rows come in key
/// order.
std::shared_ptr<adapter> make_memory(std::string connection_name, memory_settings settings = {});

} // namespace beds::adapters
