#pragma once

#include <chrono>
#include <csignal>

namespace bedsd {

/// SIGTERM, SIGINT, SIGHUP and SIGUSR1, taken one after the other by one thread instead of
/// interrupting any. Make it before threads are started: they inherit that these signals are
/// blocked.
class signal_queue {
public:
    signal_queue();
    /// The next signal, or 0 after `longest`.
    [[nodiscard]] int next(std::chrono::milliseconds longest) const;
    /// From now on SIGTERM and SIGINT end the process at once, with exit_code::failure: whoever
    /// asks twice means it. What is under way is delivered again to somebody else. Standard error
    /// gets a line about it, if it takes one without waiting.
    static void end_at_the_next();

private:
    sigset_t taken_{};
};

} // namespace bedsd
