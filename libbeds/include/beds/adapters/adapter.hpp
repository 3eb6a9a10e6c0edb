#pragma once

#include <beds/adapters/bound.hpp>
#include <beds/adapters/explain.hpp>
#include <beds/adapters/survey.hpp>
#include <beds/core/error.hpp>
#include <beds/observe/log.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::core {
class supervisor;
class arena;
} // namespace beds::core

namespace beds::adapters {

/// The idempotency key of a write: (principal, operation id), with the content it was sent with.
struct operation_identity {
    core::op_index index = 0;
    std::string_view principal;
    std::string_view id;
    core::content_hash content;
    /// What it is about, for engines that need it in `begin`. Lives as long as the batch; may be
    /// null.
    const bound_operation* operation = nullptr;
};

/// A reply that the inbox holds.
struct stored_reply {
    core::op_index index = 0;
    core::content_hash
        content; ///< differs from the operation's: the id was used for something else
    /// Bytes as given to `seal`, in the arena. Empty: it was begun, and nobody stored how it ended.
    /// With the same content `run` finds out, as far as that can be told.
    std::string_view reply;
};

/// A write's reply, to be stored in the transaction of its effect.
struct sealed_reply {
    operation_identity identity;
    std::string_view reply;
};

/// What a step of the unit of work says about the transaction as a whole.
enum class step_result : std::uint8_t {
    done,
    rerun,    ///< the engine gave up the transaction (deadlock): roll back and run the whole batch
              ///< again
    known_id, ///< run, seal: another node was first with one of these ids: roll back, begin again
              ///< with lookup
    expired,  ///< the unit's deadline passed: roll back; nothing was applied
    full,     ///< seal: the engine has no space for it: roll back; nothing was applied
    no_inbox, ///< begin, seal: no write can be remembered, `trouble` says why: roll back; nothing
              ///< was applied
    broken,   ///< the session is gone; nothing was applied
};

enum class commit_result : std::uint8_t {
    applied,
    none,    ///< certainly not committed
    unknown, ///< sent, and the answer did not come
};

/// What keeps a session that is connected from writing anything at all.
struct write_trouble {
    core::code code = core::code::ok; ///< for callers; ok: nothing does
    std::string_view detail;          ///< for callers; static
    std::string text;                 ///< for operators: the cause, and what to do
};

enum class work_kind : std::uint8_t {
    read,  ///< no transaction is needed; no identities
    write, ///< one transaction, with inbox
};

/// How much `begin` finds out about ids.
enum class lookup : std::uint8_t {
    none, ///< all ids are new as far as anyone knows; a surprise shows in `run` or `seal`
    all,  ///< redelivered or rerun: ask the inbox first
};

/// Outcomes of a batch by operation; adapters write, the factory reads.
using outcomes = std::span<core::outcome>;

/// One database session and its unit of work. A session belongs to one broker and never leaves its
/// thread. Life of a batch: `begin` · `run` for each group · `seal` · `commit`; `rollback` instead
/// of any later step. Operations never change while a batch lives, so all of it may be repeated.
///
/// What a procedure committed by itself cannot be rolled back, so it must not run again. Once such
/// a call was sent, or a procedure was seen to commit that was not known to, the unit is never
/// given back for a rerun: `run` and `seal` say `done` and `commit` says `applied`, whatever
/// happened, and the outcomes tell it, those of earlier groups too: effect `unknown` for what may
/// be applied, an error without effect for what did not run. Hence the outcomes, the sink and the
/// memory given to `run` must live until the unit ends.
///
/// An engine with an inbox and without transactions writes down what it is about to do before the
/// first `run` sends a write, and clears it away in `commit` or `rollback` where nothing was done
/// and no reply stored. There, what `run` did stays done: the replies are to be sealed whatever
/// becomes of the rest of the unit, and an outcome `unknown` of a broken session may be asked for
/// again by running the operation in another unit with `lookup::all`.
///
/// No call throws for what operations or the server do: outcomes and step results say it. Each call
/// ends by the deadline given to `begin` (the supervisor shuts the socket down 300 ms later at the
/// latest; then the session is broken).
class session {
public:
    virtual ~session() = default;

    /// Connects and prepares the session. Throws core::error: `unreachable` (try again later) or
    /// `refused` (credentials, rights, missing database).
    virtual void connect(core::deadline until) = 0;
    /// False before `connect` and after the connection broke; then `connect` starts over.
    [[nodiscard]] virtual bool usable() const = 0;
    /// Checks an idle session with the server; false: broken now.
    virtual bool alive(core::deadline until) = 0;

    /// Templates that were seen so far are about to go; others may have their names and addresses.
    /// Drops whatever is kept by those. Between units of work, in any state of the session.
    virtual void forget_templates() {}

    /// Starts a unit of work. With `lookup::all`, `known` receives the replies that are stored for
    /// these ids. Strings of `known` live in `memory`.
    virtual step_result begin(work_kind kind, core::deadline until,
                              std::span<const operation_identity> ids, lookup how,
                              core::arena& memory, std::vector<stored_reply>& known) = 0;

    /// Runs one group: writes an outcome for each of its operations and their rows. For writes the
    /// outcome's effect is what it will be once committed.
    virtual step_result run(const group& work, core::row_sink& rows, outcomes results,
                            core::arena& memory) = 0;

    /// Stores the replies of this unit's writes with their effects. Nothing to do for reads. A
    /// reply that is too large for the inbox is stored as `LIMIT_EXCEEDED` with its effect.
    virtual step_result seal(std::span<const sealed_reply> replies) = 0;

