#pragma once

#include <beds/adapters/bound.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/row.hpp>
#include <beds/templates/template_def.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace beds::factory {

/// Which step of work an operation is, and of whose fan-out: what is written elsewhere because of
/// it can say so.
struct lineage {
    std::string_view event{}; ///< of this step, as the reply names it; empty for callers in process
    std::string_view parent{}; ///< the caller's own (`beds-event`); empty: it gave none
    std::uint32_t depth = 0;   ///< of this step: one more than the caller's, 0 without a parent
};

/// One group of operations on a custom template, within its unit of work: all of one verb (or
/// call) and one shape, bound and typed, in the order in which they came. What is done through it
/// happens in the transaction of the unit, where the engine has one, together with the operations
/// of others and the inbox: committed with them, or not at all.
///
/// Each operation of the group has to be answered: by `run`, or through `result`. One that is not
/// ends as INTERNAL. Functions that return `over` say that the unit is over (a deadlock, a
/// deadline, a broken connection): return at once. The same operations may come again, in another
/// group, in another unit; nothing but what was done through this object is undone then.
class custom_work {
public:
    using operation_list = std::span<const adapters::bound_operation* const>;
    enum class state : std::uint8_t { goes_on, over };

    custom_work() = default;
    virtual ~custom_work() = default;
    custom_work(const custom_work&) = delete;
    custom_work& operator=(const custom_work&) = delete;

    [[nodiscard]] virtual operation_list operations() const = 0;
    [[nodiscard]] virtual lineage lineage_of(const adapters::bound_operation& op) const = 0;

    /// Does these operations of the group as their template says: each has its outcome and its rows
    /// then.
    [[nodiscard]] virtual state run(operation_list these) = 0;
    /// The outcome of one operation: as `run` left it, or to be set. `outcome::failure(code, …)`
    /// refuses it: what was done for it through `insert`, `update` and `remove` is undone, and it
    /// is answered so, for good unless the code is retryable. Texts live in `memory`, or for ever.
    virtual core::outcome& result(const adapters::bound_operation& op) = 0;
    /// Rows, counts and keys of operations that are answered without `run`, under their `index`.
    virtual core::row_sink& rows() = 0;
    /// Lives until the replies are written.
    virtual core::arena& memory() = 0;

    /// A template of the same connection; null: there is none of this name here.
    [[nodiscard]] virtual const templates::template_def* find(std::string_view name) const = 0;
    /// The row of this key as the unit sees it, one value for each field of the template in order;
    /// empty: there is none. Throws core::error(refused) when the database refuses to tell.
    struct row_seen {
        state unit = state::goes_on;
        std::span<const core::value> cells{};
    };
    [[nodiscard]] virtual row_seen fetch(const templates::template_def& of,
                                         std::span<const core::value> key) = 0;
    /// Writes of one's own, one row each, on any template of the same connection, whether it is a
    /// custom one or not: they go to the engine, as values of the fields' types and without what a
    /// client's write gets from the file (defaults, generated values, what is required, protected
    /// or too long). `to` receives how it went. Values need to live
    /// until the call returns.
    [[nodiscard]] virtual state insert(const templates::template_def& into,
                                       std::span<const adapters::assignment> row,
                                       core::outcome& to) = 0;
    [[nodiscard]] virtual state update(const templates::template_def& of,
                                       std::span<const core::value> key,
                                       std::span<const adapters::assignment> set,
                                       std::span<const adapters::assignment> inc,
                                       core::outcome& to) = 0;
    [[nodiscard]] virtual state remove(const templates::template_def& of,
                                       std::span<const core::value> key, core::outcome& to) = 0;
};

using adapters::given_value;

/// Code for one template, beside its file, which stays the contract: what it allows, its names and
/// types are checked before anything comes here. Made once for each broker and never used by two
/// threads at a time; instances share nothing but what their author lets them share.
///
/// Operations that it takes are not allowed in `atomic` envelopes (UNSUPPORTED), because the engine
/// runs those as a whole.
class custom_template {
public:
    custom_template() = default;
    virtual ~custom_template() = default;
    custom_template(const custom_template&) = delete;
    custom_template& operator=(const custom_template&) = delete;

    /// Has it a part in these operations? `op` is what the caller said, as
    /// `bound_operation::asked`; `called`: of a call. The others go to the engine. Asked for each
    /// operation; the answer must not change.
    [[nodiscard]] virtual bool takes(core::verb op, const templates::call* called) const = 0;
    /// Answers each operation of the group. What it throws ends the group's operations as INTERNAL,
    /// with the text in the log, and is undone; other operations go on.
    virtual void run(custom_work& work) = 0;
};

/// Called for each broker, and again after a reload.
using custom_maker = std::function<std::unique_ptr<custom_template>()>;

} // namespace beds::factory
