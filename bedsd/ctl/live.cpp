#include "live.hpp"

#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>

#ifdef BEDS_WITH_MARIADB
#include <beds/adapters/mariadb.hpp>
#endif
#ifdef BEDS_WITH_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif

namespace bedsctl {
namespace {

[[maybe_unused]] live_database connected(std::shared_ptr<beds::adapters::adapter> adapter,
                                         beds::core::deadline until) {
    live_database made;
    made.adapter = std::move(adapter);
    made.supervisor = beds::core::supervisor::shared();
    beds::adapters::session_context context;
    context.name = "bedsctl";
    context.supervisor = made.supervisor.get();
    made.session = made.adapter->open_session(std::move(context));
    made.session->connect(until);
    return made;
}

[[noreturn, maybe_unused]] void lacking(const char* what) {
    throw beds::core::error(beds::core::errc::unsupported,
                            std::string{"this bedsctl was built without "} + what);
}

} // namespace

#ifdef BEDS_WITH_MARIADB
live_database connect_live(const std::string& name, beds::config::rel_service_settings service,
                           beds::core::deadline until) {
    service.inbox = false;
    service.create_tables = false;
    return connected(beds::adapters::make_mariadb(name, std::move(service)), until);
}
#else
live_database connect_live(const std::string&, beds::config::rel_service_settings,
                           beds::core::deadline) {
    lacking("MariaDB");
}
#endif

#ifdef BEDS_WITH_MONGODB
live_database connect_live(const std::string& name, beds::config::rec_service_settings service,
                           beds::core::deadline until) {
    service.inbox = false;
    return connected(beds::adapters::make_mongodb(name, std::move(service)), until);
}
#else
live_database connect_live(const std::string&, beds::config::rec_service_settings,
                           beds::core::deadline) {
    lacking("MongoDB");
}
#endif

} // namespace bedsctl
