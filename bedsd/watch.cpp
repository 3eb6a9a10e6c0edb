#include "watch.hpp"

#include "status.hpp"

#include <beds/core/deadline.hpp>

#include <chrono>
#include <csignal>

namespace bedsd {

using beds::core::deadline;
using beds::observe::level;

exit_code watch(beds::node::node& node, const beds::config::admin_settings& admin,
                const beds::observe::log_sink& log, const signal_queue& signals,
                service_notifier& notifier, const std::function<void()>& look_at_configuration) {
    // Well within the service manager's watchdog; brokers that are at a batch follow by themselves.
    constexpr std::chrono::seconds longest_reload{5};
    const auto give_up =
        admin.start_timeout ? deadline::after(*admin.start_timeout) : deadline::never();
    bool was_ready = false;
    bool was_stuck = false;
    for (int taken = 0; taken != SIGTERM && taken != SIGINT;
         taken = signals.next(std::chrono::milliseconds{250})) {
        if (taken == SIGHUP) {
            look_at_configuration();
            node.reload_templates(deadline::after(longest_reload)); // says in the log what it did
        } else if (taken == SIGUSR1) {
            node.replace_brokers(); // returns at once, and says in the log what comes of it
        }
        const auto status = node.status();
        notifier.status(status_text(status));
        if (status.stuck.empty()) {
            notifier.alive();
        } else if (!was_stuck) { // the service manager's watchdog takes it from here
            log.write(level::error, "BEDSD_STUCK", "bedsd", status_text(status));
            was_stuck = true;
        }
        if (status.ready) {
            notifier.ready();
            was_ready = true;
        } else if (!was_ready && give_up.expired()) {
            log.write(level::error, "BEDSD_START_TIMEOUT", "bedsd",
                      "admin.start_timeout is over, still missing: " + missing_text(status));
            return exit_code::unreachable;
        }
    }
    return exit_code::ok;
}

} // namespace bedsd
