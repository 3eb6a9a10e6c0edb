#include "signals.hpp"

#include "exit_code.hpp"

#include <ctime>
#include <unistd.h>

namespace bedsd {

signal_queue::signal_queue() {
    sigemptyset(&taken_);
    for (const int each : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
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

void signal_queue::end_at_the_next() {
    struct sigaction end {};
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-union-access)
    end.sa_handler = [](int) { ::_exit(static_cast<int>(exit_code::failure)); };
    sigset_t enders;
    sigemptyset(&enders);
    for (const int each : {SIGTERM, SIGINT}) {
        ::sigaction(each, &end, nullptr);
        sigaddset(&enders, each);
    }
    ::pthread_sigmask(SIG_UNBLOCK, &enders, nullptr);
}

} // namespace bedsd
