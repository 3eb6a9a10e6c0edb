#include "in_process.hpp"

#include "connect.hpp"

#include <beds/client/local_client.hpp>
#include <beds/node/node.hpp>

#ifdef BEDS_WITH_MARIADB
#include <beds/adapters/mariadb.hpp>
#endif
#ifdef BEDS_WITH_MONGODB
#include <beds/adapters/mongodb.hpp>
#endif

namespace bedsctl {

in_process::in_process(const connection_options& given)
    : node(std::make_unique<beds::node::node>(load(given.config))) {
    using beds::config::settings;
    using beds::templates::engine;
#ifdef BEDS_WITH_MARIADB
    node->register_engine(engine::rel, [](const std::string& name, const settings& all) {
        return beds::adapters::make_mariadb(name, all.rel_services.at(name));
    });
#endif
#ifdef BEDS_WITH_MONGODB
    node->register_engine(engine::rec, [](const std::string& name, const settings& all) {
        return beds::adapters::make_mongodb(name, all.rec_services.at(name));
    });
#endif
    node->check();
    beds::client::local_client_settings how;
    how.principal = client_settings(given).amqp.user;
    client = beds::client::make_local_client(node->registry(), node->adapters(), std::move(how));
}

in_process::~in_process() {
    client.reset();
}

} // namespace bedsctl
