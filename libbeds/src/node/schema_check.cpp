#include "schema_check.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <utility>

namespace beds::node {

using namespace std::chrono_literals;
using severity = adapters::difference::severity;

namespace {

// A stop waits for what is under way at the server, so each step is short.
constexpr auto to_connect = 3s;
constexpr auto for_one_template = 5s;
/// Between two comparisons. While something does not fit, people wait to see that it is mended: one
/// that is cheap is made more often.
constexpr auto again = 3s;
constexpr auto soonest = 500ms;
constexpr int share_of_time = 20;
constexpr auto look = 250ms;

} // namespace

schema_check::schema_check(std::shared_ptr<adapters::adapter> in, std::vector<served> all,
                           adapters::session_context context)
    : in_(std::move(in)), context_(std::move(context)), all_(std::move(all)) {
    context_.name += " schema";
}

schema_check::~schema_check() {
    stop();
}

void schema_check::start() {
    const std::lock_guard lock{mutex_};
    begin();
}

void schema_check::begin() {
    thread_ = std::thread{[this] { run(); }};
}

schema_check::verdict schema_check::first() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return tried_ || stopping_; });
    return last_;
}

schema_check::verdict schema_check::try_out(const std::vector<served>& news,
                                            core::deadline until) const {
    return look_at(news, false, until).found;
}

void schema_check::change(std::vector<served> all, const std::vector<std::string>& names,
                          std::uint64_t generation) {
    {
        const std::lock_guard lock{mutex_};
        all_ = std::move(all);
        generation_ = generation;
        for (const auto& name : names) {
            last_.wrong.erase(name);
        }
        anew_ = true;
        if (!thread_.joinable() && !stopping_ && !all_.empty()) {
            begin();
        }
    }
    changed_.notify_all();
}

void schema_check::watch(std::function<std::uint64_t()> comebacks,
                         std::function<void(const verdict&)> tell) {
    const std::lock_guard lock{mutex_};
    comebacks_ = std::move(comebacks);
    told_ = std::move(tell);
    untold_ = last_.compared;
}

void schema_check::leave_out(const std::vector<std::string>& names) {
    const std::lock_guard lock{mutex_};
    std::erase_if(all_, [&](const served& each) {
        return std::find(names.begin(), names.end(), each.target->name) != names.end();
    });
    for (const auto& name : names) {
        last_.wrong.erase(name);
    }
}

schema_check::verdict schema_check::last() const {
    const std::lock_guard lock{mutex_};
    return last_;
}

void schema_check::end() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
}

void schema_check::stop() {
    end();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void schema_check::run() {
    std::uint64_t seen = 0;
    auto due = std::chrono::steady_clock::now();
    auto ended_at = std::chrono::steady_clock::time_point{};
    std::unique_lock lock{mutex_};
    while (!stopping_) {
        if (std::exchange(anew_, false)) {
            due = std::chrono::steady_clock::now();
        }
        const auto comebacks = comebacks_;
        if (comebacks) {
            lock.unlock();
            const auto now = comebacks() + in_->misfits();
            lock.lock();
            if (now != seen) { // often, where connections break again and again
                seen = now;
                due = std::min(due, std::max(std::chrono::steady_clock::now(), ended_at + again));
            }
        }
        const auto now = std::chrono::steady_clock::now();
        if (now >= due) {
            lock.unlock();
            const bool ended = compare();
            lock.lock();
            ended_at = std::chrono::steady_clock::now();
            const auto pause = std::clamp<std::chrono::steady_clock::duration>(
                share_of_time * (ended_at - now), soonest, again);
            untold_ = untold_ || ended;
            due = ended && last_.fits() ? std::chrono::steady_clock::time_point::max()
                                        : ended_at + pause;
            tried_ = true;
            changed_.notify_all();
        }
        if (untold_ && told_) {
            untold_ = false;
            const auto told = told_;
            const auto found = last_;
            lock.unlock();
            told(found);
            lock.lock();
        }
        changed_.wait_for(lock, look, [this] { return stopping_ || anew_; });
    }
}

schema_check::looked schema_check::look_at(const std::vector<served>& all, bool own,
                                           core::deadline until) const {
    looked made;
    auto& found = made.found;
    const auto in_time = [&](std::chrono::milliseconds limit) {
        return until.earlier(core::deadline::after(limit));
    };
    try {
        const auto session = in_->open_session(context_);
        session->connect(in_time(to_connect));
        std::vector<const templates::template_def*> targets;
        auto highest = core::op_class::read;
        for (const auto& each : all) {
            {
                const std::lock_guard lock{mutex_};
                if (stopping_) {
                    found.trouble = "the node is being stopped";
                    return made;
                }
            }
            const auto different =
                in_->compare(*session, *each.target, each.highest, in_time(for_one_template));
            if (!different) {
                continue; // an engine with nothing to compare with
            }
            targets.push_back(each.target.get());
            highest = std::max(highest, each.highest);
            for (const auto& one : *different) {
                const bool error = one.how == severity::error;
                auto line = to_string(one, *each.target);
                if (error) {
                    found.wrong[each.target->name].push_back(line);
                }
                made.lines.emplace_back(std::move(line), error);
            }
        }
        found.templates = targets.size();
        if (own) {
            for (const auto& one :
                 in_->compare_own(*session, targets, highest, in_time(for_one_template))) {
                const bool error = one.how == severity::error;
                auto line = "database " + connection() + ": " + one.text + "; " + one.advice;
                if (error) {
                    found.own.push_back(line);
                }
                made.lines.emplace_back(std::move(line), error);
            }
        }
        found.compared = true;
    } catch (const core::error& failed) {
        made.refused = failed.code() != core::errc::unreachable;
        found.trouble = failed.message() +
                        (failed.server_message().empty() ? "" : ": " + failed.server_message());
    } catch (const std::exception& failed) {
        found.trouble = failed.what();
    }
    return made;
}

bool schema_check::compare() {
    std::vector<served> all;
    std::uint64_t generation = 0;
    {
        const std::lock_guard lock{mutex_};
        all = all_;
        generation = generation_;
    }
    auto made = look_at(all, true, core::deadline::never());
    made.found.generation = generation;
    {
        const std::lock_guard lock{mutex_};
        if (generation != generation_) {
            return false;
        }
    }
    const auto& trouble = made.found.trouble;
    std::vector<std::string> said;
    for (auto& [line, error] : made.lines) {
        if (std::find(said_.begin(), said_.end(), line) == said_.end()) {
            context_.log.write(error ? observe::level::error : observe::level::warning,
                               "BEDS_SCHEMA_MISMATCH", "schema " + connection(), line);
            said_.push_back(line); // also when this did not come to its end
        }
        said.push_back(std::move(line));
    }
    if (trouble.empty()) {
        if (made.found.fits() && !last().fits()) {
            context_.log.write(observe::level::info, "BEDS_SCHEMA_FITS", "schema " + connection(),
                               "all templates fit the database again");
        }
        said_ = std::move(said);
        trouble_said_.clear();
    } else if (made.refused && trouble != trouble_said_) { // brokers say it of one that is away
        trouble_said_ = trouble;
        context_.log.write(observe::level::warning, "BEDS_SCHEMA_UNCHECKED",
                           "schema " + connection(), trouble);
    }
    const std::lock_guard lock{mutex_};
    if (generation != generation_) {
        return false;
    }
    if (!trouble.empty()) {
        last_.trouble = trouble;
        return false;
    }
    last_ = std::move(made.found);
    return true;
}

} // namespace beds::node
