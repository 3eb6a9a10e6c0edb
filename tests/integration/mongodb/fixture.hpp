#pragma once

#include "support/servers.hpp"

#include <beds/adapters/mongodb.hpp>
#include <beds/core/arena.hpp>
#include <beds/testing/make.hpp>
#include <beds/testing/recording_sink.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// Helpers of the MongoDB tests: a database of their own, raw commands behind the adapter's back,
/// and units of work.
namespace beds::test::mongodb {

config::rec_service_settings settings_for(const std::string& uri, const std::string& database);

/// A plain client of the server, to prepare and to look at what is really stored.
class raw_database {
public:
    raw_database(const std::string& uri, std::string name);
    ~raw_database(); ///< drops the database
    raw_database(const raw_database&) = delete;
    raw_database& operator=(const raw_database&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    /// Runs a command given as Extended JSON and returns the reply as Extended JSON (canonical).
    /// Throws std::runtime_error when the server refuses it.
    std::string run(const std::string& command);
    /// Drops it, if it is there.
    void forget(const std::string& collection);
    /// Drops and makes it, with a unique index on the key unless that is `_id`, and the unique
    /// indexes of the template.
    void make(const templates::template_def& target);
    /// The indexes that a node looks for, of a template's text.
    void make_indexes(const std::string& template_text);
    /// The stored documents in order of insertion, as canonical Extended JSON.
    std::vector<std::string> documents(const std::string& collection);

private:
    struct impl;
    std::unique_ptr<impl> impl_;
    std::string name_;
};

/// What a unit of work answered.
struct answer {
    testing::recording_sink sink;
    std::vector<core::outcome> outcomes;
    adapters::step_result step = adapters::step_result::done;

    [[nodiscard]] const testing::recorded_result& of(const testing::operation_maker& op) const {
        return sink.of(op.index());
    }
    [[nodiscard]] const core::outcome& outcome(const testing::operation_maker& op) const {
        return outcomes.at(op.index());
    }
};

/// One unit of work of one group, committed when it says done.
answer run(adapters::session& session, testing::operations& ops,
           core::deadline until = core::deadline::after(std::chrono::seconds{10}));

std::string text_of(const core::outcome& outcome);

} // namespace beds::test::mongodb
