#include "engines/engines.hpp"

#include <beds/node/node.hpp>
#if BEDS_WITH_MARIADB
#include <beds/adapters/mariadb.hpp>
#endif
#if BEDS_WITH_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif

#include <string>

namespace bedsd {

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

} // namespace bedsd
