#pragma once

#include "support/catch.hpp"
#include "support/counters.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

/// Callers under whom servers stop, die and freeze, and what they were told, compared with what
/// is in the tables.
namespace beds::test {

using namespace std::chrono_literals;

/// How late this machine wakes a thread at the moment: what no program can be blamed for.
class lateness {
public:
    lateness()
        : thread_([this] {
              while (!stop_) {
                  const auto due = std::chrono::steady_clock::now() + 10ms;
                  std::this_thread::sleep_until(due);
                  const auto late = std::chrono::steady_clock::now() - due;
                  if (late > most_.load()) {
                      most_ = late;
                  }
              }
          }) {}
    ~lateness() {
        stop_ = true;
        thread_.join();
    }
    /// For a chain of two threads: the one that notices a deadline and the caller that it wakes.
    [[nodiscard]] std::chrono::milliseconds most() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(2 * most_.load());
    }

private:
    std::atomic<bool> stop_{false};
    std::atomic<std::chrono::steady_clock::duration> most_{std::chrono::steady_clock::duration{0}};
    std::thread thread_;
};

/// What callers were told.
struct history {
    std::mutex mutex;
    std::set<std::string> acknowledged; ///< both operations applied
    std::set<std::string> refused;      ///< effect none at the first attempt, and given up
    std::map<std::string, int> codes;   ///< how often each was seen
    std::chrono::milliseconds latest{-1'000'000}; ///< of all calls: how long after its deadline
    int unavailable_without_retry_after = 0;
    int sent_again = 0;
    std::string wrong;

    [[nodiscard]] std::string text() {
        const std::lock_guard lock{mutex};
        std::string made = "acknowledged " + std::to_string(acknowledged.size()) + ", given up " +
                           std::to_string(refused.size()) + ", sent again " +
                           std::to_string(sent_again) + ", latest " +
                           std::to_string(latest.count()) + " ms;";
        for (const auto& [code, count] : codes) {
            made += " " + code + " " + std::to_string(count);
        }
        return made + "\n" + wrong;
    }
    [[nodiscard]] std::size_t done() {
        const std::lock_guard lock{mutex};
        return acknowledged.size();
    }
};

/// Callers that write without a pause: each request a mark with the request's id and a counter
/// raised by one. What is not answered for good is sent again with its id.
class callers {
public:
    enum class giving_up { never, sometimes };

    callers(const running_node& node, history& told, int count, giving_up habit,
            std::chrono::milliseconds patience = 1s)
        : told_(told), habit_(habit), patience_(patience) {
        for (int i = 0; i < count; ++i) {
            clients_.push_back(node.new_client());
        }
        for (int i = 0; i < count; ++i) {
            threads_.emplace_back([this, i] { run(i); });
        }
    }
    /// Every caller ends the request that it is at.
    void finish() {
        stop_ = true;
        for (auto& one : threads_) {
            one.join();
        }
        threads_.clear();
    }
    ~callers() {
        abandon_ = true;
        finish();
    }
    /// Waits until that many more requests were acknowledged.
    bool wait_for(std::size_t more, std::chrono::seconds within = 20s) const {
        const auto goal = told_.done() + more;
        const auto until = core::deadline::after(within);
        while (told_.done() < goal) {
            if (until.expired()) {
                return false;
            }
            std::this_thread::sleep_for(5ms);
        }
        return true;
    }

private:
    void run(int number) {
        auto& through = *clients_[static_cast<std::size_t>(number)];
        for (int i = 0; !stop_; ++i) {
            const auto id = std::to_string(number) + "-" + std::to_string(i);
            client::request request{
                std::vector<client::operation>{client::insert("marks", {{"id", id}, {"value", 1}}),
                                               raise(number * 3 + i % 3 + 1)}};
            request.id = id;
            for (int attempt = 0; !abandon_; ++attempt) {
                const auto begin = std::chrono::steady_clock::now();
                const auto got = through.call(request, patience_);
                const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::steady_clock::now() - begin);
                if (note(id, got, took, attempt == 0 && i % 3 == 0)) {
                    break;
                }
                std::this_thread::sleep_for(20ms);
            }
        }
    }

    /// True when the request needs no other attempt.
    bool note(const std::string& id, const client::reply& got, std::chrono::milliseconds took,
              bool may_give_up) {
        const std::lock_guard lock{told_.mutex};
        told_.latest = std::max(told_.latest, took - patience_);
        std::size_t applied = 0;
        std::size_t none = 0;
        bool again = false;
        for (std::size_t i = 0; i < got.size(); ++i) {
            const auto one = got[i];
            applied += one.effect() == core::effect::applied ? 1U : 0U;
            none += one.effect() == core::effect::none ? 1U : 0U;
            if (one.ok()) {
                continue;
            }
            ++told_
                  .codes[std::string{one.code_text()} + "/" + std::string{to_string(one.effect())}];
            again = again || one.retryable() || one.effect() == core::effect::unknown ||
                    one.code() == core::code::deadline_exceeded;
            if (one.code() == core::code::backend_unavailable &&
                one.effect() == core::effect::none && one.retry_after() <= 0ms) {
                ++told_.unavailable_without_retry_after;
            }
        }
        if (got.size() == 2 && applied == 2) {
            told_.acknowledged.insert(id);
            return true;
        }
        if (!again) {
            told_.wrong += id + ": " + got.json().substr(0, 300) + "\n";
            return true;
        }
        if (habit_ == giving_up::sometimes && may_give_up && none == got.size()) {
            told_.refused.insert(id);
            return true;
        }
        ++told_.sent_again;
        return false;
    }

    history& told_;
    giving_up habit_;
    std::chrono::milliseconds patience_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> abandon_{false};
    std::vector<std::unique_ptr<client::client>> clients_;
    std::vector<std::thread> threads_;
};

/// Acknowledged is applied, refused is not, and nothing happened twice.
inline void check_effects(const database& data, history& told) {
    std::set<std::string> there;
    const auto rows = data.sql("SELECT id FROM marks");
    for (std::size_t at = 0; at < rows.size();) {
        const auto end = std::min(rows.find('\n', at), rows.size());
        there.insert(rows.substr(at, end - at));
        at = end + 1;
    }
    const std::lock_guard lock{told.mutex};
    CHECK(told.wrong.empty());
    CHECK(told.unavailable_without_retry_after == 0);
    CHECK(there == told.acknowledged); // so no refused one either
    CHECK(data.number("SELECT SUM(value) FROM counters") ==
          static_cast<long long>(told.acknowledged.size()));
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") ==
          2 * static_cast<long long>(told.acknowledged.size()));
}

} // namespace beds::test
