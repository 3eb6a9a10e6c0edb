#pragma once

#include <chrono>
#include <csignal>

namespace bedsd {

/// SIGTERM, SIGINT and SIGHUP, taken one after the other by one thread instead of interrupting any.
/// Make it before threads are started: they inherit that these signals are blocked.
class signal_queue {
public:
    signal_queue();
    /// The next signal, or 0 after `longest`.
    [[nodiscard]] int next(std::chrono::milliseconds longest) const;
    /// From now on a SIGINT ends the process at once: whoever presses Ctrl-C twice means it.
    static void let_interrupt_through();

private:
    sigset_t taken_{};
};

} // namespace bedsd
