// Uses something of every component, so that all of them are linked.
#include <beds/beds.hpp>
#include <beds/testing/make.hpp>

int main() {
    beds::node::node node{beds::config::settings{}};
#if BEDS_WITH_MARIADB
    node.register_engine(beds::templates::engine::rel,
                         [](const std::string& name, const beds::config::settings& from) {
                             return beds::adapters::make_mariadb(name, from.rel_services.at(name));
                         });
#endif
#if BEDS_WITH_MONGODB
    node.register_engine(beds::templates::engine::rec,
                         [](const std::string& name, const beds::config::settings& from) {
                             return beds::adapters::make_mongodb(name, from.rec_services.at(name));
                         });
#endif
    node.add_connection(beds::adapters::make_memory("mem"));
    const auto client = beds::client::make_amqp_client({});
    const auto loaded = beds::config::load({});
    return loaded.ok() || client == nullptr ? 1 : 0;
}
