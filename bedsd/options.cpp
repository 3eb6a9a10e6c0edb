#include "options.hpp"

#include <CLI/CLI.hpp>

#include <ostream>

namespace bedsd {
namespace {

constexpr const char* default_config = BEDSD_CONFIG_DIR "/beds.toml";

constexpr const char* footer = R"(
The environment BEDS_ENV (default: dev) chooses the overlay env_{BEDS_ENV}.toml beside FILE.
SIGTERM and SIGINT stop the node in order: it finishes and answers what is at hand. A second one ends it
at once; what it leaves is delivered again. SIGHUP reads the templates again, while the node serves; with
anything wrong in them nothing changes. SIGUSR1 replaces all brokers by fresh ones, one of each group at
a time, while the node serves.

Exit codes:
  0  ended in order, or nothing that would stop a start (--check)
  1  work was left behind (admin.drain_timeout, a second signal), or any other failure
  2  wrong command line
  3  bad configuration
  4  bad template
  5  a required server was not reached within admin.start_timeout)";

} // namespace

exit_code exit_code_of(const beds::core::error& error) {
    using beds::core::errc;
    const auto is = [&](errc code) { return error.code() == code; };
    if (is(errc::invalid_configuration)) {
        return exit_code::bad_configuration;
    }
    if (is(errc::invalid_template)) {
        return exit_code::bad_template;
    }
    if (is(errc::unreachable) || is(errc::deadline_exceeded)) {
        return exit_code::unreachable;
    }
    return exit_code::failure;
}

std::variant<options, exit_code> parse_options(int argc, const char* const* argv, std::ostream& out,
                                               std::ostream& err) {
    CLI::App app{"bedsd: a BEDS node. It serves requests from RabbitMQ against the databases that "
                 "its configuration names.",
                 "bedsd"};
    app.footer(footer);
    options chosen{.config = default_config};
    std::string overlay;
    bool check = false;
    bool print = false;
    app.add_option("-c,--config", chosen.config, "Base configuration")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option("--overlay", overlay, "Overlay to use instead of the one that BEDS_ENV chooses")
        ->type_name("FILE");
    app.add_option("--set", chosen.overrides,
                   "Override one key, for example log.level=debug; may be repeated; secrets are "
                   "refused")
        ->type_name("SECTION.KEY=VALUE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->take_all();
    auto* check_flag = app.add_flag("--check", check, "Say everything that is wrong, and end");
    app.add_flag("--print-config", print,
                 "Print the effective configuration with the origin of each value, and end")
        ->excludes(check_flag);
    app.set_version_flag("--version", std::string{"bedsd "} + BEDSD_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error, out, err) == 0 ? exit_code::ok : exit_code::usage;
    }
    if (!overlay.empty()) {
        chosen.overlay = overlay;
    }
    chosen.task = check ? task::check : print ? task::print_config : task::run;
    return chosen;
}

} // namespace bedsd
