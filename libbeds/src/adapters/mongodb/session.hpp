#pragma once

#include "adapters/mongodb/bson_writer.hpp"
#include "adapters/mongodb/errors.hpp"
#include "adapters/mongodb/evidence.hpp"
#include "adapters/mongodb/indexes.hpp"
#include "adapters/mongodb/mongoc_include.hpp"
#include "adapters/mongodb/pipeline.hpp"
#include "adapters/mongodb/service.hpp"
#include "adapters/mongodb/stream.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/clock.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::adapters::mongodb {

/// One client of the driver, single-threaded, with one connection.
class mongodb_session final : public session {
public:
    mongodb_session(std::shared_ptr<const service> shared, session_context context);
    ~mongodb_session() override;

    void connect(core::deadline until) override;
    [[nodiscard]] bool usable() const override { return client_ != nullptr; }
    bool alive(core::deadline until) override;
    void forget_templates() override { pipelines_.clear(); }
    step_result begin(work_kind kind, core::deadline until, std::span<const operation_identity> ids,
                      lookup how, core::arena& memory, std::vector<stored_reply>& known) override;
    step_result run(const group& work, core::row_sink& rows, outcomes results,
                    core::arena& memory) override;
    step_result seal(std::span<const sealed_reply> replies) override;
    commit_result commit() override;
    void rollback() override;

    /// Warns about templates whose collection does not fit: no unique index on the key.
    void inspect(std::span<const templates::template_def* const> targets, core::deadline until);

    /// As `adapter::objects` and `adapter::survey` say. survey.cpp
    std::vector<std::string> objects(core::deadline until);
    surveyed survey(std::string_view object, core::deadline until);
    /// As `adapter::compare` and `adapter::compare_own` say. compare.cpp
    std::vector<difference> compare(const templates::template_def& wanted, core::op_class highest,
                                    core::deadline until);
    std::vector<difference> compare_own(core::deadline until);
    /// As `adapter::explain` says. explain.cpp
    explanation explain(const bound_operation& op, core::deadline until);

private:
    using operation_list = std::span<const bound_operation* const>;
    using value = core::value;
    using fields = std::vector<field_id>;

    /// How a command ended.
    enum class ending : std::uint8_t {
        answered, ///< with success; writes may have failed one by one
        refused,  ///< the server's error is in `error_`
        not_sent, ///< the connection is gone; the server certainly did nothing
        lost,     ///< the connection is gone; nobody knows
    };
    enum class aim : std::uint8_t { read, write };
    /// Does the server end the command by itself when its time is over?
    enum class time_limit : std::uint8_t {
        deadline, ///< of those that it serves; without one, `longest_command`
        none,     ///< it takes no time, or the server takes no limit with it
    };

    /// What the inbox and this session know of one write of the unit.
    struct write_record {
        enum class progress : std::uint8_t {
            fresh,    ///< no intent yet
            ready,    ///< its intent is there, and this session's
            doubtful, ///< an intent without a reply was found: begun before
            replied,  ///< a reply or other content was found: it does not run
        };
        operation_identity identity;
        write_token token;
        write_token owner; ///< who is in charge: whoever began, or took it over
        write_record::progress stage = progress::fresh;
        bool owned = false; ///< doubtful: this session has taken it over
        bool sent = false;  ///< a command that may have changed something has left
        bool sealed = false;
        /// Since when its owner is in charge, by the server's clock.
        std::chrono::milliseconds began{0};
        /// Of an insert whose key is generated: those that the intent holds, key field by field.
        std::vector<value> keys;
    };
    /// An intent whose write was never sent, on a connection that is gone.
    struct orphan {
        std::string principal;
        std::string id;
        write_token token;
    };
    /// A reply that could not be stored, on a connection that is gone.
    struct late_reply {
        orphan of;
        write_token owner;
        std::string reply;
    };

    struct write_answer {
        std::uint64_t matched = 0;
        bool concern_failed = false;                ///< done, but not kept as it was asked for
        std::map<std::size_t, server_error> errors; ///< by position
    };

    /// The steps of one run; each sees what `run` was given.
    struct run_scope {
        core::row_sink& rows;
        outcomes results;
        core::arena& memory;
    };

    // compare.cpp
    class comparing;
    /// What the server lets this account do somewhere.
    struct privilege {
        bool anywhere = false;
        std::string database;   ///< empty: all
        std::string collection; ///< empty: all
        std::vector<std::string> actions;
    };
    /// The names of this database's collections, and which of them are views; asked for once a
    /// session. Null: the server does not tell.
    const std::map<std::string, bool, std::less<>>* listing();
    ending list_indexes(const std::string& collection, std::vector<live_index>& into);
    void learn_rights();
    /// Also where the server does not tell.
    [[nodiscard]] bool may(std::string_view action, std::string_view collection) const;

    // survey.cpp
    void survey_indexes(surveyed& made);

