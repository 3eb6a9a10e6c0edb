#pragma once

#include "adapters/mariadb/connection.hpp"
#include "adapters/mariadb/shared_parts.hpp"
#include "adapters/mariadb/sql.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace beds::adapters::mariadb {

/// Nesting of stored JSON that still fits into a reply, which nests it a little deeper.
inline constexpr std::size_t most_json_depth = 95;

/// How one statement went.
enum class ran : std::uint8_t {
    fine,
    refused, ///< the operation failed; the transaction lives on
    ended,   ///< the unit of work is over: `session::end_` says how
};

class mariadb_session final : public session {
public:
    mariadb_session(std::shared_ptr<shared_parts> shared, session_context context);

    void connect(core::deadline until) override;
    [[nodiscard]] bool usable() const override { return connection_.usable(); }
    bool alive(core::deadline until) override;
    void forget_templates() override {
        shapes_.clear();
        procedures_.clear();
        misfit_told_.clear();
    }

    step_result begin(work_kind kind, core::deadline until, std::span<const operation_identity> ids,
                      lookup how, core::arena& memory, std::vector<stored_reply>& known) override;
    step_result run(const group& work, core::row_sink& rows, outcomes results,
                    core::arena& memory) override;
    step_result seal(std::span<const sealed_reply> replies) override;
    void wait_for_rows(std::chrono::seconds at_most) override { patience_ = at_most; }
    commit_result commit() override;
    void rollback() override;
    [[nodiscard]] const write_trouble& trouble() const override { return trouble_; }

    [[nodiscard]] connection& link() { return connection_; }

    /// Loads what the server has for these templates and their procedures into the catalog.
    void inspect(std::span<const templates::template_def* const> targets, core::deadline until);

    /// As `adapter::explain` says; explain.cpp.
    explanation explain(const bound_operation& op, core::deadline until);

private:
    /// In place of running the statement at hand.
    ran explain_instead();
    void tell_dynamic(const std::string& where, const procedure_shape& shape) const;
    void make_tables(core::deadline until);
    /// Can writes be remembered? Otherwise `trouble_` says why not, and so does the log, once for
    /// each cause.
    void look_at_inbox();
    void inbox_is_bad(observe::level how, std::string_view id, write_trouble why);
    /// Tells the DBA of a table (as `table_shape::unsafe`) that could not be rolled back.
    static std::string unsafe_text(std::string_view who, const std::string& table,
                                   std::string_view what);
    void tell_unsafe(std::string_view who, const std::string& table, std::string_view what) const;
    /// Nothing is written where it could not be undone. True: the operation is answered.
    bool refused_by_engine(const bound_operation& op, const template_shape& shape);
    /// A call that its template calls a read, and that writes, is not made: its effect could not be
    /// told. True: the operation is answered.
    bool refused_by_class(const bound_operation& op, const procedure_shape& shape);
    /// Tells the DBA of a call of class read that writes.
    void tell_class(const templates::template_def& target, const templates::call& called,
                    const procedure_shape& shape) const;

