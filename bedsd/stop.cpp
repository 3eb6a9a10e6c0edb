#include "stop.hpp"

#include "exit_code.hpp"
#include "signals.hpp"

#include <beds/core/deadline.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace bedsd {

using beds::observe::level;

namespace {

std::uint64_t finished(const beds::node::node& node) {
    std::uint64_t operations = 0;
    for (const auto& one : node.status().brokers) {
        operations += one.operations;
    }
    return operations;
}

std::string how_it_ended(std::chrono::steady_clock::time_point since, std::uint64_t before,
                         std::uint64_t now) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - since);
    return "after " + std::to_string(took.count()) + " ms; finished " +
           std::to_string(now - before) + " operation(s) meanwhile, " + std::to_string(now) +
           " since the start";
}

} // namespace

void stop_in_order(beds::node::node& node, std::chrono::milliseconds drain_timeout,
                   const beds::observe::log_sink& log) {
    log.write(level::info, "BEDSD_STOP", "bedsd", "finishing what is at hand");
    signal_queue::end_at_the_next();
    const auto began = std::chrono::steady_clock::now();
    const auto before = finished(node);
    const bool all = node.stop(beds::core::deadline::after(drain_timeout));
    const auto how = how_it_ended(began, before, finished(node));
    if (!all) {
        log.write(level::warning, "BEDSD_DRAIN_TIMEOUT", "bedsd",
                  "admin.drain_timeout is over; unfinished requests are delivered again; ended " +
                      how);
        // The end of the node would wait for what the databases still do for it.
        std::_Exit(static_cast<int>(exit_code::failure));
    }
    log.write(level::info, "BEDSD_ENDED", "bedsd", "ended " + how);
}

} // namespace bedsd
