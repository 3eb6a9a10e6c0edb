#include "signals.hpp"

#include "exit_code.hpp"

#include <beds/core/value.hpp>
#include <beds/observe/log.hpp>

#include <ctime>
#include <poll.h>
#include <string_view>
#include <unistd.h>

namespace bedsd {

namespace {

/// As the console's log writes it. Only what a signal handler may do: no memory, no locks; and a
/// reader of standard error who stands still does not keep the process.
void write_line() {
    char line[200];
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::size_t size = beds::core::format_datetime(
        std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000'000 * 1'000, line);
    constexpr beds::observe::log_record says{
        beds::observe::level::warning, "BEDSD_ENDED_AT_ONCE", "bedsd",
        "a second signal ends it at once; unfinished requests are delivered again"};
    for (const std::string_view part :
         {std::string_view{" warning "}, says.id, std::string_view{" "}, says.source,
          std::string_view{": "}, says.text, std::string_view{"\n"}}) {
        size += part.copy(line + size, sizeof line - size);
    }
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 0) == 1) {
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line, size);
    }
}

} // namespace

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
    end.sa_handler = [](int) {
        write_line();
        ::_exit(static_cast<int>(exit_code::failure));
    };
    sigset_t enders;
    sigemptyset(&enders);
    for (const int each : {SIGTERM, SIGINT}) {
        ::sigaction(each, &end, nullptr);
        sigaddset(&enders, each);
    }
    ::pthread_sigmask(SIG_UNBLOCK, &enders, nullptr);
}

} // namespace bedsd