    // session.cpp: statements and their failures
    ran execute(statement*& made);
    ran command(std::string_view text);
    ran failed(const server_error& why);
    /// Before a statement that may meet locks. One more statement only when the last one was to
    /// wait for another time.
    ran wait_at_most(std::chrono::seconds wanted);
    /// Before a CALL. Its author's handlers see what they would see without BEDS.
    ran wait_as_for(const procedure_shape& shape) {
        return wait_at_most(shape.handles ? connection_.facts().row_wait : unit_patience_);
    }
    ran fetched(const statement& from, statement::fetched what);
    /// The outcome of an operation whose statement was refused.
    core::outcome refusal(const bound_operation& op, core::arena& memory);
    /// A column that no caller can fill has no default any more.
    static bool lacks_default(const server_error& why, const bound_operation& op);
    /// Refused because what the database holds is not as the template has it; told in the log, from
    /// time to time.
    core::outcome misfit(const bound_operation& op);
    core::outcome misfit(const templates::template_def& target, const std::string& text);
    /// The outcome of an operation for which `read_row` found what does not fit.
    core::outcome unreadable(const bound_operation& op);
    /// The field whose column cannot hold the text that it is compared with; empty: none is known.
    [[nodiscard]] std::string_view field_without_text(const bound_operation& op) const;
    /// A place to go back to. The unit's first change needs none: then all of it goes.
    ran savepoint();
    ran back_to_savepoint();
    /// Goes back to a savepoint that must be there: otherwise the unit is over.
    ran back_to(std::string_view savepoint);
    /// The server ended the transaction though nobody asked for it.
    ran lost();
    [[nodiscard]] bool rolled_back_silently(const server_error& why);
    ran learn(const templates::template_def& target, const template_shape*& shape);
    ran learn(std::string_view procedure, const procedure_shape*& shape);
    /// Forgets what was learned before the catalog changed.
    void look_again();
    void log(observe::level severity, std::string_view id, std::string_view text) const;
    step_result ending() const { return end_; }
    step_result open_unit(std::span<const operation_identity> ids, lookup how, core::arena& memory,
                          std::vector<stored_reply>& known);
    step_result run_group(const group& work);
    /// The end of every step that was armed: what the watchdog shot at does not count, and no KILL
    /// is left for the next statement.
    step_result settled(step_result how, connection::guard& watching);
    /// Ends a unit that must not run again: answers what it leaves behind. `current` are the
    /// operations of the group under way.
    void conclude(step_result why, operation_list current);
    /// Answers the operations that the inbox cannot hold, or that may be applied already, and takes
    /// them out of `work`.
    operation_list without_nameless(const group& work);

    ran run_independent(operation_list work);
    ran run_atomic(operation_list work);
    ran run_one(const bound_operation& op);
    ran write_one(const bound_operation& op);
    /// Runs each alone; those of a group that did not succeed as a whole.
    ran one_at_a_time(operation_list work);

    // inbox.cpp
    step_result look_up(std::span<const operation_identity> ids, core::arena& memory,
                        std::vector<stored_reply>& known);
    step_result inbox_failed();
    [[nodiscard]] write_trouble inbox_trouble(const server_error& why) const;
    step_result store(std::span<const sealed_reply> replies);
    step_result store_all(std::span<const sealed_reply> replies);
    /// One INSERT of these rows.
    ran store_rows(std::span<const sealed_reply* const> rows);
    /// Stores each of these rows alone; one that is refused for itself is stored in short.
    ran store_one_by_one(std::span<const sealed_reply* const> rows);
    [[nodiscard]] static bool can_be_stored(const operation_identity& id);
    [[nodiscard]] bool fits(const sealed_reply& reply) const;
    /// The same answer without its rows.

    // reads.cpp
    ran fetch_group(operation_list work);
    /// After a statement of these was refused: each tells for itself why.
    ran fetch_apart(operation_list work);
    ran fetch_chunk_by_keys(operation_list work, const table_shape& shape);
    ran fetch_chunk_by_arms(operation_list work, const table_shape& shape, bool joins);
    ran run_find(const bound_operation& op);
    /// Finds, counts or exists of one shape.
    ran read_by_arms(operation_list work);
    /// How many of `left` operations like this one go into the next statement.
    [[nodiscard]] std::size_t arms_for(const bound_operation& op, std::size_t left) const;
    /// `refused`: nothing is written; each must run alone.
    ran find_chunk(operation_list work, const table_shape& shape);
    ran number_chunk(operation_list work, const table_shape& shape);
    static const bound_operation* named_by(const statement& from, operation_list work);
    /// One find's progress.
    struct page {
        std::uint32_t rows = 0;
        bool more = false;
        std::span<core::value> position; ///< of the last row, when the page is full
    };
    void start_find(const bound_operation& op);
    void add_to_page(const bound_operation& op, const statement& from, std::size_t first_cell,
                     page& at);
    void end_page(const bound_operation& op, const page& at);
    ran run_count(const bound_operation& op);
    ran run_exists(const bound_operation& op);
    /// Runs the query at hand, whose result is one number.
    ran read_number(const bound_operation& op, std::uint64_t& number);
    /// `read_cell`, and JSON is JSON.
    bool read_value(const raw_cell& cell, const MYSQL_FIELD& column, const core::field_type& type,
                    cell_text& room, core::value& to);
    /// Decodes the row at hand into `values_`. False: `unreadable_` is the field that does not fit.
    bool read_row(const statement& from, const selection& columns,
                  const templates::template_def& target, std::size_t first_cell = 0);
    void write_row(const bound_operation& op, std::size_t cells);

