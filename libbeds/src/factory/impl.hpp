#pragma once

#include "factory/backoff.hpp"
#include "factory/bind.hpp"
#include "factory/outcomes.hpp"
#include "factory/plan.hpp"

#include <beds/core/error.hpp>
#include <beds/factory/factory.hpp>

#include <map>
#include <optional>
#include <utility>

namespace beds::factory {

using adapters::commit_result;
using adapters::lookup;
using adapters::step_result;
using adapters::work_kind;
using core::code;
using core::effect;
using core::outcome;

/// Why an operation may have been applied already.
enum class doubt : std::uint8_t { none, redelivered, unanswered_commit };

/// Progress of one operation within a batch.
enum class stage : std::uint8_t {
    open,     ///< still to be run
    answered, ///< outcome is final
};

/// The time at which a batch was taken: asking the machine for each operation costs more than
/// binding it.
class stopped_clock final : public core::clock {
public:
    void set(const core::clock& from) {
        steady_ = from.steady_now();
        system_ = from.system_now();
    }
    [[nodiscard]] core::steady_time steady_now() const override { return steady_; }
    [[nodiscard]] core::system_time system_now() const override { return system_; }

private:
    core::steady_time steady_;
    core::system_time system_;
};

/// How long statements wait for rows that others hold: of a batch that knows nothing of them, of
/// several operations that met some, and of one.
constexpr std::chrono::seconds first_wait{1};
constexpr std::chrono::seconds wait_of_several{0};
constexpr std::chrono::seconds wait_of_one{2};

/// A batch passes through the files in this order: its requests are bound, operations under one id
/// are put together, the rest is planned into transactions, and each of these is run until all of
/// it is answered. The members are shared by all of these steps, by one thread.
struct factory::impl {
    using ledger = observe::ledger;
    using live = observe::live_counters;

    // ---- factory.cpp: a batch, its session and its templates

    impl(std::shared_ptr<const template_set> set_given,
         std::vector<std::shared_ptr<adapters::adapter>> adapters_given,
         std::string connection_given, adapters::session_context context_given, settings options,
         const core::clock& clock_given);
    bool ensure_session(core::deadline until);
    /// Takes longer than a connection, the longer the more templates there are.
    bool look_at(std::span<const templates::template_def* const> targets, core::steady_time now,
                 core::deadline until);
    void note_failure(std::string text);
    [[nodiscard]] std::uint64_t since(const templates::template_def& target) const;
    /// Those of this connection that are of this generation or a later one.
    [[nodiscard]] std::vector<const templates::template_def*>
    served_since(std::uint64_t generation) const;
    void change_templates(std::shared_ptr<const template_set> next);
    /// Was there another template of this name, which may have let pass what this one refuses?
    [[nodiscard]] bool has_changed(std::string_view name) const;
    void run(std::span<message> given_batch, core::result_sink& results_sink,
             core::arena& batch_memory, observe::live_counters& live_counters);
    void run_planned(bool again);
    void run_later();
    void tally();

    // ---- requests.cpp: requests become operations that can be run, or their refusals

    void bind_all();
    std::optional<outcome> bind_one(message& from, std::size_t index, planned& into);
    /// What cannot be atomic is refused before anything runs: true.
    bool refuse_atomic(const message& from, std::span<planned* const> own, bool failed,
                       std::size_t answered_before);
    /// What no binding took: the key may be wrong, or the right one of a database that nobody
    /// serves.
    outcome unrouted(std::string_view key, const templates::template_def& target) const;
    /// Nothing was done now; what a redelivered write did before shows when its template is served
    /// again.
    static outcome withheld(bool perhaps_done);
    /// Why a write of a template with `order_by` cannot be done where it is.
    [[nodiscard]] std::optional<outcome> out_of_order(const message& from,
                                                      const adapters::bound_operation& op) const;
    outcome unknown_call(const templates::template_def& target, std::string_view name);
    [[nodiscard]] bool runs_alone(const planned& op) const;
    core::deadline deadline_of(const core::request& request, const core::operation& op,
                               const templates::template_def& target) const;
    /// The template as this caller sees it; null: there is none, or it is closed to the caller.
    [[nodiscard]] const templates::template_def* template_for(const core::request& from,
                                                              std::string_view name) const;
    outcome no_template(const core::request& from, std::string_view name);
    outcome describe(const core::request& from, const core::operation& op);
    [[nodiscard]] ledger::slot slot_of(const templates::template_def* target) const {
        if (target == nullptr) {
            return ledger::no_template;
        }
        const auto position = static_cast<std::size_t>(target - registry->all().data());
        return set->slots.empty() ? static_cast<ledger::slot>(position + 1) : set->slots[position];
    }
    /// From here on every operation stands in the books.
    void enter_into_books(std::span<const ledger::slot> slots);

    // ---- answers.cpp: what is answered, from what ran or from the inbox; the same id twice

    void answer(core::op_index index, const outcome& result) {
        results[index] = result;
        stages[index] = stage::answered;
    }
    /// As `answer`, for an operation that was not run to its end: when it may have been applied
    /// before, its effect is not known, whatever else is said about it.
    void give_up(core::op_index index, outcome result);
    /// The same; what was called and cannot be asked for is never run again, and says so.
    void give_up(const planned& op, outcome result);
    static outcome reused();
    void set_repeats_aside();
    /// What was settled for the original holds for its copies; otherwise each copy is tried by
    /// itself.
    void answer_repeats();
    /// A write that is refused by a template that has changed may have been done under the one
    /// before, and its caller asks for the answer: it is in the inbox. True: answered.
    bool answer_as_before(const message& from, std::size_t i, core::op_index index,
                          const outcome& refused);
    /// Writes whose deadline passed before they began are not run, but they may have been: sent
    /// again by their caller, or delivered again after a crash. Their first replies are in the
    /// inbox.
    void ask_for_late();
    void answer_stored(const adapters::stored_reply& stored);
    /// Operations that the inbox knows get their first reply again.
    void answer_known();
    step_result seal_open(bool alone, lookup how);
    /// Without transactions: stores the replies of what was done, whatever becomes of the rest.
    /// What cannot be stored now the session keeps in mind for later.
    step_result seal_answered();

