#pragma once

#include <string>
#include <string_view>

namespace bedsd {

/// Tells the service manager how the node is (sd_notify). Does nothing without NOTIFY_SOCKET and in
/// a build without libsystemd. Call from one thread.
class service_notifier {
public:
    /// What `systemctl status` shows; sent only when it changed.
    void status(std::string_view text);
    /// The node is ready to serve for the first time; later calls do nothing.
    void ready();
    /// An orderly stop has begun.
    void stopping();
    /// The control loop is alive (WatchdogSec of the unit).
    void alive();

private:
    std::string last_status_;
    bool ready_sent_ = false;
};

} // namespace bedsd
