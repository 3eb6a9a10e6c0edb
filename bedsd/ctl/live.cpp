#include "live.hpp"

#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>

#ifdef BEDS_WITH_MARIADB
#include <beds/adapters/mariadb.hpp>
#endif
#ifdef BEDS_WITH_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif

#include <string_view>

namespace bedsctl {
namespace {

/// `host:port, …` of a connection string, without account, password and options.
[[maybe_unused]] std::string hosts_of(std::string_view uri) {
    const auto scheme = uri.find("://");
    uri.remove_prefix(scheme == std::string_view::npos ? 0 : scheme + 3);
    uri = uri.substr(0, uri.find_first_of("/?"));
    const auto account = uri.rfind('@');
    return std::string{uri.substr(account == std::string_view::npos ? 0 : account + 1)};
}

/// What a person can look at. MariaDB's numbers (server 1xxx, client 2xxx) and MongoDB's.
[[maybe_unused]] std::string_view what_to_do(const beds::core::error& why) {
    switch (why.native_code()) {
    case 2002:
    case 2003:
        return "is the server running, and are host and port (or socket) right?";
    case 2005:
        return "the name has no address: is `host` right?";
    case 1044:
    case 1049:
        return "is `database` right, is it there, and may the account use it?";
    case 18: // MongoDB
    case 1045:
    case 1698:
        return "is the password (pass, pass_env, pass_file) that of `user`, and may it log in from "
               "this machine?";
    case 2026:
        return "TLS: see its table of the service in the configuration";
    default:
        break;
    }
    return why.code() == beds::core::errc::refused
               ? "are account and password right, and may it log in from this machine?"
               : "is the server running, and are host, port and network right?";
}

[[maybe_unused]] live_database connected(const std::string& place,
                                         std::shared_ptr<beds::adapters::adapter> adapter,
                                         beds::core::deadline until) try {
    live_database made;
    made.place = place;
    made.adapter = std::move(adapter);
    made.supervisor = beds::core::supervisor::shared();
    beds::adapters::session_context context;
    context.name = "bedsctl";
    context.supervisor = made.supervisor.get();
    made.session = made.adapter->open_session(std::move(context));
    made.session->connect(until);
    return made;
} catch (const beds::core::error& why) {
    if (why.code() == beds::core::errc::invalid_configuration) {
        throw; // it says all
    }
    auto text = place + ": " + why.message();
    if (const auto& said = why.server_message(); // MongoDB's stands in the message
        !said.empty() && why.origin() == beds::core::error_origin::mariadb) {
        text += " (" + std::to_string(why.native_code()) + ": " + said + ")";
    }
    throw beds::core::error(static_cast<beds::core::errc>(why.code().value()),
                            text + "\n  " + std::string{what_to_do(why)});
}

[[noreturn, maybe_unused]] void lacking(const char* what) {
    throw beds::core::error(beds::core::errc::unsupported,
                            std::string{"this bedsctl was built without "} + what);
}

} // namespace

#ifdef BEDS_WITH_MARIADB
live_database connect_live(const std::string& name, beds::config::rel_service_settings service,
                           beds::core::deadline until, looks_at what) {
    service.inbox = service.inbox && what == looks_at::inbox && !service.create_tables;
    service.create_tables = false;
    const auto place = "rel_services." + name + " at " +
                       (service.socket.empty() ? service.host + ":" + std::to_string(service.port)
                                               : service.socket.string()) +
                       " (database '" + service.database + "', user '" + service.user + "')";
    return connected(place, beds::adapters::make_mariadb(name, std::move(service)), until);
}
#else
live_database connect_live(const std::string&, beds::config::rel_service_settings,
                           beds::core::deadline, looks_at) {
    lacking("MariaDB");
}
#endif

#ifdef BEDS_WITH_MONGODB
live_database connect_live(const std::string& name, beds::config::rec_service_settings service,
                           beds::core::deadline until, looks_at what) {
    service.inbox = service.inbox && what == looks_at::inbox;
    const auto place = "rec_services." + name + " at " +
                       (service.uri.empty() ? service.host + ":" + std::to_string(service.port)
                                            : hosts_of(service.uri.reveal())) +
                       " (database '" + service.database + "'" +
                       (service.user.empty() ? "" : ", user '" + service.user + "'") + ")";
    return connected(place, beds::adapters::make_mongodb(name, std::move(service)), until);
}
#else
live_database connect_live(const std::string&, beds::config::rec_service_settings,
                           beds::core::deadline, looks_at) {
    lacking("MongoDB");
}
#endif

} // namespace bedsctl
