#include "status.hpp"

#include "connect.hpp"
#include "print.hpp"

#include <beds/config/load.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/error.hpp>
#include <beds/core/json.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <ostream>

namespace bedsctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using beds::core::datum;
using failure = boost::system::error_code;

constexpr const char* usual_address = "127.0.0.1:9464";
constexpr std::uint64_t largest_page = 256ULL * 1024 * 1024;

std::string text_of(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr ? std::string{} : cell_text(*found);
}

bool is_true(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found != nullptr && found->is(datum::kind::boolean) && found->boolean;
}

std::span<const datum> items_of(const datum& from, std::string_view name) {
    const auto* found = from.find(name);
    return found == nullptr ? std::span<const datum>{} : found->items();
}

void print_dependencies(std::ostream& out, const datum& page) {
    std::vector<std::vector<std::string>> lines;
    for (const auto& one : items_of(page, "dependencies")) {
        const bool ready = is_true(one, "ready");
        lines.push_back({text_of(one, "name"),
                         ready                      ? "ready"
                         : is_true(one, "required") ? "MISSING"
                                                    : "missing, optional",
                         text_of(one, "reason")});
    }
    print_table(out, {"dependency", "state", "reason"}, lines);
}

/// What came of the last reload, if there was one.
void print_reload(std::ostream& out, const datum& page) {
    const auto* reload = page.find("reload");
    if (reload == nullptr) {
        return;
    }
    print_table(out, {"last reload", "templates"},
                {{text_of(*reload, "last"), text_of(*reload, "text")}});
    for (const auto& one : items_of(*reload, "problems")) {
        out << "  " << cell_text(one) << '\n';
    }
    out << '\n';
}

void print_traffic(std::ostream& out, const datum& page) {
    const std::vector<std::string> figures{"received", "replied_ok", "rejected", "unknown",
                                           "dead",     "requeued",   "in_flight"};
    std::vector<std::string> head{"template"};
    head.insert(head.end(), figures.begin(), figures.end());
    std::vector<std::vector<std::string>> lines;
    for (const auto& one : items_of(page, "templates")) {
        auto name = text_of(one, "template");
        if (name.empty() && text_of(one, "received") == "0") {
            continue;
        }
        std::vector<std::string> line{name.empty() ? "(none)" : std::move(name)};
        for (const auto& figure : figures) {
            line.push_back(text_of(one, figure));
        }
        lines.push_back(std::move(line));
    }
    print_table(out, head, lines);
}

void print_queues(std::ostream& out, const datum& page) {
    std::vector<std::vector<std::string>> lines;
    for (const auto& one : items_of(page, "queues")) {
        lines.push_back({text_of(one, "queue"), text_of(one, "service"), text_of(one, "messages"),
                         text_of(one, "consumers")});
    }
    if (!lines.empty()) {
        out << '\n';
        print_table(out, {"queue", "service", "messages", "consumers"}, lines);
    }
}

} // namespace

std::string admin_address(const options& given) {
    std::string address = given.admin;
    if (address.empty() && !given.connection.config.empty()) {
        address = load(given.connection.config).admin.listen;
        if (address.empty()) {
            throw usage_error(given.connection.config.string() +
                              ": admin.listen is not set, so the node serves no pages");
        }
    }
    if (address.empty()) {
        address = usual_address;
    }
    if (!beds::config::parse_listen(address)) {
        throw usage_error("'" + address + "' is no address with a port, such as " + usual_address);
    }
    return address;
}

std::string fetch_status(const std::string& address, std::chrono::milliseconds longest) {
    const auto place = beds::config::parse_listen(address).value();
    asio::io_context context;
    beast::tcp_stream stream{context};
    beast::flat_buffer buffer;
    http::request<http::empty_body> request{http::verb::get, "/status", 11};
    request.set(http::field::host, address);
    http::response_parser<http::string_body> parser;
    parser.body_limit(largest_page);
    failure result = beast::error::timeout;
    stream.expires_after(longest);
    stream.async_connect(asio::ip::tcp::endpoint{asio::ip::make_address(place.address), place.port},
                         [&](failure failed) {
                             result = failed;
                             if (failed) {
                                 return;
                             }
                             http::async_write(stream, request, [&](failure unsent, std::size_t) {
                                 result = unsent;
                                 if (unsent) {
                                     return;
                                 }
                                 http::async_read(
                                     stream, buffer, parser,
                                     [&](failure unread, std::size_t) { result = unread; });
                             });
                         });
    context.run();
    if (result) {
        throw beds::core::error(beds::core::errc::unreachable,
                                "no node answers at http://" + address + "/status (" +
                                    result.message() +
                                    "); is `listen` set in [admin] of its configuration?");
    }
    if (parser.get().result() != http::status::ok) {
        throw beds::core::error(beds::core::errc::protocol,
                                "http://" + address + "/status is no page of a node");
    }
    return parser.release().body();
}

exit_code print_status(std::ostream& out, std::string_view page, format how) {
    beds::core::arena memory;
    datum read;
    if (beds::core::parse_json(page, memory, read) || read.find("ready") == nullptr) {
        return exit_code::unknown;
    }
    const bool ready = is_true(read, "ready");
    if (how == format::json) {
        out << page;
    } else {
        out << (ready                   ? "ready\n\n"
                : is_true(read, "live") ? "live, not ready\n\n"
                                        : "not live\n\n");
        for (const auto& one : items_of(read, "stuck")) {
            out << "stuck: " << cell_text(one) << "\n\n";
        }
        print_dependencies(out, read);
        out << '\n';
        print_reload(out, read);
        print_traffic(out, read);
        print_queues(out, read);
    }
    return ready ? exit_code::ok : exit_code::refused;
}

} // namespace bedsctl
