#include "signals.hpp"

#include <ctime>

namespace bedsd {

signal_queue::signal_queue() {
    sigemptyset(&taken_);
    for (const int each : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&taken_, each);
    }
    ::pthread_sigmask(SIG_BLOCK, &taken_, nullptr);
    // A peer that is gone is an error of the write that meets it, not the end of the process.
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN; // NOLINT(cppcoreguidelines-pro-type-cstyle-cast)
    ::sigaction(SIGPIPE, &ignore, nullptr);
}

int signal_queue::next(std::chrono::milliseconds longest) const {
    const timespec wait{longest.count() / 1000, (longest.count() % 1000) * 1'000'000};
    const int taken = ::sigtimedwait(&taken_, nullptr, &wait);
    return taken > 0 ? taken : 0;
}

void signal_queue::let_interrupt_through() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    ::pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
}

} // namespace bedsd
