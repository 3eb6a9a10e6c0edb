#pragma once

#include <beds/core/arena.hpp>
#include <beds/testing/adapter_conformance.hpp>
#include <beds/testing/make.hpp>
#include <beds/testing/recording_sink.hpp>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beds::testing::conformance {

using adapters::commit_result;
using adapters::comparison;
using adapters::group_mode;
using adapters::lookup;
using adapters::operation_identity;
using adapters::step_result;
using adapters::stored_reply;
using adapters::work_kind;
using core::code;
using core::effect;
using templates::template_def;

using where = core::source_place;
using cases = std::vector<conformance_case>;

[[noreturn]] void fail(const std::string& why, where at = where::current());
void require(bool holds, std::string_view what, where at = where::current());
std::string text_of(const core::outcome& outcome);
/// A text that no case and no earlier run of the suite used: the inbox is not emptied between
/// cases.
std::string fresh(std::string_view text);

/// What a unit of work answered.
struct answer {
    recording_sink sink;
    std::vector<core::outcome> outcomes;

    void require_ok(const operation_maker& op, where at = where::current()) const;
    void require_error(const operation_maker& op, code expected, where at = where::current()) const;
    void require_error(const operation_maker& op, code expected, std::string_view field,
                       where at = where::current()) const;
    void require_count(const operation_maker& op, std::uint64_t count,
                       where at = where::current()) const;
    /// Rows in order, each written as `to_string` writes it.
    void require_rows(const operation_maker& op, const std::vector<std::string>& rows,
                      where at = where::current()) const;
    [[nodiscard]] const recorded_result& of(const operation_maker& op) const {
        return sink.of(op.index());
    }
    [[nodiscard]] const core::outcome& outcome(const operation_maker& op) const {
        return outcomes[op.index()];
    }
};

/// One session, driven as the factory drives it.
class driver {
public:
    explicit driver(conformance_fixture& fixture, std::string name = "conformance");

    [[nodiscard]] adapters::session& session() { return *session_; }
    [[nodiscard]] core::deadline until() const;

    /// All operations in one unit of work, in groups as the factory makes them, committed; rerun as
    /// often as the engine asks. Checks what holds for every unit: the sink's contract, effects,
    /// counts.
    answer run(operations& ops, where at = where::current());
    /// The same as one atomic group.
    answer run_atomic(operations& ops, where at = where::current());

    // The single steps, for cases about the unit of work itself. Each but `groups` must say `done`.
    void begin(work_kind kind, where at = where::current());
    void begin(operations& ops, std::span<const operation_identity> ids, lookup how,
               std::vector<stored_reply>& known, where at = where::current());
    step_result groups(operations& ops, answer& to);
    void commit(where at = where::current());

private:
    answer drive(operations& ops, bool atomic, where at);
    void check(const operations& ops, const answer& got, where at) const;

    conformance_fixture& fixture_;
    std::unique_ptr<adapters::session> session_;
    core::arena memory_;
};

/// Does some operation write?
bool writes(const operations& ops);

/// The groups that a factory would make: neighbours of one shape, no key twice among writes.
std::vector<adapters::group> grouped(operations& ops);

/// A template of the fixture's store and its connection, with nothing in it.
template_maker start(std::string name, const conformance_fixture& fixture);

// Templates of the suite. `column` names differ from field names, so that mixing them shows.
template_def
things(const conformance_fixture& fixture); ///< id, n, name, day, price, flag: all nullable but id
template_def uniques(const conformance_fixture& fixture); ///< id, email unique, (a, b) unique, note
template_def generated(const conformance_fixture& fixture); ///< id generated, name
template_def compound(const conformance_fixture& fixture);  ///< country + code, name, n
template_def named(const conformance_fixture& fixture);     ///< string key `name`, n
template_def
strict(const conformance_fixture& fixture); ///< id, name string:5 required, n int32 not null

/// A prepared template and a session.
struct stage {
    stage(conformance_fixture& given, template_def made)
        : fixture(given), target(std::move(made)), run_by((fixture.prepare(target), given)) {
        inspect(target);
    }
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;
    /// As a node does before it serves a template.
    void inspect(const template_def& prepared);
    answer run(operations& ops, where at = where::current()) { return run_by.run(ops, at); }
    /// All rows in key order, as texts.
    std::vector<std::string> rows(std::vector<std::string> fields = {});

    conformance_fixture& fixture;
    template_def target;
    driver run_by;
};

void add_reads(cases& to);
void add_types(cases& to);
void add_finds(cases& to);
void add_writes(cases& to);
void add_returns(cases& to);
void add_conflicts(cases& to);
void add_units(cases& to);
void add_concurrency(cases& to);
void add_calls(cases& to);

} // namespace beds::testing::conformance
