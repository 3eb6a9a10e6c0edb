#include "status.hpp"

namespace bedsd {
namespace {

std::string away(const beds::node::node_status& status, bool required) {
    std::string text;
    for (const auto& each : status.dependencies) {
        if (!each.ready && each.required == required) {
            text += (text.empty() ? "" : "; ") + each.name;
            if (!each.trouble.empty()) {
                text += ": " + each.trouble;
            }
        }
    }
    return text;
}

} // namespace

std::string missing_text(const beds::node::node_status& status) {
    return away(status, true);
}

std::string status_text(const beds::node::node_status& status) {
    if (!status.stuck.empty()) {
        std::string text = "stuck:";
        for (const auto& each : status.stuck) {
            text += ' ' + each;
        }
        return text;
    }
    if (!status.live) {
        return "stopped";
    }
    if (!status.ready) {
        const auto missing = missing_text(status);
        return missing.empty() ? "live, not ready" : "live, not ready: " + missing;
    }
    const auto optional = away(status, false);
    const auto& reload = status.reload;
    return (optional.empty() ? "ready" : "ready; without " + optional) +
           (reload.at && reload.last.result == beds::node::reload_result::refused
                ? "; the last reload was refused, the templates of before are in force"
                : "");
}

} // namespace bedsd