    // writes.cpp
    ran insert_group(operation_list work);
    ran insert_one(const bound_operation& op);
    /// One INSERT of all these rows; each row's key goes to its owner.
    ran insert_chunk(const templates::template_def& target, std::span<const insert_row> rows,
                     operation_list owners);
    /// Where the keys come from that the rows do not hold.
    enum class keys : std::uint8_t {
        given,    ///< none is missing
        returned, ///< INSERT … RETURNING
        in_a_row, ///< the first one is told, the others follow
        lost,     ///< one row at a time: its key is told, if it is a number
    };
    keys made_keys(const templates::template_def& target, std::span<const insert_row> rows,
                   const table_shape& shape) const;
    static core::value number_as(const core::field_type& type, std::uint64_t number);
    void write_keys(const bound_operation& op, insert_row row, const table_shape& shape,
                    std::span<const field_id> returned_fields, const statement* returned,
                    std::uint64_t number = 0);
    ran insert_or_take(const bound_operation& op);
    /// The key of the row that has the unique values of a new one already; empty: there is none.
    ran find_taken(const bound_operation& op, insert_row row, std::span<const core::value>& key);
    /// The row of this key gets what `on_conflict` names.
    ran take_over(const bound_operation& op, insert_row row, std::span<const core::value> key);
    static std::span<const core::value> copy_of(std::span<const core::value> key,
                                                core::arena& memory);
    /// Updates or deletes.
    ran change_group(operation_list work);
    ran update_one(const bound_operation& op);
    ran remove_one(const bound_operation& op);
    using build_one = void (*)(query&, const bound_operation&, const table_shape&, core::arena&);
    ran change_one(const bound_operation& op, const std::string& procedure, build_one build);
    ran matched(const bound_operation& op, std::uint64_t rows);
    ran nothing_matched(const bound_operation& op);
    static core::outcome nothing_to_add_to(const bound_operation& op);
    void sort_by_key(std::vector<const bound_operation*>& work) const;

    // returning.cpp: writes with `return`
    ran write_and_return(const bound_operation& op);
    ran write_then_read(const bound_operation& op);
    /// Locks the rows that the operation is about to write; their keys go to `returned_`.
    ran lock_rows(const bound_operation& op, const template_shape& shape);
    /// The rows of `returned_`, as a fetch would show them now.
    ran read_back(const bound_operation& op, const table_shape& shape);
    /// The key of an inserted row.
    void tell_key(const bound_operation& op, std::span<const core::value> key);

