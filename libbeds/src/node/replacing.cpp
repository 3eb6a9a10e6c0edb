#include "impl.hpp"

#include <algorithm>

namespace beds::node {

using namespace std::chrono_literals;

bool node::impl::replace_brokers() {
    // Whoever stops without draining does not want brokers that may not connect, either.
    const auto patience = std::max<std::chrono::milliseconds>(given.admin.drain_timeout, 10s);
    std::vector<group> groups;
    replacement_status begun{.under_way = true, .replaced = 0, .of = 0};
    std::unique_lock lock{replacing}; // no log is written under it
    const bool possible = started && !stopping && !replacement.under_way;
    if (!possible) {
        const auto before = replacement;
        lock.unlock();
        log.write(observe::level::info, "BEDS_REPLACE_IGNORED", "node",
                  before.under_way ? "brokers are being replaced already: " + text_of(before)
                                   : "brokers are not replaced: the node does not run");
        return false;
    }
    for (const auto& role : roles) {
        for (const auto& pool : role.pools) {
            const auto count = pool->brokers().size();
            groups.push_back({pool.get(), {count, patience}});
            begun.of += count;
        }
    }
    replacement = begun;
    lock.unlock();
    log.write(observe::level::info, "BEDS_REPLACE", "node",
              "replacing " + std::to_string(begun.of) + " broker(s) of " +
                  std::to_string(groups.size()) + " group(s), one of each at a time");
    lock.lock();
    if (replacer.joinable()) {
        replacer.join(); // the last thing it did was to say that none is under way
    }
    if (stopping) {
        replacement.under_way = false;
        return false;
    }
    replacer = std::thread{[this, groups = std::move(groups)]() mutable { replace(groups); }};
    return true;
}

std::string node::impl::text_of(const replacement_status& progress) {
    return std::to_string(progress.replaced) + " of " + std::to_string(progress.of) + " replaced";
}

void node::impl::replace(std::vector<group>& groups) {
    constexpr auto look = 2ms;
    const auto began = std::chrono::steady_clock::now();
    std::unique_lock lock{replacing};
    for (bool going = true; going && !stopping;) {
        going = false;
        replacement.replaced = 0;
        for (auto& each : groups) {
            lock.unlock(); // a status does not wait for what is done here
            step(each);
            lock.lock();
            going = going || !each.order.ended();
            replacement.replaced += each.order.replaced();
        }
        if (going) {
            replacing_changed.wait_for(lock, look, [this] { return stopping.load(); });
        }
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began);
    const auto last = replacement;
    lock.unlock();
    const bool all = last.replaced == last.of;
    log.write(all ? observe::level::info : observe::level::warning, "BEDS_REPLACED", "node",
              text_of(last) + " in " + std::to_string(took.count()) + " ms" +
                  (stopping && !all ? ", then the node was stopped" : ""));
    lock.lock();
    replacement.under_way = false;
}

void node::impl::step(group& of) {
    using action = brokers::replacement::action;
    if (of.order.ended()) {
        return;
    }
    const auto seen = of.view();
    auto& broker = of.current();
    const auto& name = broker.settings().name;
    switch (of.order.next(seen, std::chrono::steady_clock::now())) {
    case action::retire:
        broker.retire();
        break;
    case action::start:
        start_anew(broker);
        break;
    case action::tell:
        log.write(observe::level::warning, "BEDS_REPLACE_LATE", name,
                  "still at a batch after admin.drain_timeout (at least 10 s); it is replaced "
                  "when that ends");
        break;
    case action::give_up:
        log.write(observe::level::error, "BEDS_REPLACE_GAVE_UP", name,
                  "does not serve after admin.drain_timeout (at least 10 s): the rest of its "
                  "group is not "
                  "replaced; RabbitMQ: " +
                      or_well(broker.amqp_trouble()) +
                      "; database: " + or_well(broker.backend_trouble()));
        break;
    case action::wait:
    case action::done:
        break;
    }
}

void node::impl::start_anew(brokers::broker& broker) const {
    try {
        broker.start();
    } catch (const std::exception& failed) { // no thread, no memory: told as not serving
        log.write(observe::level::error, "BEDS_BROKER_FAILED", broker.settings().name,
                  failed.what());
    }
}

std::string node::impl::or_well(const std::string& trouble) {
    return trouble.empty() ? "can be used" : trouble;
}

void node::impl::end_replacement() {
    {
        const std::lock_guard lock{replacing};
        stopping = true;
    }
    replacing_changed.notify_all();
    if (replacer.joinable()) {
        replacer.join();
    }
}

} // namespace beds::node
