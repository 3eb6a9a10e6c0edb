#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/core/deadline.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/registry.hpp>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace beds::node {

/// Compares the templates of one database with what the database holds: when the node starts, after
/// a reload, when the database comes back after it was away, and when it refuses something because
/// it is not as a template has it. While something does not fit it is looked at again after three
/// seconds at most. In a thread of its own, with a session of its own that lives as long as one
/// comparison: brokers wait for none of it.
class schema_check {
public:
    struct served {
        std::shared_ptr<const templates::template_def> target; ///< owns its registry
        core::op_class highest = core::op_class::bulk;         ///< that brokers here run on it
    };
    /// What the last comparison that came to its end found.
    struct verdict {
        bool compared = false;
        std::uint64_t generation = 0; ///< which templates: as given to `change`, first 0
        std::size_t templates = 0;    ///< that were compared
        std::string trouble;          ///< why the last one did not come to its end; empty: it did
        /// Errors, as lines for people: by template, and of what BEDS itself keeps there.
        std::map<std::string, std::vector<std::string>> wrong;
        std::vector<std::string> own;

        [[nodiscard]] bool fits() const { return wrong.empty() && own.empty(); }
    };

    schema_check(std::shared_ptr<adapters::adapter> in, std::vector<served> all,
                 adapters::session_context context);
    ~schema_check();
    schema_check(const schema_check&) = delete;
    schema_check& operator=(const schema_check&) = delete;

    [[nodiscard]] const std::string& connection() const { return in_->connection_name(); }

    void start();
    /// Waits until the first comparison has ended, or could not be made.
    verdict first();
    /// Compares these on the caller's thread, in this time, and says nothing in the log. What was
    /// found before it came to an end stands in the verdict even when `compared` is false.
    [[nodiscard]] verdict try_out(const std::vector<served>& news, core::deadline until) const;
    /// From now on these are its templates; they are looked at at once. `names`: what was said of
    /// these holds no more. Begins to work when it has not yet.
    void change(std::vector<served> all, const std::vector<std::string>& names,
                std::uint64_t generation);
    /// From now on: how often sessions of this database were lost and made anew, which is asked a
    /// few times a second, and who is told of each comparison that came to its end.
    void watch(std::function<std::uint64_t()> comebacks, std::function<void(const verdict&)> tell);
    /// Looks at these no more.
    void leave_out(const std::vector<std::string>& names);
    [[nodiscard]] verdict last() const;
    /// Begins nothing more.
    void end();
    /// The same, and returns when the thread has ended, seconds later at most.
    void stop();

private:
    void run();
    /// What is said of the templates, and which lines of it are errors.
    struct looked {
        verdict found;
        std::vector<std::pair<std::string, bool>> lines;
        bool refused = false; ///< the database is there, and does not let itself be looked at
    };
    /// Until `end` is called.
    [[nodiscard]] looked look_at(const std::vector<served>& all, bool own,
                                 core::deadline until) const;
    /// False: it did not come to its end, or is of templates that are not its own any more.
    bool compare();
    void begin(); ///< with the lock

    std::shared_ptr<adapters::adapter> in_;
    adapters::session_context context_;
    mutable std::mutex mutex_; // what is below
    std::condition_variable changed_;
    std::vector<served> all_;
    verdict last_;
    std::uint64_t generation_ = 0; ///< of `all_`
    bool anew_ = false;            ///< `all_` was not looked at yet
    bool tried_ = false;
    bool stopping_ = false;
    bool untold_ = false; ///< `told_` does not know `last_` yet
    std::function<std::uint64_t()> comebacks_;
    std::function<void(const verdict&)> told_;
    // Of the thread:
    std::vector<std::string> said_; ///< lines of the log: each is said once for as long as it holds
    std::string trouble_said_;
    std::thread thread_;
};

} // namespace beds::node