    // calls.cpp
    static const std::string& write_procedure(const bound_operation& op);
    static looked_in rows_of(const bound_operation& op, const template_shape& shape);
    ran run_call(const bound_operation& op);
    ran call_procedure(const bound_operation& op, const procedure_shape& shape);
    ran write_by_procedure(const bound_operation& op, const std::string& procedure);
    ran call_write_procedure(const bound_operation& op, const procedure_shape& shape);
    /// One CALL of a `[write]` procedure; `refused`: the outcome says why.
    ran call_for_row(const bound_operation& op, insert_row row, const procedure_shape& shape,
                     std::uint64_t& affected);
    core::value write_argument(const bound_operation& op, insert_row row, std::string_view name,
                               bool& known);
    void take_out_arguments(const templates::template_def& target, const procedure_shape& shape,
                            const statement& from, std::size_t cell, std::uint64_t& affected,
                            bool& told);
    /// `last_id`: LAST_INSERT_ID(), asked for when it is not given.
    ran write_procedure_key(const bound_operation& op, insert_row row,
                            const std::uint64_t* last_id = nullptr);
    /// A procedure that fails must undo what it did; one that ends the transaction must be noticed.
    ran within_savepoint(const bound_operation& op, const std::string& procedure,
                         ran (mariadb_session::*body)(const bound_operation&,
                                                      const procedure_shape&));
    enum class notice : std::uint8_t { none, told }; ///< did an error say that it was rolled back?
    /// The transaction ended inside of a procedure that was not known to commit. If it was a
    /// deadlock, all of it can run again; otherwise nothing of the unit may.
    ran ended_inside(const bound_operation& op, const std::string& procedure,
                     const procedure_shape& known, notice given);
    ran give_up_unit(const bound_operation& op);
    /// The connection broke while this procedure was at work, which is not known to commit: should
    /// it have been changed, what the unit did so far may be applied.
    void broke_inside(const std::string& procedure, const procedure_shape& known);
    /// Before anything runs again: was it changed? Then what it may have committed is not run.
    step_result settle_break(std::span<const operation_identity> ids);
    /// Did other operations of the unit change something so far?
    [[nodiscard]] bool others_applied(const bound_operation& op) const;
    core::outcome rejection(const bound_operation& op,
                            const std::map<std::string, std::string, std::less<>>& reasons);
    /// Decodes cells of the row at hand into `values_`.
    bool read_typed(const statement& from, std::size_t first_cell, const core::row_layout& layout);
    /// The rows of one result set of a call; `set` is its place.
    statement::fetched read_set(const bound_operation& op, statement& from, std::size_t& set,
                                bool& fits);
    void end_call(const bound_operation& op, std::size_t sets, bool fits);
    /// Can the procedure express this operation? Otherwise its outcome says why.
    bool takes(const bound_operation& op, insert_row row, const procedure_shape& shape);

    // several calls of one procedure in one statement
    enum class block_form : std::uint8_t {
        together,  ///< one savepoint stands before it: all or nothing
        apart,     ///< each call has a savepoint and a result that tells its end
        unguarded, ///< the same without savepoints, for reads
    };
    ran call_group(operation_list work);
    ran write_group_by_procedure(operation_list work, const std::string& procedure);
    ran group_of_calls(operation_list work, const std::string& procedure);
    ran guarded_calls(operation_list work, const std::string& procedure,
                      const procedure_shape& shape);
    ran calls_apart(operation_list work, const std::string& procedure,
                    const procedure_shape& shape);
    /// The server ended the unit while they ran.
    ran block_ended(operation_list work, const std::string& procedure,
                    const procedure_shape& shape);
    ran block_ended_inside(operation_list work, const std::string& procedure,
                           const procedure_shape& shape, bool failed);
    static insert_row row_of(const bound_operation& op);
    void block_text(operation_list work, const procedure_shape& shape, block_form form);
    /// `done`: how many are known to have ended. Refused: the next one failed, or, together, any.
    ran run_block(operation_list work, const procedure_shape& shape, block_form form,
                  std::size_t& done);
    ran read_block(operation_list work, const procedure_shape& shape, bool marks, std::size_t width,
                   std::size_t& done);

    core::outcome& result(const bound_operation& op) { return results_[op.index]; }

    std::shared_ptr<shared_parts> shared_;
    std::shared_ptr<const config::rel_service_settings> settings_;
    catalog* catalog_;
    session_context context_;
    connection connection_;

    explanation* explaining_ = nullptr; ///< nothing is run while there is one

