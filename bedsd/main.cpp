// bedsd: reads the configuration, builds a node, waits for a signal, stops the node.

#include "log.hpp"
#include "options.hpp"
#include "watch.hpp"

#if BEDS_WITH_ADMIN
#include <beds/admin/server.hpp>
#endif
#include <beds/config/load.hpp>
#include <beds/core/deadline.hpp>
#include <beds/core/error.hpp>
#include <beds/node/node.hpp>
#if BEDS_WITH_MARIADB
#include <beds/adapters/mariadb.hpp>
#endif
#if BEDS_WITH_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <string>

namespace {

using beds::core::deadline;
using beds::observe::level;
using bedsd::exit_code;

void register_engines([[maybe_unused]] beds::node::node& node) {
    using beds::config::settings;
    using beds::templates::engine;
#if BEDS_WITH_MARIADB
    node.register_engine(engine::rel, [](const std::string& name, const settings& all) {
        return beds::adapters::make_mariadb(name, all.rel_services.at(name));
    });
#endif
#if BEDS_WITH_MONGODB
    node.register_engine(engine::rec, [](const std::string& name, const settings& all) {
        return beds::adapters::make_mongodb(name, all.rec_services.at(name));
    });
#endif
}

exit_code check_only(const beds::config::settings& settings) {
    beds::node::node node{settings}; // without a log: the report says it all
    register_engines(node);
    for (const auto& step : node.check()) { // throws for what would stop a start
        std::cout << to_string(step) << '\n';
    }
    return exit_code::ok;
}

std::uint64_t finished(const beds::node::node& node) {
    std::uint64_t operations = 0;
    for (const auto& one : node.status().brokers) {
        operations += one.operations;
    }
    return operations;
}

/// How an orderly stop went.
std::string how_it_ended(std::chrono::steady_clock::time_point since, std::uint64_t before,
                         std::uint64_t now) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - since);
    return "after " + std::to_string(took.count()) + " ms; finished " +
           std::to_string(now - before) + " operation(s) meanwhile, " + std::to_string(now) +
           " since the start";
}

beds::config::load_result load(const bedsd::options& options) {
    return beds::config::load(
        {.base = options.config, .overlay = options.overlay, .overrides = options.overrides});
}

/// A reload is one of templates alone. Who expects more of it shall know.
void compare_configuration(const bedsd::options& options, const beds::config::settings& running,
                           const beds::observe::log_sink& log) {
    const auto warn = [&](const std::string& text) {
        log.write(level::warning, "BEDSD_CONFIGURATION", "bedsd", text);
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
    log.write(level::info, "BEDSD_STOP", "bedsd", "finishing what is at hand");
    bedsd::signal_queue::end_at_the_next();
    const auto began = std::chrono::steady_clock::now();
    const auto before = finished(node);
    const bool all = node.stop(deadline::after(admin.drain_timeout));
    const auto how = how_it_ended(began, before, finished(node));
    if (!all) {
        log.write(level::warning, "BEDSD_DRAIN_TIMEOUT", "bedsd",
                  "admin.drain_timeout is over; unfinished requests are delivered again; ended " +
                      how);
        // The end of the node would wait for what the databases still do for it.
        std::_Exit(static_cast<int>(exit_code::failure));
    }
    log.write(level::info, "BEDSD_ENDED", "bedsd", "ended " + how);
    return result;
}

exit_code run(const bedsd::options& options) {
    const auto loaded = load(options);
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
    register_engines(node);
    return serve(node, loaded.settings.admin, log, signals,
                 [&] { compare_configuration(options, loaded.settings, log); });
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
