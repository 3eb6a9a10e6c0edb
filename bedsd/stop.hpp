#pragma once

#include <beds/node/node.hpp>
#include <beds/observe/log.hpp>

#include <chrono>

namespace bedsd {

/// The orderly stop, told in the log. When the time is over with work left, or at another signal,
/// it ends the process with exit code 1 (`failure`) and does not return.
void stop_in_order(beds::node::node& node, std::chrono::milliseconds drain_timeout,
                   const beds::observe::log_sink& log);

} // namespace bedsd
