// bedsd: reads the configuration, builds a node, waits for a signal, stops the node.

#include "configuration.hpp"
#include "engines/engines.hpp"
#include "log.hpp"
#include "options.hpp"
#include "stop.hpp"
#include "watch.hpp"

#if BEDS_WITH_ADMIN
#include <beds/admin/server.hpp>
#endif
#include <beds/core/error.hpp>
#include <beds/node/node.hpp>

#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <string>

namespace {

using bedsd::exit_code;

exit_code check_only(const beds::config::settings& settings) {
    beds::node::node node{settings}; // without a log: the report says it all
    bedsd::register_engines(node);
    for (const auto& step : node.check()) { // throws for what would stop a start
        std::cout << to_string(step) << '\n';
    }
    return exit_code::ok;
}

/// From start to orderly stop.
exit_code serve(beds::node::node& node, const beds::config::admin_settings& admin,
                const beds::observe::log_sink& log, const bedsd::signal_queue& signals,
                const std::function<void()>& look_at_configuration) {
    bedsd::service_notifier notifier;
    notifier.status("starting");
#if BEDS_WITH_ADMIN
    std::optional<beds::admin::server> pages; // listens before work begins, or work does not begin
    if (!admin.listen.empty()) {
        pages.emplace(node,
                      beds::admin::server_settings{.listen = admin.listen, .remote = admin.remote},
                      log);
    }
#else
    if (!admin.listen.empty()) {
        throw beds::core::error(beds::core::errc::invalid_configuration,
                                "admin.listen: this bedsd was built without admin pages");
    }
#endif
    node.start();
#if BEDS_WITH_ADMIN
    if (pages) {
        pages->start();
    }
#endif
    const auto result = bedsd::watch(node, admin, log, signals, notifier, look_at_configuration);
    notifier.stopping();
    notifier.status("stopping");
    bedsd::stop_in_order(node, admin.drain_timeout, log);
    return result;
}

exit_code run(const bedsd::options& options) {
    const auto loaded = bedsd::load(options);
    if (!loaded.ok()) {
        std::cerr << to_string(loaded.problems) << '\n';
        return exit_code::bad_configuration;
    }
    if (options.task == bedsd::task::print_config) {
        std::cout << print(loaded);
        return exit_code::ok;
    }
    const bedsd::signal_queue signals; // before any thread is started
    if (options.task == bedsd::task::check) {
        return check_only(loaded.settings);
    }
    const auto log = bedsd::make_log(loaded.settings.log);
    beds::node::node node{loaded.settings, log};
    bedsd::register_engines(node);
    return serve(node, loaded.settings.admin, log, signals,
                 [&] { bedsd::compare_configuration(options, loaded.settings, log); });
}

} // namespace

int main(int argc, char** argv) {
    try {
        const auto parsed = bedsd::parse_options(argc, argv, std::cout, std::cerr);
        const auto* code = std::get_if<exit_code>(&parsed);
        return static_cast<int>(code != nullptr ? *code : run(std::get<bedsd::options>(parsed)));
    } catch (const beds::core::error& error) {
        std::cerr << "bedsd: " << error.message() << '\n';
        return static_cast<int>(bedsd::exit_code_of(error));
    } catch (const std::exception& error) {
        std::cerr << "bedsd: " << error.what() << '\n';
        return static_cast<int>(exit_code::failure);
    }
}