    // session.cpp
    step_result run_kind(run_scope& scope, core::verb verb, operation_list ops);
    ending execute(aim what, time_limit limit = time_limit::deadline);
    ending execute_on(const char* database, aim what, time_limit limit);
    /// In place of sending the command at hand.
    ending explain_instead(const char* database);
    void close();
    [[nodiscard]] bool is_late() const;
    [[nodiscard]] bool takes_comments(aim what) const;
    void begin_command(std::string_view verb, std::string_view collection,
                       const bound_operation& op, aim what);
    [[nodiscard]] std::int64_t milliseconds_left() const; ///< as a server's limit: 1 at least
    void append_time_limit(bson_writer& to) const;
    /// Ends what was not run because the connection is gone: the step's result, or outcomes when
    /// something of this group may have been applied.
    step_result give_up(run_scope& scope, operation_list rest);
    /// What became of a write command that was not answered: each of its operations gets its
    /// outcome. nullopt when it was answered; what the answer says is then still to be read.
    std::optional<step_result> unanswered(run_scope& scope, operation_list sent, ending how);
    /// Operations that were sent and got no answer.
    void in_doubt(run_scope& scope, operation_list sent);
    /// Operations whose effect nobody can tell, though the server answered.
    void in_doubt(run_scope& scope, operation_list sent, core::code code, std::string_view detail);
    core::outcome failure(run_scope& scope, const bound_operation& op, const server_error& error,
                          core::effect effect);
    core::outcome invalid(run_scope& scope, const bound_operation& op, std::string_view why,
                          std::optional<field_id> field = std::nullopt);
    std::string_view field_name(const bound_operation& op, field_id field) const;
    std::optional<field_id> duplicate_field(const templates::template_def& target,
                                            const server_error& error);
    const std::vector<std::string>* index_columns(const std::string& collection,
                                                  std::string_view index);
    void log(observe::level severity, std::string_view id, std::string text) const;

    // reads.cpp
    step_result fetch(run_scope& scope, operation_list ops);
    step_result fetch_chunk(run_scope& scope, operation_list ops);
    step_result find(run_scope& scope, const bound_operation& op);
    step_result count(run_scope& scope, const bound_operation& op);
    // together.cpp
    struct shared_condition;
    /// Finds or counts of one shape.
    step_result read_together(run_scope& scope, operation_list ops);
    /// `refused`: all of them are `left` to be sent one at a time.
    ending find_together(run_scope& scope, const shared_condition& shared, std::size_t limit,
                         std::vector<const bound_operation*>& left);
    ending count_together(run_scope& scope, const shared_condition& shared,
                          std::vector<const bound_operation*>& left);
    /// Does equality mean equal bytes in this collection or view?
    bool compares_bytes(const std::string& object);
    // reads.cpp
    step_result exists(run_scope& scope, const bound_operation& op);
    step_result call(run_scope& scope, const bound_operation& op);
    void append_projection(const templates::template_def& target, std::span<const field_id> wanted,
                           std::string_view member = "projection");
    static void write_row(core::row_sink& rows, const bound_operation& op,
                          std::span<const core::value> cells);
    /// Every document of the answer, batches fetched as needed. `each` says whether to go on.
    ending each_document(aim what, const std::function<bool(const bson_iter_t&)>& each);
    /// Cells of one document; the field that does not fit, if any.
    std::optional<field_id> read_row(const bson_iter_t& document,
                                     const templates::template_def& target,
                                     std::span<const field_id> wanted,
                                     std::vector<core::value>& cells);
    core::outcome misfit(run_scope& scope, const bound_operation& op, std::string_view field);
    const pipeline& prepared(const templates::call& called);

    /// Warns when the inbox has no end. False: the connection broke.
    bool look_at_window();

    // inbox.cpp
    void start_inbox(std::span<const operation_identity> ids);
    step_result look_up(std::vector<stored_reply>& known);
    step_result look_up(std::span<write_record* const> records, std::vector<stored_reply>& known);
    step_result write_intents();
    void append_intent(const write_record& record, std::size_t position);
    step_result take_over();
    step_result store(std::span<const sealed_reply> replies);
    void clear_away(); ///< what an earlier connection could not: orphans, late replies
    void close_unit();
    ending delete_intents(std::span<const orphan> of);
    void begin_inbox(std::string_view verb, aim what);
    void append_inbox_id(std::string_view principal, std::string_view id);
    void begin_event(std::string_view principal, std::string_view id, const write_token& author);
    void end_event();
    /// Is it told for certain that these are still this session's? `known_id`: one is not.
    step_result look_whose(std::span<const sealed_reply> replies);
    step_result inbox_failed(const server_error& error);
    void learn_time(core::deadline until);
    [[nodiscard]] std::chrono::milliseconds server_now() const;
    write_record* record_of(core::op_index index);
    /// The record of a write that leaves evidence; null: it keeps none.
    write_record* tracked(const bound_operation& op);
    static write_kind kind_of(const bound_operation& op);
    bool is_doubtful(const bound_operation& op);
    void note_sent(operation_list sent, ending how);
    /// What the documents of these keys say.
    struct wanted_key {
        std::span<const value> key;
        const write_token* token = nullptr;
    };
    ending look_at(run_scope& scope, const bound_operation& like,
                   std::span<const wanted_key> wanted, std::vector<evidence>& found);
    /// Of operations by key.
    ending look_at(run_scope& scope, operation_list ops, std::vector<evidence>& found);
    /// Answers what was begun before and is settled; `rest` is to be run.
    step_result settle(run_scope& scope, operation_list ops,
                       std::vector<const bound_operation*>& rest);
    void append_unmarked(const bound_operation& op); ///< into a filter: not done yet
    void append_marked(const bound_operation& op);   ///< into a filter: marked by this attempt
    void append_mark(const bound_operation& op);     ///< into an update
    core::outcome written(const bound_operation& op);
    void stays_unknown(run_scope& scope, const bound_operation& op);

