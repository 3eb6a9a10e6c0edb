#pragma once

#include "support/servers.hpp"

#include <beds/adapters/mariadb.hpp>
#include <beds/core/supervisor.hpp>
#include <beds/testing/make.hpp>
#include <beds/testing/recording_sink.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace beds::test {

using namespace std::chrono_literals;

/// What the adapter logged.
class heard {
public:
    observe::log_sink sink(observe::level from = observe::level::info) {
        return {from, [this](const observe::log_record& record) {
                    const std::lock_guard lock{mutex_};
                    text_ += std::string{record.id} + ' ' + std::string{record.text} + '\n';
                }};
    }
    std::string text() const {
        const std::lock_guard lock{mutex_};
        return text_;
    }
    bool has(std::string_view part) const { return text().find(part) != std::string::npos; }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

/// A database of one test case on the shared server, gone when the case ends.
class world {
public:
    world() : world(require_mariadb(), shared_servers()) {}
    world(endpoint server, const server_control& control)
        : server_(std::move(server)), control_(control), database_(unique_name()) {
        control_.mariadb_root("CREATE DATABASE " + database_ +
                              " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
        for (const char* script : {"inbox.sql", "kill.sql"}) {
            std::ifstream file{std::filesystem::path{BEDS_INBOX_SQL}.replace_filename(script)};
            sql(std::string{std::istreambuf_iterator<char>{file}, {}});
        }
        make_adapter();
    }
    ~world() {
        try {
            control_.mariadb_root("DROP DATABASE " + database_);
        } catch (const std::exception&) {
            // The server is gone: nothing to clean.
        }
    }
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    std::string sql(const std::string& text) const {
        return control_.mariadb_root("USE " + database_ + ";\n" + text);
    }
    config::rel_service_settings settings() const {
        config::rel_service_settings made;
        made.host = server_.host;
        made.port = server_.port;
        made.user = server_.user;
        made.pass = core::secret{server_.password};
        made.database = database_;
        made.coalesce = mariadb_coalesce();
        return made;
    }
    void make_adapter() { make_adapter(settings()); }
    void make_adapter(config::rel_service_settings given) {
        adapter_ = adapters::make_mariadb("rel", std::move(given));
    }
    adapters::adapter& adapter() { return *adapter_; }
    std::shared_ptr<adapters::adapter> shared_adapter() { return adapter_; }
    const std::string& database() const { return database_; }
    const server_control& control() const { return control_; }

    std::unique_ptr<adapters::session> session(std::string name = "test",
                                               observe::level from = observe::level::info) {
        auto made = adapter_->open_session(
            {.name = std::move(name), .supervisor = &supervisor_, .log = log_.sink(from)});
        made->connect(core::deadline::after(5s));
        return made;
    }
    const heard& log() const { return log_; }
    observe::log_sink log_sink() { return log_.sink(); }

private:
    endpoint server_;
    server_control control_;
    std::string database_;
    core::supervisor supervisor_;
    heard log_;
    std::shared_ptr<adapters::adapter> adapter_;
};

/// What one unit of work gave.
struct answers {
    std::vector<core::outcome> outcomes;
    testing::recording_sink rows;
    std::vector<adapters::stored_reply> known;
    adapters::step_result step = adapters::step_result::done;
    adapters::commit_result commit = adapters::commit_result::none;
    int reruns = 0;

    const core::outcome& operator[](std::size_t i) const { return outcomes[i]; }
};

/// Ids of a unit's writes: operation i has the id `prefix`i.
struct identities {
    std::string principal = "tester";
    std::vector<std::string> ids;
    adapters::lookup how = adapters::lookup::none;
};

/// Runs all operations as one unit of work, as a factory does: again after a deadlock.
inline answers run(adapters::session& session, testing::operations& work, adapters::work_kind kind,
                   const identities& who = {},
                   adapters::group_mode mode = adapters::group_mode::independent,
                   core::deadline until = core::deadline::after(10s)) {
    using namespace adapters;
    answers made;
    std::vector<operation_identity> ids;
    for (std::size_t i = 0; i < who.ids.size(); ++i) {
        ids.push_back({static_cast<core::op_index>(i), who.principal, who.ids[i],
                       core::hash(std::string_view{who.ids[i]})});
    }
    const std::string reply = R"({"status":"ok"})";
    for (;;) {
        made.outcomes.assign(work.size(), core::outcome{});
        made.rows.clear();
        made.known.clear();
        made.step = session.begin(kind, until, ids, who.how, work.memory(), made.known);
        if (made.step == step_result::done && !made.known.empty()) {
            session.rollback();
            return made;
        }
        if (made.step == step_result::done) {
            made.step = session.run(work.group(mode), made.rows, made.outcomes, work.memory());
        }
        if (made.step == step_result::done && kind == work_kind::write) {
            std::vector<sealed_reply> replies;
            replies.reserve(ids.size());
            for (const auto& id : ids) {
                replies.push_back({id, reply});
            }
            made.step = session.seal(replies);
        }
        if (made.step == step_result::done) {
            made.commit = session.commit();
            return made;
        }
        session.rollback();
        if (made.step != step_result::rerun) {
            return made;
        }
        ++made.reruns;
    }
}

inline answers read(adapters::session& session, testing::operations& work) {
    return run(session, work, adapters::work_kind::read);
}
inline answers write(adapters::session& session, testing::operations& work,
                     const identities& who = {},
                     adapters::group_mode mode = adapters::group_mode::independent) {
    return run(session, work, adapters::work_kind::write, who, mode);
}

/// As text, for comparing: rows of cells.
inline std::string text_of(const testing::recorded_result& result) {
    std::string made;
    for (const auto& row : result.rows) {
        for (const auto& cell : row.cells) {
            made += testing::to_string(cell) + ' ';
        }
        made += '\n';
    }
    return made;
}

inline templates::template_def accounts() {
    return testing::template_maker("accounts")
        .field("id", "int64")
        .field("owner", "string:40", {.indexed = true})
        .field("balance", "decimal(18,2)")
        .field("status", "enum:open,frozen,closed")
        .key({"id"})
        .unique({"owner"})
        .build();
}

inline void make_accounts(const world& here, int count) {
    here.sql("CREATE TABLE accounts (id BIGINT PRIMARY KEY, owner VARCHAR(40) NOT NULL, "
             "balance DECIMAL(18,2) NOT NULL DEFAULT 0, status VARCHAR(10), "
             "UNIQUE KEY by_owner (owner), CHECK (balance >= 0)) ENGINE=InnoDB;"
             "INSERT INTO accounts SELECT seq, CONCAT('owner', seq), 100, 'open' FROM seq_1_to_" +
             std::to_string(count));
}

} // namespace beds::test
