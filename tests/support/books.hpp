#pragma once

#include "support/catch.hpp"

#include <beds/client/client.hpp>
#include <beds/node/node.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace beds::test {

/// The books of the nodes with one tag, beside what their callers were told: of every template,
///
///     received = replied_ok + rejected + unknown + dead + requeued + in_flight
///
/// with nothing in flight once a node is idle, and what callers heard is what was counted as
/// answered. `running_node` checks them when it ends, so at the end of every test that has one.
class books {
public:
    explicit books(const std::string& tag) : shared_(of_tag(tag)) {}

    void begins() const {
        const std::lock_guard lock{shared_->mutex};
        ++shared_->nodes;
    }
    /// Messages come that no client of `counted` sends: more may be answered than they hear.
    void somebody_else_asks() const {
        const std::lock_guard lock{shared_->mutex};
        shared_->others = true;
    }
    /// The same client, with its answers noted.
    [[nodiscard]] std::unique_ptr<client::client>
    counted(std::unique_ptr<client::client> through) const {
        return std::make_unique<counting_client>(std::move(through), shared_);
    }

    /// Of a node that is about to end. Checks nothing of a test that has failed, but shows what the
    /// node had to say.
    void ends(const node::node& of, const std::string& log) const {
        if (std::uncaught_exceptions() > 0) {
            constexpr std::size_t enough = 20'000;
            std::cerr << "the node's log:\n"
                      << log.substr(log.size() - std::min(log.size(), enough)) << '\n';
            return;
        }
        INFO(log);
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{5};
        auto traffic = of.traffic();
        while (in_flight(traffic) != 0 && std::chrono::steady_clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
            traffic = of.traffic();
        }
        observe::template_traffic sum;
        for (const auto& one : traffic) {
            INFO("template '" << one.name << "': received " << one.received << ", replied_ok "
                              << one.replied_ok << ", rejected " << one.rejected << ", unknown "
                              << one.unknown << ", dead " << one.dead << ", requeued "
                              << one.requeued << ", in flight " << one.in_flight);
            CHECK(one.missing() == 0);
            CHECK(one.in_flight == 0);
            sum.add(one);
        }
        const auto brokers = of.status().brokers;
        const std::lock_guard lock{shared_->mutex};
        shared_->counted.add(sum);
        // A lost connection to RabbitMQ makes messages and replies come twice.
        shared_->calm = shared_->calm && std::all_of(brokers.begin(), brokers.end(),
                                                     [](const observe::broker_counters& one) {
                                                         return one.amqp_connects <= 1;
                                                     });
        if (--shared_->nodes == 0) {
            compare(*shared_);
        }
    }

private:
    struct account {
        std::mutex mutex;
        int nodes = 0;
        bool others = false;
        bool calm = true;
        std::uint64_t ok = 0, rejected = 0, unknown = 0; ///< operations, as callers heard
        std::uint64_t unheard = 0; ///< operations whose callers were told by their client alone
        observe::template_traffic counted;
    };

    class counting_client final : public client::client {
    public:
        counting_client(std::unique_ptr<client> through, std::shared_ptr<account> into)
            : into_(std::move(into)), through_(std::move(through)) {}
        void submit(beds::client::request what, core::deadline until, completion done) override {
            through_->submit(std::move(what), until,
                             [into = into_, done = std::move(done)](beds::client::reply got) {
                                 note(*into, got);
                                 done(std::move(got));
                             });
        }
        bool wait_ready(core::deadline until) override { return through_->wait_ready(until); }

    private:
        static void note(account& into, const beds::client::reply& got) {
            if (!got.last()) {
                return;
            }
            const std::lock_guard lock{into.mutex};
            for (std::size_t i = 0; i < got.size(); ++i) {
                const auto one = got[i];
                ++(got.event().empty()                     ? into.unheard // made by the client
                   : one.effect() == core::effect::unknown ? into.unknown
                   : one.ok()                              ? into.ok
                                                           : into.rejected);
            }
        }
        std::shared_ptr<account> into_;
        std::unique_ptr<client> through_;
    };

    static std::shared_ptr<account> of_tag(const std::string& tag) {
        static std::mutex mutex;
        static std::map<std::string, std::shared_ptr<account>> all;
        const std::lock_guard lock{mutex};
        auto& made = all[tag];
        if (made == nullptr) {
            made = std::make_shared<account>();
        }
        return made;
    }

    static std::uint64_t in_flight(const std::vector<observe::template_traffic>& of) {
        std::uint64_t sum = 0;
        for (const auto& one : of) {
            sum += one.in_flight;
        }
        return sum;
    }

    static void compare(const account& all) {
        // Clients ask for the catalog by themselves.
        std::uint64_t asked_by_clients = 0;
        for (const auto& one : all.counted.requests) {
            asked_by_clients += one.op == core::verb::describe ? one.count : 0;
        }
        const auto answered = all.counted.replied_ok + all.counted.rejected + all.counted.unknown;
        const auto heard = all.ok + all.rejected + all.unknown;
        INFO("callers heard ok " << all.ok << ", rejected " << all.rejected << ", unknown "
                                 << all.unknown << ", nothing of " << all.unheard
                                 << "; nodes counted ok " << all.counted.replied_ok << ", rejected "
                                 << all.counted.rejected << ", unknown " << all.counted.unknown
                                 << ", requeued " << all.counted.requeued << ", for the catalog "
                                 << asked_by_clients);
        // What a node could not finish may have been answered all the same.
        CHECK(heard <= answered + all.counted.requeued);
        if (all.counted.requeued == 0) {
            CHECK(all.ok <= all.counted.replied_ok);
            CHECK(all.rejected <= all.counted.rejected);
            CHECK(all.unknown <= all.counted.unknown);
        }
        if (all.calm && !all.others) {
            CHECK(answered <= heard + all.unheard + asked_by_clients);
        }
    }

    std::shared_ptr<account> shared_;
};

} // namespace beds::test
