#include "configuration.hpp"

#include <exception>
#include <string>

namespace bedsd {

beds::config::load_result load(const options& options) {
    return beds::config::load(
        {.base = options.config, .overlay = options.overlay, .overrides = options.overrides});
}

void compare_configuration(const options& options, const beds::config::settings& running,
                           const beds::observe::log_sink& log) {
    const auto warn = [&](const std::string& text) {
        log.write(beds::observe::level::warning, "BEDSD_CONFIGURATION", "bedsd", text);
    };
    try {
        const auto now = load(options);
        if (!now.ok()) {
            warn("a reload does not read the configuration, and a restart would refuse it: " +
                 to_string(now.problems));
        } else if (!(now.settings == running)) {
            warn("the configuration says something else than at the start: that takes a restart "
                 "(bedsd --print-config shows what it says now)");
        }
    } catch (const std::exception& failed) { // the node serves by what it has read
        warn(failed.what());
    }
}

} // namespace bedsd
