#include "live.hpp"

#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>

#ifdef BEDS_WITH_MARIADB
#include <beds/adapters/mariadb.hpp>
#endif

namespace bedsctl {

#ifdef BEDS_WITH_MARIADB
live_database connect_live(const std::string& name, beds::config::rel_service_settings service,
                           beds::core::deadline until) {
    service.inbox = false;
    service.create_tables = false;
    live_database made;
    made.adapter = beds::adapters::make_mariadb(name, std::move(service));
    made.supervisor = beds::core::supervisor::shared();
    beds::adapters::session_context context;
    context.name = "bedsctl";
    context.supervisor = made.supervisor.get();
    made.session = made.adapter->open_session(std::move(context));
    made.session->connect(until);
    return made;
}
#else
live_database connect_live(const std::string&, beds::config::rel_service_settings,
                           beds::core::deadline) {
    throw beds::core::error(beds::core::errc::unsupported,
                            "this bedsctl was built without MariaDB");
}
#endif

} // namespace bedsctl