    // of the session
    bool settings_known_ = true;                   ///< no procedure can have changed them unnoticed
    std::chrono::milliseconds statement_limit_{0}; ///< as the server has it; zero: none
    write_trouble trouble_;                        ///< of the inbox, as it was seen last
    std::string trouble_told_; ///< in the log; empty again when a reply was stored
    /// By template: when it was last told that it does not fit.
    std::unordered_map<std::string, std::chrono::steady_clock::time_point> misfit_told_;
    std::chrono::seconds lock_wait_{0}; ///< for rows that others hold, as the server has it
    std::chrono::seconds patience_{1};  ///< what `wait_for_rows` said last
    std::uint64_t catalog_generation_ = 0;
    std::uint64_t unit_ = 0;   ///< counts units of work
    std::uint64_t looked_ = 0; ///< the unit in which objects were last looked for
    std::string ended_by_;     ///< the procedure in which a transaction ended last, and its unit
    std::uint64_t ended_in_ = 0;
    /// A procedure in which the connection broke, and what may be applied with it.
    struct broken_call {
        std::string procedure;
        core::content_hash text;
        struct identity {
            std::string principal;
            std::string id;
        };
        std::vector<identity> operations;
    };
    std::optional<broken_call> broken_call_;
    std::unordered_map<std::string, std::shared_ptr<const template_shape>> shapes_;
    std::unordered_map<std::string, std::shared_ptr<const procedure_shape>> procedures_;

    // of the unit of work
    work_kind kind_ = work_kind::read;
    core::deadline until_ = core::deadline::never();
    bool open_ = false;    ///< a transaction may be open at the server
    bool changed_ = false; ///< something was written in it
    /// For rows that others hold: none as soon as one was met, so that a unit's waits do not add
    /// up.
    std::chrono::seconds unit_patience_{1};
    bool from_the_start_ = false; ///< the savepoint at hand is the beginning of the transaction
    step_result end_ = step_result::done;
    std::vector<core::op_index> ran_; ///< operations of the groups that are done
    std::span<const operation_identity> identities_;
    operation_list current_;               ///< operations of the group under way
    std::vector<core::op_index> nameless_; ///< operations that the inbox cannot hold
    std::vector<core::op_index> doubtful_; ///< operations that may be applied already
    bool in_call_ = false;                 ///< a procedure runs, which has its own savepoint
    bool calls_alone_ = false;             ///< what the procedure that runs does cannot be undone
    core::op_index called_ = 0;            ///< who called the last procedure of that kind
    /// Something of the unit was committed by a procedure, or may have been: nothing of it may run
    /// again.
    bool once_ = false;
    bool ended_inside_ = false; ///< a procedure that should not do so ended the transaction
    bool over_ = false;         ///< `conclude` has answered

    // of one call of run()
    core::row_sink* rows_ = nullptr;
    outcomes results_;
    core::arena* memory_ = nullptr;

    // kept to be used again
    query query_;
    selection selection_;
    std::vector<core::value> values_;
    std::vector<cell_text> rooms_;
    field_id unreadable_ = 0;
    unreadable_kind unreadable_kind_ = unreadable_kind::other_type; ///< why
    std::vector<const bound_operation*> order_;
    std::vector<const bound_operation*> chunk_;
    std::vector<field_id> wanted_;
    std::vector<insert_row> insert_rows_;
    std::vector<std::size_t> places_;
    struct key_entry {
        std::uint64_t hash;
        const bound_operation* op;
    };
    std::vector<key_entry> keys_;
    std::vector<std::uint64_t> hashes_;
    std::vector<const bound_operation*> unique_;
    std::vector<std::uint8_t> found_;
    std::vector<const sealed_reply*> seals_;
    std::vector<const bound_operation*> named_;
    core::json_parser json_{{.max_depth = most_json_depth}};
    core::arena json_memory_;
    std::vector<core::value> keys_out_;
    std::vector<std::span<const core::value>>
        returned_;              ///< keys of rows for `return`; in the arena
    std::uint64_t matched_ = 0; ///< rows of the last update or delete that ran alone
    std::vector<std::uint64_t> affected_;
};

} // namespace beds::adapters::mariadb
