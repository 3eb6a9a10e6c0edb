#pragma once

#include "exit_code.hpp"
#include "notify.hpp"
#include "signals.hpp"

#include <beds/config/settings.hpp>
#include <beds/node/node.hpp>
#include <beds/observe/log.hpp>

#include <functional>

namespace bedsd {

/// Tells the service manager and the log how a started node is, reloads its templates on SIGHUP
/// (then `look_at_configuration` is called, too) and replaces its brokers on SIGUSR1, until SIGTERM
/// or SIGINT asks for the end (`ok`), or `start_timeout` is over and it was never ready
/// (`unreachable`).
exit_code watch(beds::node::node& node, const beds::config::admin_settings& admin,
                const beds::observe::log_sink& log, const signal_queue& signals,
                service_notifier& notifier, const std::function<void()>& look_at_configuration);

} // namespace bedsd