    // ---- groups.cpp: what is open runs, group by group

    /// Runs everything that is open, group by group. Nothing in here is final until the commit.
    step_result run_open();
    step_result run_group(adapters::group_mode mode);
    step_result run_atomic(std::span<planned* const> own);
    step_result run_sequence(std::span<planned* const> own);

    // ---- custom.cpp: operations that code beside their template takes

    class custom_unit;
    void make_customs();
    [[nodiscard]] custom_template* custom_of(const adapters::bound_operation& op) const;
    /// The group at hand. What failed of it is undone, with what the code wrote for it.
    step_result run_custom(custom_template& by);

    // ---- transaction.cpp: one transaction, until each of its operations is answered

    /// Runs the operations of one transaction until each of them is answered.
    void run_unit(std::uint32_t unit, bool again);
    /// An operation that commits by itself, in its own transaction.
    void run_alone(planned& op);
    /// Answers what is open, or sets it aside.
    void run_transaction(work_kind kind, lookup how, bool alone, std::chrono::seconds row_wait);
    /// Nothing can be written; reads of the unit go on.
    void refuse_writes();
    void collect_ids(work_kind kind);
    [[nodiscard]] core::deadline earliest_deadline() const;
    /// Ends operations whose deadline passed; returns how many.
    std::size_t expire(core::steady_time now);
    /// One operation of the message was answered early, and not well: an atomic envelope ends with
    /// it, a sequence stops behind it.
    void stop_message(const planned& cause, std::span<planned* const> among);
    void stop_sequence(const planned& cause);
    void drop_answered();
    void fail_open(code why, std::string_view detail, std::chrono::milliseconds retry_after = {});
    void finish_open();

    // ---- held.cpp: operations whose rows others hold

    /// Takes them out of the unit: the others are committed without them. With one operation of an
    /// atomic envelope goes all of it, with one of a sequence what stands behind it.
    void set_aside();
    /// Do these share a transaction with nobody but themselves?
    static bool are_one(std::span<const planned* const> operations);
    /// Moves one operation that need not wait for others of its message from `aside` to `open`, or
    /// a whole envelope that has an order.
    void take_one();
    /// Runs what was set aside until each is answered: by its deadline at the latest. Several wait
    /// here, between short attempts, so that one lock does not hold up those that are free again;
    /// the last one waits at the server, which gives it its turn.
    void run_aside();

    // ---- what lives as long as the broker

    std::shared_ptr<const template_set> set;
    std::shared_ptr<const templates::registry> registry; ///< of the set
    std::vector<std::shared_ptr<adapters::adapter>> adapters;
    std::string connection;
    adapters::session_context context;
    settings given;
    const core::clock& clock;
    adapters::adapter* adapter = nullptr;
    adapters::capabilities can;
    std::vector<const templates::template_def*> served;
    binder bind;
    backoff retry;
    std::unique_ptr<adapters::session> session;
    std::string last_error;
    std::uint64_t connects = 0;
    /// By position in the registry; empty: there is none.
    std::vector<std::unique_ptr<custom_template>> customs;
    /// Of what they did by themselves: the session keeps it until the unit ends.
    std::unique_ptr<core::row_sink> own_rows;

    // ---- of the batch under way

    stopped_clock taken;
    core::result_sink* sink = nullptr;
    core::arena* memory = nullptr;
    observe::live_counters* counters = nullptr;
    std::span<message> batch;
    /// `results`, and behind them a place for what custom templates do by themselves.
    std::span<outcome> results_and_own;
    std::span<outcome> results;
    bool undo_custom = false; ///< what is answered of the unit is not to run again
    std::span<stage> stages;
    std::span<std::uint8_t> stopped; ///< by message: a `sequence` that failed
    /// By operation: whether it may have been applied already. It is no longer doubtful when its
    /// first reply is found or it was run to its end.
    std::span<doubt> doubts;
    /// By operation, without transactions: its reply is in the inbox.
    std::span<std::uint8_t> sealed;
    bool look_again = false;    ///< something of the unit was sent and got no answer
    std::vector<planned*> open; ///< of the unit under way
    /// Taken out of their unit, to be run when the rest of it is committed.
    std::vector<planned*> aside;
    bool apart = false; ///< their units ran into deadlocks too often: one at a time
    /// By message: which waves of it cannot be run, because operations of earlier ones are set
    /// aside. Zero: none.
    std::span<std::uint32_t> held_from;
    std::vector<adapters::operation_identity> ids;
    std::vector<adapters::stored_reply> known;
    std::vector<const adapters::bound_operation*> group;
    std::vector<adapters::sealed_reply> seals;
    std::vector<planned*> all;
    std::string_view described;
    /// Of this batch: an envelope may ask many times.
    std::map<std::pair<const templates::template_def*, bool>, std::string_view> descriptions;
    struct repeat {
        core::op_index original;
        planned* copy;
    };
    std::vector<repeat> repeats;
    std::vector<planned*> by_id;
    /// Run after everything else, message by message, when the inbox knows what became of the ids
    /// that they share with others of the batch.
    std::vector<planned*> later;
};

} // namespace beds::factory