    /// How long statements of the units that follow may wait for rows that others hold, where the
    /// engine waits; zero: not at all. Whoever does not get them in time ends as
    /// `backend_conflict` with effect `none`, and the other operations of the unit go on. One
    /// second when nothing is said. An engine may wait longer, by its granularity.
    virtual void wait_for_rows(std::chrono::seconds /*at_most*/) {}

    /// As far as it is known: after `connect` and `alive` where the session is to write, and after
    /// `no_inbox`.
    [[nodiscard]] virtual const write_trouble& trouble() const {
        static const write_trouble none;
        return none;
    }

    virtual commit_result commit() = 0;
    /// Ends the unit without effect; a broken session is left broken.
    virtual void rollback() = 0;
};

/// How a write says which rows it is about.
enum class selection : std::uint8_t { key, where };

/// What an engine or this server of it can do; templates that need more are refused.
struct capabilities {
    bool transactions = false; ///< `atomic` envelopes
    bool procedures = false;
    bool pipelines = false;
    /// `begin` looks ids up and `seal` stores replies. Without it writes are `at_least_once`.
    bool inbox = false;
    /// `compare` has something to compare a template with.
    bool comparison = false;
};

struct session_context {
    std::string name; ///< the broker's, shown in the server's process list
    core::supervisor* supervisor =
        nullptr; ///< may be null: then only the driver's own timeouts hold
    observe::log_sink log;
    bool writes = true; ///< units of kind `write` will come
};

/// One configured database service: makes sessions and knows what they can do. Shared by all
/// brokers of its connection; thread-safe.
class adapter {
public:
    virtual ~adapter() = default;

    [[nodiscard]] virtual std::string_view
    engine_name() const = 0; ///< `mariadb`, `mongodb`, `memory`
    [[nodiscard]] virtual const std::string& connection_name() const = 0;
    [[nodiscard]] virtual capabilities can() const = 0;
    [[nodiscard]] virtual std::unique_ptr<session> open_session(session_context context) = 0;

    /// Checks a template as far as the engine can tell without a server (names, types, operations
    /// it cannot serve). Empty: fine.
    [[nodiscard]] virtual std::vector<std::string>
    check(const templates::template_def& target) const = 0;

    /// Does this procedure commit by itself, or can its text not be read? Then it runs alone, after
    /// the rest of its batch is committed, and is `at_least_once`. Of a call that its template says
    /// only reads: may it write all the same? Then it runs alone, and only once. Known after a
    /// session connected and `inspect` ran; before that the careful answer is true.
    [[nodiscard]] virtual bool runs_alone(const templates::template_def& target, core::verb op,
                                          const templates::call* called) const = 0;

    /// Can a redelivery repeat this write although there is an inbox? So it is where several rows
    /// are written without a transaction. Such writes are labelled `at_least_once`.
    [[nodiscard]] virtual bool may_repeat(const templates::template_def& /*target*/,
                                          core::verb /*op*/, const templates::call* /*called*/,
                                          selection /*by*/) const {
        return false;
    }

    /// The live check of the templates of this connection, on a connected session. Cheap to repeat.
    virtual void inspect(session& connected,
                         std::span<const templates::template_def* const> targets,
                         core::deadline until) = 0;

    /// The tables, views or collections that this account sees, in order of name; without BEDS's
    /// own. For tools. Throws core::error: `unsupported` by this engine, `unreachable`, `refused`.
    [[nodiscard]] virtual std::vector<std::string> objects(session& connected,
                                                           core::deadline until);
    /// What the live database has under this name. For tools. Throws core::error: as `objects`,
    /// and `unknown_name` when there is nothing of that name, or nothing that this account sees.
    [[nodiscard]] virtual surveyed survey(session& connected, std::string_view object,
                                          core::deadline until);
    /// The same for a procedure, or a stored function whose name is followed by `()`: its value is
    /// the last of its parameters. Nothing: there is none, or none that this account sees.
    [[nodiscard]] virtual std::optional<surveyed_procedure>
    survey_procedure(session& connected, std::string_view name, core::deadline until);
    /// What a session without inbox would send for this operation alone, and the server's plan for
    /// it; does nothing of it. For tools. Throws core::error: `unsupported` by this engine,
    /// `unreachable`, and `refused` for what the adapter would not send.
    [[nodiscard]] virtual explanation explain(session& connected, const bound_operation& op,
                                              core::deadline until);

    /// From now on rows of these templates go as their `expire_after` says, and those of no others:
    /// an engine that does not do it by itself deletes them in the background, with a session of
    /// its own. Nothing waits for it. `context` as for a session.
    virtual void expire(std::span<const templates::template_def* const> /*targets*/,
                        const session_context& /*context*/) {}

    /// Compares a template with what the live database holds and lets this account do, as far as
    /// operations up to the class `highest` need it. Changes nothing there. Nothing: this engine
    /// has nothing to compare with. Throws core::error: as `objects`.
    [[nodiscard]] virtual std::optional<std::vector<difference>>
    compare(session& connected, const templates::template_def& wanted, core::op_class highest,
            core::deadline until);
    /// The same for what BEDS itself keeps there for these templates: the inbox. The keys of its
    /// differences are names of tables and procedures.
    [[nodiscard]] virtual std::vector<difference>
    compare_own(session& connected, std::span<const templates::template_def* const> targets,
                core::op_class highest, core::deadline until);
    /// How many operations the server refused so far because what it holds is not as a template has
    /// it: each time it grows `compare` may find something new.
    [[nodiscard]] virtual std::uint64_t misfits() const { return 0; }
};

} // namespace beds::adapters
