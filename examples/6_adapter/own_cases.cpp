#include "own_cases.hpp"

#include "database.hpp"
#include "sqlite_adapter.hpp"

#include <beds/core/error.hpp>
#include <beds/testing/make.hpp>
#include <beds/testing/recording_sink.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

using namespace beds;
using namespace std::chrono_literals;
using adapters::commit_result;
using adapters::step_result;
using adapters::work_kind;
using beds_sqlite::database;
using std::filesystem::path;
using testing::conformance_fixture;

namespace {

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw testing::conformance_failure{"not so: " + what};
    }
}

testing::template_maker template_of(const char* object) {
    return std::move(testing::template_maker{object}
                         .connection("rel", templates::engine::rel)
                         .field("id", "int64", {.nullable = false})
                         .field("about", "int64")
                         .field("extra", "json")
                         .key({"id"}));
}

/// Without a log: what goes wrong here is meant to.
adapters::session_context quiet() {
    adapters::session_context made;
    made.name = "own";
    return made;
}

/// One connected session, and what came of its unit of work.
struct worker {
    explicit worker(conformance_fixture& fixture)
        : session(fixture.adapter().open_session(quiet())) {
        session->connect(core::deadline::after(10s));
    }

    step_result begin(work_kind kind, std::chrono::milliseconds patience = 10s) {
        std::vector<adapters::stored_reply> known;
        return session->begin(kind, core::deadline::after(patience), {}, adapters::lookup::none,
                              memory, known);
    }
    step_result run(testing::operations& ops) {
        results.assign(ops.size(), {});
        return session->run(ops.group(), rows, results, ops.memory());
    }

    core::arena memory;
    testing::recording_sink rows;
    std::vector<core::outcome> results;
    std::unique_ptr<adapters::session> session;
};

void lock_that_does_not_come(conformance_fixture& fixture, const path& file) {
    fixture.prepare(template_of("own_notes").build());
    worker own{fixture};
    database other{file};
    other.execute("BEGIN IMMEDIATE");
    require(own.begin(work_kind::write, 50ms) == step_result::expired,
            "who waits for the lock past its deadline has expired");
    own.session->rollback();
    require(own.begin(work_kind::read, 50ms) == step_result::done, "readers do not wait for it");
    own.session->rollback();
    other.roll_back();
    require(own.begin(work_kind::write) == step_result::done, "the session serves on");
}

void statement_that_does_not_end(conformance_fixture& fixture, const path& file) {
    database other{file};
    other.execute("DROP VIEW IF EXISTS own_endless");
    other.execute("CREATE VIEW own_endless AS WITH RECURSIVE n (id) AS "
                  "(SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n");
    const auto endless = template_of("own_endless").build();
    worker own{fixture};
    testing::operations ops;
    ops.count(endless);
    require(own.begin(work_kind::read, 50ms) == step_result::done, "a unit begins");
    require(own.run(ops) == step_result::expired, "it ends with its deadline");
    own.session->rollback();
    require(own.session->alive(core::deadline::after(10s)), "the session serves on");
}

void value_that_others_stored(conformance_fixture& fixture, const path& file) {
    const auto notes = template_of("own_notes").build();
    fixture.prepare(notes);
    database{file}.execute("INSERT INTO own_notes (id, extra) VALUES (1, '{'), (2, '{}')");
    worker own{fixture};
    testing::operations ops;
    ops.fetch(notes, {1});
    ops.fetch(notes, {2});
    require(own.begin(work_kind::read) == step_result::done, "a unit begins");
    require(own.run(ops) == step_result::done, "the group runs");
    require(own.results[0].code == core::code::internal && own.results[0].field == "extra",
            "what is not JSON never comes into a reply");
    require(own.results[1].ok() && own.rows.of(1).rows.size() == 1, "its neighbour is read");
}

void table_that_does_not_fit(conformance_fixture& fixture, const path& file) {
    const auto notes = template_of("own_notes").build();
    const auto nowhere = template_of("own_nowhere").build();
    const auto narrow = template_of("own_narrow").build();
    fixture.prepare(notes);
    database{file}.execute("CREATE TABLE IF NOT EXISTS own_narrow (id INT PRIMARY KEY)");
    worker own{fixture};
    testing::operations ops;
    ops.insert(nowhere, {{"id", 1}});
    ops.count(narrow).where("about", 1);
    ops.insert(notes, {{"id", 1}});
    require(own.begin(work_kind::write) == step_result::done, "a unit begins");
    require(own.run(ops) == step_result::done, "the group runs");
    require(own.session->commit() == commit_result::applied, "it is committed");
    require(own.results[0].code == core::code::internal, "the table is not there");
    require(own.results[1].code == core::code::internal, "the column is not there");
    require(own.results[2].ok(), "their neighbour is inserted");
}

void rule_that_is_checked_at_the_end(conformance_fixture& fixture, const path& file) {
    database other{file};
    other.execute("DROP TABLE IF EXISTS own_replies");
    other.execute("CREATE TABLE own_replies (id INT NOT NULL PRIMARY KEY, extra TEXT, about INT "
                  "REFERENCES own_replies (id) DEFERRABLE INITIALLY DEFERRED) STRICT");
    const auto replies = template_of("own_replies").build();
    worker own{fixture};
    testing::operations ops;
    ops.insert(replies, {{"id", 1}, {"about", 2}});
    require(own.begin(work_kind::write) == step_result::done, "a unit begins");
    require(own.run(ops) == step_result::done && own.results[0].ok(), "nothing is checked yet");
    require(own.session->commit() == commit_result::none, "it is certainly not committed");
    require(own.session->usable(), "the session serves on");
    auto left = other.prepare("SELECT count(*) FROM own_replies");
    require(left.step() && left.integer(0) == 0, "nothing is there");
}

void file_that_is_not_there(conformance_fixture& /*fixture*/, const path& file) {
    auto elsewhere = file;
    elsewhere += ".misspelt";
    const auto adapter = beds_sqlite::make_sqlite("rel", {.file = elsewhere});
    const auto session = adapter->open_session(quiet());
    try {
        session->connect(core::deadline::after(10s));
    } catch (const core::error& told) {
        require(told.code() == core::errc::refused, "a person is needed");
        require(!session->usable() && !exists(elsewhere), "no database was made of it");
        return;
    }
    require(false, "it cannot be opened");
}

} // namespace

std::vector<testing::conformance_case> own_cases(const path& file) {
    std::vector<testing::conformance_case> all;
    const auto add = [&](const char* name, auto run) {
        all.push_back({name, [run, file](conformance_fixture& fixture) { run(fixture, file); }});
    };
    add("SQLite: a lock that does not come", lock_that_does_not_come);
    add("SQLite: a statement that does not end", statement_that_does_not_end);
    add("SQLite: a value that others stored", value_that_others_stored);
    add("SQLite: a table that does not fit", table_that_does_not_fit);
    add("SQLite: a rule that is checked at the end", rule_that_is_checked_at_the_end);
    add("SQLite: a file that is not there", file_that_is_not_there);
    return all;
}
