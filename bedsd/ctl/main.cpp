// bedsctl: one question to a BEDS service, or a stream of them.

#include "check.hpp"
#include "connect.hpp"
#include "contract.hpp"
#include "explain.hpp"
#include "grants.hpp"
#include "in_process.hpp"
#include "mongodb_grants.hpp"
#include "options.hpp"
#include "print.hpp"
#include "scaffold.hpp"
#include "schema.hpp"
#include "status.hpp"
#include "stream.hpp"
#include "topology.hpp"

#include <beds/core/error.hpp>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <unistd.h>

namespace {

using bedsctl::exit_code;
using bedsctl::format;
using bedsctl::task;

std::optional<std::string> variable(const char* name) {
    const char* found = std::getenv(name);
    return found == nullptr ? std::nullopt : std::optional<std::string>{found};
}

format chosen_format(const bedsctl::options& options) {
    return options.output.value_or(::isatty(STDOUT_FILENO) != 0 ? format::table : format::json);
}

/// What was printed has to arrive.
exit_code flushed(exit_code result) {
    std::cout.flush();
    return std::cout ? result : exit_code::unknown;
}

exit_code ask(beds::client::client& client, const bedsctl::options& options,
              beds::client::request request, beds::core::deadline until) {
    const auto reply = client.call(std::move(request), until);
    const auto chosen = chosen_format(options);
    if (options.task == task::describe && reply.ok() &&
        options.described_as != bedsctl::contract_form::own) {
        std::cout << (options.described_as == bedsctl::contract_form::json_schema
                          ? bedsctl::json_schema_of(reply.json())
                          : bedsctl::asyncapi_of(
                                reply.json(),
                                bedsctl::client_settings(options.connection).queue_tag));
    } else if (chosen == format::json) {
        std::cout << reply.json() << '\n';
    } else if (options.task == task::describe && reply.ok()) {
        bedsctl::print_catalog(std::cout, reply,
                               options.described_template.empty() ? bedsctl::detail::brief
                                                                  : bedsctl::detail::full);
    } else {
        bedsctl::print_reply(std::cout, std::cerr, reply);
    }
    for (std::size_t i = 0; options.task == task::call && i < reply.size(); ++i) {
        const auto got = reply[i];
        const auto hint = got.ok() ? std::string{}
                                   : bedsctl::json_instead(options.call, got.field(), got.detail());
        if (!hint.empty()) {
            std::cerr << "  " << hint << '\n';
        }
    }
    return flushed(bedsctl::exit_code_of(reply));
}

volatile std::sig_atomic_t stop_asked = 0;

/// From now on the first Ctrl-C asks for an orderly end; the second one ends the program.
void stop_in_order() {
    struct sigaction action {};
    action.sa_handler = [](int) { stop_asked = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigemptyset(&action.sa_mask);
    for (const int one : {SIGINT, SIGTERM, SIGHUP}) {
        ::sigaction(one, &action, nullptr);
    }
}

/// `import` and `export`.
exit_code move_rows(beds::client::client& through, const bedsctl::options& options) {
    stop_in_order();
    const auto stopped = [] { return stop_asked != 0; };
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (options.task == task::import_rows) {
        auto importing = options.importing;
        importing.inbox_window = bedsctl::inbox_window(options.connection);
        importing.account = bedsctl::client_settings(options.connection).amqp.user;
        return bedsctl::run_import(through, importing, std::cerr, terminal, stopped);
    }
    auto exporting = options.exporting;
    exporting.goes_on = !options.in_process; // whose cursors end with it
    return flushed(
        bedsctl::run_export(through, exporting, std::cout, std::cerr, terminal, stopped));
}

exit_code show_status(const bedsctl::options& options) {
    const auto address = bedsctl::admin_address(options);
    const auto page = bedsctl::fetch_status(address, options.timeout);
    const auto result = bedsctl::print_status(std::cout, page, chosen_format(options));
    std::cout.flush();
    if (result == exit_code::unknown) {
        std::cerr << "bedsctl: http://" << address << "/status is no page of a node\n";
    }
    return std::cout ? result : exit_code::unknown;
}

exit_code run(const bedsctl::options& options) {
    if (options.task == task::status) {
        return show_status(options);
    }
    if (options.task == task::schema && options.grants) {
        const auto print =
            options.engine == "mongodb" ? bedsctl::print_mongodb_grants : bedsctl::print_grants;
        return flushed(print(std::cout, bedsctl::load(options.connection.config), options.account));
    }
    if (options.task == task::schema && options.indexes) {
        return flushed(bedsctl::print_indexes(std::cout, bedsctl::load(options.connection.config)));
    }
    if (options.task == task::schema) {
        std::cout << bedsctl::schema_of(options.engine);
        return flushed(exit_code::ok);
    }
    if (options.task == task::topology) {
        const auto result =
            bedsctl::print_topology(std::cout, std::cerr, bedsctl::load(options.connection.config),
                                    options.connection.service, options.topology);
        return flushed(result);
    }
    if (options.task == task::check) {
        const auto result =
            bedsctl::check(std::cout, bedsctl::load(options.connection.config), options.check,
                           beds::core::deadline::after(options.timeout));
        return flushed(result);
    }
    if (options.task == task::explain) {
        const auto result = bedsctl::explain(
            std::cout, std::cerr, bedsctl::load(options.connection.config), options.call,
            chosen_format(options), beds::core::deadline::after(options.timeout));
        return flushed(result);
    }
    if (options.task == task::scaffold) {
        const auto result =
            bedsctl::scaffold(std::cout, std::cerr, bedsctl::load(options.connection.config),
                              options.connection.service, options.scaffold,
                              beds::core::deadline::after(options.timeout));
        return flushed(result);
    }
    // Everything that can be wrong with the command line is told before anything is opened.
    beds::client::request request;
    if (options.task == task::call) {
        request = bedsctl::make_operation(options.call);
        request.id = options.id;
        request.order = options.order;
    } else if (options.task == task::describe) {
        request = beds::client::describe(options.described_template);
    }
    std::ifstream file;
    if (options.task == task::stream && options.input != "-") {
        file.open(options.input);
        if (!file || std::filesystem::is_directory(options.input)) {
            throw bedsctl::usage_error("cannot read '" + options.input + "'");
        }
    }

    if (options.in_process) {
        const bedsctl::in_process here{options.connection};
        return move_rows(*here.client, options);
    }
    const auto until = beds::core::deadline::after(options.timeout);
    const auto service = bedsctl::service_name(options.connection);
    if (options.task == task::dead_letters) {
        auto where = bedsctl::client_settings(options.connection);
        where.amqp.connection_name = "bedsctl dlq";
        auto letters = options.letters;
        letters.inbox_window = bedsctl::inbox_window(options.connection);
        letters.service = service;
        return bedsctl::handle_dead_letters(where.amqp, where.queue_tag, letters,
                                            chosen_format(options), std::cout, std::cerr, until);
    }
    const auto connection =
        bedsctl::connect(bedsctl::client_settings(options.connection), service, until);
    if (connection.client == nullptr) {
        std::cerr
            << "bedsctl: " << connection.trouble() << '\n'
            << "  --url, AMQP_URL, --config and BEDS_CONFIG say where it is (bedsctl --help)\n";
        return exit_code::unknown;
    }
    const auto explain = [&](exit_code result) {
        // Why nobody answered: the reply cannot know.
        if (const auto trouble = connection.trouble();
            result == exit_code::unknown && !trouble.empty()) {
            std::cerr << "bedsctl: " << trouble << '\n';
        }
        return result;
    };
    if (options.task == task::import_rows || options.task == task::export_rows) {
        return move_rows(*connection.client, options);
    }
    if (options.task == task::stream) {
        std::istream& in = options.input == "-" ? std::cin : file;
        return explain(
            bedsctl::run_stream(*connection.client, in, std::cout, {.timeout = options.timeout}));
    }
    const auto result = explain(ask(*connection.client, options, std::move(request), until));
    if (options.task == task::call && result != exit_code::ok) {
        const auto& op = options.call.op;
        const auto hint = beds::core::parse_verb(op) ? std::string{} : bedsctl::suggest_verb(op);
        if (!hint.empty()) {
            std::cerr << "  '" << op << "' was taken for a call of the template" << hint << '\n';
        }
    }
    return result;
}

} // namespace

int main(int argc, char** argv) {
    try {
        std::ios::sync_with_stdio(false);
        const auto parsed = bedsctl::parse_options(argc, argv, variable, std::cout, std::cerr);
        const auto* code = std::get_if<exit_code>(&parsed);
        return static_cast<int>(code != nullptr ? *code : run(std::get<bedsctl::options>(parsed)));
    } catch (const bedsctl::usage_error& wrong) {
        std::cerr << "bedsctl: " << wrong.what() << '\n';
        return static_cast<int>(exit_code::usage);
    } catch (const beds::core::error& failed) {
        std::cerr << "bedsctl: " << failed.message() << '\n';
        return static_cast<int>(failed.code() == beds::core::errc::invalid_configuration ||
                                        failed.code() == beds::core::errc::invalid_template
                                    ? exit_code::usage
                                    : exit_code::unknown);
    } catch (const std::exception& failed) {
        std::cerr << "bedsctl: " << failed.what() << '\n';
        return static_cast<int>(exit_code::unknown);
    }
}
