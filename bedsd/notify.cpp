#include "notify.hpp"

#if BEDSD_WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace bedsd {
namespace {

void send(const std::string& state) {
#if BEDSD_WITH_SYSTEMD
    (void)::sd_notify(0, state.c_str());
#else
    (void)state;
#endif
}

} // namespace

void service_notifier::status(std::string_view text) {
    if (text == last_status_) {
        return;
    }
    last_status_ = text;
    std::string line = "STATUS=" + last_status_;
    // A line break would begin another assignment.
    for (char& c : line) {
        c = c == '\n' ? ' ' : c;
    }
    send(line);
}

void service_notifier::ready() {
    if (!ready_sent_) {
        ready_sent_ = true;
        send("READY=1");
    }
}

void service_notifier::stopping() {
    send("STOPPING=1");
}

void service_notifier::alive() {
    send("WATCHDOG=1");
}

} // namespace bedsd