    // writes.cpp
    step_result insert(run_scope& scope, operation_list ops);
    step_result insert_rows(run_scope& scope, const bound_operation& op);
    encode_problem append_row(run_scope& scope, const bound_operation& op,
                              std::span<const assignment> row, std::optional<field_id>& field);
    void tell_keys(run_scope& scope, const bound_operation& op);
    void inserted(run_scope& scope, const bound_operation& op);
    std::optional<core::outcome> key_taken(run_scope& scope, const bound_operation& op,
                                           ending& how);
    step_result update(run_scope& scope, operation_list ops);
    step_result update_group(run_scope& scope, operation_list ops);
    step_result update_one(run_scope& scope, const bound_operation& op);
    encode_problem append_changes(run_scope& scope, const bound_operation& op,
                                  std::optional<field_id>& field, std::string_view member = "u");
    step_result remove(run_scope& scope, operation_list ops);
    step_result remove_group(run_scope& scope, operation_list ops);
    step_result remove_one(run_scope& scope, const bound_operation& op);
    /// Sends the command that was built: one update or delete.
    step_result change_one(run_scope& scope, const bound_operation& op);
    /// Why a write of one row by key matched nothing.
    step_result explain_miss(run_scope& scope, const bound_operation& op);
    /// Which of the operations' keys are there; positions in `ops`.
    ending find_keys(run_scope& scope, operation_list ops, std::vector<bool>& there);
    step_result remove_marked(run_scope& scope, operation_list ops);
    step_result delete_marked(run_scope& scope, operation_list ops);
    write_answer read_answer() const;
    /// The outcome of one write of a command, not by `where`, that the server says failed.
    core::outcome write_failed(run_scope& scope, const bound_operation& op,
                               const server_error& error);

    // conflicts.cpp: inserts with `on_conflict`
    /// True: they are answered.
    bool cannot_take_over(run_scope& scope, operation_list ops);
    step_result insert_or_take(run_scope& scope, const bound_operation& op);
    /// Filter and change of one update that inserts.
    encode_problem append_upsert(run_scope& scope, const bound_operation& op,
                                 std::span<const value> key, std::optional<field_id>& field);

    // returning.cpp: writes with `return`
    /// True: they are answered.
    bool cannot_return(run_scope& scope, operation_list ops);
    /// Sends the findAndModify that was built.
    step_result change_and_return(run_scope& scope, const bound_operation& op);
    /// Rows of those that were done otherwise: read as they are now.
    void return_rows(run_scope& scope, operation_list ops);
    void read_back(run_scope& scope, const bound_operation& op);
    /// Of each row, key field by key field.
    std::vector<value> keys_of_rows(const bound_operation& op);

    std::shared_ptr<const service> shared_;
    session_context context_;
    mongoc_ssl_opt_t tls_options_{};
    stream_control control_;
    client_handle client_; ///< after what it points to
    std::int32_t wire_version_ = 0;
    std::size_t most_writes_ = 1000; ///< in one command
    bool stands_alone_ = false;      ///< the server is none of a replica set, and no router

    core::deadline until_ = core::deadline::never();
    bool touched_ = false;              ///< a write of this group may have been applied
    std::vector<core::op_index> given_; ///< of this group: its rows of `return` are written

    // The inbox.
    std::vector<write_record> records_;
    std::vector<std::uint32_t> record_of_; ///< by index of the operation: position + 1
    write_token taker_;                    ///< this unit's, when it takes over
    outcomes results_;
    core::arena* memory_ = nullptr;
    std::vector<write_token> own_; ///< sent by this session before the connection broke
    std::vector<orphan> orphans_;
    std::vector<late_reply> late_;
    std::chrono::milliseconds server_ahead_{0};
    std::optional<core::steady_time> time_learned_;

    bson_writer command_;
    explanation* explaining_ = nullptr; ///< nothing is run while there is one
    owned_bson reply_;
    server_error error_;
    core::arena row_memory_{4096};
    std::vector<core::value> cells_;
    std::map<const templates::call*, std::unique_ptr<pipeline>> pipelines_;
    std::map<std::string, bool, std::less<>> plain_; ///< `compares_bytes`, by object
    std::optional<std::map<std::string, bool, std::less<>>> listed_; ///< see `listing`
    bool rights_known_ = false;
    std::optional<std::vector<privilege>> rights_; ///< nothing: all, or the server does not tell
    std::map<std::string, std::vector<std::string>, std::less<>> indexes_; ///< by collection/index
};

} // namespace beds::adapters::mongodb
